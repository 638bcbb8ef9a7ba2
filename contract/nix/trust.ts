/**
 * Whether this machine's Nix takes a binary cache that a user's command names, and on what terms; and what an
 * administrator adds where it does not. The rule is that of Nix's own daemon (src/libstore/daemon.cc,
 * ClientSettings::apply, and src/nix/daemon.cc, matchUser), tried on 2.8: a trusted user sets everything; anybody
 * else may name only substituters that the daemon lists, compared letter by letter, and no keys.
 */
import type { Endpoint } from "../endpoint.ts";
import { nixList } from "../nix-config.ts";
import type { NixTerms } from "../published.ts";

/** What the daemon's own configuration says of clients and caches. */
export interface NixSettings {
  /** Names, `@group`, or `*`. */
  readonly trustedUsers: readonly string[];
  /** What anybody may name: trusted-substituters, and the daemon's own substituters. */
  readonly listed: readonly string[];
  readonly trustedPublicKeys: readonly string[];
  readonly requireSignatures: boolean;
}

/** @param text nix.conf with what it includes; the defaults are Nix's own (src/libstore/globals.hh) */
export function nixSettings(text: string): NixSettings {
  const requireSignatures = nixList(text, ["require-sigs"], ["true"]).at(-1) !== "false";
  return {
    trustedUsers: nixList(text, ["trusted-users"], ["root"]),
    listed: [
      ...nixList(text, ["trusted-substituters", "trusted-binary-caches"]),
      ...nixList(text, ["substituters", "binary-caches"], ["https://cache.nixos.org/"]),
    ],
    trustedPublicKeys: nixList(
      text,
      ["trusted-public-keys", "binary-cache-public-keys"],
      ["cache.nixos.org-1:6NCHdD59X431o0gWypbMrAURkbJ16ZPMQFGspcDShjY="],
    ),
    requireSignatures,
  };
}

/** A user as Nix's daemon knows one. */
export interface NixClient {
  /** The name, or the number of a uid that has none. */
  readonly user: string;
  /** Of the user database: the primary group, and those that list the user. */
  readonly groups: readonly string[];
}

export function isTrustedUser({ trustedUsers }: NixSettings, { user, groups }: NixClient): boolean {
  return trustedUsers.some((entry) => entry === "*" || entry === user || (entry.startsWith("@") && groups.includes(entry.slice(1))));
}

/** Letter by letter; only a last slash that the daemon's list has, and the client left out, is forgiven. */
export function isListed({ listed }: NixSettings, url: string): boolean {
  return listed.includes(url) || (!url.endsWith("/") && listed.includes(`${url}/`));
}

/** How this user's commands reach the store. */
export type NixAccess =
  /** They open it themselves (root, a single-user installation): their own settings hold. */
  { readonly by: "itself" } | { readonly by: "daemon" } | { readonly by: "nothing"; readonly reason: string };

/** What Nix's daemon said to this user's client, which named the cache's URLs and one that nobody lists. */
export interface NixAnswer {
  readonly trustedUser: boolean;
  /** Of the cache's URLs. */
  readonly ignored: readonly string[];
}

export interface NixQuestion {
  readonly endpoint: Endpoint;
  /** Other URLs of the same cache: an administrator may have listed one of these. */
  readonly aliases: readonly Endpoint[];
  readonly publicKey: string;
}

/** What is known of this machine's Nix. */
export interface NixMachine {
  readonly access: NixAccess;
  readonly client: NixClient;
  /** undefined: its configuration cannot be read. */
  readonly settings: NixSettings | undefined;
  /** undefined: it could not be asked, and the settings decide. */
  readonly answer: NixAnswer | undefined;
}

/** It takes the cache. */
export interface NixHonoured extends NixTerms {
  /** Under which URL: the endpoint's own where it may be named. */
  readonly endpoint: Endpoint;
}

/** It would ignore the cache, or nobody knows better. */
export interface NixIgnored {
  readonly reason: string;
  readonly next: string;
  /** What an administrator adds; undefined where that would not help. */
  readonly advice: NixAdvice | undefined;
}

export type NixHonour = { readonly ok: true; readonly honoured: NixHonoured } | { readonly ok: false; readonly ignored: NixIgnored };

/** Whether Nix takes the cache. What it answered counts for more than its file, which it reads only when it starts. */
export function judgeNixHonour(question: NixQuestion, machine: NixMachine): NixHonour {
  const { endpoint, aliases, publicKey } = question;
  const { access, client, settings, answer } = machine;
  if (access.by === "nothing") return ignored(access.reason, "install Nix, or start its daemon", undefined);
  const trusted = access.by === "itself" || (answer?.trustedUser ?? (settings !== undefined && isTrustedUser(settings, client)));
  if (trusted) return { ok: true, honoured: { endpoint, publicKey, trustedUser: true } };
  const advice = nixAdvice(endpoint.url, publicKey);
  const who = `${client.user} is no trusted user of the Nix daemon`;
  if (settings === undefined) return ignored(`${who}, whose configuration cannot be read`, "make its nix.conf readable", advice);
  const accepts = (url: string): boolean => (answer === undefined ? isListed(settings, url) : !answer.ignored.includes(url));
  const accepted = [endpoint, ...aliases].find(({ url }) => accepts(url));
  if (accepted === undefined) {
    const unread = [endpoint, ...aliases].find(({ url }) => isListed(settings, url));
    if (unread !== undefined) {
      return ignored(`nix.conf lists ${unread.url}, but the Nix daemon runs with an older one`, restartAdvice, undefined);
    }
    return ignored(`${who}, which lists no ${endpoint.url}: it would ignore the cache`, administratorAdds, advice);
  }
  if (settings.requireSignatures && !settings.trustedPublicKeys.includes(publicKey)) {
    return ignored(`${who}, which lacks the key ${publicKey}: it would believe nothing that the cache serves`, administratorAdds, advice);
  }
  return { ok: true, honoured: { endpoint: accepted, publicKey, trustedUser: false } };
}

/** The file that Nix takes credentials from without us; it may be there for an administrator's eyes alone. */
export type OwnNetrc =
  /** Empty text where there is none. */
  { readonly state: "read"; readonly text: string } | { readonly state: "unreadable"; readonly file: string };

/**
 * Why a credential that the cache asks for would not reach this machine's Nix, or undefined where it would. That Nix
 * says nothing of it makes it worse: it takes a cache that refuses it for one that lacks the path, and builds.
 * @param keeper `system`: an administrator keeps it for Nix, and nothing is handed over
 */
export function withheldFrom(
  { trustedUser }: Pick<NixTerms, "trustedUser">,
  client: Pick<NixClient, "user">,
  { keeper, own }: { readonly keeper: "user" | "system"; readonly own: OwnNetrc },
): { readonly reason: string; readonly next: string } | undefined {
  if (keeper === "system") return undefined;
  const next =
    'have an administrator add the cache to the netrc of this machine\'s Nix, then say so in the profile: [nix] netrc = "system"';
  if (!trustedUser) {
    return { reason: `${client.user} is no trusted user of the Nix daemon, which takes no credential of theirs for the cache`, next };
  }
  if (own.state === "unreadable") {
    return { reason: `Nix takes its credentials from ${own.file}, which cannot be read here and would be left out`, next };
  }
  return undefined;
}

const administratorAdds = "an administrator adds trusted-substituters and trusted-public-keys: flywheel doctor";
const restartAdvice = "sudo systemctl restart nix-daemon (macOS: sudo launchctl kickstart -k system/org.nixos.nix-daemon)";

function ignored(reason: string, next: string, advice: NixAdvice | undefined): NixHonour {
  return { ok: false, ignored: { reason, next, advice } };
}

/** What an administrator adds, in the form of each kind of machine. Never trusted-users, whose members are root by another name. */
export interface NixAdvice {
  /** Lines of the system's nix.conf, and what makes the daemon read them. */
  readonly nixConf: string;
  readonly nixos: string;
  readonly nixDarwin: string;
}

/**
 * @param url an endpoint's URL, which no quote or space can be in
 * @param publicKey of the grammar of contract/nix/key.ts
 */
export function nixAdvice(url: string, publicKey: string): NixAdvice {
  const options = [`nix.settings.trusted-substituters = [ "${url}" ];`, `nix.settings.trusted-public-keys = [ "${publicKey}" ];`];
  return {
    // A plain `trusted-public-keys =` would throw cache.nixos.org's away.
    nixConf: [`extra-trusted-substituters = ${url}`, `extra-trusted-public-keys = ${publicKey}`, `# then: ${restartAdvice}`].join("\n"),
    nixos: [...options, "# then: sudo nixos-rebuild switch"].join("\n"),
    nixDarwin: [...options, "# then: sudo darwin-rebuild switch"].join("\n"),
  };
}
