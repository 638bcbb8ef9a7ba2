/** The record of a command, put together from what is known of it. */
import { expect, test } from "vitest";
import { readCommandLog } from "../../../contract/bazel/command-log.ts";
import { type Evidence, invocationOf, type Loss, type PrintedLog } from "../../../daemon/running/invocation.ts";
import type { RunningCommand } from "../../../daemon/running/running.ts";

const command: RunningCommand = {
  ...{ pid: 1, tool: "bazel", command: "build", profile: "default", endpoint: "grpc://c:9092" },
  ...{ record: undefined, bootId: undefined, started: 1, directory: "/w", startedAt: new Date(1_000) },
};
const whole =
  "INFO: Elapsed time: 1.6s, Critical Path: 0.03s\nINFO: 2 processes: 2 worker.\nINFO: Build completed successfully, 3 total actions\n";

const found = (finished: number | undefined, log: PrintedLog): Evidence => ({
  ...{ state: "found", log, label: "2.1.0" },
  execution: {
    ...{ thread: 1, command: "build", arrived: 1_100, began: 1_090, finished },
    ...{ overrides: [], called: "/w, //a", exit: undefined },
  },
});
const printed = (text: string): PrintedLog => ({ ...readCommandLog(text), written: 5_000 });
const recorded = (evidence: Evidence, at: number): Loss | null =>
  invocationOf({
    ...{ command, workspace: "/w", gone: new Date(5_250), evidence, platform: "linux" },
    lost: { at: new Date(at).toISOString(), reason: "connect: refused" },
  }).lost;

const seen = (at: number): Loss => ({ at: new Date(at).toISOString(), reason: "connect: refused" });

test.each([
  ["while it ran", found(5_000, printed(whole)), 4_900, seen(4_900)],
  ["after it was done", found(5_000, printed(whole)), 5_100, null],
  ["after its last word, where the server's log does not say yet that it was done", found(undefined, printed(whole)), 5_100, null],
  ["before that", found(undefined, printed(whole)), 4_900, seen(4_900)],
  ["when nobody can say whether it was done", found(undefined, printed("Loading: \n")), 5_100, seen(5_100)],
  ["where there are no records", { state: "none", why: "none" } as const, 5_100, seen(5_100)],
])("a cache that was lost %s", (_, evidence, at, lost) => {
  expect(recorded(evidence, at)).toEqual(lost);
});

test("what Bazel itself said of its cache stays", () => {
  const warned = printed(`WARNING: Remote Cache: UNAVAILABLE: io exception\n${whole}`);
  expect(recorded(found(5_000, warned), 5_100)).toEqual({ at: null, reason: "Remote Cache: UNAVAILABLE: io exception" });
});
