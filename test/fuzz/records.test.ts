/** Whatever stands in the files that Bazel leaves behind, reading it never throws, and takes no figures from thin air. */
import fc from "fast-check";
import { expect, test } from "vitest";
import { readCommandLog } from "../../contract/bazel/command-log.ts";
import { hasDiskCache } from "../../contract/bazel/disk-cache.ts";
import { isCalledAs, isGiven, plainCall, readServerLog } from "../../contract/bazel/server-log.ts";
import { fuzz, timeoutFor } from "./fuzz.ts";

const seconds = 3;

const pieces = fc.constantFrom(
  ...[
    "INFO: Elapsed time: 1.6s\n",
    "INFO: 3 processes: ",
    "1 internal",
    ", ",
    "2 remote cache hit",
    ".\n",
    "\n",
    "\r",
    "\u001b[32m",
    "\u001b[",
  ],
  ...["WARNING: Remote Cache: ", "UNAVAILABLE", "ERROR: build interrupted\n", "FAILED: Build did NOT complete successfully\n", "INFO: "],
  ...["261121 13:27:51.248:I 18 [", "a.GrpcServerImpl.executeCommand] ", "[build", ", --client_env=A=b", ", --client_cwd=/w", "]\n"],
  ...[
    ", --default_override=1:build:ci=--config=ci",
    "a.CommandManager$RunningCommand.close] ",
    "Finished command x\n",
    "--disk_cache",
    "=",
  ],
);
const texts = fc.array(fc.oneof(pieces, fc.string({ unit: "binary" })), { maxLength: 60 }).map((all) => all.join(""));

test("arbitrary text", timeoutFor(seconds), async () => {
  await fuzz(
    fc.property(texts, (text) => {
      const counts = readCommandLog(text).processes?.counts;
      if (counts !== undefined) {
        expect(text).toContain("INFO: Elapsed time: ");
        for (const count of Object.values(counts)) expect(Number.isSafeInteger(count) && count >= 0).toBe(true);
        expect(counts.local).toBeLessThanOrEqual(counts.misses);
      }
      for (const one of readServerLog(text).executions) {
        hasDiskCache(one, "linux");
        isCalledAs(one, plainCall("/w", []));
        isGiven(one, "/w", "grpc://c:1");
        expect(one.overrides.join()).not.toContain("--client_env=A=b, ");
      }
    }),
    { seconds, atLeast: 500 },
  );
});
