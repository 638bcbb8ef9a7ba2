/** From everything that was observed to the record. Total: whatever is missing makes it less, never more. */
import type { ContractReport } from "../check.ts";
import type { ProfileState, SubstrateMode } from "../mode.ts";
import { type BazelSeen, type BuildSeen, judgeBazel, processesOf } from "./bazel.ts";
import { compareProofs, driftReasons } from "./compare.ts";
import { flagsOf } from "./flags.ts";
import { hideEndpoints } from "./hide.ts";
import { judgeNix, type NixSeen } from "./nix.ts";
import {
  type BazelProof,
  type Comparison,
  type EndpointIdentity,
  type NixProof,
  type ProofBuild,
  type ProofRecord,
  proofKind,
  proofSchema,
  type Reason,
} from "./record.ts";
import { notShownWords, shownWords } from "./words.ts";

export interface ProofFacts {
  readonly madeAt: string;
  readonly tookMs: number;
  readonly version: string;
  readonly machine: ProofRecord["machine"];
  readonly profile: string;
  /** Of the profile's attachment, whichever parts were asked for; `executor-backed` is not taken from here. */
  readonly standing: { readonly mode: SubstrateMode; readonly profileState: ProfileState };
  /** One of the endpoints is reached by loopback. */
  readonly localProof: boolean;
  readonly contract: ContractReport;
  readonly bazel: BazelFacts | undefined;
  readonly nix: NixFacts | undefined;
  /** CI's record; undefined: none was given. */
  readonly ci: ProofRecord | undefined;
  /** Names and addresses that no sentence may hold; undefined: endpoints are shown. */
  readonly hidden: readonly string[] | undefined;
}

export interface BazelFacts {
  readonly tool: string;
  readonly targets: readonly string[];
  readonly endpoint: EndpointIdentity | null;
  readonly seen: BazelSeen;
}

export interface NixFacts {
  readonly version: string | null;
  readonly endpoint: EndpointIdentity | null;
  readonly cache: string | null;
  readonly seen: NixSeen;
}

export function proofRecord(facts: ProofFacts): ProofRecord {
  const { bazel, nix, ci, standing, hidden, contract } = facts;
  const said = (reason: Reason): Reason => (hidden === undefined ? reason : hiddenReason(reason, hidden));
  const parts = [...(bazel === undefined ? [] : ["bazel" as const]), ...(nix === undefined ? [] : ["nix" as const])];
  const own = [
    ...(bazel === undefined ? [] : judgeBazel(bazel.seen)),
    ...(nix === undefined ? [] : judgeNix(nix.seen)),
    ...contract.errors.map(({ rule, message, next }): Reason => ({ part: "contract", rule, message, next })),
  ];
  const bare = {
    schema: proofSchema,
    kind: proofKind,
    proved: own.length === 0 && parts.length > 0,
    productEvidence: own.length === 0 && parts.length > 0 && !facts.localProof,
    parts,
    madeAt: facts.madeAt,
    tookMs: facts.tookMs,
    companion: { version: facts.version },
    machine: facts.machine,
    profile: facts.profile,
    mode: modeOf(bazel?.seen, standing.mode),
    profileState: standing.profileState,
    bazel: bazel === undefined ? null : bazelProof(bazel),
    nix: nix === undefined ? null : nixProof(nix),
    reasons: own.map(said),
    shown: [],
    notShown: [],
    ci: null,
  } satisfies ProofRecord;
  const comparison = ci === undefined ? null : hiddenComparison(compareProofs(bare, ci), hidden);
  const drift = comparison === null ? [] : driftReasons(comparison);
  const proved = bare.proved && drift.length === 0;
  const reasons = [...bare.reasons, ...drift];
  const whole = { ...bare, proved, productEvidence: bare.productEvidence && proved, reasons, ci: comparison };
  return { ...whole, shown: [...shownWords(whole)], notShown: [...notShownWords(whole, facts.localProof)] };
}

/** Only processes that an executor ran make it executor-backed. */
function modeOf(seen: BazelSeen | undefined, standing: SubstrateMode): SubstrateMode {
  const remote = [seen?.fill, seen?.rebuild].some((build) => (processesOf(build?.events.counts)?.remote ?? 0) > 0);
  if (seen?.claimed === "executor-backed" && remote) return "executor-backed";
  return standing === "executor-backed" ? "shared-cache-backed" : standing;
}

function bazelProof({ tool, targets, endpoint, seen }: BazelFacts): BazelProof {
  const { before, fill, rebuild } = seen;
  return {
    tool,
    version: rebuild?.events.version ?? fill?.events.version ?? null,
    targets: [...targets],
    endpoint,
    upload: before.state === "attached" && before.upload,
    instanceName: before.state === "attached" ? (before.instanceName ?? null) : null,
    flags: flagsOf(rebuild?.events.options),
    fill: buildOf(fill),
    rebuild: buildOf(rebuild),
  };
}

function buildOf(build: BuildSeen | undefined): ProofBuild | null {
  if (build === undefined) return null;
  const { exitCode, wallMs, events } = build;
  return { exitCode, wallMs, processes: processesOf(events.counts) };
}

function nixProof({ version, endpoint, cache, seen }: NixFacts): NixProof {
  const { before, path, substitution } = seen;
  return {
    version,
    endpoint,
    cache,
    publicKey: before.state === "attached" ? before.publicKey : null,
    path: path?.state === "chosen" ? { path: path.path, chosen: path.by } : null,
    substituted:
      substitution === undefined
        ? null
        : {
            byCache: substitution.counts.hits,
            byOthers: substitution.counts.other,
            built: substitution.counts.misses,
            wallMs: substitution.wallMs,
          },
    signature: substitution?.signature ?? "unchecked",
  };
}

/** CI's record may show its endpoints: this one then does not. */
function hiddenComparison({ madeAt, lines }: Comparison, hosts: readonly string[] | undefined): Comparison {
  if (hosts === undefined) return { madeAt, lines };
  return { madeAt, lines: lines.map((line) => ({ ...line, here: hideEndpoints(line.here, hosts), ci: hideEndpoints(line.ci, hosts) })) };
}

function hiddenReason({ part, rule, message, next }: Reason, hosts: readonly string[]): Reason {
  return { part, rule, message: hideEndpoints(message, hosts), next: next === null ? null : hideEndpoints(next, hosts) };
}
