/** How proofs move a candidate's health. Pure. */
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

/** Exponentially weighted moving average of latencies, milliseconds: three probes make a new value felt. */
export function smoothed(previous: number | undefined, latencyMs: number): number {
  return previous === undefined ? latencyMs : previous + 0.3 * (latencyMs - previous);
}
