/** Why nothing is attached, in people's words, and what to do about a candidate that failed. Pure. */
import type { Unattached } from "../../contract/attachment.ts";
import { type Candidate, type ProbeResult, type Rejection, type Rung, rungs } from "../../contract/candidate.ts";

export type Failure = Extract<ProbeResult, { ok: false }>;

/** What is known of one candidate, as far as it tells why nothing is attached. */
export interface Tried {
  readonly candidate: Candidate;
  readonly outcome: ProbeResult | undefined;
  readonly proof: { readonly at: Date } | undefined;
}

export interface Fruitless {
  readonly tried: readonly Tried[];
  readonly rejections: readonly Rejection[];
  /** Whether a Tailscale client tells of a tailnet. */
  readonly tailnetKnown: boolean;
  /** What to say where no source named anything. */
  readonly nothingNamed: () => { readonly reason: string; readonly next: string };
}

/** After a round in which nothing passed: the most telling failure, else what was turned down, else that nothing was named. */
export function whyUnattached({
  tried,
  rejections,
  tailnetKnown,
  nothingNamed,
}: Fruitless): Pick<Unattached, "reason" | "about" | "rung" | "next"> {
  const failed = tried.flatMap(({ candidate, outcome, proof }) => (outcome?.ok === false ? { candidate, outcome, proof } : []));
  const [first] = failed.toSorted(moreTelling);
  if (first !== undefined) {
    const { candidate, outcome } = first;
    const more = failed.length > 1 ? `; ${failed.length - 1} more failed too` : "";
    const next = nextOf(candidate, outcome, tailnetKnown);
    return { reason: `${outcome.reason}${more}`, about: candidate.endpoint.url, rung: outcome.rung, next };
  }
  const rejected = rejections.find(({ source }) => source === "operator" || source === "local-proof") ?? rejections[0];
  if (rejected === undefined) return nothingNamed();
  const subject = rejected.namesItself === true ? "" : `${rejected.subject}: `;
  const next = rejected.next === undefined ? {} : { next: rejected.next };
  return { reason: `no candidate: ${subject}${rejected.reason}`, about: rejected.subject, ...next };
}

/** What to do about a failure: the probe's own word, else what goes for the rung and for whoever named the candidate. */
export function nextOf({ source }: Candidate, failure: Failure, tailnetKnown: boolean): string {
  if (failure.next !== undefined) return failure.next;
  const named = source.name === "operator" ? "operator" : source.name === "local-proof" ? "local-proof" : "tailnet";
  return advice[failure.rung]({ named, tailnetKnown });
}

interface Case {
  /** Who named the candidate: the user, for a port-forward or not, or the tailnet. */
  readonly named: "operator" | "local-proof" | "tailnet";
  readonly tailnetKnown: boolean;
}

const advice: Readonly<Record<Rung, (of: Case) => string>> = {
  resolve: ({ tailnetKnown }) =>
    tailnetKnown ? "check the name, and that MagicDNS answers: tailscale status" : "check the name, and that this machine's DNS knows it",
  route: ({ named, tailnetKnown }) =>
    named === "tailnet" || tailnetKnown
      ? "check that this machine is on the tailnet: tailscale status"
      : "check that this machine's network leads there, or start Tailscale where the cache is on a tailnet",
  connect: ({ named }) => connectAdvice[named],
  handshake: () => "see what really listens there",
  capabilities: () => "see that a cache of this kind listens there",
  authority: () => "ask whoever runs the cache for read access",
};

const connectAdvice: Readonly<Record<Case["named"], string>> = {
  operator: "see that the cache runs, and that no firewall keeps this machine from it",
  "local-proof": "see that the port-forward runs",
  tailnet: "see that the cache runs, and that the tailnet's policy lets this machine reach it",
};

/** Of two failures: that of the endpoint which was proved last, then that which climbed higher. */
function moreTelling(a: Tried & { readonly outcome: Failure }, b: Tried & { readonly outcome: Failure }): number {
  return (b.proof?.at.getTime() ?? 0) - (a.proof?.at.getTime() ?? 0) || rungs.indexOf(b.outcome.rung) - rungs.indexOf(a.outcome.rung);
}
