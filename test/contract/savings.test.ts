import { expect, test } from "vitest";
import { estimateSavings, isPacing, type TimedBuild } from "../../contract/savings.ts";

const build = (more: Partial<TimedBuild>): TimedBuild => ({
  workspace: "/w",
  tool: "bazel",
  command: "build",
  hits: 0,
  other: 0,
  misses: 100,
  wallMs: 100_000,
  ...more,
});
/** A second an action, by the median: one of them was slow. */
const paces = [build({ wallMs: 90_000 }), build({}), build({ wallMs: 900_000 })];
const cached = build({ hits: 1000, misses: 0, wallMs: 60_000 });

test("hits at the pace of builds without them, less what fetching took", () => {
  expect(estimateSavings(paces, [cached])).toMatchObject({
    seconds: 1000 - 60,
    builds: 1,
    estimated: 1,
    method: /^an estimate: hits × the median/,
  });
  // Its misses would have been executed anyway.
  expect(estimateSavings(paces, [build({ hits: 100, misses: 50, wallMs: 50_000 })])).toMatchObject({ seconds: 100 });
  expect(estimateSavings(paces, [cached, cached])).toMatchObject({ seconds: 2 * 940, builds: 2 });
});

test("never less than nothing, and never more than what the hits would have taken", () => {
  expect(estimateSavings(paces, [build({ hits: 5, misses: 0, wallMs: 600_000 })])).toMatchObject({ seconds: 0, estimated: 1 });
  expect(estimateSavings(paces, [build({ hits: 5, misses: 100, wallMs: 1 })])).toMatchObject({ seconds: 5 });
});

test.each<[string, readonly TimedBuild[]]>([
  ["no builds at all", []],
  ["too few of them", paces.slice(1)],
  ["of another workspace", paces.map((one) => ({ ...one, workspace: "/other" }))],
  ["of another command", paces.map((one) => ({ ...one, command: "test" }))],
  ["of builds that executed little", paces.map((one) => ({ ...one, misses: 19 }))],
  ["of builds that had hits", paces.map((one) => ({ ...one, hits: 26 }))],
  ["of builds that a disk cache answered", paces.map((one) => ({ ...one, other: 26 }))],
])("nothing is said from %s", (_, past) => {
  expect(estimateSavings(past, [cached])).toMatchObject({
    seconds: null,
    builds: 1,
    estimated: 0,
    method: /^too little is known: it takes 3 builds/,
  });
});

test("builds of which too little is known are left out, and that is said", () => {
  const { seconds, builds, estimated, method } = estimateSavings(paces, [cached, { ...cached, workspace: "/other" }, build({})]);
  expect({ seconds, builds, estimated }).toEqual({ seconds: 940, builds: 2, estimated: 1 });
  expect(method).toMatch(/; 1 build left out, where too little is known$/);
});

test("no hits, no savings", () => {
  expect(estimateSavings(paces, paces)).toEqual({ seconds: null, builds: 0, estimated: 0, method: "no build had hits" });
});

test("a build with few hits tells a pace", () => {
  expect([build({ hits: 25 }), build({ hits: 26 }), build({ misses: 19 }), build({ wallMs: 0 })].map(isPacing)).toEqual([
    true,
    false,
    false,
    false,
  ]);
});
