/** How proofs move a candidate's health, and how steadily it passes them. Pure. */
import type { Health } from "../../contract/attachment.ts";

/**
 * One step each way, so that neither a lost packet takes a good endpoint down nor one lucky answer
 * makes a bad one good: healthy and down are two outcomes apart. What was never proved has nothing to
 * lose: its first outcome settles it.
 */
export function nextHealth(health: Health, passed: boolean): Health {
  switch (health) {
    case "unknown":
      return passed ? "healthy" : "down";
    case "healthy":
      return passed ? "healthy" : "degraded";
    case "degraded":
      return passed ? "healthy" : "down";
    case "down":
      return passed ? "degraded" : "down";
    default:
      return health satisfies never;
  }
}

/** How a candidate's proofs went lately: what tells one that came back from one that comes and goes. */
export interface Constancy {
  /** Proofs passed in a row. */
  readonly passes: number;
  /** When the first of the row was: milliseconds of the monotonic clock. */
  readonly passingFrom: number;
  /** How often it went from passing to failing, until that is forgiven. */
  readonly flaps: number;
}

export const noHistory: Constancy = { passes: 0, passingFrom: 0, flaps: 0 };

/**
 * What one that failed must show before it may displace another: this many proofs in a row, over a span that
 * doubles with each flap, so that whatever flaps for a minute is not taken back within it. Spans are milliseconds,
 * the others are counts.
 */
export const trial = { passes: 3, firstSpan: 60_000, longestSpan: 900_000, mostFlaps: 16, forgivenAfterSpans: 4 } as const;

/** @param now milliseconds of the monotonic clock */
export function nextConstancy(before: Constancy, passed: boolean, now: number): Constancy {
  const { passes, passingFrom, flaps } = before;
  if (!passed) return { passes: 0, passingFrom: 0, flaps: passes === 0 ? flaps : Math.min(flaps + 1, trial.mostFlaps) };
  if (passes === 0) return { passes: 1, passingFrom: now, flaps };
  const forgiven = flaps > 0 && now - passingFrom >= trial.forgivenAfterSpans * trialSpan(flaps);
  return { passes: passes + 1, passingFrom, flaps: forgiven ? 0 : flaps };
}

/** A candidate on trial: at least one of the two is not 0. */
export interface Recovery {
  readonly flaps: number;
  readonly proofsWanted: number;
  readonly msWanted: number;
}

/** @returns undefined where it never failed, or has shown that it stays */
export function recoveryOf({ passes, passingFrom, flaps }: Constancy, now: number): Recovery | undefined {
  if (flaps === 0) return undefined;
  const proofsWanted = Math.max(0, trial.passes - passes);
  const msWanted = passes === 0 ? trialSpan(flaps) : Math.max(0, passingFrom + trialSpan(flaps) - now);
  return proofsWanted === 0 && msWanted === 0 ? undefined : { flaps, proofsWanted, msWanted };
}

function trialSpan(flaps: number): number {
  return Math.min(trial.firstSpan * 2 ** (flaps - 1), trial.longestSpan);
}

/** Exponentially weighted moving average of latencies, milliseconds: three probes make a new value felt. */
export function smoothed(previous: number | undefined, latencyMs: number): number {
  return previous === undefined ? latencyMs : previous + 0.3 * (latencyMs - previous);
}
