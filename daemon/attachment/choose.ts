/** Which proved candidate is attached: by trust, then health, then protocol, then latency; and not without need another one. Pure. */
import type { Health } from "../../contract/attachment.ts";
import { type Candidate, sources } from "../../contract/candidate.ts";

/** A candidate whose last probe passed. */
export interface Contender {
  readonly candidate: Candidate;
  readonly health: Health;
  /** Smoothed: milliseconds. */
  readonly latencyMs: number;
}

/** Lower is more trusted: the order of contract/candidate.ts, and what the user attached before what a file says. */
export function trustRank(candidate: Candidate): number {
  const { source } = candidate;
  const spoken = source.name === "operator" && source.from !== "attach" ? 1 : 0;
  return 2 * sources.indexOf(source.name) + spoken;
}

/** A challenger of the same standing must be at least twice as fast, and by this much: milliseconds. */
const worthMoving = { factor: 2, leastMs: 5 } as const;

/**
 * @param contenders proved candidates, in the order that discovery gave them
 * @param current the URL of the attached one, if any
 * @returns the one to attach: the current one as long as it is among them and no healthy one is clearly better
 */
export function choose(contenders: readonly Contender[], current: string | undefined): Contender | undefined {
  const [best] = contenders.toSorted(compare);
  const held = contenders.find((contender) => contender.candidate.endpoint.url === current);
  if (held === undefined || best === undefined) return best;
  const [challenger] = contenders.filter((contender) => contender.health === "healthy").toSorted(compare);
  return challenger !== undefined && clearlyBetter(challenger, held) ? challenger : held;
}

function compare(a: Contender, b: Contender): number {
  return standing(a, b) || a.latencyMs - b.latencyMs;
}

/** Negative where a stands above b whatever their latencies. */
function standing(a: Contender, b: Contender): number {
  return (
    trustRank(a.candidate) - trustRank(b.candidate) ||
    healthRank(a.health) - healthRank(b.health) ||
    protocolRank(a.candidate) - protocolRank(b.candidate)
  );
}

function clearlyBetter(challenger: Contender, held: Contender): boolean {
  const above = standing(challenger, held);
  if (above !== 0) return above < 0;
  const gain = held.latencyMs - challenger.latencyMs;
  return gain >= worthMoving.leastMs && challenger.latencyMs * worthMoving.factor <= held.latencyMs;
}

function healthRank(health: Health): number {
  return health === "healthy" ? 0 : 1;
}

/** Whether a candidate that is still to answer would stand above this one, were it healthy. */
export function outranks(pending: Candidate, chosen: Candidate): boolean {
  return (trustRank(pending) - trustRank(chosen) || protocolRank(pending) - protocolRank(chosen)) < 0;
}

/** Of Bazel's protocols gRPC says the most about itself; of Nix's, https is the one that cannot be overheard. */
function protocolRank({ endpoint }: Candidate): number {
  const first = endpoint.kind === "bazel" ? endpoint.scheme.startsWith("grpc") : endpoint.scheme === "https";
  return first ? 0 : 1;
}
