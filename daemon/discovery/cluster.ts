/**
 * In-cluster names behind a subnet route: off unless the profile turns it on. The name is resolved by
 * Tailscale's own resolver alone, and the address counts only under a route of a node with the tag.
 */
import { Resolver } from "node:dns/promises";
import type { Candidate, Rejection } from "../../contract/candidate.ts";
import { isAddress, isTls, parseEndpoint, type Tool, withoutCredentials } from "../../contract/endpoint.ts";
import type { Profile } from "../../contract/profile.ts";
import { printable } from "../../contract/text.ts";
import type { KnownTailnet, TailnetNode } from "../tailnet/tailnet.ts";
import { type Finding, spellings } from "./finding.ts";
import { dialable, nodeFault, routerOf, tagOf } from "./trust.ts";

/** A name to addresses; an empty list where there are none. Rejects where nobody answers. */
export type Resolve = (name: string) => Promise<readonly string[]>;

/**
 * Tailscale's resolver, never the LAN's and never mDNS.
 * @param server `ip` or `ip:port`: 100.100.100.100 unless a test says otherwise
 */
export function tailscaleResolver(server = "100.100.100.100"): Resolve {
  return async (name) => {
    const resolver = new Resolver({ timeout: 2000, tries: 1 });
    resolver.setServers([server]);
    const [v4, v6] = await Promise.allSettled([resolver.resolve4(name), resolver.resolve6(name)]);
    if (v4.status === "rejected" && v6.status === "rejected") throw v4.reason;
    return [...(v4.status === "fulfilled" ? v4.value : []), ...(v6.status === "fulfilled" ? v6.value : [])].slice(0, 16);
  };
}

export async function fromCluster(
  kind: Tool,
  input: { readonly profile: Profile; readonly tailnet: KnownTailnet; readonly localProof: boolean; readonly resolve: Resolve },
): Promise<Finding> {
  const { profile, tailnet } = input;
  if (!profile.cluster.enabled) return { candidates: [], rejections: [] };
  const tag = tagOf(profile, kind);
  const routers = tailnet.nodes.filter(
    (node) => node.routes.length > 0 && node.tags.includes(tag) && nodeFault(node, tailnet) === undefined,
  );
  const judged = await Promise.all(
    profile.cluster[kind].map(async (text) => {
      const result = await judge(kind, text, tag, routers, input.resolve, input.localProof);
      if (typeof result !== "string") return result;
      const rejection: Rejection = { kind, source: "cluster", subject: printable(withoutCredentials(text), 120), reason: result };
      return rejection;
    }),
  );
  return {
    candidates: judged.filter((one) => "endpoint" in one),
    rejections: judged.filter((one) => "reason" in one),
  };
}

async function judge(
  kind: Tool,
  text: string,
  tag: string,
  routers: readonly TailnetNode[],
  resolve: Resolve,
  localProof: boolean,
): Promise<Candidate | string> {
  const parsed = parseEndpoint(text, kind);
  if (!parsed.ok) return parsed.message;
  const { endpoint } = parsed;
  if (routers.length === 0) return `no node with ${tag} routes to a subnet`;
  let addresses: readonly string[];
  try {
    addresses = isAddress(endpoint.host) ? [endpoint.host] : await resolve(endpoint.host);
  } catch {
    return `Tailscale's resolver does not know ${endpoint.host}`;
  }
  const pin = dialable(addresses, localProof).filter((address) => routerOf(address, routers) !== undefined);
  const [address] = pin;
  const router = address === undefined ? undefined : routerOf(address, routers);
  if (router === undefined) {
    return `${endpoint.host} resolves to ${addresses.join(", ") || "nothing"}, which no route of a node with ${tag} covers`;
  }
  const source = { name: "cluster", route: router.route, node: router.node.name, pin } as const;
  if (isTls(endpoint)) return { endpoint, source, aliases: [] };
  const spelled = spellings(kind, endpoint.host, pin, endpoint);
  if (spelled === undefined) return "its address is no valid host";
  // The bare first label of a cluster's name means nothing here: the name as written, and the addresses.
  const others = spelled.aliases.filter((alias) => alias.host === endpoint.host || isAddress(alias.host));
  return { endpoint: spelled.endpoint, source, aliases: others };
}
