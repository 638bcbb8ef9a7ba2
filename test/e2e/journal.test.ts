/** What the real shim refuses and lets past is in the history: without a daemon, with one, and when it is gone again. */
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import type { StatusReport } from "../../contract/api.ts";
import type { HistoryEntry } from "../../daemon/api/client/journal/history.ts";
import { type RunningCache, startCache } from "../fixtures/caches/start.ts";
import { bazel, expectRefused, statusWhen } from "../fixtures/guarded.ts";
import { makeStage, type Stage } from "../fixtures/stage.ts";
import { type RecordingTool, recordingTool } from "../fixtures/tools/recording.ts";

let dir: string;
let tool: RecordingTool;
let cache: RunningCache;
let stage: Stage;
let journal: string;

beforeAll(async () => {
  dir = mkdtempSync(join(tmpdir(), "gf-je-"));
  tool = recordingTool(join(dir, "tools"));
  cache = await startCache({ kind: "grpc" });
  const tailnet = { nodes: [{ name: "cache", addresses: ["127.0.0.1"], tags: ["tag:bazel-cache"] }] };
  stage = await makeStage([tool.directory], { grpcPorts: [cache.port], httpPorts: [], tailnet });
  journal = join(stage.dir, "state/journal");
});
afterAll(async () => {
  await stage.dispose();
  await cache.dispose();
  rmSync(dir, { recursive: true, force: true });
});

async function history(): Promise<readonly string[]> {
  const { exitCode, stdout, stderr } = await stage.flywheel(["history", "--json"]);
  expect([exitCode, stderr]).toEqual([0, ""]);
  const { entries } = JSON.parse(stdout) as { entries: readonly HistoryEntry[] };
  return entries.map((entry) => (entry.kind === "invocation" ? entry.id : `${entry.kind}: ${entry.reason}`));
}

async function escaping(reason: string): Promise<void> {
  const ran = await stage.flywheel(["compat", "--reason", reason, "--", "bazel", "build", "//x"]);
  expect(ran.exitCode, ran.stderr).toBe(0);
  expect(tool.words()).toEqual(["build", "//x"]);
  tool.forget();
}

test("an escape and a refusal of the real shim", async () => {
  // CI: the guard starts no daemon.
  expectRefused(await bazel(stage, ["build", "//x"], { env: { CI: "1" } }), tool, /no daemon|no shared cache|daemon/);
  await escaping("on the train");
  expect(await history()).toEqual(["escape: on the train", expect.stringMatching(/^refusal: /)]);
  expect(readdirSync(journal)).toEqual(["spool.jsonl"]);

  expect((await stage.flywheel(["up"])).exitCode).toBe(0);
  const status = JSON.parse((await stage.flywheel(["status", "--json"])).stdout) as StatusReport;
  expect(status).toMatchObject({
    escapes: { today: 1, last: { reason: "on the train", command: "bazel build" } },
    refusals: { today: 1 },
    recent: [],
    hitRates: { today: { builds: 0 }, week: { builds: 0 } },
    daemon: { faults: [] },
  });
  expect(await history()).toHaveLength(2);

  // Nobody asks: the watchers are told.
  const told = statusWhen(stage, "the escape is told", ({ escapes }) => escapes.last?.reason === "in the tunnel");
  await escaping("in the tunnel");
  await told;
  expect(await history()).toEqual(["escape: in the tunnel", "escape: on the train", expect.stringMatching(/^refusal: /)]);

  await stage.down();
  await escaping("behind it");
  const all = ["escape: behind it", "escape: in the tunnel", "escape: on the train", expect.stringMatching(/^refusal: /)];
  expect(await history()).toEqual(all);
  // A daemon's own copy: what the spool had is in it, and what it has is not met twice.
  expect((await stage.flywheel(["up"])).exitCode).toBe(0);
  expect(await history()).toEqual(all);
  rmSync(join(journal, "spool.jsonl"));
  expect(await history()).toEqual(all);
});

test("a damaged journal keeps no daemon from its work, and is named by status", async () => {
  await stage.down();
  writeFileSync(join(journal, "journal.db"), "garbage ".repeat(2000));
  expect((await stage.flywheel(["up"])).exitCode).toBe(0);
  const { stdout } = await stage.flywheel(["status"]);
  expect(stdout).toMatch(/the journal was damaged \(file is not a database\): what it held is in \S+journal\.db\.corrupt-\d{8}T\d{6}Z/);
  expect(stdout).toContain("attached");
  await escaping("recorded all the same");
  expect((await history())[0]).toBe("escape: recorded all the same");
  expect(readFileSync(join(stage.dir, "state/daemon.log"), "utf8")).toContain("a new one was begun");
  expect(existsSync(join(journal, "journal.db"))).toBe(true);
});
