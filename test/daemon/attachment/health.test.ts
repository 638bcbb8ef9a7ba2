import fc from "fast-check";
import { expect, test } from "vitest";
import type { Health } from "../../../contract/attachment.ts";
import { nextHealth, smoothed } from "../../../daemon/attachment/health.ts";

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
