/**
 * Whose word counts. Pure: no I/O. A Bazel remote cache has no signatures, so whoever answers at an
 * endpoint can put code on this machine: authority comes from the operator, never from who answers.
 */
import { BlockList, isIPv6 } from "node:net";
import { isLoopback, type Tool } from "../../contract/endpoint.ts";
import type { Profile } from "../../contract/profile.ts";
import { printable } from "../../contract/text.ts";
import type { TrustStore } from "../../contract/trust.ts";
import type { KnownTailnet, Tailnet, TailnetNode } from "../tailnet/tailnet.ts";

export type TailnetTrust =
  | { readonly trusted: true }
  | { readonly trusted: false; readonly reason: string; readonly next: string | undefined };

/** The tag that a node must carry to be a candidate of this kind. */
export function tagOf(profile: Profile, kind: Tool): string {
  return profile[kind].tag;
}

/**
 * Whether the machine's tailnet is the profile's: what the profile names must match, name and suffix
 * both where it names both; or the user trusted exactly this name and suffix for this profile.
 */
export function tailnetTrust(profile: Profile, tailnet: Tailnet, trust: TrustStore): TailnetTrust {
  if (tailnet.state === "unreachable") return { trusted: false, reason: tailnet.reason, next: tailnet.next };
  if (tailnet.name === "" && tailnet.magicDnsSuffix === "") {
    return { trusted: false, reason: `the Tailscale client is on no tailnet (${tailnet.backendState})`, next: "tailscale up" };
  }
  if (namedByProfile(profile, tailnet)) return { trusted: true };
  const said = trust.tailnets.some(
    (entry) => entry.profile === profile.name && entry.name === tailnet.name && entry.magicDnsSuffix === tailnet.magicDnsSuffix,
  );
  if (said) return { trusted: true };
  const here = `this machine is on tailnet ${tailnet.name || "without a name"} (${tailnet.magicDnsSuffix || "no MagicDNS suffix"})`;
  const wanted = [profile.tailnet.name, profile.tailnet.magicDnsSuffix].filter((part) => part !== undefined).map((part) => printable(part));
  const reason =
    wanted.length === 0
      ? `${here}, which nobody has trusted for profile ${profile.name}`
      : `${here}; profile ${profile.name} trusts ${wanted.join(" with ")}`;
  return { trusted: false, reason, next: trustCommand(profile) };
}

function namedByProfile(profile: Profile, tailnet: KnownTailnet): boolean {
  const { name, magicDnsSuffix } = profile.tailnet;
  if (name === undefined && magicDnsSuffix === undefined) return false;
  return (name === undefined || name === tailnet.name) && (magicDnsSuffix === undefined || magicDnsSuffix === tailnet.magicDnsSuffix);
}

function trustCommand(profile: Profile): string {
  const command = profile.name === "default" ? "flywheel trust tailnet" : `flywheel --profile ${profile.name} trust tailnet`;
  // Whoever is on somebody else's tailnet for a day must not be led to believe its caches.
  return `${command}   (only if it is your organisation's)`;
}

/** Why a node may not stand for its tailnet, or undefined where it may. The tag is looked at by the sources. */
export function nodeFault(node: TailnetNode, tailnet: KnownTailnet): string | undefined {
  if (node.sharedIn)
    return `it is shared in from another tailnet: its name is not under ${tailnet.magicDnsSuffix || "any MagicDNS suffix"}, or Tailscale says so`;
  if (node.expired) return "its key has expired";
  return undefined;
}

/** Why whois does not confirm that an address is the node's, or undefined where it does. */
export function whoisFault(
  address: string,
  node: { readonly id: string; readonly name: string },
  found: { readonly nodeId: string; readonly name: string } | undefined,
): string | undefined {
  if (found === undefined) return `Tailscale does not say whose address ${address} is`;
  if (found.nodeId === node.id) return undefined;
  return `Tailscale says that ${address} belongs to ${found.name || found.nodeId}, not to ${node.name}`;
}

/** Loopback addresses are left out where no local proof is allowed; IPv4 comes first. */
export function dialable(addresses: readonly string[], localProof: boolean): readonly string[] {
  const allowed = localProof ? addresses : addresses.filter((address) => !isLoopback(address));
  return [...allowed.filter((address) => !isIPv6(address)), ...allowed.filter(isIPv6)];
}

/**
 * The node that routes to an address: one that the tag vouches for, with a subnet route (never a
 * default route, which covers everything) over it.
 */
export function routerOf(
  address: string,
  nodes: readonly TailnetNode[],
): { readonly node: TailnetNode; readonly route: string } | undefined {
  for (const node of nodes) {
    const route = node.routes.find((cidr) => covers(cidr, address));
    if (route !== undefined) return { node, route };
  }
  return undefined;
}

/** Whether a CIDR covers an address. A default route covers nothing here; nor does what is no CIDR. */
export function covers(cidr: string, address: string): boolean {
  const match = /^([0-9A-Fa-f:.]+)\/(\d{1,3})$/.exec(cidr);
  if (match === null) return false;
  const [, network = "", length = ""] = match;
  const family = (ip: string) => (isIPv6(ip) ? "ipv6" : "ipv4");
  if (Number(length) === 0 || family(network) !== family(address)) return false;
  try {
    const list = new BlockList();
    list.addSubnet(network, Number(length), family(network));
    return list.check(address, family(address));
  } catch {
    return false;
  }
}
