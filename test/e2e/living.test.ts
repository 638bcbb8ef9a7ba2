/** Two installs of flywheel on one machine, and what befalls the files and processes that a daemon lives by. Real builds, real processes. */
import { execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { chmodSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, watch, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { version } from "../../contract/version.ts";
import { installVersion } from "../cli/service-build.ts";
import { alive, gone } from "../daemon/home.ts";
import { type RunningCache, startCache } from "../fixtures/caches/start.ts";
import { bazel, daemonOf } from "../fixtures/guarded.ts";
import { built, makeStage, type Ran, type Stage } from "../fixtures/stage.ts";

const run = promisify(execFile);

let dir: string;
let tools: string;
let cache: RunningCache;
let stage: Stage;
let older: string;
let newer: string;

beforeAll(async () => {
  dir = mkdtempSync(join(tmpdir(), "gf-lv-"));
  tools = join(dir, "tools");
  mkdirSync(tools);
  cache = await startCache({ kind: "grpc" });
  [older, newer] = [await installVersion(join(dir, "older"), "0.0.9"), await installVersion(join(dir, "newer"), "7.0.0", 2)];
  const tailnet = { nodes: [{ name: "cache", addresses: ["127.0.0.1"], tags: ["tag:bazel-cache"] }] };
  stage = await makeStage([tools], { grpcPorts: [cache.port], httpPorts: [], tailnet });
}, 120_000);
afterEach(() => stage.down());
afterAll(async () => {
  await stage.dispose();
  await cache.dispose();
  rmSync(dir, { recursive: true, force: true });
});

/** Never throws: what it exits with is what is looked at. */
async function call(flywheel: string, ...args: readonly string[]): Promise<Ran> {
  const ran = await run(flywheel, args, { env: stage.env, cwd: stage.dir, timeout: 30_000 }).catch((error) => error);
  return { exitCode: ran.code ?? 0, stdout: ran.stdout, stderr: ran.stderr };
}

const hello = () => daemonOf(stage).hello();
const pidFile = (): string => join(stage.dir, "run/daemon.pid");

async function started(flywheel: string): Promise<number> {
  const up = await call(flywheel, "up");
  expect(up.exitCode, up.stderr).toBe(0);
  return (await hello()).pid;
}

describe("an upgrade, and two checkouts", () => {
  test("upgrade mismatch (Telepresence #2732): the newer flywheel's daemon takes the older one's place; the older flywheel then uses it: no to and fro", async () => {
    const first = await started(older);
    expect(await hello()).toMatchObject({ version: "0.0.9", startedBy: "flywheel", entry: join(dir, "older/dist/lib/flywheeld.js") });
    const second = await started(built.flywheel);
    expect(second).not.toBe(first);
    await gone(first);
    for (const flywheel of [older, built.flywheel, older]) expect(await started(flywheel)).toBe(second);
    expect(await hello()).toMatchObject({ version });
    expect((await call(older, "status")).exitCode).toBe(0);
  });

  test("a command that runs meanwhile notices nothing, and the published file is soon back", async () => {
    const first = await started(older);
    const fifo = join(dir, "fifo");
    await run("mkfifo", [fifo]);
    // Says that it runs, then waits until it is let go.
    writeFileSync(join(tools, "bazel"), `#!/bin/sh\nprintf '%s\\n' "$@" > '${dir}/words'\nread line < '${fifo}'\nexit 7\n`);
    chmodSync(join(tools, "bazel"), 0o755);
    const directory = watch(dir);
    const build = bazel(stage, ["build", "//x"]);
    while (!existsSync(join(dir, "words"))) await once(directory, "change");
    directory.close();
    const from = performance.now();
    const taking = call(built.flywheel, "up");
    await gone(first);
    await stage.published("state local-proof");
    const took = performance.now() - from;
    expect((await taking).exitCode).toBe(0);
    writeFileSync(fifo, "go\n");
    expect((await build).exitCode).toBe(7);
    expect(readFileSync(join(dir, "words"), "utf8")).toContain(`--remote_cache=${cache.url}`);
    // A second or so: node's start, and one round of proofs.
    expect(took).toBeLessThan(4_000);
  });

  test("parallel clients race the hand-over: one daemon is left, and all of them are served", async () => {
    await started(older);
    const all = await Promise.all(Array.from({ length: 5 }, () => call(built.flywheel, "up", "--json")));
    expect(all.map((ran) => [ran.exitCode, ran.stderr])).toEqual(all.map(() => [0, ""]));
    expect(new Set(all.map((ran) => JSON.parse(ran.stdout).daemon.pid))).toEqual(new Set([(await hello()).pid]));
  });

  test("a daemon whose API is too new: said, with both versions and where the newer one lies; down works all the same", async () => {
    const up = await call(newer, "up");
    expect(up.exitCode, up.stderr).toBe(0);
    const { pid } = await hello();
    const entry = join(dir, "newer/dist/lib/flywheeld.js");
    for (const command of ["up", "status"]) {
      const refused = await call(built.flywheel, command);
      expect(refused.exitCode).toBe(1);
      expect(refused.stderr).toContain(`flywheel 7.0.0 (${entry})`);
      expect(refused.stderr).toContain(`this ${command === "up" ? "" : "is "}flywheel ${version}`);
      expect(refused.stderr).toContain("next: call that newer flywheel, or upgrade this one; flywheel down stops the daemon");
    }
    expect((await hello()).pid).toBe(pid);
    expect((await call(built.flywheel, "down")).exitCode).toBe(0);
    await gone(pid);
  });

  test("a daemon whose API is too old is replaced as well", async () => {
    const first = await started(built.flywheel);
    // Not attached to by our client, which does not speak its API: asked with its own.
    expect((await call(newer, "up")).exitCode).toBe(0);
    await gone(first);
    expect(await hello()).toMatchObject({ version: "7.0.0", api: 2 });
    await call(newer, "down");
  });

  test("an older daemon that hangs is not killed: said, with the command; once it runs again, it gives way", async () => {
    const first = await started(older);
    process.kill(first, "SIGSTOP");
    try {
      const up = await call(built.flywheel, "up");
      expect(up.exitCode).toBe(1);
      expect(up.stderr).toContain(`kill -CONT ${first}   (or: kill ${first})`);
      expect(readFileSync(`/proc/${first}/stat`, "utf8")).toMatch(/\) T /);
    } finally {
      process.kill(first, "SIGCONT");
    }
    expect(await started(built.flywheel)).not.toBe(first);
    await gone(first);
  });

  test("an upgrade in place, under a running daemon: it ends by itself, and the next command starts the new one", async () => {
    const place = join(dir, "in-place");
    const first = await started(await installVersion(place, "0.0.8"));
    await installVersion(place, version);
    await gone(first);
    expect(await started(join(place, "dist/bin/flywheel"))).not.toBe(first);
    expect(await hello()).toMatchObject({ version, entry: join(place, "dist/lib/flywheeld.js") });
  }, 60_000);
});

describe("what a crash leaves behind", () => {
  test("existing socket file taken for a live daemon (BuildBuddy): it is tried, not looked at", async () => {
    const first = await started(built.flywheel);
    process.kill(first, "SIGKILL");
    await gone(first);
    expect(existsSync(join(stage.dir, "run/daemon.sock"))).toBe(true);
    expect((await call(built.flywheel, "down")).stdout).toBe("no daemon was running\n");
    expect(await started(built.flywheel)).not.toBe(first);
  });

  test("a pid that belongs to someone else (Turborepo #5829): nobody signals it, and nobody is told to", async () => {
    const bystander = spawn("sleep", ["600"], { stdio: "ignore" });
    const ended = once(bystander, "exit");
    try {
      const pid = bystander.pid ?? 0;
      const first = await started(built.flywheel);
      writeFileSync(pidFile(), `${pid}\n`);
      process.kill(first, "SIGSTOP");
      for (const command of ["up", "down"]) {
        const hung = await call(built.flywheel, command);
        expect(hung.exitCode).toBe(1);
        expect(hung.stderr).toContain("next: find it, and kill -CONT or kill it: pgrep");
        expect(hung.stderr).not.toContain(String(pid));
      }
      process.kill(first, "SIGKILL");
      await gone(first);
      writeFileSync(pidFile(), `${pid}\n`);
      expect((await call(built.flywheel, "down")).stdout).toBe("no daemon was running\n");
      expect(await started(built.flywheel)).not.toBe(pid);
      expect(Number(readFileSync(pidFile(), "utf8"))).toBe((await hello()).pid);
      expect(alive(pid)).toBe(true);
    } finally {
      bystander.kill();
      await ended;
    }
  }, 60_000);
});
