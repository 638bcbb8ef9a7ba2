/** The settings that attach a Nix command, and the user's own that would detach it. */
import { type Endpoint, parseEndpoint, sameEndpoint } from "../endpoint.ts";
import type { SubstitutionOption } from "./command-line.ts";
import { isSwitch } from "./commands.ts";

export interface AttachedNixCache {
  readonly endpoint: Endpoint;
  readonly publicKey: string;
  /**
   * Whether the Nix daemon lets this user set keys and limits. Where it does not, its administrator has listed the
   * endpoint and its key, and only the endpoint is ours to name: the rest would be ignored with a warning each time.
   */
  readonly trustedUser: boolean;
  /** The file of the credential that the cache asks for; only for a trusted user, and none where Nix needs none of us. */
  readonly netrc?: string | undefined;
}

/** A line of nix.conf, and a flag of the same name. Neither part holds white space. */
export interface NixSetting {
  readonly name: string;
  readonly value: string;
}

/**
 * What keeps a cache that dies from stalling a build (tried on 2.8 and 2.26): seconds for a connection (Nix: none),
 * seconds without a byte (Nix: 300), attempts (Nix: 5, over 4.9 s where the connection is refused), and seconds for
 * which a path that the cache lacks is believed missing (Nix: an hour, for which a fresh push is not seen).
 */
export const limits: readonly (NixSetting & { readonly needsTrust: boolean })[] = [
  // daemon.cc lets everybody set this one.
  { name: "connect-timeout", value: "5", needsTrust: false },
  { name: "stalled-download-timeout", value: "30", needsTrust: true },
  { name: "download-attempts", value: "3", needsTrust: true },
  { name: "narinfo-cache-negative-ttl", value: "60", needsTrust: true },
];

/** @param config the user's NIX_CONFIG: a limit that it names is theirs to set */
export function attachingSettings(cache: AttachedNixCache, config: string): readonly NixSetting[] {
  return [
    { name: "extra-substituters", value: cache.endpoint.url },
    ...(cache.trustedUser ? [{ name: "extra-trusted-public-keys", value: cache.publicKey }] : []),
    ...(cache.netrc === undefined ? [] : [{ name: "netrc-file", value: cache.netrc }]),
    ...limits
      .filter(({ name, needsTrust }) => (cache.trustedUser || !needsTrust) && !config.includes(name))
      .map(({ name, value }) => ({ name, value })),
  ];
}

/** What an entry gets that is not attached: nothing is built on this machine; what caches and the store have is used. */
export const entrySettings: readonly NixSetting[] = [{ name: "max-jobs", value: "0" }];

/** The settings as flags; in front of every other word they leave the last one to the user's own. */
export function settingFlags(settings: readonly NixSetting[]): readonly string[] {
  return settings.flatMap(({ name, value }) => [`--${name}`, value]);
}

/** NIX_CONFIG with the settings behind the user's own lines, which stay byte for byte: a later `substituters =` would discard ours. */
export function settingLines(config: string, settings: readonly NixSetting[]): string {
  const lines = settings.map(({ name, value }) => `${name} = ${value}`);
  return [...(config === "" ? [] : [config]), ...lines].join("\n");
}

/**
 * The first of the user's options that would take the command away from the attached cache, in words; undefined
 * where none does. Where an option is said twice, the last one counts.
 */
export function nixDetachment(options: readonly SubstitutionOption[], cache: AttachedNixCache | undefined): string | undefined {
  const last = new Map(options.map(({ name, value }) => [name, value]));
  for (const [name, value] of last) {
    const fault = faultOf(name, value, cache);
    if (fault !== undefined) return fault;
  }
  return undefined;
}

function faultOf(name: string, value: string, cache: AttachedNixCache | undefined): string | undefined {
  const words = value.split(/\s+/);
  switch (name) {
    case "offline":
      return "--offline turns every substituter off, so that Nix builds";
    case "substituters":
    case "binary-caches": {
      const own = cache?.endpoint;
      const listed = own !== undefined && words.some((word) => namesEndpoint(word, own));
      return listed ? undefined : `${name} names other caches than the attached one`;
    }
    case "trusted-public-keys":
    case "binary-cache-public-keys":
      return cache !== undefined && words.includes(cache.publicKey) ? undefined : `${name} leaves out the key of the attached cache`;
    case "substitute":
    case "build-use-substitutes":
      return value === "false" ? `${name} is off, so that Nix builds` : undefined;
    case "netrc-file":
      // Nix takes a cache that refuses it for one that lacks the path, and builds without a word (tried on 2.8).
      return cache?.netrc === undefined ? undefined : "netrc-file leaves out the credential of the attached cache";
    default:
      return undefined;
  }
}

/** A substituter may end in a slash or carry parameters (`?priority=10`) and is the same cache all the same. */
function namesEndpoint(word: string, endpoint: Endpoint): boolean {
  const parsed = parseEndpoint(word.replace(/\?.*$/, ""), "nix");
  return parsed.ok && sameEndpoint(parsed.endpoint, endpoint);
}

/** The switches that NIX_CONFIG sets, its store and its netrc, as options: the last one counts. */
export function configOptions(config: string): readonly SubstitutionOption[] {
  return config.split("\n").flatMap((line) => {
    const match = /^\s*([a-z-]+)\s*=\s*(.*?)\s*$/.exec(line.replace(/#.*/, ""));
    const [, name = "", value = ""] = match ?? [];
    return isSwitch(name) || name === "store" || name === "netrc-file" ? [{ name, value }] : [];
  });
}

/**
 * Whether a store (`--store`, NIX_REMOTE) is another machine's or none at all: what happens there is not this
 * machine's to build or to substitute.
 */
export function isElsewhere(store: string): boolean {
  return /^(?:ssh|ssh-ng|s3|http|https|dummy|legacy-ssh):/.test(store) || /^[^/:?]+@/.test(store);
}
