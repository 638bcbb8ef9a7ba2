/** Whose command it was, and whose log: what is told is certain, and everything else is left open. */
import { describe, expect, test } from "vitest";
import { plainCall } from "../../../contract/bazel/server-log.ts";
import { attribute, type Caller, type Found, keyOf, unsure } from "../../../daemon/running/attribution.ts";

const cache = "grpc://c:9092";
const call = plainCall("/w", ["//a"]);

function execution(arrived: number, finished: number | undefined, more: Partial<Found> = {}): Found {
  return {
    ...{ server: "1", thread: 18, command: "build", arrived, began: arrived, finished, overrides: [], exit: undefined },
    ...{ called: `/w, //a, --remote_cache=${cache}`, ...more },
  };
}

const caller = (more: Partial<Caller> = {}): Caller => ({
  ...{ command: "build", directory: "/w", call, endpoint: cache, started: 1_000, state: "gone" as const, gone: 5_000, twins: [] },
  ...more,
});
const log = (born: number): { readonly born: number } => ({ born });
const nobody: ReadonlySet<string> = new Set();

describe("which of the server's commands", () => {
  const told = (who: Caller, executions: readonly Found[], claimed = nobody): Found | string => {
    const found = attribute(who, executions, [], claimed);
    return found.kind === "found" ? found.execution : found.why;
  };
  const its = execution(1_100, 4_900);

  test.each([
    ["an earlier one", execution(500, 900)],
    ["one that began before its mark, and had to wait", execution(1_100, 4_900, { began: 500 })],
    ["a later one", execution(6_000, 7_000)],
    ["one that went on after it was gone", execution(1_100, 60_000)],
    ["another command", execution(1_100, 4_900, { command: "test" })],
    ["in another directory", execution(1_100, 4_900, { called: `/v, //a, --remote_cache=${cache}` })],
    ["with other words", execution(1_100, 4_900, { called: `/w, //a, //b, --remote_cache=${cache}` })],
    ["one that nobody guarded", execution(1_100, 4_900, { called: "/w, //a" })],
  ])("not %s", (_, other) => {
    expect(told(caller(), [other])).toBe(unsure.unknown);
    expect(told(caller(), [other, its])).toBe(its);
  });

  test("not one that is another mark's", () => {
    expect(told(caller(), [its], new Set([keyOf(its)]))).toBe(unsure.unknown);
  });

  test("of equal ones each began behind its own mark and before the next one's", () => {
    const [first, second] = [execution(1_100, 2_000), execution(1_600, 4_900, { thread: 19 })];
    expect(told(caller({ gone: 2_100, twins: [1_500] }), [first, second])).toBe(first);
    expect(told(caller({ started: 1_500, twins: [1_000] }), [first, second])).toBe(second);
    // In whichever order they had their turns.
    const late = execution(3_000, 4_900, { began: 1_100 });
    expect(told(caller({ twins: [1_500] }), [execution(1_600, 2_900), late])).toBe(late);
  });

  test("of equal ones that came in one moment none is told", () => {
    expect(told(caller({ twins: [1_010] }), [execution(1_100, 2_000), execution(1_110, 3_000, { thread: 19 })])).toBe(unsure.twins);
    expect(told(caller(), [execution(1_100, 2_000), execution(1_600, 3_000, { thread: 19 })])).toBe(unsure.twins);
  });

  test("where nobody saw it, by the cache that it was given, and only right behind its mark", () => {
    const dead = { call: undefined, gone: undefined };
    expect(told(caller(dead), [its])).toBe(its);
    expect(told(caller({ ...dead, endpoint: "grpc://other:9092" }), [its])).toBe(unsure.unknown);
    expect(told(caller({ ...dead, endpoint: undefined }), [its])).toBe(unsure.unknown);
    expect(told(caller(dead), [execution(20_000, 21_000)])).toBe(unsure.unknown);
  });
});

describe("which log", () => {
  const born = (who: Caller, executions: readonly Found[], births: readonly number[]): number | string | undefined => {
    const found = attribute(who, executions, births.map(log), nobody);
    return found.kind === "found" ? found.log?.born : found.why;
  };
  const other = { thread: 19, called: "/w, //b" };

  test("the one that was born while it ran", () => {
    expect(born(caller(), [execution(1_100, 4_900)], [500, 1_150, 4_950])).toBe(1_150);
    expect(born(caller(), [execution(1_100, 4_900)], [500, 4_950])).toBeUndefined();
    // A file's times are the kernel's last tick.
    expect(born(caller(), [execution(1_100, 4_900)], [1_094])).toBe(1_094);
  });

  test("as long as its end is not told, the first: what came behind it is the next one's", () => {
    expect(born(caller(), [execution(1_100, undefined)], [500, 1_150, 4_950])).toBe(1_150);
    expect(born(caller({ state: "runs", gone: undefined }), [execution(1_100, undefined)], [1_150])).toBe(unsure.running);
    expect(born(caller({ state: "runs", gone: undefined }), [execution(1_100, undefined)], [1_150, 9_000])).toBe(1_150);
  });

  test("one that waited for its turn has the later one", () => {
    const before = execution(900, 3_000, other);
    expect(born(caller(), [before, execution(1_100, 4_900)], [950, 3_010])).toBe(3_010);
    expect(born(caller(), [before, execution(1_100, undefined)], [950, 3_010])).toBe(3_010);
    // Both were there when the first log was born.
    expect(born(caller(), [execution(1_090, 3_000, other), execution(1_100, 4_900)], [1_150, 3_010])).toBe(3_010);
    expect(born(caller({ gone: 3_100 }), [execution(1_100, 3_000), execution(1_090, 4_900, other)], [1_150, 3_010])).toBe(1_150);
  });

  test("where it may have been given up while it waited, none", () => {
    const running = execution(1_090, undefined, other);
    expect(born(caller(), [running, execution(1_100, undefined)], [1_150])).toBe(unsure.mixed);
    expect(born(caller({ gone: 3_000 }), [running, execution(1_100, 2_900)], [1_150])).toBe(unsure.mixed);
  });

  test("two within one turn are one too many", () => {
    expect(born(caller(), [execution(1_100, 4_900)], [1_150, 2_000])).toBe(unsure.mixed);
  });
});
