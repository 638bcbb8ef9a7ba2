import { expect, test } from "vitest";
import { rcLines } from "../../cli/bazelrc.ts";

const linesOf = (text: string): readonly string[] =>
  [...rcLines("/w", ["/w/.bazelrc"], () => text)].map(({ section, words }) => [section, ...words].join(" "));

test("a comment goes to the end of its line, over what only JavaScript takes for one", () => {
  expect(linesOf("build --a # one\u2028--b\n# two\ntest --c#d")).toEqual(["build --a", "test --c#d"]);
});

test("many marks of a comment before a line separator are read in time", () => {
  const started = performance.now();
  expect(linesOf(`build --a${" #".repeat(120_000)}\u2028x`)).toEqual(["build --a"]);
  expect(performance.now() - started).toBeLessThan(2000);
});
