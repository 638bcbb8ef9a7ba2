import { expect, test } from "vitest";
import { parseProfile } from "../../contract/config.ts";
import { isStale } from "../../contract/stale.ts";

test("a place that is gone is known by the profile's patterns, small and capital letters alike", () => {
  const lab = parseProfile("lab", '[contract]\nstale = ["Old-Cache", "^grpc://gone"]\n', "lab.toml");
  expect(["grpc://old-cache.example:9092", "GRPC://GONE:1"].map((text) => isStale(text, lab))).toEqual([true, true]);
  expect(isStale("grpc://cache.example/grpc://gone", lab)).toBe(false);
});
