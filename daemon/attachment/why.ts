/** Why a candidate is not, or no longer, the attached one, in people's words. Pure. */
import type { Health } from "../../contract/attachment.ts";
import type { ProbeResult } from "../../contract/candidate.ts";
import { localTime } from "../../contract/words.ts";
import { type Contender, verdictOn } from "./choose.ts";

/** A candidate that is not attached. */
export interface PassedOver {
  readonly health: Health;
  readonly outcome: ProbeResult | undefined;
  /** Since when its probes go as they go now. */
  readonly since: Date | undefined;
  /** What it has to show where its last probe passed. */
  readonly contender: Contender | undefined;
}

export function whyNot(passedOver: PassedOver, attached: Contender | "detached" | undefined): string {
  const { health, outcome, since, contender } = passedOver;
  if (attached === "detached") return "detached";
  if (outcome === undefined) return "its first proof is still to come";
  if (!outcome.ok) {
    const when = since === undefined ? "" : ` since ${localTime(since.toISOString())}`;
    return health === "down" ? `down at ${outcome.rung}${when}` : `failed its last proof, at ${outcome.rung}${when}`;
  }
  if (attached === undefined || contender === undefined) return "its last proof passed; which one is attached is being decided";
  const verdict = verdictOn(contender, attached);
  return verdict.takesOver ? "it is better than the attached one: its next proof decides" : verdict.why;
}

/**
 * Why an endpoint that was attached is so no more.
 * @param standing of its candidate now; undefined where it is no candidate any more
 */
export function whyLeft(standing: { readonly outcome: ProbeResult | undefined; readonly why: string | undefined } | undefined): string {
  if (standing === undefined) return "it is no candidate any more";
  const { outcome, why } = standing;
  return outcome?.ok === false ? `${outcome.rung}: ${outcome.reason}` : (why ?? "for no reason that is known");
}
