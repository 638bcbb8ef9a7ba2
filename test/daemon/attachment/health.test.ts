import fc from "fast-check";
import { expect, test } from "vitest";
import type { Health } from "../../../contract/attachment.ts";
import { type Constancy, nextConstancy, nextHealth, noHistory, recoveryOf, smoothed, trial } from "../../../daemon/attachment/health.ts";

const after = (outcomes: readonly boolean[], from: Health = "unknown"): Health => outcomes.reduce(nextHealth, from);

test("one success makes the unknown healthy, one failure takes it down", () => {
  expect(after([true])).toBe("healthy");
  expect(after([false])).toBe("down");
});

test("one failure degrades, two take down, and the way back is as long", () => {
  expect(after([false], "healthy")).toBe("degraded");
  expect(after([false, true], "healthy")).toBe("healthy");
  expect(after([false, false], "healthy")).toBe("down");
  expect(after([true], "down")).toBe("degraded");
  expect(after([true, false], "down")).toBe("down");
  expect(after([true, true], "down")).toBe("healthy");
});

test("whatever came before, two like outcomes decide, and healthy and down never touch", () => {
  fc.assert(
    fc.property(fc.array(fc.boolean(), { minLength: 1 }), fc.boolean(), (outcomes, last) => {
      expect(after([...outcomes, last, last])).toBe(last ? "healthy" : "down");
      const before = after(outcomes);
      expect([before, nextHealth(before, last)].toSorted()).not.toEqual(["down", "healthy"]);
    }),
  );
});

test("latency is smoothed between the old value and the new", () => {
  expect(smoothed(undefined, 10)).toBe(10);
  expect(smoothed(10, 20)).toBeCloseTo(13);
});

/** One outcome every `every` milliseconds, from 0 on. */
const history = (outcomes: readonly boolean[], every: number, from: Constancy = noHistory): Constancy =>
  outcomes.reduce((before, passed, index) => nextConstancy(before, passed, index * every), from);

test("what never failed is on no trial; what failed must pass three times, over a minute", () => {
  expect(recoveryOf(history([false, false, true], 15_000), 30_000)).toBeUndefined();
  const back = history([true, false, true], 15_000);
  expect(recoveryOf(back, 30_000)).toEqual({ flaps: 1, proofsWanted: 2, msWanted: trial.firstSpan });
  const steady = history([true, false, true, true, true, true, true], 15_000);
  expect(recoveryOf(steady, 89_000)).toEqual({ flaps: 1, proofsWanted: 0, msWanted: 1_000 });
  expect(recoveryOf(steady, 90_000)).toBeUndefined();
  // Many proofs in no time do not shorten the minute; a minute without proofs is worth nothing.
  expect(recoveryOf(history([true, false, ...Array.from({ length: 50 }, () => true)], 10), 1_000)?.msWanted).toBeGreaterThan(58_000);
  expect(recoveryOf(nextConstancy(history([true, false], 10), true, 20), 600_000)).toEqual({ flaps: 1, proofsWanted: 2, msWanted: 0 });
});

test("the trial doubles with each flap up to its longest, and a flap is forgiven after four spans", () => {
  const flapped = (times: number): Constancy =>
    history(
      Array.from({ length: 2 * times }, (_, index) => index % 2 === 0),
      1,
    );
  expect([1, 2, 3, 4, 5, 9].map((times) => recoveryOf(flapped(times), 20)?.msWanted)).toEqual([
    60_000, 120_000, 240_000, 480_000, 900_000, 900_000,
  ]);
  const back = nextConstancy(flapped(2), true, 100);
  expect(nextConstancy(back, true, 100 + 4 * 120_000 - 1).flaps).toBe(2);
  expect(nextConstancy(back, true, 100 + 4 * 120_000).flaps).toBe(0);
});

test("whatever fails at least once a minute is on trial for ever after its first failure", () => {
  fc.assert(
    fc.property(fc.array(fc.tuple(fc.boolean(), fc.integer({ min: 1, max: 20_000 })), { minLength: 1, maxLength: 60 }), (outcomes) => {
      let [now, lastFailure, known] = [0, Number.NEGATIVE_INFINITY, noHistory];
      let [passing, flapped] = [false, false];
      for (const [wanted, step] of outcomes) {
        now += step;
        const passed = wanted && now - lastFailure < 55_000;
        if (!passed) lastFailure = now;
        known = nextConstancy(known, passed, now);
        flapped ||= passing && !passed;
        passing = passed;
        expect(recoveryOf(known, now) !== undefined).toBe(flapped);
      }
    }),
  );
});
