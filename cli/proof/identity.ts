/** Whose endpoint it is, told so that two records can be compared without naming anybody. */
import { createHash } from "node:crypto";
import { arch, cpus, platform, totalmem } from "node:os";
import type { StatusReport } from "../../contract/api.ts";
import type { SourceName } from "../../contract/candidate.ts";
import type { ContractReport } from "../../contract/check.ts";
import { type Endpoint, isLoopback, redacted } from "../../contract/endpoint.ts";
import type { Profile } from "../../contract/profile.ts";
import type { EndpointIdentity, ProofRecord } from "../../contract/proof/record.ts";

export type Shown = "redacted" | "shown";

export function identityOf(endpoint: Endpoint, status: StatusReport, profile: Profile, shown: Shown): EndpointIdentity {
  const report = status[endpoint.kind];
  const candidate = status.candidates.find((each) => each.kind === endpoint.kind && each.endpoint === endpoint.url);
  // What the daemon has not attached, the environment named.
  const source: SourceName = (report.endpoint === endpoint.url ? report.source : candidate?.source) ?? "operator";
  const node = (report.endpoint === endpoint.url ? report.node : candidate?.node) ?? null;
  const { service, tag } = profile[endpoint.kind];
  return {
    url: shown === "shown" ? endpoint.url : redacted(endpoint),
    digest: createHash("sha256").update(endpoint.url).digest("hex").slice(0, 12),
    source,
    by: source === "service" ? service : source === "peer" || source === "cluster" ? tag : null,
    node: shown === "shown" ? node : null,
  };
}

/** The cache's name: Attic's is the last part of the path. */
export function cacheNameOf({ path }: Endpoint): string | null {
  return path === "" ? null : path.slice(path.lastIndexOf("/") + 1);
}

/** Of what kind it is, and not which. */
export function machineClass({ context, runnerClass }: ContractReport): ProofRecord["machine"] {
  return {
    os: platform(),
    arch: arch(),
    cores: cpus().length,
    memoryGiB: Math.round(totalmem() / 2 ** 30),
    context,
    runnerClass,
  };
}

/** Names and addresses that a redacted record's sentences may not hold. */
export function hostsOf(status: StatusReport, endpoints: readonly Endpoint[]): readonly string[] {
  const { tailnet, candidates, bazel, nix } = status;
  const nodes = [tailnet.self, tailnet.name, tailnet.magicDnsSuffix, bazel.node, nix.node, ...candidates.map(({ node }) => node)];
  const urls = [bazel.endpoint, nix.endpoint, ...candidates.map(({ endpoint }) => endpoint)];
  const hosts = urls.flatMap((url) => (url === null || !URL.canParse(url) ? [] : [new URL(url).hostname.replace(/^\[|\]$/g, "")]));
  return [...nodes, ...hosts, ...endpoints.map(({ host }) => host)].filter(
    (name) => name !== null && name !== "" && !isLoopback(name),
  ) as string[];
}
