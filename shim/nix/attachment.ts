/** Where the guard learns which Nix cache is attached, and on what terms: the published file, which the daemon may still have to write. */
import { setTimeout as pause } from "node:timers/promises";
import { entryFor, hasExpired } from "../../contract/credential.ts";
import type { Endpoint } from "../../contract/endpoint.ts";
import { FlywheelError } from "../../contract/errors.ts";
import type { AttachedNixCache } from "../../contract/nix/injection.ts";
import type { Paths } from "../../contract/paths.ts";
import type { Profile } from "../../contract/profile.ts";
import { readClock } from "../../daemon/api/client/clock.ts";
import { DaemonClient } from "../../daemon/api/client/connection.ts";
import { readCredentials } from "../../daemon/api/client/credentials/index-file.ts";
import { readPublished } from "../../daemon/api/client/published.ts";
import { type NoAttachment, noAttachment, onlyLooks, type Patience, statusOf, withoutDaemon } from "../attachment.ts";
import { answersAnybody } from "../credentials/needless.ts";

export type NixStanding =
  | {
      readonly state: "attached";
      readonly cache: AttachedNixCache;
      readonly aliases: readonly Endpoint[];
      readonly localProof: boolean;
    }
  | NoAttachment;

export interface NixAttachmentSource {
  /** @param withinMs how long the answer may take altogether; unbounded but for the guard's own waits where undefined */
  current(profile: Profile, withinMs: number | undefined): Promise<NixStanding>;
  /**
   * A cache with the file from which Nix takes what the user logged in to it with, made or with `look` only named; as it
   * is, where there is nothing of the kind.
   * @throws FlywheelError where something is kept for it, and no file can be made of that
   */
  withNetrc(cache: AttachedNixCache, aliases: readonly Endpoint[], profile: Profile): Promise<AttachedNixCache>;
}

/** @param userConf userConfFiles() of the command's environment */
export function nixAttachmentSource(paths: Paths, patience: Patience, userConf: readonly string[]): NixAttachmentSource {
  const withNetrc: NixAttachmentSource["withNetrc"] = (cache, aliases, profile) =>
    netrcFor(cache, aliases, profile, { paths, userConf, look: onlyLooks(patience) });
  const ask = async (profile: Profile): Promise<NixStanding> => {
    try {
      const status = await statusOf(paths, new DaemonClient(paths), "nix", profile.name, patience);
      // The daemon publishes before it tells: what the file lacks, the guard may not use either.
      return published(paths, profile.name) ?? withReason(noAttachment(status, "nix"), status.nix.state === "attached");
    } catch (error) {
      return withoutDaemon(error, patience, paths, "ATTIC_SERVER");
    }
  };
  const found = async (profile: Profile, withinMs: number | undefined): Promise<NixStanding> => {
    const live = published(paths, profile.name);
    if (live !== undefined) return live;
    if (withinMs === undefined) return ask(profile);
    const waited = new AbortController();
    const late = pause(withinMs, undefined, { signal: waited.signal }).then(
      (): NixStanding => ({ ...silence, reason: `nothing was attached within ${withinMs / 1000} s` }),
      // Cancelled: the answer came first.
      () => silence,
    );
    try {
      return await Promise.race([ask(profile), late]);
    } finally {
      waited.abort();
    }
  };
  return {
    async current(profile, withinMs) {
      const standing = await found(profile, withinMs);
      // Nix takes a netrc only from a user whom its daemon trusts.
      if (standing.state !== "attached" || !standing.cache.trustedUser) return standing;
      try {
        return { ...standing, cache: await withNetrc(standing.cache, standing.aliases, profile) };
      } catch (error) {
        if (!(error instanceof FlywheelError)) throw error;
        return { ...silence, reason: error.message, next: error.next };
      }
    },
    withNetrc,
  };
}

async function netrcFor(
  cache: AttachedNixCache,
  aliases: readonly Endpoint[],
  profile: Profile,
  { paths, userConf, look }: { readonly paths: Paths; readonly userConf: readonly string[]; readonly look: boolean },
): Promise<AttachedNixCache> {
  if (profile.nix.netrc === "system") return cache;
  const { endpoint } = cache;
  try {
    const entry = entryFor(readCredentials(paths), profile.name, [endpoint, ...aliases]);
    if (entry === undefined) return cache;
    // What has expired is never sent: it was proved without.
    if (hasExpired(entry, new Date()) && (await answersAnybody(paths, profile.name, endpoint))) return cache;
    const request = { profile: profile.name, kind: "nix", endpoint: endpoint.url, userConf, look } as const;
    const { directory } = await new DaemonClient(paths).generation(request);
    return { ...cache, netrc: plain(`${directory}/netrc`) };
  } catch (error) {
    if (!(error instanceof FlywheelError)) throw error;
    const next = error.next === undefined ? {} : { next: error.next };
    throw new FlywheelError(error.code, `the credential of ${endpoint.url} cannot be used: ${error.message}`, { ...next, cause: error });
  }
}

/** A setting is one word. */
function plain(path: string): string {
  if (!/[\s#]/.test(path)) return path;
  throw new FlywheelError("runtime-directory-unsafe", `Nix takes no netrc-file with white space or # in its path: ${path}`, {
    next: "set GF_RUNTIME_DIR to a directory of plain characters",
  });
}

const silence: NoAttachment = { state: "unattached", reason: "nothing is attached", since: undefined, tried: [], next: undefined };

function withReason(standing: NoAttachment, attached: boolean): NoAttachment {
  if (!attached) return standing;
  return { ...standing, reason: "the daemon has published no public key for the cache that it found", next: "flywheel status" };
}

function published(paths: Paths, profile: string): NixStanding | undefined {
  const reading = readPublished(paths, profile, "nix", readClock());
  if (reading.state !== "live") return undefined;
  const { endpoint, aliases, nix, state } = reading.published;
  if (endpoint === undefined || nix === undefined) return undefined;
  return { state: "attached", cache: { endpoint, ...nix }, aliases, localProof: state === "local-proof" };
}
