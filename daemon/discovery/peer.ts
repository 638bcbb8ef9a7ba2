/** Nodes that carry the profile's tag, each address confirmed by whois. A node without the tag is never a candidate, whatever its name. */
import type { Candidate, Rejection } from "../../contract/candidate.ts";
import type { Tool } from "../../contract/endpoint.ts";
import { localProofNext } from "../../contract/local-proof.ts";
import { portsOf } from "../../contract/ports.ts";
import type { Profile } from "../../contract/profile.ts";
import type { KnownTailnet, TailnetNode } from "../tailnet/tailnet.ts";
import type { WhoIs } from "../tailnet/watch.ts";
import { type Finding, isHostName, mostFound, spellings } from "./finding.ts";
import { dialable, nodeFault, tagOf, whoisFault } from "./trust.ts";

export interface PeerInput {
  readonly profile: Profile;
  /** A trusted one. */
  readonly tailnet: KnownTailnet;
  readonly localProof: boolean;
  readonly whois: (address: string) => Promise<WhoIs | undefined>;
}

export async function fromPeers(kind: Tool, input: PeerInput): Promise<Finding> {
  const tag = tagOf(input.profile, kind);
  const rejections: Rejection[] = [];
  const sound: TailnetNode[] = [];
  for (const node of input.tailnet.nodes) {
    const tagged = node.tags.includes(tag);
    if (!tagged && !looksLike(kind, node, input.profile)) continue;
    const fault =
      nodeFault(node, input.tailnet) ?? (tagged ? nameFault(node) : `it does not carry ${tag}, and a name alone is no authority`);
    if (fault === undefined) sound.push(node);
    else rejections.push(rejection(kind, node, fault, tagged || node.sharedIn ? undefined : `tag it ${tag} if it is yours`));
  }
  // Nodes that the control plane sees come first: the others are the ones to leave out.
  const ordered = [...sound.filter((node) => node.online), ...sound.filter((node) => !node.online)];
  const asked = ordered.slice(0, mostFound.candidates);
  const found = await Promise.all(asked.map((node) => confirmed(kind, node, input)));
  const left = ordered.length - asked.length;
  if (left > 0) {
    rejections.push({
      kind,
      source: "peer",
      subject: tag,
      reason: `${left} more nodes carry it and were left out: ${asked.length} are the most`,
    });
  }
  return {
    candidates: found.flatMap((one) => one.candidates),
    rejections: [...rejections, ...found.flatMap((one) => one.rejections)],
  };
}

async function confirmed(kind: Tool, node: TailnetNode, input: PeerInput): Promise<Finding> {
  const tag = tagOf(input.profile, kind);
  const pin = dialable(node.addresses, input.localProof);
  const [address] = pin;
  if (address === undefined) {
    const loopback = node.addresses.length > 0;
    const reason = loopback ? "its addresses are on loopback, which is no shared cache" : "Tailscale gives no address for it";
    return { candidates: [], rejections: [rejection(kind, node, reason, loopback ? localProofNext : undefined)] };
  }
  const judged = await Promise.all(
    portsOf(input.profile, kind).map(async (at): Promise<Candidate | string> => {
      const asked = address.includes(":") ? `[${address}]:${at.port}` : `${address}:${at.port}`;
      const fault = whoisFault(asked, node, await input.whois(asked));
      if (fault !== undefined) return fault;
      const spelled = spellings(kind, node.name, pin, at);
      if (spelled === undefined) return "its name or address is no valid host";
      return { ...spelled, source: { name: "peer", node: node.name, nodeId: node.id, tag, pin } };
    }),
  );
  return {
    candidates: judged.filter((one) => typeof one !== "string"),
    rejections: judged.filter((one) => typeof one === "string").map((reason) => rejection(kind, node, reason)),
  };
}

function nameFault(node: TailnetNode): string | undefined {
  return isHostName(node.name) ? undefined : "its name is no valid host name";
}

/** An untagged node is worth a word only where a person would take it for this cache. */
function looksLike(kind: Tool, node: TailnetNode, profile: Profile): boolean {
  const host = node.name.split(".", 1)[0] ?? "";
  if (!host.includes("cache") || node.tags.includes(profile.bazel.tag) || node.tags.includes(profile.nix.tag)) return false;
  const nix = host.includes("nix") || host.includes("attic");
  const bazel = host.includes("bazel");
  return nix === bazel || (kind === "nix" ? nix : bazel);
}

function rejection(kind: Tool, node: TailnetNode, reason: string, next?: string): Rejection {
  return { kind, source: "peer", subject: node.name || node.id, reason, ...(next === undefined ? {} : { next }) };
}
