/** Where CI is set no daemon is started: what the environment names is proved by a prober of its own, for that one command. */
import { chmodSync, existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { execa } from "execa";
import { afterAll, beforeAll, expect, test } from "vitest";
import { silentEventFlags } from "../../contract/bazel/injection.ts";
import { type RunningCache, startCache } from "../fixtures/caches/start.ts";
import { freePort } from "../fixtures/process.ts";
import { built, makeStage, type Stage } from "../fixtures/stage.ts";

let root: string;
let cache: RunningCache;
let stage: Stage;
beforeAll(async () => {
  root = mkdtempSync(join(tmpdir(), "gf-ci-"));
  mkdirSync(join(root, "tools"));
  writeFileSync(join(root, "tools/bazel"), '#!/bin/sh\nprintf "%s\\n" "$@"\n');
  chmodSync(join(root, "tools/bazel"), 0o755);
  cache = await startCache({ kind: "grpc" });
  stage = await makeStage([join(root, "tools")], { grpcPorts: [], httpPorts: [] });
});
afterAll(async () => {
  await stage.dispose();
  await cache.dispose();
  rmSync(root, { recursive: true, force: true });
});

const build = (env: Record<string, string>) =>
  execa(join(built.shim, "bazel"), ["build", "//x"], {
    cwd: root,
    env: { ...stage.env, CI: "true", ...env },
    extendEnv: false,
    reject: false,
  });
const noDaemon = (): boolean => !existsSync(join(stage.env["GF_RUNTIME_DIR"] ?? "", "daemon.sock"));

test("a living endpoint of the environment is proved, and used", async () => {
  const run = await build({ BAZEL_REMOTE_CACHE: cache.url });
  expect(run.exitCode, run.stderr).toBe(0);
  expect(run.stdout.split("\n")).toEqual([
    ...["build", "//x", `--remote_cache=${cache.url}`, "--remote_accept_cached"],
    ...["--remote_upload_local_results=false", "--remote_executor="],
    ...silentEventFlags,
  ]);
  expect(cache.connections()).toBeGreaterThan(0);
  expect(noDaemon()).toBe(true);
});

test("explain has the guard's patience: it proves that endpoint too, and without one names what is missing", async () => {
  const explain = (env: Record<string, string>) =>
    stage.flywheel(["explain", "--", "bazel", "build", "//x"], { cwd: root, env: { CI: "true", ...env } });
  const run = await explain({ BAZEL_REMOTE_CACHE: cache.url });
  expect(run.exitCode, run.stdout).toBe(0);
  expect(run.stdout).toContain(`--remote_cache=${cache.url}`);
  const without = await explain({});
  expect(without.exitCode).toBe(1);
  expect(without.stdout).toContain("CI is set, so no daemon is started, and BAZEL_REMOTE_CACHE names no endpoint");
  expect(noDaemon()).toBe(true);
});

test("a dead one is refused, with the rung that failed", async () => {
  const run = await build({ BAZEL_REMOTE_CACHE: `grpc://127.0.0.1:${await freePort()}` });
  expect(run.exitCode).toBe(78);
  expect(run.stdout).toBe("");
  expect(run.stderr).toMatch(/^flywheel: refused bazel build: BAZEL_REMOTE_CACHE names grpc:\/\/<redacted>:\d+, which fails at connect: /);
  expect(noDaemon()).toBe(true);
});

test("without one, the refusal names what is missing", async () => {
  const run = await build({});
  expect(run.exitCode).toBe(78);
  expect(run.stderr).toMatch(/^flywheel: refused bazel build: no shared cache is attached: /);
  expect(noDaemon()).toBe(true);
});
