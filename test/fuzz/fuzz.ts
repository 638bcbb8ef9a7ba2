/**
 * How far fuzzing goes: a few seconds a test from a fixed seed in the ordinary suite, and
 *   GF_FUZZ_SECONDS=600 npx vitest run test/fuzz
 * for as many seconds a test from a seed of the clock's. GF_FUZZ_SEED starts from that seed: what a failure prints.
 */
import fc from "fast-check";
import { expect } from "vitest";

/** A counterexample may be megabytes; seed and path come first. */
const longestReport = 5000;

const asked = Number(process.env["GF_FUZZ_SECONDS"] ?? "");

/** Where this run starts. */
export const seed: number = Number(process.env["GF_FUZZ_SEED"] ?? "") || (asked > 0 ? Date.now() % 2 ** 31 : 20_261_120);

/** @param ordinary seconds in the ordinary suite @returns milliseconds */
export function fuzzingTime(ordinary: number): number {
  return 1000 * (asked > 0 ? asked : ordinary);
}

/** For the test's own limit: fuzzing, and what shrinking and tidying take. */
export function timeoutFor(ordinary: number): { readonly timeout: number } {
  return { timeout: fuzzingTime(ordinary) + 60_000 };
}

/**
 * Runs a property for its time; a failure shows seed, path and the smallest counterexample.
 * @param atLeast runs without which it would have shown little: fewer fail
 */
export async function fuzz<T>(
  property: fc.IRawProperty<T>,
  options: { readonly seconds: number; readonly atLeast: number },
): Promise<void> {
  const parameters = {
    seed,
    numRuns: 100_000_000,
    interruptAfterTimeLimit: fuzzingTime(options.seconds),
    markInterruptAsFailure: false,
  };
  const result = await fc.check(property, parameters);
  if (result.failed)
    throw new Error(((await fc.asyncDefaultReportMessage(result)) ?? "").slice(0, longestReport), { cause: result.errorInstance });
  expect(result.numRuns, `seed ${seed}`).toBeGreaterThanOrEqual(options.atLeast);
}
