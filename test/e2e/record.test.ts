/** `flywheel exec --record` beside real Bazels and a real Nix: every figure known, and the tool none the wiser. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { appendFileSync, existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { execa } from "execa";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { Invocation } from "../../contract/invocation.ts";
import { realBazels } from "../fixtures/bazel/real.ts";
import { type BazelRun, removeBazelRoot, runBazel, startupOptions } from "../fixtures/bazel/run.ts";
import { makeWorkspace, type Workspace } from "../fixtures/bazel/workspace.ts";
import { type RunningCache, startCache } from "../fixtures/caches/start.ts";
import { nginx } from "../fixtures/nginx/nginx.ts";
import { type NixCache, startNixCache } from "../fixtures/nix/cache.ts";
import { makeNixMachine, type NixMachine } from "../fixtures/nix/machine.ts";
import { peersRequired, programOnPath } from "../fixtures/peers.ts";
import { built, makeStage, type Stage } from "../fixtures/stage.ts";

const targets = 4;
const slowly = { timeout: 120_000 };

/** The newest invocation that was written down; undefined where none was since the last look. */
function recorderOf(stage: () => Stage): () => Invocation | undefined {
  let seen = 0;
  return () => {
    const file = join(stage().dir, "state/journal/spool.jsonl");
    const lines = existsSync(file)
      ? readFileSync(file, "utf8")
          .split("\n")
          .filter((line) => line.includes('"kind":"invocation"'))
      : [];
    const fresh = lines.slice(seen);
    seen = lines.length;
    expect(fresh.length).toBeLessThan(2);
    return fresh[0] === undefined ? undefined : (JSON.parse(fresh[0]) as { invocation: Invocation }).invocation;
  };
}

describe.for(realBazels())("Bazel $version", (bazel) => {
  const needs = bazel.available ? slowly : { skip: true };
  const own = ["exec", "--record", "--", "bazel"];
  let root: string;
  let stage: Stage;
  let cache: RunningCache;
  let workspace: Workspace;
  const recorded = recorderOf(() => stage);

  beforeAll(async () => {
    if (!bazel.available) return;
    root = mkdtempSync(join(tmpdir(), "gf-rec-"));
    const tools = join(root, "tools");
    mkdirSync(tools);
    symlinkSync(bazel.path, join(tools, "bazel"));
    cache = await startCache({ kind: "grpc" });
    const nodes = [{ name: "cache", addresses: ["127.0.0.1"], tags: ["tag:bazel-cache"] }];
    stage = await makeStage([tools], { grpcPorts: [cache.port], httpPorts: [], tailnet: { nodes } });
    await stage.flywheel(["up"]);
    workspace = makeWorkspace(join(root, "workspace"), { targets });
    const filling = { ...stage.env, GF_BAZEL_REMOTE_UPLOAD: "true" };
    const filled = await runBazel({
      ...through([]),
      args: ["build", "//:all"],
      bazel: join(built.shim, "bazel"),
      prefix: [],
      env: filling,
    });
    expect(filled.processes, filled.stderr).toEqual({ hits: 0, total: targets });
  }, 120_000);
  afterAll(async () => {
    if (!bazel.available) return;
    await removeBazelRoot(root);
    await stage.dispose();
    await cache.dispose();
  });

  const through = (args: readonly string[]) => ({
    ...{ bazel: built.flywheel, prefix: own, workspace, outputUserRoot: root, env: stage.env, args },
  });
  const build = (...more: readonly string[]): Promise<BazelRun> => runBazel(through(["build", "//:all", ...more]));
  const clean = (): Promise<BazelRun> => runBazel(through(["clean"]));

  test("all hits, then a null build, then a mixed one", needs, async () => {
    const before = Date.now();
    await clean();
    expect(recorded()).toBeUndefined();
    const all = await build();
    expect(all.exitCode, all.stderr).toBe(0);
    expect(all.stdout).toBe("");
    expect(all.processes).toEqual({ hits: targets, total: targets });
    expect(all.stderr).toMatch(/^flywheel: recorded bazel build: 4 hits of 4 \(100 %\), \d+\.\d\d s, exit 0$/m);
    const record = recorded();
    expect(record).toMatchObject({
      ...{ tool: "bazel", command: "build", workspace: workspace.dir, profile: "default", endpoint: cache.url, exitCode: 0 },
      ...{ outcome: "succeeded", recordedBy: "exec", lost: null },
      tally: { state: "counted", counts: { hits: targets, other: 0, misses: 0, local: 0 }, source: "build-events", doubt: null },
    });
    const [started, ended] = [Date.parse(record?.startedAt ?? ""), Date.parse(record?.endedAt ?? "")];
    expect(started).toBeGreaterThanOrEqual(before);
    expect(ended - started).toBe(record?.wallMs);

    await build();
    expect(recorded()?.tally).toMatchObject({ state: "counted", counts: { hits: 0, misses: 0 }, doubt: null });

    appendFileSync(join(workspace.dir, "BUILD.bazel"), `genrule(name = "more", outs = ["more.txt"], cmd = "echo ${root} > $@")\n`);
    await clean();
    await build();
    expect(recorded()?.tally).toMatchObject({ counts: { hits: targets, misses: 1, local: 1 } });
  });

  test("a file of build events that the command line, or an rc file, asks for is left as it is, and read", needs, async () => {
    const file = join(root, "mine.json");
    await clean();
    const run = await build("--build_event_json_file", file, "--");
    expect(run.exitCode, run.stderr).toBe(0);
    expect(readFileSync(file, "utf8").trimEnd().split("\n").at(-1)).toContain('"lastMessage":true');
    expect(recorded()?.tally).toMatchObject({ state: "counted", counts: { hits: targets }, source: "build-events" });

    const rc = join(workspace.dir, ".bazelrc");
    const other = join(root, "ide.json");
    writeFileSync(rc, `build --build_event_json_file=${other}\n`);
    await clean();
    await build();
    expect(readFileSync(other, "utf8")).toContain('"lastMessage":true');
    expect(recorded()?.tally).toMatchObject({ state: "counted", counts: { hits: targets } });
    // Whose path nobody can tell: nothing is replaced, and nothing guessed.
    writeFileSync(rc, `build:ide --build_event_json_file=${other}\n`);
    await clean();
    await build("--config=ide");
    expect(recorded()).toMatchObject({
      ...{ exitCode: 0, outcome: "succeeded", endpoint: cache.url },
      tally: { state: "unknown", why: expect.stringContaining(".bazelrc:1 may ask for build events in a file of its own") },
    });
    rmSync(rc);
    expect(readdirSync(tmpdir()).filter((name) => name.startsWith("flywheel-record-"))).toEqual([]);
  });

  test("hits of a disk cache are doubted", needs, async () => {
    const disk = join(root, "disk");
    await build(`--disk_cache=${disk}`, "--remote_upload_local_results=true");
    recorded();
    await clean();
    const run = await build(`--disk_cache=${disk}`);
    expect(recorded()?.tally).toMatchObject({ state: "counted", doubt: expect.stringContaining("a disk cache answered too") });
    expect(run.stderr).toMatch(/^flywheel: recorded bazel build: .* not to be believed: a disk cache/m);
  });

  test("a failure has its code, and an interrupt that the terminal sends to both is Bazel's to heed", needs, async () => {
    const [fifo, dir] = [join(root, "fifo"), join(root, "failing")];
    const failing = makeWorkspace(dir, { targets: 1 });
    await execa("mkfifo", [fifo]);
    const waiting = `genrule(name = "wait", outs = ["w"], local = 1, cmd = "echo runs > ${fifo} && sleep 600 && touch $@")`;
    appendFileSync(join(dir, "BUILD.bazel"), `genrule(name = "bad", outs = ["b"], cmd = "exit 3")\n${waiting}\n`);
    const failed = await runBazel({ ...through(["build", "//:bad"]), workspace: failing });
    expect(failed.exitCode).toBe(1);
    expect(recorded()).toMatchObject({ exitCode: 1, outcome: "failed", workspace: dir });

    for (const [to, signal] of [
      ["the group", "SIGINT"],
      ["this process alone", "SIGTERM"],
    ] as const) {
      const words = [...own, ...startupOptions(root), "build", "//:wait"];
      const env = { ...stage.env, HOME: root };
      const child = spawn(built.flywheel, words, { cwd: dir, env, stdio: "ignore", detached: true });
      const exited = once(child, "exit");
      // Opened by the action: then it runs.
      await execa("cat", [fifo], { timeout: 60_000 });
      const pid = child.pid ?? 0;
      process.kill(to === "the group" ? -pid : pid, signal);
      expect(await exited, to).toEqual([8, null]);
      expect(recorded(), to).toMatchObject({ exitCode: 8, outcome: "interrupted" });
    }
  });

  test("a refusal is the guard's to record", needs, async () => {
    await cache.kill();
    const run = await build();
    expect(run.exitCode, run.stderr).toBe(78);
    expect(recorded()).toBeUndefined();
    expect((await stage.flywheel(["history", "--refusals", "-n", "1"])).stdout).toContain("refusal");
    await cache.restart();
  });
});

describe("a Bazel of sh", () => {
  let stage: Stage;
  let tools: string;
  const recorded = recorderOf(() => stage);

  beforeAll(async () => {
    tools = mkdtempSync(join(tmpdir(), "gf-rec-"));
    stage = await makeStage([tools], { grpcPorts: [], httpPorts: [], tailnet: { nodes: [] } });
  });
  afterAll(async () => {
    await stage.dispose();
    rmSync(tools, { recursive: true, force: true });
  });

  /** @param script has the file of build events that it was asked for as `$events` */
  const run = (script: string, args: readonly string[] = ["build", "//:t"], env: Readonly<Record<string, string>> = {}) => {
    const find = "for word; do case $word in --build_event_json_file=*) events=${word#*=} ;; esac; done";
    writeFileSync(join(tools, "bazel"), `#!/bin/sh\n${find}\n${script}\n`, { mode: 0o755 });
    return execa(built.flywheel, ["exec", "--record", "--", "bazel", ...args], {
      ...{ cwd: tools, extendEnv: false, stdin: "ignore", reject: false },
      env: { ...stage.env, TMPDIR: tools, GF_GUARD_BYPASS: "a test", ...env },
    });
  };
  const laidAside = (): readonly string[] => readdirSync(tools).filter((name) => name.startsWith("flywheel-record-"));

  const started = (at: number): string => `{"id":{"started":{}},"started":{"startTimeMillis":"${at}","buildToolVersion":"2.1.0"}}`;
  const stats = `{"id":{"buildToolLogs":{}},"buildToolLogs":{"log":[{"name":"process stats","contents":"${btoa("2 processes: 2 remote cache hit.")}"}]}}`;
  const hits = { state: "counted", counts: { hits: 2 } };

  test("events of another build are not this one's", async () => {
    const file = join(tools, "mine.json");
    const args = ["build", "//:t", `--build_event_json_file=${file}`];
    // Written this moment, by a build that ended before this one.
    writeFileSync(file, `${started(Date.now())}\n${stats}\n`);
    await run("exit 78", args);
    expect(recorded()).toBeUndefined();
    await run("exit 0", args);
    expect(recorded()?.tally).toEqual({ state: "unknown", why: "Bazel wrote no build events" });
    // A build that began before, and comes to its end meanwhile.
    await run(`printf '%s\\n' '${started(Date.now() - 5000)}' '${stats}' >"$events"`, args);
    expect(recorded()?.tally.state).toBe("unknown");
    await run(`printf '%s\\n' '${started(Date.now() + 60_000)}' '${stats}' >"$events"`, args);
    expect(recorded()?.tally).toMatchObject(hits);
  });

  test("where TMPDIR is gone, its events go elsewhere", async () => {
    const write = `echo "$events"; printf '%s\\n' '${started(Date.now() + 60_000)}' '${stats}' >"$events"`;
    const elsewhere = await run(write, ["build", "//:t"], { TMPDIR: join(tools, "gone") });
    expect(elsewhere.exitCode, elsewhere.stderr).toBe(0);
    expect(elsewhere.stdout).toMatch(/^\/tmp\/flywheel-record-/);
    expect(existsSync(elsewhere.stdout)).toBe(false);
    expect(recorded()?.tally).toMatchObject(hits);
  });

  test("a command that failed before any action is not said to have had nothing to do", async () => {
    const none = stats.replace(/"contents":"[^"]*"/, `"contents":"${btoa("0 processes.")}"`);
    const failed = await run(`printf '%s\\n' '${started(Date.now() + 60_000)}' '${none}' >"$events"; exit 1`);
    expect(failed.stderr).toMatch(/^flywheel: recorded bazel build: no actions ran, \d+\.\d\d s, exit 1$/m);
    expect(recorded()?.outcome).toBe("failed");
  });

  test("a refusal suggests the words that were typed", async () => {
    const refused = await run("", ["build", "//:t"], { GF_GUARD_BYPASS: "" });
    expect(refused.exitCode).toBe(78);
    expect(refused.stderr).toContain("-- bazel build //:t   (builds alone");
    expect(recorded()).toBeUndefined();
  });

  test("a line of an rc file for a command that does not inherit from it is none of its business", async () => {
    const rc = join(tools, ".bazelrc");
    writeFileSync(join(tools, "WORKSPACE"), "");
    const write = `printf '%s\\n' '${started(Date.now() + 60_000)}' '${stats}' >"$events"`;
    writeFileSync(rc, `test --build_event_json_file=${join(tools, "tests.json")}\n`);
    await run(write);
    expect(recorded()?.tally).toMatchObject(hits);
    writeFileSync(
      rc,
      `test --build_event_json_file=${join(tools, "tests.json")}\nbuild --build_event_json_file=${join(tools, "all.json")}\n`,
    );
    await run(write.replace('"$events"', join(tools, "tests.json")), ["test", "//:t"]);
    expect(recorded()?.tally).toMatchObject(hits);
    rmSync(rc);
  });

  test("its events, which hold what it was told, are gone when a signal ends it", async () => {
    for (const signal of ["SIGTERM", "SIGKILL"] as const) {
      const ended = await run(`echo --client_env=SECRET=x >"$events"; kill -s ${signal.slice(3)} $$`);
      expect(ended.signal, ended.stderr).toBe(signal);
      expect(recorded()).toMatchObject({ outcome: "interrupted", tally: { state: "unknown" } });
      expect(laidAside()).toEqual([]);
    }
  });
});

const [nix, nginxPeer] = [programOnPath("nix"), nginx()];
const missing = [nix, nginxPeer].flatMap((peer) => (peer.available ? [] : [peer.reason]));
if (missing.length > 0 && peersRequired()) throw new Error(missing.join("; "));

describe.skipIf(missing.length > 0)("Nix", slowly, () => {
  let machine: NixMachine;
  let cache: NixCache;
  let stage: Stage;
  const recorded = recorderOf(() => stage);

  beforeAll(async () => {
    machine = await makeNixMachine();
    cache = await startNixCache(nginxPeer.available ? nginxPeer.path : "", { storeDir: machine.env["NIX_STORE_DIR"] ?? "" });
    stage = await makeStage([], { grpcPorts: [], httpPorts: [], tailnet: { nodes: [] } });
    const config = stage.env["GF_CONFIG_DIR"] ?? "";
    writeFileSync(join(config, "config.toml"), `[local_proof]\nmode = "port-forward"\nallow_localhost = true\nnix = ["${cache.url}"]\n`);
    writeFileSync(join(config, "profiles/default.toml"), `[nix]\npublic_key = "${cache.publicKey}"\n`);
    await stage.flywheel(["up"], { env: machine.env });
  }, 60_000);
  afterAll(async () => {
    await stage.dispose();
    await cache.dispose();
    await machine.remove();
  });

  const run = (...args: readonly string[]) => stage.flywheel(["exec", "--record", "--", ...args], { cwd: machine.dir, env: machine.env });
  const with_ = (name: string, dependency: string, script: string): string =>
    `derivation { name = "${name}"; system = "${machine.system}"; builder = "/bin/sh"; dep = ${dependency}; args = [ "-c" "${script}" ]; }`;

  test("what the attached cache gave, and what was built; stdout is the tool's, stderr Nix's own plain lines", async () => {
    const one = machine.derivation("one");
    const path = await machine.publish(one, cache);
    const made = await run("nix-build", "--no-out-link", "-E", with_("two", one, "echo said by the builder; echo x > $out"));
    expect(made.exitCode, made.stderr).toBe(0);
    expect(made.stdout).toMatch(/^\S+\/store\/[a-z0-9]{32}-two$/);
    expect(made.stderr).toContain(`copying path '${path}' from '${cache.url}'...`);
    expect(made.stderr).toMatch(/^said by the builder$/m);
    expect(made.stderr).not.toContain("@nix");
    expect(made.stderr).toMatch(/^flywheel: recorded nix-build: 1 hit of 2 \(50 %\), 1 miss, \d+\.\d\d s, exit 0$/m);
    expect(recorded()).toMatchObject({
      ...{ tool: "nix-build", endpoint: cache.url, exitCode: 0, outcome: "succeeded" },
      tally: { state: "counted", counts: { hits: 1, other: 0, misses: 1, local: 1 }, source: "internal-json", doubt: null },
    });
  });

  test("what the cache promised and could not give is no hit", async () => {
    const four = machine.derivation("four");
    await machine.publish(four, cache);
    const info = readdirSync(cache.files).map((name) => join(cache.files, name));
    const narinfo = info.find((file) => file.endsWith(".narinfo") && /^StorePath: .*-four$/m.test(readFileSync(file, "utf8"))) ?? "";
    rmSync(join(cache.files, /^URL: (.*)$/m.exec(readFileSync(narinfo, "utf8"))?.[1] ?? ""));
    machine.allowBuilding();
    const made = await run("nix-build", "--fallback", "--no-out-link", "-E", four);
    machine.forbidBuilding();
    expect(made.exitCode, made.stderr).toBe(0);
    expect(made.stderr).toContain("does not exist in binary cache");
    expect(recorded()?.tally).toMatchObject({ state: "counted", counts: { hits: 0, other: 0, misses: 1 }, doubt: null });
  });

  test("nix build hides what builders print until it fails, and says what failed", async () => {
    const bad = with_("bad", machine.derivation("three"), "echo why it failed; exit 4");
    machine.allowBuilding();
    const failed = await run("nix", "build", "--no-link", "--expr", bad);
    expect(failed.exitCode).toBe(1);
    expect(failed.stderr).toMatch(/builder for '.*-bad\.drv' failed with exit code 4/);
    expect(failed.stderr).toContain("why it failed");
    expect(recorded()).toMatchObject({ command: "build", exitCode: 1, outcome: "failed", tally: { counts: { hits: 0, misses: 2 } } });
    machine.forbidBuilding();
  });

  test("what starts a program keeps its terminal, so nothing is counted", async () => {
    const env = `derivation { name = "dev"; system = "${machine.system}"; builder = "/bin/bash"; outputs = [ "out" ]; args = [ "-c" "exit 1" ]; }`;
    const entered = await run("nix", "develop", "--expr", env, "-c", "sh", "-c", "echo in; exit 5");
    expect(entered.stdout).toBe("in");
    expect(entered.exitCode).toBe(5);
    expect(recorded()).toMatchObject({
      ...{ command: "develop", exitCode: 5, outcome: "failed" },
      tally: { state: "unknown", why: expect.stringContaining("whose terminal stays its own") },
    });
  });
});
