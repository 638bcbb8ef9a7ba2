/**
 * Which proved candidate is attached: by trust, then health, then protocol, then latency; and not without need
 * another one. What decides also says why, so that choosing and explaining cannot drift. Pure.
 */
import type { Health } from "../../contract/attachment.ts";
import { type Candidate, sources } from "../../contract/candidate.ts";
import { latency, span } from "../../contract/words.ts";
import type { Recovery } from "./health.ts";

/** A candidate whose last probe passed. */
export interface Contender {
  readonly candidate: Candidate;
  readonly health: Health;
  /** Smoothed: milliseconds. */
  readonly latencyMs: number;
  /** Proofs passed in a row, which the latency is of. */
  readonly passes: number;
  /** What it must still show, where it failed lately. */
  readonly recovering: Recovery | undefined;
}

/** Lower is more trusted: the order of contract/candidate.ts, and what the user attached before what a file says. */
export function trustRank(candidate: Candidate): number {
  const { source } = candidate;
  const spoken = source.name === "operator" && source.from !== "attach" ? 1 : 0;
  return 2 * sources.indexOf(source.name) + spoken;
}

/**
 * A challenger of the same standing must be at least twice as fast, and by so many milliseconds, and both must have
 * passed so many proofs in a row: a first one, right after the start, may be slow for reasons that are none of the cache's.
 */
const worthMoving = { factor: 2, leastMs: 5, passes: 3 } as const;

/**
 * @param contenders proved candidates, in the order that discovery gave them
 * @param current the URL of the attached one, if any
 * @returns the one to attach: the current one as long as it is among them and no steady, healthy one is clearly better
 */
export function choose(contenders: readonly Contender[], current: string | undefined): Contender | undefined {
  const held = contenders.find((contender) => urlOf(contender) === current);
  const eligible =
    held === undefined ? contenders : contenders.filter((contender) => contender !== held && verdictOn(contender, held).takesOver);
  return eligible.toSorted(compare)[0] ?? held;
}

/**
 * The one to fall back on when the attached one fails: the best of the rest, one on another host before those
 * that would go down with it.
 */
export function standbyOf(contenders: readonly Contender[], current: string): Contender | undefined {
  const held = contenders.find((contender) => urlOf(contender) === current);
  const beside = (contender: Contender): number => (held !== undefined && sharesHost(contender.candidate, held.candidate) ? 1 : 0);
  return contenders
    .filter((contender) => contender !== held)
    .toSorted((a, b) => steadiness(a) - steadiness(b) || beside(a) - beside(b) || compare(a, b))[0];
}

/** The best of those on trial that would stand above the attached one: worth proving often, or its trial would last. */
export function challengerOf(contenders: readonly Contender[], held: Contender): Contender | undefined {
  return contenders
    .filter((contender) => contender !== held && contender.recovering !== undefined && above(contender, held))
    .toSorted(compare)[0];
}

export type Verdict = { readonly takesOver: true } | { readonly takesOver: false; readonly why: string };

/** Whether a contender would take over from the attached one now, or why not, in people's words. */
export function verdictOn(challenger: Contender, held: Contender): Verdict {
  const criterion = decisive(challenger, held);
  // What stands below is no better for having recovered.
  if (criterion !== undefined && rankGap(criterion, challenger, held) > 0) return stays(criterion.words(challenger, held));
  if (challenger.recovering !== undefined || challenger.health !== "healthy") return stays(recoveryWords(challenger));
  if (criterion !== undefined) return { takesOver: true };
  const gain = held.latencyMs - challenger.latencyMs;
  const faster = gain >= worthMoving.leastMs && challenger.latencyMs * worthMoving.factor <= held.latencyMs;
  if (faster && Math.min(challenger.passes, held.passes) >= worthMoving.passes) return { takesOver: true };
  const times = `${latency(challenger.latencyMs)} against ${latency(held.latencyMs)}`;
  const doubt = faster ? "it is too early to tell whether it is faster" : "it is not clearly faster";
  return stays(`as good as the attached one, which stays (${doubt}: ${times})`);
}

/** Whether a candidate that is still to answer would stand above this one, were it healthy. */
export function outranks(pending: Candidate, chosen: Candidate): boolean {
  return (trustRank(pending) - trustRank(chosen) || protocolRank(pending) - protocolRank(chosen)) < 0;
}

interface Criterion {
  /** Lower is better. */
  readonly rank: (contender: Contender) => number;
  /** Of the one that is worse. */
  readonly words: (worse: Contender, better: Contender) => string;
}

/** In order: the first on which two differ decides. */
const criteria: readonly Criterion[] = [
  {
    rank: ({ candidate }) => trustRank(candidate),
    words: (worse, better) => `less trusted than the attached one (${originOf(worse)} after ${originOf(better)})`,
  },
  {
    rank: ({ health }) => (health === "healthy" ? 0 : 1),
    words: recoveryWords,
  },
  {
    rank: ({ candidate }) => protocolRank(candidate),
    words: (worse, better) => `${protocolOf(worse)}, and the attached one speaks ${protocolOf(better)}`,
  },
];

function decisive(a: Contender, b: Contender): Criterion | undefined {
  return criteria.find((criterion) => rankGap(criterion, a, b) !== 0);
}

function rankGap({ rank }: Criterion, a: Contender, b: Contender): number {
  return rank(a) - rank(b);
}

function above(a: Contender, b: Contender): boolean {
  const criterion = decisive(a, b);
  return criterion !== undefined && rankGap(criterion, a, b) < 0;
}

/** Negative where a is to be attached before b, with neither attached: one that comes and goes is the last resort. */
function compare(a: Contender, b: Contender): number {
  const criterion = decisive(a, b);
  const standing = criterion === undefined ? 0 : rankGap(criterion, a, b);
  return steadiness(a) - steadiness(b) || standing || a.latencyMs - b.latencyMs;
}

function steadiness({ recovering }: Contender): number {
  return recovering === undefined ? 0 : 1;
}

function stays(why: string): Verdict {
  return { takesOver: false, why };
}

function recoveryWords({ recovering }: Contender): string {
  if (recovering === undefined) return "recovering: its last proof passed, one more is wanted";
  const { flaps, proofsWanted, msWanted } = recovering;
  const times = flaps === 1 ? "it failed lately" : `it failed ${flaps} times lately`;
  if (msWanted > 0) return `recovering: ${times}, and must pass for another ${span(Math.ceil(msWanted / 1000))}`;
  return `recovering: ${times}, and ${proofsWanted === 1 ? "one more proof is" : `${proofsWanted} more proofs are`} wanted`;
}

function urlOf({ candidate }: Contender): string {
  return candidate.endpoint.url;
}

function sharesHost(a: Candidate, b: Candidate): boolean {
  return hostsOf(a).some((host) => hostsOf(b).includes(host));
}

function hostsOf({ endpoint, source, aliases }: Candidate): readonly string[] {
  return [endpoint.host, ...aliases.map((alias) => alias.host), ...("pin" in source ? source.pin : [])];
}

/** Of Bazel's protocols gRPC says the most about itself; of Nix's, https is the one that cannot be overheard. */
function protocolRank({ endpoint }: Candidate): number {
  const first = endpoint.kind === "bazel" ? endpoint.scheme.startsWith("grpc") : endpoint.scheme === "https";
  return first ? 0 : 1;
}

function protocolOf({ candidate: { endpoint } }: Contender): string {
  if (endpoint.kind === "nix") return endpoint.scheme === "https" ? "HTTPS" : "plain HTTP";
  return endpoint.scheme.startsWith("grpc") ? "gRPC" : "HTTP";
}

function originOf({ candidate: { source } }: Contender): string {
  if (source.name !== "operator") return source.name;
  return source.from === "attach" ? "flywheel attach" : `operator, from ${source.from}`;
}
