/** Joins the sources: which endpoints may be probed at all, and what was turned down and why. Dials none of them. */
import type { Candidate, Rejection } from "../../contract/candidate.ts";
import type { Config } from "../../contract/config.ts";
import type { Tool } from "../../contract/endpoint.ts";
import type { OperatorEndpoint } from "../../contract/operator.ts";
import type { Profile } from "../../contract/profile.ts";
import { mostAliases } from "../../contract/published.ts";
import type { TrustStore } from "../../contract/trust.ts";
import type { Tailnet } from "../tailnet/tailnet.ts";
import type { WhoIs } from "../tailnet/watch.ts";
import { fromCluster, type Resolve, tailscaleResolver } from "./cluster.ts";
import { type Finding, mostFound, unique } from "./finding.ts";
import { fromLocalProof } from "./local-proof.ts";
import { fromOperator } from "./operator.ts";
import { fromPeers } from "./peer.ts";
import { fromServices } from "./service.ts";
import { tailnetTrust } from "./trust.ts";

export interface DiscoveryInput {
  readonly profile: Profile;
  readonly config: Config;
  readonly tailnet: Tailnet;
  readonly trust: TrustStore;
  /** What `flywheel attach` kept, of any profile. */
  readonly operator: readonly OperatorEndpoint[];
  /** `ip:port` or `[ip]:port` to the node that has it. */
  readonly whois: (address: string) => Promise<WhoIs | undefined>;
  /** For in-cluster names: Tailscale's resolver unless given. */
  readonly resolve?: Resolve;
}

export interface Discovery {
  /** At most 64 a kind, strongest source first, each URL once. */
  readonly candidates: readonly Candidate[];
  /** At most 256 a kind. */
  readonly rejections: readonly Rejection[];
  /** Whether the tailnet is the profile's. */
  readonly trusted: boolean;
}

/** Everything that design's trust rules allow for one profile. Does not throw for anything that the tailnet says. */
export async function discover(input: DiscoveryInput): Promise<Discovery> {
  const { trusted } = tailnetTrust(input.profile, input.tailnet, input.trust);
  const [bazel, nix] = await Promise.all([discoverKind("bazel", input), discoverKind("nix", input)]);
  return { candidates: [...bazel.candidates, ...nix.candidates], rejections: [...bazel.rejections, ...nix.rejections], trusted };
}

async function discoverKind(kind: Tool, input: DiscoveryInput): Promise<Finding> {
  const operator = fromOperator(kind, input);
  const tailnet = await fromTailnet(kind, input);
  const localProof = fromLocalProof(kind, input);
  return bounded(kind, [operator, tailnet, localProof]);
}

/** Services, peers and the cluster: only while the tailnet runs and is the profile's. */
async function fromTailnet(kind: Tool, input: DiscoveryInput): Promise<Finding> {
  const { profile, tailnet, trust } = input;
  const turnedDown = (subject: string, reason: string, next: string | undefined): Finding => ({
    candidates: [],
    rejections: [{ kind, source: "peer", subject, reason, namesItself: true, ...(next === undefined ? {} : { next }) }],
  });
  if (tailnet.state === "unreachable") return turnedDown("tailnet", tailnet.reason, tailnet.next);
  const subject = tailnet.name || "tailnet";
  if (tailnet.backendState !== "Running") return turnedDown(subject, `Tailscale is not running: ${tailnet.backendState}`, "tailscale up");
  const verdict = tailnetTrust(profile, tailnet, trust);
  if (!verdict.trusted) return turnedDown(subject, verdict.reason, verdict.next);
  const known = { profile, tailnet, localProof: input.config.localProof.allowed };
  const found = await Promise.all([
    fromServices(kind, known),
    fromPeers(kind, { ...known, whois: input.whois }),
    fromCluster(kind, { ...known, resolve: input.resolve ?? tailscaleResolver() }),
  ]);
  return { candidates: found.flatMap((one) => one.candidates), rejections: found.flatMap((one) => one.rejections) };
}

/** One candidate a URL, its first (strongest) source kept with the aliases of all; and no more than is useful. */
function bounded(kind: Tool, findings: readonly Finding[]): Finding {
  const byUrl = new Map<string, Candidate>();
  for (const candidate of findings.flatMap((one) => one.candidates)) {
    const { url } = candidate.endpoint;
    const known = byUrl.get(url);
    const aliases = unique([...(known?.aliases ?? []), ...candidate.aliases]).slice(0, mostAliases);
    byUrl.set(url, { ...(known ?? candidate), aliases });
  }
  const all = [...byUrl.values()];
  const candidates = all.slice(0, mostFound.candidates);
  const rejections = findings.flatMap((one) => one.rejections);
  const more = (count: number, what: string): Rejection => ({
    kind,
    source: "peer",
    subject: `${count} more`,
    reason: `${count} more ${what} were left out`,
    namesItself: true,
  });
  if (all.length > candidates.length) rejections.unshift(more(all.length - candidates.length, "candidates"));
  if (rejections.length <= mostFound.rejections) return { candidates, rejections };
  const kept = rejections.slice(0, mostFound.rejections - 1);
  return { candidates, rejections: [...kept, more(rejections.length - kept.length, "rejections")] };
}
