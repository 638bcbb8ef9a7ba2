/** Repositories written for the purpose: what drifts in each stands in its own comments, on the line where it does. */
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { parityRules } from "../../../contract/ci/report.ts";
import { readRepository } from "../../../contract/ci/repository.ts";
import { expected, fixture, found, linesOf, repositories } from "./world.ts";

const names = readdirSync(repositories).toSorted();

test("there are enough of them, of both forges and two organisations", () => {
  expect(names.length).toBeGreaterThanOrEqual(8);
  const forges = names.map((name) => fixture(name).ci);
  expect(forges.filter(({ github }) => github.jobs > 0).length).toBeGreaterThanOrEqual(4);
  expect(forges.filter(({ gitlab }) => gitlab.jobs > 0).length).toBeGreaterThanOrEqual(4);
});

describe.each(names)("%s", (name) => {
  const report = fixture(name);

  test("drifts exactly where its comments say so", () => {
    expect(found(report, "drift")).toEqual(expected(join(repositories, name), "drift"));
    expect(report.ok).toBe(name.endsWith("-clean"));
  });

  test("names as unknown exactly what only the forge can tell", () => {
    expect(found(report, "unknown")).toEqual(expected(join(repositories, name), "unknown"));
  });

  test("says of each drift why it matters", () => {
    for (const line of linesOf(report, "drift")) {
      expect(line.places.length, line.what).toBeGreaterThan(0);
      expect(line.why, line.what).toMatch(/\w/);
      expect(line.next ?? "", line.what).toMatch(/\w/);
    }
  });
});

test("every rule has its drift, or its unknown, in one of them", () => {
  const seen = new Set(
    names.flatMap((name) =>
      fixture(name)
        .lines.filter(({ verdict }) => verdict !== "same")
        .map(({ rule }) => rule),
    ),
  );
  expect(parityRules.filter((rule) => !seen.has(rule))).toEqual([]);
});

test("a line of many marks of a comment before a line separator is read in time", () => {
  const text = `build --a${" #".repeat(120_000)}\u2028x`;
  const tree = { files: [".bazelrc"], cut: false, read: () => text };
  const started = performance.now();
  const { lines } = readRepository(tree, [{ file: ".bazelrc", line: 1, section: "build", config: undefined, words: ["--a"] }]);
  expect(performance.now() - started).toBeLessThan(2000);
  expect(lines.map((line) => line.text)).toEqual(["build --a"]);
});
