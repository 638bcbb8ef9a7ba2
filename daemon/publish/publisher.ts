/** Writes what sh and the guard believe: one small file a profile and kind, replaced in one step. */
import { mkdirSync, rmSync, unlinkSync, utimesSync } from "node:fs";
import { dirname } from "node:path";
import writeFileAtomic from "write-file-atomic";
import { type Attachment, isLocalProof, profileStateOf, substrateModeOf } from "../../contract/attachment.ts";
import type { Tool } from "../../contract/endpoint.ts";
import { attachmentPath, type Paths } from "../../contract/paths.ts";
import { type Clock, lease, type Published, serializePublished } from "../../contract/published.ts";
import { inspectRuntimeDirectory } from "../api/client/directory.ts";
import { reasonOf } from "../api/client/errno.ts";

/** The daemon's word on one attachment, with a lease that began with the proof (or, unattached, now). */
export function publishedOf(
  attachment: Attachment,
  context: { readonly profile: string; readonly bazel: Attachment; readonly now: Clock; readonly upload: boolean; readonly slow: boolean },
): Published {
  const { profile, bazel, now, upload, slow } = context;
  const attached = attachment.state === "attached" ? attachment : undefined;
  const verified = attached?.verified ?? now.seconds;
  const honoured = attached?.facts.honoured;
  const endpoint = honoured?.endpoint ?? attached?.candidate.endpoint;
  const spellings = attached === undefined ? [] : [attached.candidate.endpoint, ...attached.candidate.aliases];
  return {
    kind: attachment.kind,
    profile,
    // The mode is always Bazel's: a Nix cache makes no shared-cache-backed builds of Bazel's.
    mode: substrateModeOf(bazel),
    state: attachment.kind === "bazel" ? profileStateOf(attachment) : nixState(attachment),
    endpoint,
    aliases: spellings.filter(({ url }) => url !== endpoint?.url),
    verified,
    validUntil: verified + lease.span,
    clock: now.source,
    bootId: now.bootId,
    pid: process.pid,
    upload: upload && attached !== undefined,
    ...(honoured === undefined ? {} : { nix: { publicKey: honoured.publicKey, trustedUser: honoured.trustedUser } }),
    slow,
    reason: attachment.state === "unattached" ? attachment.reason : "none",
  };
}

function nixState(attachment: Attachment): Published["state"] {
  if (attachment.state === "unattached") return "unattached";
  return isLocalProof(attachment.candidate) ? "local-proof" : "shared-cache-backed";
}

export class Publisher {
  readonly #paths: Paths;
  readonly #onFault: (fault: string | undefined) => void;
  /** By file: what it says of the attachment, and its time. */
  readonly #told = new Map<string, { readonly what: string; readonly time: number }>();

  /** @param onFault told why nothing can be published, or undefined once it can again */
  constructor(paths: Paths, onFault: (fault: string | undefined) => void) {
    this.#paths = paths;
    this.#onFault = onFault;
  }

  /** Replaces one attachment file (0600). Where that fails the old word is taken back: silence is better than a stale yes. */
  publish(published: Published): void {
    const file = attachmentPath(this.#paths, published.profile, published.kind);
    const directory = inspectRuntimeDirectory(this.#paths.runtime);
    if (!directory.ok) {
      this.#onFault(`nothing is published: ${directory.message}`);
      return;
    }
    try {
      mkdirSync(dirname(file), { recursive: true, mode: 0o700 });
      // No fsync: after a crash of the machine the boot id is another one anyway.
      writeFileAtomic.sync(file, serializePublished(published), { mode: 0o600, fsync: false });
      const time = this.#timeOf(file, published);
      utimesSync(file, time, time);
      this.#onFault(undefined);
    } catch (error) {
      this.withdraw(published.profile, published.kind);
      this.#onFault(`nothing is published: ${file} cannot be written (${reasonOf(error)})`);
    }
  }

  /**
   * The file's time is that of the last change of the attachment, not of the lease's renewal: what watches it by its
   * time (direnv, which knows whole seconds) hears of changes alone. Seconds; no two changes have the same.
   */
  #timeOf(file: string, published: Published): number {
    const what = `${published.state} ${published.endpoint?.url ?? "none"}`;
    const last = this.#told.get(file);
    if (last?.what === what) return last.time;
    const time = Math.max(Math.floor(Date.now() / 1000), (last?.time ?? 0) + 1);
    this.#told.set(file, { what, time });
    return time;
  }

  withdraw(profile: string, kind: Tool): void {
    try {
      unlinkSync(attachmentPath(this.#paths, profile, kind));
    } catch {
      // Absent, or in a directory that is gone: the lease ends what is left.
    }
  }

  /** Takes everything back, a former daemon's word too. */
  withdrawAll(): void {
    if (!inspectRuntimeDirectory(this.#paths.runtime).ok) return;
    try {
      rmSync(`${this.#paths.runtime}/attachment`, { recursive: true, force: true });
    } catch {
      // As above.
    }
  }
}
