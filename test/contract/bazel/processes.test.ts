import fc from "fast-check";
import { expect, test } from "vitest";
import { doubtOf, parseProcesses } from "../../../contract/bazel/processes.ts";

const nothing = { hits: 0, other: 0, misses: 0, local: 0, internal: 0 };

test.each([
  ["0 processes.", nothing],
  ["1 process: 1 internal.", { ...nothing, internal: 1 }],
  ["20 processes: 20 remote cache hit.", { ...nothing, hits: 20 }],
  ["7 processes: 6 remote cache hit, 1 internal.", { ...nothing, hits: 6, internal: 1 }],
  [
    "9 processes: 2 disk cache hit, 3 remote cache hit, 1 internal, 3 linux-sandbox.",
    { hits: 3, other: 2, misses: 3, local: 3, internal: 1 },
  ],
  ["6 processes, remote cache hit.", { ...nothing, hits: 6 }],
  // Of what nothing was to be done for, Bazel tells the number besides.
  ["1 process: 9 action cache hit, 1 internal.", { ...nothing, internal: 1 }],
  ["6 processes: 1 local, 2 worker, 3 remote.", { hits: 0, other: 0, misses: 6, local: 3, internal: 0 }],
])("%s", (text, counts) => {
  expect(parseProcesses(text)?.counts).toEqual(counts);
});

test.each([
  "",
  "processes",
  "2 processes: 1 internal.",
  "-1 processes.",
  "1 process: one internal.",
  "1 process: 1 internal",
  "INFO: 1 process: 1 internal.",
])("%j is no count", (text) => {
  expect(parseProcesses(text)).toBeUndefined();
});

test("no text throws, and what is counted makes the sum that Bazel names", () => {
  fc.assert(fc.property(fc.string(), (text) => void parseProcesses(text)));
  const runner = fc.constantFrom("remote cache hit", "disk cache hit", "internal", "linux-sandbox", "local", "remote", "worker");
  fc.assert(
    fc.property(fc.uniqueArray(fc.tuple(fc.nat(1_000_000), runner), { selector: ([, name]) => name, minLength: 1 }), (parts) => {
      const sum = parts.reduce((all, [count]) => all + count, 0);
      const counts = parseProcesses(`${sum} processes: ${parts.map(([count, name]) => `${count} ${name}`).join(", ")}.`)?.counts;
      expect(counts && counts.hits + counts.other + counts.misses + counts.internal).toBe(sum);
      expect(counts?.local).toBeLessThanOrEqual(counts?.misses ?? -1);
    }),
  );
});

test("hits beside a disk cache are doubted where Bazel does not tell the two apart, or nobody knows which it is", () => {
  const hits = { counts: { ...nothing, hits: 3 }, namesDiskCache: false };
  expect(doubtOf(hits, { diskCache: false, version: undefined })).toBeNull();
  expect(doubtOf(hits, { diskCache: true, version: "2.1.0" })).toMatch(/Bazel 2\.1\.0 does not tell its hits/);
  for (const version of [undefined, "no_version"]) expect(doubtOf(hits, { diskCache: true, version })).toMatch(/does not tell its version/);
  expect(doubtOf(hits, { diskCache: true, version: "6.0.0" })).toBeNull();
  expect(doubtOf(hits, { diskCache: true, version: "10.1.0rc2" })).toBeNull();
  // It tells them apart, as is seen; and without hits there is nothing to doubt.
  expect(doubtOf({ ...hits, namesDiskCache: true }, { diskCache: true, version: "5.4.0" })).toBeNull();
  expect(doubtOf({ counts: nothing, namesDiskCache: false }, { diskCache: true, version: "2.1.0" })).toBeNull();
});
