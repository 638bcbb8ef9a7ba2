/** What Bazel leaves behind, read: texts as 2.1.0 and 4.2.3 wrote them, and as later ones print them. */
import { describe, expect, test } from "vitest";
import { readCommandLog } from "../../../contract/bazel/command-log.ts";
import { hasDiskCache } from "../../../contract/bazel/disk-cache.ts";
import { hidesInfo } from "../../../contract/bazel/event-filters.ts";
import { type Execution, isCalledAs, isGiven, plainCall, readServerLog } from "../../../contract/bazel/server-log.ts";

describe("a command.log", () => {
  const elapsed = "INFO: Elapsed time: 1.636s, Critical Path: 0.03s";
  const done = "INFO: Build completed successfully, 3 total actions";
  const log = (summary: string, end = done): string => `Loading: \nAnalyzing: 2 targets\n${elapsed}\n${summary}\n${end}\n${end}\n`;
  const none = { hits: 0, other: 0, misses: 0, local: 0, internal: 0 };

  test.each([
    ["2.1: none", "INFO: 2 processes: 2 linux-sandbox.", { misses: 2, local: 2 }],
    ["2.1: nothing to do", "INFO: 0 processes.", {}],
    ["4.2: nothing to do", "INFO: 1 process: 1 internal.", { internal: 1 }],
    ["4.2: some", "INFO: 6 processes: 3 remote cache hit, 1 internal, 2 linux-sandbox.", { hits: 3, misses: 2, local: 2, internal: 1 }],
    ["all one way, as very old ones say it", "INFO: 1738 processes, remote cache hit.", { hits: 1738 }],
    ["newer: two caches", "INFO: 5 processes: 2 disk cache hit, 2 remote cache hit, 1 internal.", { hits: 2, other: 2, internal: 1 }],
    ["newer: what was there already counts for nothing", "INFO: 4 processes: 12 action cache hit, 4 internal.", { internal: 4 }],
    ["an executor's are misses, but not local", "INFO: 9 processes: 4 remote, 3 worker, 2 darwin-sandbox.", { misses: 9, local: 5 }],
    ["three digits grouped are none of Bazel's", "INFO: 1,000 processes: 1,000 worker.", undefined],
    ["no number", "INFO: 2 processes: some worker.", undefined],
  ])("%s", (_, summary, counts) => {
    expect(readCommandLog(log(summary)).processes?.counts).toEqual(counts === undefined ? undefined : { ...none, ...counts });
  });

  test("only Bazel's own last summary counts, whatever an action prints", () => {
    const forged = `INFO: From Executing genrule //:x:\n${elapsed}\nINFO: 9 processes: 9 remote cache hit.\n${done}\n`;
    expect(readCommandLog(`${forged}${log("INFO: 1 process: 1 worker.")}`).processes?.counts).toEqual({ ...none, misses: 1, local: 1 });
    expect(readCommandLog("INFO: 9 processes: 9 remote cache hit.\n").processes?.counts).toBeUndefined();
    expect(readCommandLog(`${forged}${elapsed}\n`).processes?.counts).toBeUndefined();
  });

  test("colours, and progress that is drawn over, hide nothing", () => {
    const green = "\u001b[32mINFO: \u001b[0m";
    const drawn = `\r\u001b[1A\u001b[K${green}Elapsed time: 0.140s, Critical Path: 0.02s\n\u001b[32m[3 / 3]\u001b[0m checking cached actions\n`;
    const text = `${drawn}\r\u001b[1A\u001b[K${green}3 processes: 1 internal, 2 remote cache hit.\n\u001b[0m`;
    expect(readCommandLog(text)).toMatchObject({ processes: { counts: { ...none, hits: 2, internal: 1 } }, ending: undefined });
  });

  const forged = `INFO: From Executing genrule //:x:\n${elapsed}\nINFO: 9 processes: 9 remote cache hit.\n${done}\n`;

  test.each([
    ["progress", "[2 / 3] Executing genrule //:y; 1s linux-sandbox\n"],
    ["another action's output", "INFO: From Executing genrule //:y:\nhello\n"],
    ["anything else", "hello\n"],
  ])("what an action printed is no summary where Bazel printed none: behind it is %s", (_, behind) => {
    expect(readCommandLog(`${forged}${behind}`)).toEqual({ processes: undefined, ending: undefined, lost: undefined });
  });

  test("behind a summary may stand what Bazel says at the end", () => {
    const tests = "//:t0   (cached) PASSED in 0.1s\n@r//:t1  FAILED in 0.1s\n  /w/test.log\n\nExecuted 1 out of 2 tests: 1 test passes.\n";
    const warned = "WARNING: Writing to Remote Cache:\nUNAVAILABLE: io exception\n";
    const { processes, ending } = readCommandLog(`${log("INFO: 2 processes: 2 worker.")}${tests}${warned}${done}\n`);
    expect([processes?.counts, ending]).toEqual([{ ...none, misses: 2, local: 2 }, "succeeded"]);
  });

  test("progress that was drawn over is not there any more, and that which was not is", () => {
    const bar = "\u001b[32m[3 / 3]\u001b[0m 2 actions running\n    //:x; 1s\n";
    const over = "\r\u001b[1A\u001b[K\u001b[1A\u001b[K";
    const text = `${elapsed}\n${bar}${over}INFO: 1 process: 1 worker.\n${bar}${over}${done}\n`;
    expect(readCommandLog(text)).toMatchObject({ processes: { counts: { ...none, misses: 1, local: 1 } }, ending: "succeeded" });
    const narrow = text.replace("3 total", "3 \\\ntotal");
    expect(readCommandLog(narrow)).toMatchObject({ processes: { counts: { ...none, misses: 1, local: 1 } }, ending: "succeeded" });
    expect(readCommandLog(`${text}${bar}`)).toMatchObject({ processes: undefined, ending: undefined });
  });

  test.each([
    ["an action", "INFO: From Executing genrule //:x:\nhello\nWARNING: Remote Cache: UNAVAILABLE\n[2 / 3] //:y\n", undefined],
    ["a test", `==================== Test output for //:t:\nINFO: x\nWARNING: Remote Cache: UNAVAILABLE\n${"=".repeat(80)}\n`, undefined],
    ["Bazel, behind it", "INFO: From x:\nhello\n[2 / 3] //:y\nWARNING: Remote Cache: UNAVAILABLE\n", "Remote Cache: UNAVAILABLE"],
  ])("a loss that is told by %s", (_, text, lost) => {
    expect(readCommandLog(`${text}${log("INFO: 1 process: 1 worker.")}`).lost).toBe(lost);
  });

  test.each([
    ["succeeded", `${elapsed}\nINFO: 0 processes.\n${done}\n${done}\n`],
    ["failed", `${elapsed}\nINFO: 0 processes.\nFAILED: Build did NOT complete successfully (0 packages loaded)\n`],
    ["failed", "ERROR: --bogus :: Unrecognized option: --bogus\n"],
    ["interrupted", `ERROR: build interrupted\n${elapsed}\nINFO: 0 processes.\nFAILED: Build did NOT complete successfully\n`],
    ["no tests", `${elapsed}\nINFO: 0 processes.\n${done}\nERROR: No test targets were found, yet testing was requested\n${done}\n`],
    [
      "tests failed",
      `${elapsed}\nINFO: 3 processes: 3 linux-sandbox.\nINFO: Build completed, 1 test FAILED, 5 total actions\n//:t FAILED in 0.1s\n`,
    ],
    ["tests failed", `${elapsed}\nINFO: 3 processes: 3 linux-sandbox.\nINFO: Build completed, 12 tests FAILED, 5 total actions\n`],
    [undefined, `${elapsed}\nINFO: 0 processes.\n`],
    [undefined, "Loading: 0 packages loaded\n//:t0\n"],
    [undefined, ""],
  ])("ends: %s", (ending, text) => {
    expect(readCommandLog(text).ending).toBe(ending);
  });

  test.each([
    [
      "WARNING: Reading from Remote Cache:\nConnection refused: /127.0.0.1:1",
      "Reading from Remote Cache: Connection refused: /127.0.0.1:1",
    ],
    ["WARNING: Writing to Remote Cache:\nUNAVAILABLE: io exception", "Writing to Remote Cache: UNAVAILABLE: io exception"],
    ["WARNING: Remote Cache: UNAVAILABLE: io exception", "Remote Cache: UNAVAILABLE: io exception"],
    [
      "ERROR: Failed to query remote execution capabilities: Connection refused: /127.0.0.1:1",
      "Failed to query remote execution capabilities: Connection refused: /127.0.0.1:1",
    ],
    ["WARNING: Remote Cache: Missing digest: 0a1b/12", undefined],
    ["Reading from Remote Cache: Connection refused", undefined],
    ["WARNING: Download from https://x failed: Connection refused", undefined],
  ])("a cache that could not be asked: %s", (line, lost) => {
    expect(readCommandLog(`${line}\n${log("INFO: 0 processes.")}`).lost).toBe(lost);
  });
});

const came = "com.google.devtools.build.lib.server.GrpcServerImpl.executeCommand";
const close = "com.google.devtools.build.lib.server.CommandManager$RunningCommand.close";
const rc = ["0:common=--isatty=0", "1:build=--sandbox_debug", "1:build:ci=--disk_cache=/ci"];

/** As 4.2.3 writes it. */
function arrival(thread: number, time: string, words: readonly string[], env: readonly string[] = ["PATH=/bin"]): string {
  const [command = "", ...rest] = words;
  const overrides = rc.map((option) => `--default_override=${option}`);
  const head = [command, "--startup_time=7", "--command_wait_time=0", "--rc_source=client", ...overrides];
  const request = [...head, ...env.map((one) => `--client_env=${one}`), "--client_cwd=/w", ...rest].join(", ");
  return `261121 ${time}:I ${thread} [${came}] [${request}]\n`;
}
const end = (thread: number, time: string): string =>
  `261121 ${time}:I ${thread} [${close}] Finished command 88c22cd4 on thread grpc-command-0\n`;

describe("a server's log", () => {
  test("says who came, from where, with which options, and when he was done; never with which environment", () => {
    const text = `${arrival(18, "13:27:51.248", ["build", "//:all", "//b"], ["A=x", "TOKEN=secret"])}	at a.stack.trace\n${end(18, "13:27:51.958")}`;
    const { executions, first, last } = readServerLog(text);
    const arrived = Date.UTC(2026, 10, 21, 13, 27, 51, 248);
    expect(executions).toEqual([
      {
        ...{ thread: 18, command: "build", arrived, began: arrived - 7, finished: arrived + 710, exit: undefined },
        ...{ overrides: rc, called: "/w, //:all, //b" },
      },
    ]);
    expect([first, last]).toEqual([arrived, arrived + 710]);
    expect(JSON.stringify(executions)).not.toContain("secret");
  });

  test("commands that overlap are told apart by their threads; one that is not over has no end", () => {
    const failed = "Exit status was DetailedExitCode{exitCode=BUILD_FAILURE, failureDetail=message";
    const text = [
      arrival(18, "10:00:00.000", ["build", "//a"]),
      arrival(67, "10:00:01.000", ["build", "//b"]),
      `261121 10:00:02.000:I 18 [com.google.devtools.build.lib.runtime.BlazeCommandDispatcher.exec] ${failed}\n`,
      end(18, "10:00:02.001"),
    ].join("");
    const [a, b] = readServerLog(text).executions;
    expect(a).toMatchObject({ called: "/w, //a", exit: "BUILD_FAILURE" });
    expect((a?.finished ?? 0) - (a?.arrived ?? 0)).toBe(2001);
    expect(b).toMatchObject({ called: "/w, //b", exit: undefined, finished: undefined });
  });

  test("a variable of many lines is no end of the request, and a cut beginning no trouble", () => {
    const text = `cut, --client_env=X=y]\n${arrival(18, "10:00:00.000", ["test", "//a"], ["F=() {\n  echo, --client_cwd=/x\n}", "B=1"])}`;
    expect(readServerLog(text).executions).toMatchObject([{ command: "test", called: "/w, //a" }]);
  });

  test.each([
    ["lines", "\nx".repeat(2_097_152), ""],
    ["lines that could be its end", "\n]".repeat(262_144), ""],
    ["lines behind the directory", `, --client_cwd=/w, //a${"\n]x".repeat(174_762)}`, "/w, //a"],
  ])("a request that was cut off costs no more than it is long: %s", (_, more, called) => {
    const begun = performance.now();
    const text = `261121 10:00:00.000:I 18 [${came}] [build, --client_env=F=x${more}\n${arrival(19, "10:00:01.000", ["test", "//b"])}`;
    const [cut, whole] = readServerLog(text).executions;
    expect(cut?.command).toBe("build");
    expect(cut?.called.slice(0, 7)).toBe(called);
    expect(whole).toMatchObject({ command: "test", called: "/w, //b" });
    expect(performance.now() - begun).toBeLessThan(2_000);
  });

  test("a command line is recognised with and without what the guard adds, and no other is", () => {
    const injected = [
      "--remote_cache=grpc://c:9092",
      "--remote_accept_cached",
      "--remote_upload_local_results=false",
      "--remote_executor=",
    ];
    const [one] = readServerLog(arrival(18, "10:00:00.000", ["build", "//a", "--copt=-a, -b", ...injected])).executions;
    if (one === undefined) throw new Error("nothing was read");
    expect(isCalledAs(one, plainCall("/w", ["//a", "--copt=-a, -b"]))).toBe(true);
    expect(isCalledAs(one, plainCall("/w", ["//a", "--copt=-a, -b", ...injected]))).toBe(true);
    expect(isCalledAs(one, plainCall("/w", ["//a"]))).toBe(false);
    expect(isCalledAs(one, plainCall("/w2", ["//a", "--copt=-a, -b"]))).toBe(false);
    expect([isGiven(one, "/w", "grpc://c:9092"), isGiven(one, "/w", "grpc://c:909"), isGiven(one, "/", "grpc://c:9092")]).toEqual([
      true,
      false,
      false,
    ]);
  });
});

test.each([
  [false, []],
  [true, ["--ui_event_filters=-info"]],
  [true, ["--ui_event_filters", "-info,-warning"]],
  [true, ["--ui_event_filters=warning,error"]],
  [false, ["--ui_event_filters=INFO,error"]],
  [false, ["--ui_event_filters=-info", "--ui_event_filters=+info"]],
  [false, ["--ui_event_filters=-debug"]],
  [false, ["--", "--ui_event_filters=-info"]],
])("Bazel keeps its summary to itself: %s with %j", (hides, args) => {
  const execution: Execution = {
    ...{ thread: 1, command: "build", arrived: 0, began: 0, finished: 1, exit: undefined },
    ...{ overrides: [], called: ["/w", ...args].join(", ") },
  };
  expect(hidesInfo(execution, "linux")).toBe(hides);
});

describe("a disk cache", () => {
  const has = (command: string, overrides: readonly string[], args: readonly string[] = []): boolean => {
    const execution: Execution = {
      ...{ thread: 1, command, arrived: 0, began: 0, finished: 1, exit: undefined },
      ...{ overrides, called: ["/w", ...args].join(", ") },
    };
    return hasDiskCache(execution, "linux");
  };
  test.each([
    ["on the command line", true, has("build", [], ["--disk_cache=/d", "//x"])],
    ["as two words", true, has("build", [], ["--disk_cache", "/d", "//x"])],
    ["in an rc file", true, has("build", ["1:build=--disk_cache=/d"])],
    ["in build's section, for test", true, has("test", ["1:build=--disk_cache=/d"])],
    ["in test's section, for build", false, has("build", ["1:test=--disk_cache=/d"])],
    ["in a configuration that nobody asked for", false, has("build", ["1:build:ci=--disk_cache=/d"])],
    ["in one that the command line asks for", true, has("build", ["1:build:ci=--disk_cache=/d"], ["--config=ci"])],
    ["in one that another asks for", true, has("run", ["1:build:a=--disk_cache=/d", "1:build:b=--config=a", "2:build=--config=b"])],
    ["in a loop of configurations", false, has("build", ["1:build:a=--config=b", "1:build:b=--config=a"], ["--config=a"])],
    ["for this platform", true, has("build", ["1:build:linux=--disk_cache=/d", "1:common=--enable_platform_specific_config"])],
    [
      "for this platform, said in full",
      true,
      has("build", ["1:build:linux=--disk_cache=/d", "1:common=--enable_platform_specific_config=True"]),
    ],
    [
      "for this platform, as a number",
      true,
      has("build", ["1:build:linux=--disk_cache=/d", "1:common=--enable_platform_specific_config=1"]),
    ],
    ["for no platform", false, has("build", ["1:build:linux=--disk_cache=/d", "1:common=--enable_platform_specific_config=no"])],
    ["taken away on the command line", false, has("build", ["1:build=--disk_cache=/d"], ["--disk_cache=", "//x"])],
    ["taken away by a later rc file", false, has("build", ["1:build=--disk_cache=/d", "2:build=--disk_cache="])],
    ["of the program that is run", false, has("run", [], ["//x", "--", "--disk_cache=/d"])],
  ])("%s: %s", (_, expected, found) => {
    expect(found).toBe(expected);
  });
});
