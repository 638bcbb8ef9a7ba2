/**
 * Injection, proved by its effect: real Bazels behind the real shim and daemon. What a bare Bazel put into a
 * cache is hit in full through the shim, and the reverse; nothing that a workspace or a user writes detaches a
 * build silently, nor makes it write.
 */
import { cpSync, mkdirSync, mkdtempSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { realBazels } from "../fixtures/bazel/real.ts";
import { type BazelRun, removeBazelRoot, runBazel } from "../fixtures/bazel/run.ts";
import { makeWorkspace, type Workspace } from "../fixtures/bazel/workspace.ts";
import { bazelRemote, startBazelRemote } from "../fixtures/bazel-remote/bazel-remote.ts";
import { isWrite } from "../fixtures/caches/journal.ts";
import { type RunningCache, startCache } from "../fixtures/caches/start.ts";
import { nginx, startNginx } from "../fixtures/nginx/nginx.ts";
import { freePort } from "../fixtures/process.ts";
import { built, makeStage, type Stage } from "../fixtures/stage.ts";

const targets = 4;
// Each way is a Bazel server of its own, and two cores start them.
const slowly = { timeout: 180_000 };
const nginxPeer = nginx();
const bazelRemotePeer = await bazelRemote();
const node = (port: number) => ({ nodes: [{ name: `cache-${port}`, addresses: ["127.0.0.1"], tags: ["tag:bazel-cache"] }] });

describe.for(realBazels())("Bazel $version", (bazel) => {
  const needs = bazel.available ? slowly : { skip: true };
  const real = bazel.available ? bazel.path : "/nonexistent";
  let root: string;
  let tools: string;
  let count = 0;

  beforeAll(() => {
    root = mkdtempSync(join(tmpdir(), "gf-in-"));
    tools = join(root, "tools");
    mkdirSync(tools);
    symlinkSync(real, join(tools, "bazel"));
  });
  afterAll(() => removeBazelRoot(root));

  const workspace = (rc?: string): Workspace => {
    count += 1;
    return makeWorkspace(join(root, `workspace-${count}`), { targets, ...(rc === undefined ? {} : { rc }) });
  };

  /** Attaches a stage to the cache on that port. */
  async function attachedStage(port: number, protocol: "grpc" | "http"): Promise<Stage> {
    const ports = protocol === "grpc" ? { grpcPorts: [port], httpPorts: [] } : { grpcPorts: [], httpPorts: [port] };
    const stage = await makeStage([tools], { ...ports, tailnet: node(port) });
    const up = await stage.flywheel(["up"]);
    expect(up.exitCode, up.stderr + up.stdout).toBe(0);
    return stage;
  }

  /** The PATH that the tool gets behind the shim: what a bare Bazel must have for the same action keys. */
  const bare = (stage: Stage): Record<string, string> => ({ PATH: (stage.env["PATH"] ?? "").split(":").slice(1).join(":") });

  async function everyWay(stage: Stage, url: string): Promise<void> {
    const build = { outputUserRoot: root, args: ["build", "//:all"] };
    const filledBare = workspace();
    const bareRun = { ...build, bazel: real, env: bare(stage), args: [...build.args, `--remote_cache=${url}`] };
    const filled = await runBazel({ ...bareRun, workspace: filledBare, outputBase: "bare" });
    expect(filled.processes, filled.stderr).toEqual({ hits: 0, total: targets });
    const all = { hits: targets, total: targets };
    const through = await runBazel({
      ...build,
      bazel: join(built.shim, "bazel"),
      workspace: filledBare,
      env: stage.env,
      outputBase: "shim",
    });
    expect(through.processes, through.stderr).toEqual(all);
    const other = join(stage.dir, "elsewhere/shim");
    cpSync(built.shim, other, { recursive: true });
    symlinkSync(dirname(built.flywheel), join(stage.dir, "elsewhere/bin"));
    const otherEnv = { ...stage.env, PATH: `${other}:${stage.env["PATH"] ?? ""}` };
    const another = await runBazel({ ...build, bazel: join(other, "bazel"), workspace: filledBare, env: otherEnv, outputBase: "other" });
    expect(another.processes, another.stderr).toEqual(all);
    const exec = await runBazel({
      ...build,
      bazel: built.flywheel,
      prefix: ["exec", "--", "bazel"],
      workspace: filledBare,
      env: { ...stage.env, GF_GUARD_SCOPE: "enrolled" },
      outputBase: "exec",
    });
    expect(exec.processes, exec.stderr).toEqual(all);
    // And the reverse: filled through the shim by a machine that may write, hit by a bare Bazel.
    const filledByShim = workspace();
    const writing = { ...stage.env, GF_BAZEL_REMOTE_UPLOAD: "true" };
    const wrote = await runBazel({ ...build, bazel: join(built.shim, "bazel"), workspace: filledByShim, env: writing, outputBase: "shim" });
    expect(wrote.processes, wrote.stderr).toEqual({ hits: 0, total: targets });
    const reverse = await runBazel({ ...bareRun, workspace: filledByShim, outputBase: "bare" });
    expect(reverse.processes, reverse.stderr).toEqual(all);
  }

  test("what a bare Bazel filled is hit in full by every way through the guard, and the reverse: embedded gRPC", needs, async () => {
    await using cache = await startCache({ kind: "grpc" });
    await using stage = await attachedStage(cache.port, "grpc");
    await everyWay(stage, cache.url);
  });

  test("… embedded HTTP", needs, async () => {
    await using cache = await startCache({ kind: "http" });
    await using stage = await attachedStage(cache.port, "http");
    await everyWay(stage, cache.url);
  });

  test("… nginx with DAV", nginxPeer.available ? needs : { skip: true }, async () => {
    if (!nginxPeer.available) return;
    await using cache = await startNginx(nginxPeer.path);
    await using stage = await attachedStage(cache.port, "http");
    await everyWay(stage, cache.url);
  });

  test("… bazel-remote", bazelRemotePeer.available ? needs : { skip: true }, async () => {
    if (!bazelRemotePeer.available) return;
    await using cache = await startBazelRemote(bazelRemotePeer.path);
    await using stage = await attachedStage(Number(new URL(cache.grpcUrl.replace(/^grpc/, "http")).port), "grpc");
    await everyWay(stage, cache.grpcUrl);
  });

  describe("against whatever a workspace or a user writes", () => {
    let cache: RunningCache;
    let stage: Stage;
    let filled: Workspace;
    let written: number;
    let dead: string;

    beforeAll(async () => {
      if (!bazel.available) return;
      // HTTP: what a detached build would then do is build alone in silence, rather than fail.
      cache = await startCache({ kind: "http" });
      stage = await attachedStage(cache.port, "http");
      dead = `http://127.0.0.1:${await freePort()}`;
      filled = workspace();
      const run = await runBazel({
        ...{ bazel: real, workspace: filled, outputUserRoot: root, outputBase: "bare", env: bare(stage) },
        args: ["build", "//:all", `--remote_cache=${cache.url}`],
      });
      expect(run.exitCode, run.stderr).toBe(0);
      written = cache.requests().filter(isWrite).length;
    });
    afterAll(async () => {
      await stage?.dispose();
      await cache?.dispose();
    });

    /** Builds everything again, from nothing but the cache, in a server that stays. */
    async function rebuild(words: { rc?: string; args?: readonly string[]; startup?: readonly string[] }): Promise<BazelRun> {
      writeFileSync(join(filled.dir, ".bazelrc"), words.rc ?? "");
      const common = { workspace: filled, outputUserRoot: root, outputBase: "rebuild", env: stage.env };
      await runBazel({ ...common, bazel: real, args: ["clean"], startup: ["--noworkspace_rc"] });
      return runBazel({
        ...common,
        bazel: join(built.shim, "bazel"),
        args: words.args ?? ["build", "//:all"],
        startup: words.startup ?? [],
      });
    }

    function expectAttached(run: BazelRun): void {
      expect(run.exitCode, run.stderr).toBe(0);
      expect(run.processes, run.stderr).toEqual({ hits: targets, total: targets });
      expect(cache.requests().filter(isWrite)).toHaveLength(written);
    }

    const contradictions: readonly [string, () => string][] = [
      ["another remote_cache", () => `--remote_cache=${dead}`],
      ["an empty remote_cache", () => "--remote_cache="],
      ["--noremote_accept_cached", () => "--noremote_accept_cached"],
      ["uploads on", () => "--remote_upload_local_results=true"],
      ["a remote_executor", () => "--remote_executor=grpc://127.0.0.1:1"],
    ];

    test.each(contradictions)("a workspace rc with %s", needs, async (_, flag) => {
      expectAttached(await rebuild({ rc: `build ${flag()}\n` }));
    });

    test.each(contradictions)("a --config with %s, before and after the targets", needs, async (_, flag) => {
      expectAttached(await rebuild({ rc: `build:ci ${flag()}\n`, args: ["build", "--config=ci", "//:all"] }));
      expectAttached(await rebuild({ rc: `build:ci ${flag()}\n`, args: ["build", "//:all", "--config=ci"] }));
    });

    test.each(contradictions)("a user's own --bazelrc with %s", needs, async (_, flag) => {
      const file = join(stage.dir, "own.bazelrc");
      writeFileSync(file, `build ${flag()}\nbuild:ci ${flag()}\n`);
      expectAttached(await rebuild({ startup: [`--bazelrc=${file}`], args: ["build", "--config=ci", "//:all"] }));
    });

    test.each(contradictions)("a more particular command's section with %s", needs, async (_, flag) => {
      expectAttached(
        await rebuild({ rc: `build --remote_timeout=30\ncoverage ${flag()}\nbuild ${flag()}\n`, args: ["build", "--", "//:all"] }),
      );
    });

    test("--bazelrc=/dev/null", needs, async () => {
      expectAttached(await rebuild({ rc: "build --remote_cache=\n", startup: ["--bazelrc=/dev/null"] }));
    });

    test("--ignore_all_rc_files", needs, async () => {
      const run = await rebuild({ rc: "build --remote_cache=\n", startup: ["--ignore_all_rc_files"] });
      if (bazel.version === "2.1.0") return expectAttached(run);
      // Debian's /etc/bazel/bazelrc carries --install_base: without it that Bazel fails, with or without us.
      const alone = await runBazel({
        ...{ bazel: real, workspace: filled, outputUserRoot: root, outputBase: "rebuild", env: bare(stage) },
        ...{ args: ["build", "//:all"], startup: ["--ignore_all_rc_files"] },
      });
      expect(run.exitCode).toBe(alone.exitCode);
      expect(run.exitCode).not.toBe(0);
    });

    test.each([...contradictions.filter(([name]) => name !== "uploads on"), ["a proxy", () => "--remote_proxy=unix:/x"] as const])(
      "the command line with %s: refused, and nothing runs",
      needs,
      async (_, flag) => {
        const before = cache.connections();
        const run = await rebuild({ args: ["build", "//:all", flag()] });
        expect(run.exitCode).toBe(78);
        expect(run.stdout).toBe("");
        expect(run.stderr).toMatch(/^flywheel: refused bazel build: /);
        // The daemon's own probes keep one warm connection: no build made another.
        expect(cache.connections() - before).toBeLessThanOrEqual(1);
        expect(cache.requests().filter(isWrite)).toHaveLength(written);
      },
    );

    test("the command line with uploads on: the profile's policy holds", needs, async () => {
      expectAttached(await rebuild({ args: ["build", "--remote_upload_local_results=true", "//:all"] }));
    });

    test("the command line with the attached endpoint itself", needs, async () => {
      expectAttached(await rebuild({ args: ["build", `--remote_cache=${cache.url}`, "//:all"] }));
    });

    test("attaching and detaching neither restarts the server nor discards the analysis cache", needs, async () => {
      const common = { workspace: filled, outputUserRoot: root, outputBase: "rebuild" };
      writeFileSync(join(filled.dir, ".bazelrc"), "");
      const pid = async (): Promise<string> =>
        (await runBazel({ ...common, bazel: real, env: bare(stage), args: ["info", "server_pid"] })).stdout;
      await rebuild({});
      const before = await pid();
      const runs = [
        await runBazel({ ...common, bazel: real, env: bare(stage), args: ["build", "//:all"] }),
        await runBazel({ ...common, bazel: join(built.shim, "bazel"), env: stage.env, args: ["build", "//:all"] }),
        await runBazel({ ...common, bazel: real, env: bare(stage), args: ["build", "//:all"] }),
      ];
      for (const run of runs) {
        expect(run.exitCode, run.stderr).toBe(0);
        expect(run.stderr).not.toMatch(/discarding analysis cache|has changed/);
      }
      expect(await pid()).toBe(before);
    });

    test("clean and info, in a workspace whose rc names a dead cache, behave as without us", needs, async () => {
      writeFileSync(
        join(filled.dir, ".bazelrc"),
        `build --remote_cache=grpc://127.0.0.1:${new URL(dead).port}\nbuild --remote_retries=0\n`,
      );
      const common = { workspace: filled, outputUserRoot: root, outputBase: "rebuild" };
      for (const args of [["clean"], ["info", "bazel-bin"]]) {
        const guarded = await runBazel({ ...common, bazel: join(built.shim, "bazel"), env: stage.env, args });
        const alone = await runBazel({ ...common, bazel: real, env: bare(stage), args });
        expect({ code: guarded.exitCode, out: guarded.stdout }).toEqual({ code: alone.exitCode, out: alone.stdout });
      }
    });
  });
});
