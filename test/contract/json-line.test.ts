import fc from "fast-check";
import { expect, test } from "vitest";
import { lineInJson } from "../../contract/json-line.ts";

const text = `{
  "a": 1,
  "b": { "c": [
    true,
    { "d": "x\\"y" }
  ] },

  "e": -1.5e3
}
`;

test.each<[readonly (string | number)[], number]>([
  [[], 1],
  [["a"], 2],
  [["b"], 3],
  [["b", "c"], 3],
  [["b", "c", 0], 4],
  [["b", "c", 1], 5],
  [["b", "c", 1, "d"], 5],
  [["e"], 8],
  [["b", "nowhere"], 3],
  [["nowhere"], 1],
  [["c"], 1],
])("%j stands on line %i", (path, line) => {
  expect(lineInJson(text, path)).toBe(line);
});

test.each([
  ["", 1],
  ["\n\n", 3],
  ["{\n", 2],
  ['{\n "a": 1,\n}', 3],
  ['{\n "a" 1}', 2],
  ['{"a": 1\n "b": 2}', 2],
  ["[1,\n2,\n,3]", 3],
  ["[1,\n2]\nx", 3],
  ['["a\nb"]', 1],
  ["[01]", 1],
  ["[\n1]]", 2],
  ["[\n1}", 2],
  ["{\n1: 2}", 2],
  ["nul", 1],
])("%j is no JSON: line %i", (broken, line) => {
  expect(() => JSON.parse(broken)).toThrow();
  expect(lineInJson(broken, [])).toBe(line);
});

test("whatever JSON.parse takes has no fault here: a line behind it is never named", () => {
  fc.assert(
    fc.property(fc.json(), (json) => {
      expect(lineInJson(`${json}\n\n`, ["no where"])).toBe(1);
    }),
  );
});

test("a million open brackets are no fault of ours", () => {
  expect(lineInJson(`\n${"[".repeat(1_000_000)}`, [])).toBe(2);
});
