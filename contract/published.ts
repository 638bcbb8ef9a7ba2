/**
 * The attachment file: what the daemon publishes and sh reads. One `key value` a line, the format's
 * version first, each key once but `alias`. An unknown, doubled or malformed key makes the whole file
 * unbelievable: readers then ask the daemon (the slow path) instead of guessing.
 */
import { type Endpoint, parseEndpoint, type Tool } from "./endpoint.ts";
import { isProfileState, isSubstrateMode, type ProfileState, type SubstrateMode } from "./mode.ts";
import { nixPublicKey } from "./nix/key.ts";
import { printable } from "./text.ts";

export const publishedVersion = "flywheel-attachment 1";

/** How long a published attachment may be believed, and how often it is renewed: seconds. */
export const lease = { span: 45, renewEvery: 15, longestBelievable: 60 } as const;

/** At most this many aliases are published: sh reads the file a byte at a time. */
export const mostAliases = 8;

/** A file larger than this is not ours: bytes. */
export const largestPublished = 8192;

/**
 * Where seconds come from. `boot`: /proc/uptime, which sh reads without a fork, together with
 * /proc/sys/kernel/random/boot_id. `wall`: `date +%s`, where there is no /proc; its boot id is `none`.
 */
export interface Clock {
  readonly source: "boot" | "wall";
  readonly bootId: string;
  readonly seconds: number;
}

/** On what terms this machine's Nix takes the cache. */
export interface NixTerms {
  /** `<name>:<base64>`: from the profile or the user, never from the cache. */
  readonly publicKey: string;
  /** Whether the Nix daemon lets this user set keys and limits; where not, it lists the endpoint and the key itself. */
  readonly trustedUser: boolean;
}

export interface Published {
  readonly kind: Tool;
  readonly profile: string;
  readonly state: ProfileState;
  readonly mode: SubstrateMode;
  /** Absent while unattached. */
  readonly endpoint: Endpoint | undefined;
  readonly aliases: readonly Endpoint[];
  readonly verified: number;
  readonly validUntil: number;
  readonly clock: Clock["source"];
  readonly bootId: string;
  readonly pid: number;
  /** Whether the profile lets this machine write to the cache. */
  readonly upload: boolean;
  /** Of kind `nix`, and only while attached: without it the guard attaches nothing. */
  readonly nix?: NixTerms;
  /** The daemon wants every heavy command to take the slow path (say, the profile has per-command needs). */
  readonly slow: boolean;
  readonly reason: string;
}

export const profileName = /^[a-z0-9][a-z0-9-]{0,31}$/;
const bootIdText = /^(?:[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}|none)$/;
const digits = /^[0-9]{1,12}$/;

/** The text of the file. Pure: the caller writes it atomically. */
export function serializePublished(published: Published): string {
  const lines = [
    publishedVersion,
    `kind ${published.kind}`,
    `profile ${published.profile}`,
    `state ${published.state}`,
    `mode ${published.mode}`,
    `endpoint ${published.endpoint?.url ?? "none"}`,
    ...published.aliases.slice(0, mostAliases).map((alias) => `alias ${alias.url}`),
    ...(published.nix === undefined ? [] : [`key ${published.nix.publicKey}`, `trusted-user ${published.nix.trustedUser}`]),
    `verified ${published.verified}`,
    `valid-until ${published.validUntil}`,
    `clock ${published.clock}`,
    `boot-id ${published.bootId}`,
    `pid ${published.pid}`,
    `upload ${published.upload}`,
    `slow ${published.slow}`,
    `reason ${printable(published.reason, 200) || "none"}`,
  ];
  return `${lines.join("\n")}\n`;
}

export type PublishedResult = { ok: true; published: Published } | { ok: false; fault: string };

/** Parses the file's text, trusting nothing in it. */
export function parsePublished(text: string): PublishedResult {
  if (text.length > largestPublished) return { ok: false, fault: "the file is too long" };
  // sh's read drops every NUL: so that both read one text, this does too.
  const read = text.replaceAll("\0", "");
  if (!read.endsWith("\n")) return { ok: false, fault: "the file is cut off" };
  const [version, ...lines] = read.slice(0, -1).split("\n");
  if (version !== publishedVersion) return { ok: false, fault: "the format's version is not known" };
  const values = new Map<string, string>();
  const aliases: string[] = [];
  for (const line of lines) {
    const space = line.indexOf(" ");
    const key = line.slice(0, space);
    const value = line.slice(space + 1);
    if (space < 1 || value === "") return { ok: false, fault: "a line is not `key value`" };
    if (key === "alias") aliases.push(value);
    else if (values.has(key)) return { ok: false, fault: `the key ${printable(key, 40)} is doubled` };
    else values.set(key, value);
  }
  if (aliases.length > mostAliases) return { ok: false, fault: "too many aliases" };
  const take = (key: string): string => {
    const value = values.get(key) ?? "";
    values.delete(key);
    return value;
  };
  const kind = take("kind");
  const profile = take("profile");
  const state = take("state");
  const mode = take("mode");
  const url = take("endpoint");
  const verified = take("verified");
  const validUntil = take("valid-until");
  const clock = take("clock");
  const bootId = take("boot-id");
  const pid = take("pid");
  const upload = take("upload");
  const slow = take("slow");
  const reason = take("reason");
  const key = kind === "nix" ? take("key") : "";
  const trustedUser = kind === "nix" ? take("trusted-user") : "";
  const unknown = values.keys().next().value;
  if (unknown !== undefined) return { ok: false, fault: `the key ${printable(unknown, 40)} is not known` };
  if (kind !== "bazel" && kind !== "nix") return { ok: false, fault: "kind" };
  if (!profileName.test(profile)) return { ok: false, fault: "profile" };
  if (!isProfileState(state)) return { ok: false, fault: "state" };
  if (!isSubstrateMode(mode)) return { ok: false, fault: "mode" };
  if (!digits.test(verified)) return { ok: false, fault: "verified" };
  if (!digits.test(validUntil)) return { ok: false, fault: "valid-until" };
  if (clock !== "boot" && clock !== "wall") return { ok: false, fault: "clock" };
  if (!bootIdText.test(bootId)) return { ok: false, fault: "boot-id" };
  if (!digits.test(pid)) return { ok: false, fault: "pid" };
  if (upload !== "true" && upload !== "false") return { ok: false, fault: "upload" };
  if (slow !== "true" && slow !== "false") return { ok: false, fault: "slow" };
  if (reason === "") return { ok: false, fault: "reason" };
  const terms = key === "" && trustedUser === "" ? undefined : { publicKey: key, trustedUser: trustedUser === "true" };
  if (terms !== undefined) {
    if (!nixPublicKey.test(key)) return { ok: false, fault: "key" };
    if (trustedUser !== "true" && trustedUser !== "false") return { ok: false, fault: "trusted-user" };
    if (state === "unattached") return { ok: false, fault: "state and key contradict" };
  }
  let endpoint: Endpoint | undefined;
  if (url !== "none") {
    const parsed = parseEndpoint(url, kind);
    if (!parsed.ok || parsed.endpoint.url !== url) return { ok: false, fault: "endpoint" };
    endpoint = parsed.endpoint;
  }
  if ((endpoint === undefined) !== (state === "unattached")) return { ok: false, fault: "state and endpoint contradict" };
  const parsedAliases: Endpoint[] = [];
  for (const alias of aliases) {
    const parsed = parseEndpoint(alias, kind);
    if (!parsed.ok || parsed.endpoint.url !== alias) return { ok: false, fault: "alias" };
    parsedAliases.push(parsed.endpoint);
  }
  return {
    ok: true,
    published: {
      kind,
      profile,
      state,
      mode,
      endpoint,
      aliases: parsedAliases,
      verified: Number(verified),
      validUntil: Number(validUntil),
      clock,
      bootId,
      pid: Number(pid),
      upload: upload === "true",
      ...(terms === undefined ? {} : { nix: terms }),
      slow: slow === "true",
      reason,
    },
  };
}

/** Why a published file may not be believed now, or undefined where it may. The same rule as sh's. */
export function leaseFault(published: Published, now: Clock): string | undefined {
  if (published.clock !== now.source) return "it was written by another clock";
  if (published.bootId !== now.bootId) return "it was written before the last boot";
  if (published.verified > now.seconds) return "it was verified in the future";
  if (published.validUntil < now.seconds) return `its lease ended ${now.seconds - published.validUntil} s ago`;
  if (published.validUntil - published.verified > lease.longestBelievable) return "its lease is longer than any may be";
  return undefined;
}
