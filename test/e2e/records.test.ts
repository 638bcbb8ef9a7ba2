/**
 * How guarded builds went, as the daemon finds it out: real Bazels behind the real shim, a real cache, and nobody
 * beside them. Whatever is counted is what Bazel itself printed to whoever called it; whatever cannot be told is not.
 */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { execa } from "execa";
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from "vitest";
import { mostRecent, type StatusReport } from "../../contract/api.ts";
import type { Counts, Invocation, Tally } from "../../contract/invocation.ts";
import { realBazels } from "../fixtures/bazel/real.ts";
import { type BazelRun, type Processes, parseProcesses, removeBazelRoot, runBazel, startupOptions } from "../fixtures/bazel/run.ts";
import { makeWorkspace, type Workspace } from "../fixtures/bazel/workspace.ts";
import { bazelRemote, startBazelRemote } from "../fixtures/bazel-remote/bazel-remote.ts";
import { type RunningCache, startCache } from "../fixtures/caches/start.ts";
import { daemonOf, statusWhen } from "../fixtures/guarded.ts";
import { built, makeStage, type Stage } from "../fixtures/stage.ts";

// A server is started for each output base, and two cores start them.
const slowly = { timeout: 180_000 };
const targets = 4;
const bazelRemotePeer = await bazelRemote();
const shim = join(built.shim, "bazel");

/** A rule that waits until `open`, and says that it does. */
interface Gate {
  readonly rule: string;
  /** Resolves once the action waits. */
  reached(): Promise<void>;
  open(): void;
}

describe.for(realBazels())("Bazel $version", (bazel) => {
  const needs = bazel.available ? slowly : { skip: true };
  const real = bazel.available ? bazel.path : "/nonexistent";
  let root: string;
  let tools: string;
  let cache: RunningCache;
  let stage: Stage;
  let workspace: Workspace;
  let gates = 0;

  beforeAll(async () => {
    root = mkdtempSync(join(tmpdir(), "gf-rec-"));
    tools = join(root, "tools");
    mkdirSync(tools);
    symlinkSync(real, join(tools, "bazel"));
    cache = await startCache({ kind: "grpc" });
    stage = await attachedStage(cache.port);
    workspace = makeWorkspace(join(root, "workspace"), { targets });
  }, 60_000);
  afterAll(async () => {
    await stage.dispose();
    await cache.dispose();
    await removeBazelRoot(root);
  }, 60_000);

  async function attachedStage(port: number): Promise<Stage> {
    const nodes = [{ name: "cache", addresses: ["127.0.0.1"], tags: ["tag:bazel-cache"] }];
    const made = await makeStage([tools], { grpcPorts: [port], httpPorts: [], tailnet: { nodes } });
    const up = await made.flywheel(["up"]);
    expect(up.exitCode, up.stderr + up.stdout).toBe(0);
    return made;
  }

  interface How {
    readonly workspace?: Workspace;
    readonly outputBase?: string;
    readonly startup?: readonly string[];
    readonly upload?: boolean;
    readonly on?: Stage;
  }

  const run = (args: readonly string[], how: How = {}): Promise<BazelRun> =>
    runBazel({
      ...{ bazel: shim, workspace: how.workspace ?? workspace, outputUserRoot: root, args },
      ...{ startup: how.startup ?? [], outputBase: how.outputBase ?? "base" },
      env: { ...(how.on ?? stage).env, GF_BAZEL_REMOTE_UPLOAD: String(how.upload ?? false) },
    });

  /** What was recorded of all that `act` calls, oldest first. */
  async function recordsOf(count: number, act: () => Promise<unknown>, on: Stage = stage): Promise<readonly Invocation[]> {
    const known = new Set((await daemonOf(on).status("default")).recent.map(({ id }) => id));
    const news = (status: StatusReport): Invocation[] => status.recent.filter(({ id }) => !known.has(id));
    await act();
    const status = await statusWhen(on, `${count} more records`, (one) => news(one).length >= count);
    const records = news(status).toSorted((a, b) => a.startedAt.localeCompare(b.startedAt));
    expect(records).toHaveLength(count);
    return records;
  }

  async function recordOf(args: readonly string[], how: How = {}): Promise<{ readonly record: Invocation; readonly ran: BazelRun }> {
    let ran: BazelRun | undefined;
    const act = async (): Promise<void> => {
      ran = await run(args, how);
    };
    const [record] = await recordsOf(1, act, how.on);
    if (record === undefined || ran === undefined) throw new Error("nothing was recorded");
    return { record, ran };
  }

  /** Of genrules: their misses are all local. */
  const counted = (counts: Partial<Counts>, doubt: string | null = null): Tally => {
    const all = { hits: 0, other: 0, misses: 0, internal: expect.any(Number), ...counts };
    return { state: "counted", counts: { ...all, local: all.misses }, source: "command.log", doubt };
  };

  function gate(name: string): Gate {
    gates += 1;
    const fifo = join(root, `gate-${gates}`);
    const sign = `${fifo}.reached`;
    const cmd = `touch ${sign}; while [ ! -e ${fifo} ]; do sleep 0.05; done; echo ${workspace.seed} ${gates} > $@`;
    const rule = `genrule(\n    name = "${name}",\n    outs = ["${name}.txt"],\n    cmd = "${cmd}",\n    tags = ["no-sandbox", "manual"],\n)\n`;
    return {
      rule,
      reached: async () => {
        while (!existsSync(sign)) await pause(20);
      },
      open: () => writeFileSync(fifo, ""),
    };
  }

  const append = (rule: string): void => writeFileSync(join(workspace.dir, "BUILD.bazel"), rule, { flag: "a" });
  const clean = (how: How = {}): Promise<BazelRun> => run(["clean"], how);

  test("none, all, some, and nothing to do", needs, async () => {
    const before = Date.now();
    const none = await recordOf(["build", "//:all"], { upload: true });
    expect(none.ran.processes).toEqual({ hits: 0, total: targets });
    expect(none.record).toEqual({
      id: expect.stringMatching(/^[0-9a-f-]{36}:\d+:\d+$/),
      ...{ tool: "bazel", command: "build", workspace: workspace.dir, profile: "default", endpoint: cache.url },
      ...{ startedAt: expect.any(String), endedAt: expect.any(String), wallMs: expect.any(Number) },
      ...{ exitCode: 0, outcome: "succeeded", tally: counted({ misses: targets }), lost: null, recordedBy: "daemon" },
    });
    const [start, end] = [Date.parse(none.record.startedAt), Date.parse(none.record.endedAt ?? "")];
    expect(start).toBeGreaterThanOrEqual(before - 50);
    expect(end).toBeLessThanOrEqual(Date.now());
    expect(none.record.wallMs).toBe(end - start);

    await clean();
    const all = await recordOf(["build", "//:all"]);
    expect(all.ran.processes).toEqual({ hits: targets, total: targets });
    expect(all.record).toMatchObject({ outcome: "succeeded", exitCode: 0, tally: counted({ hits: targets }) });

    append('genrule(\n    name = "fresh",\n    outs = ["fresh.txt"],\n    cmd = "echo fresh > $@",\n)\n');
    await clean();
    const some = await recordOf(["build", "//:all"]);
    expect(some.record).toMatchObject({ outcome: "succeeded", tally: counted({ hits: targets, misses: 1 }) });

    const idle = await recordOf(["build", "//:all"]);
    expect(idle.record).toMatchObject({ outcome: "succeeded", exitCode: 0, tally: counted({}) });
  });

  test("info and query right behind a build take nothing away", needs, async () => {
    await clean();
    const startup = startupOptions(root).join(" ");
    const line = ["build //:all", "info bazel-bin", "query //:all"].map((words) => `${shim} ${startup} ${words}`).join(" && ");
    const [record] = await recordsOf(1, () =>
      execa("/bin/sh", ["-c", line], { cwd: workspace.dir, env: { ...stage.env }, extendEnv: false }),
    );
    expect(record).toMatchObject({ command: "build", outcome: "succeeded", tally: counted({ hits: targets, misses: 1 }) });
    // Nothing to build: as quick as it gets.
    const [null1, null2] = await recordsOf(2, () =>
      execa("/bin/sh", ["-c", `${shim} ${startup} build //:t0 && ${line}`], {
        cwd: workspace.dir,
        env: { ...stage.env },
        extendEnv: false,
      }),
    );
    for (const idle of [null1, null2]) expect(idle).toMatchObject({ outcome: "succeeded", tally: counted({}) });
  });

  test("a failed one, one that Bazel does not understand, and tests that are none", needs, async () => {
    append('genrule(\n    name = "bad",\n    outs = ["bad.txt"],\n    cmd = "exit 3",\n    tags = ["manual"],\n)\n');
    const failed = await recordOf(["build", "//:bad"]);
    expect(failed.ran.exitCode).toBe(1);
    expect(failed.record).toMatchObject({ outcome: "failed", tally: { state: "counted" } });
    const misspelt = await recordOf(["build", "--no_such_option", "//:t0"]);
    expect(misspelt.ran.exitCode).toBe(2);
    expect(misspelt.record).toMatchObject({ outcome: "failed", tally: { state: "unknown" } });
    const none = await recordOf(["test", "//:t0"]);
    expect(none.ran.exitCode).toBe(4);
    expect(none.record).toMatchObject({ command: "test", outcome: "failed", exitCode: 4, tally: counted({}) });
  });

  test("an IDE's own build event files are complete, and its build is counted", needs, async () => {
    await clean();
    const [json, binary] = [join(root, "events.json"), join(root, "events.bin")];
    const { record } = await recordOf(["build", `--build_event_json_file=${json}`, `--build_event_binary_file=${binary}`, "//:all"]);
    expect(record).toMatchObject({ outcome: "succeeded", tally: counted({ hits: targets, misses: 1 }) });
    const events = readFileSync(json, "utf8")
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line) as { lastMessage?: boolean });
    expect(events.at(-1)?.lastMessage).toBe(true);
    expect(readFileSync(binary).length).toBeGreaterThan(1_000);
  });

  test("a disk cache's hits are not believed to be the shared cache's, unless it was taken away", needs, async () => {
    const rc = join(workspace.dir, ".bazelrc");
    onTestFinished(() => rmSync(rc));
    writeFileSync(rc, `build:local --disk_cache=${join(root, "disk")}\nbuild --config=local\n`);
    await clean();
    // It is filled only where the shared cache may be.
    const filled = await recordOf(["build", "//:fresh"], { upload: true });
    expect(filled.record.tally).toEqual(counted({ misses: 1 }));
    await clean();
    const answered = await recordOf(["build", "//:fresh"]);
    expect(answered.ran.processes).toEqual({ hits: 1, total: 1 });
    expect(answered.record.tally).toEqual(
      counted({ hits: 1 }, expect.stringMatching(/^a disk cache answered too, and .* does not tell its hits from the shared cache's$/)),
    );
    await clean();
    const cleared = await recordOf(["build", "--disk_cache=", "//:t0"]);
    expect(cleared.record.tally).toEqual(counted({ hits: 1 }));
  });

  test("two builds that queue for one output base are told apart, and so are equal ones", needs, async () => {
    const held = gate("queued");
    append(held.rule);
    await clean();
    const first = run(["build", "//:queued"]);
    await held.reached();
    const second = run(["build", "//:t0", "//:t1"]);
    await statusWhen(stage, "both run", (status) => status.running.length === 2);
    const records = await recordsOf(2, async () => {
      held.open();
      await Promise.all([first, second]);
    });
    expect(records.map(({ tally }) => tally)).toEqual([counted({ misses: 1 }), counted({ hits: 2 })]);

    const again = gate("equal");
    append(again.rule);
    const equal = [run(["build", "//:equal"])];
    await again.reached();
    equal.push(run(["build", "//:equal"]));
    await statusWhen(stage, "both run", (status) => status.running.length === 2);
    const pair = await recordsOf(2, async () => {
      again.open();
      await Promise.all(equal);
    });
    // The second one had nothing to do, and came so soon behind the first that either may stay untold; neither is told wrongly.
    for (const [index, counts] of [{ misses: 1 }, {}].entries()) {
      if (pair[index]?.tally.state === "counted") expect(pair[index].tally).toEqual(counted(counts));
    }
  });

  test("an interrupted one", needs, async () => {
    const held = gate("slow");
    append(held.rule);
    const child = spawn(shim, [...startupOptions(root), "build", "//:slow"], { cwd: workspace.dir, env: stage.env, stdio: "ignore" });
    await held.reached();
    const [record] = await recordsOf(1, async () => {
      child.kill("SIGINT");
      expect(await once(child, "exit")).toEqual([8, null]);
    });
    expect(record).toMatchObject({ outcome: "interrupted", exitCode: 8, tally: { state: "counted" } });
    held.open();
  });

  test("the daemon killed in the middle: the next one follows what runs, and records what ended meanwhile", needs, async () => {
    const kill = async (): Promise<void> => {
      const pid = (await daemonOf(stage).status("default")).daemon?.pid ?? 0;
      process.kill(pid, "SIGKILL");
      while (existsSync(`/proc/${pid}`)) await pause(10);
    };
    const [through, meanwhile] = [gate("through"), gate("meanwhile")];
    append(through.rule + meanwhile.rule);
    const living = run(["build", "//:through"]);
    await through.reached();
    await kill();
    expect((await stage.flywheel(["up"])).exitCode).toBe(0);
    await statusWhen(stage, "followed", (status) => status.running.length === 1);
    const [followed] = await recordsOf(1, async () => {
      through.open();
      await living;
    });
    expect(followed).toMatchObject({ outcome: "succeeded", exitCode: 0, tally: counted({ misses: 1 }) });

    const dying = run(["build", "//:meanwhile"]);
    await meanwhile.reached();
    await kill();
    meanwhile.open();
    await dying;
    const ended = Date.now();
    expect((await stage.flywheel(["up"])).exitCode).toBe(0);
    // The journal has what the dead daemon recorded: the newest is what ended while there was none.
    const { recent } = await statusWhen(stage, "recorded", (status) => status.recent[0]?.id !== followed?.id);
    expect(recent[0]).toMatchObject({ command: "build", outcome: "succeeded", exitCode: 0, tally: counted({ misses: 1 }) });
    expect(Date.parse(recent[0]?.endedAt ?? "")).toBeLessThanOrEqual(ended);
    // Once: the next daemon finds no mark of it.
    await kill();
    await stage.flywheel(["up"]);
    expect((await daemonOf(stage).status("default")).recent).toEqual(recent);
  });

  test("the cache killed in the middle: told at once, and recorded", needs, async () => {
    await using dying = await startCache({ kind: "grpc" });
    await using other = await attachedStage(dying.port);
    const held = gate("orphaned");
    append(held.rule);
    await clean();
    const building = run(["build", "//:orphaned", "//:t0"], { on: other });
    await held.reached();
    await dying.kill();
    const { running } = await statusWhen(other, "lost", (status) => status.running.some(({ lost }) => lost !== null));
    expect(running).toMatchObject([{ command: "build", endpoint: dying.url, lost: expect.stringMatching(/^connect: .*refused/) }]);
    expect((await other.flywheel(["status"])).stdout).toMatch(/lost mid-build/);
    const [record] = await recordsOf(
      1,
      async () => {
        held.open();
        await building;
      },
      other,
    );
    expect(record).toMatchObject({ lost: { at: expect.stringMatching(/^\d{4}-/), reason: expect.stringMatching(/^connect: /) } });
    expect((await other.flywheel(["logs"])).stdout).toMatch(/bazel build in .*: lost mid-build grpc:/);
  });

  test("whoever asks right behind a build is told of it", needs, async () => {
    await clean();
    const { record } = await recordOf(["build", "//:t0"]);
    expect((await run(["build", "//:t0", "//:t1"])).exitCode).toBe(0);
    const { recent } = await daemonOf(stage).recorded("default");
    expect(recent[0]).toMatchObject({ command: "build", outcome: "succeeded" });
    expect(recent[1]).toEqual(record);
    expect((await run(["build", "//:t2"])).exitCode).toBe(0);
    const { stdout } = await stage.flywheel(["history", "--builds", "--json"]);
    const ids = (JSON.parse(stdout) as { readonly entries: readonly Invocation[] }).entries.map(({ id }) => id);
    expect(ids.slice(1, 3)).toEqual([recent[0]?.id, record.id]);
    // Where nothing just ended, nobody waits.
    const begun = performance.now();
    await daemonOf(stage).recorded("default");
    expect(performance.now() - begun).toBeLessThan(300);
  });

  test("two workspaces at once, one of them with its output base from its rc", needs, async () => {
    const rc = ["--host_jvm_args=-XX:TieredStopAtLevel=1", "--max_idle_secs=120"].map((option) => `startup ${option}\n`).join("");
    const second = makeWorkspace(join(root, "second"), {
      ...{ targets: 3, seed: workspace.seed },
      rc: `startup --output_user_root=${root}\nstartup --output_base=${join(root, "rc-base")}\n${rc}`,
    });
    await clean();
    const bare = (dir: string): Promise<unknown> => execa(shim, ["build", "//:all"], { cwd: dir, env: { ...stage.env }, extendEnv: false });
    const records = await recordsOf(2, () => Promise.all([run(["build", "//:t0"]), bare(second.dir)]));
    const of = (dir: string): Tally | undefined => records.find((record) => record.workspace === dir)?.tally;
    expect(of(workspace.dir)).toEqual(counted({ hits: 1 }));
    expect(of(second.dir)).toEqual(counted({ hits: 3 }));
    // And by default, below the output user root.
    const third = makeWorkspace(join(root, "third"), { targets: 2, seed: workspace.seed, rc: `startup --output_user_root=${root}\n${rc}` });
    const [byDefault] = await recordsOf(1, () => bare(third.dir));
    expect(byDefault).toMatchObject({ workspace: third.dir, outcome: "succeeded", tally: counted({ hits: 2 }) });
  });

  test("without a command.log nothing is told", needs, async () => {
    const { record, ran } = await recordOf(["build", "//:t0"], { startup: ["--nowrite_command_log"] });
    expect(ran.exitCode, ran.stderr).toBe(0);
    expect(record.tally).toEqual({ state: "unknown", why: "Bazel's command.log is not there (--nowrite_command_log?)" });
    expect(record).toMatchObject({ outcome: "unknown", exitCode: null, endedAt: expect.any(String) });
  });

  test("a storm of builds, queries and infos on one output base: each is told as it told its caller, or not at all", needs, async () => {
    const truth = new Map<number, { readonly exitCode: number | null; readonly processes: Processes | undefined }>();
    const seen = new Map<string, Invocation>();
    const stop = new AbortController();
    const watching = (async () => {
      for await (const { recent } of daemonOf(stage).watch("default", stop.signal)) for (const one of recent) seen.set(one.id, one);
    })();
    const call = async (args: readonly string[]): Promise<void> => {
      const child = spawn(shim, [...startupOptions(root), ...args], {
        cwd: workspace.dir,
        env: stage.env,
        stdio: ["ignore", "ignore", "pipe"],
      });
      let stderr = "";
      child.stderr.setEncoding("utf8").on("data", (text: string) => {
        stderr += text;
      });
      const [exitCode] = (await once(child, "close")) as [number | null];
      if (args[0] === "build") truth.set(child.pid ?? 0, { exitCode, processes: parseProcesses(stderr) });
    };
    const loop = async (calls: readonly (readonly string[])[]): Promise<void> => {
      for (const args of calls) await call(args);
    };
    const build = (index: number): readonly string[] => ["build", `//:t${index % targets}`, `//:t${(index + 1) % targets}`];
    // No more builds than a status tells of at once: they may all be told in one moment.
    await Promise.all([
      loop([["clean"], build(0), build(1), ["clean"], build(0)]),
      loop([build(1), ["info", "bazel-bin"], build(2), ["query", "//:all"], ["build", "//:bad"]]),
      loop([build(3), ["build", "//:t0"], ["info", "release"]]),
    ]);
    expect(truth.size).toBeLessThanOrEqual(mostRecent);
    // What two of them left at once is told apart when the next one has its turn, or not at all.
    await call(["info", "release"]);
    const isSeen = (pid: number): boolean => [...seen.keys()].some((id) => id.includes(`:${pid}:`));
    await statusWhen(stage, "all are recorded", () => [...truth.keys()].every(isSeen), 40_000);
    stop.abort();
    await watching;
    let told = 0;
    for (const [pid, { exitCode, processes }] of truth) {
      const record = [...seen.values()].find(({ id }) => id.includes(`:${pid}:`));
      if (record?.tally.state !== "counted") continue;
      told += 1;
      const { hits, misses } = record.tally.counts;
      expect({ hits, total: hits + misses }, JSON.stringify(record)).toEqual(processes);
      expect(record.outcome === "succeeded").toBe(exitCode === 0);
    }
    expect(told, JSON.stringify([...seen.values()].map(({ tally }) => tally))).toBeGreaterThanOrEqual(truth.size / 2);
  });

  test("a real bazel-remote: all hits", bazelRemotePeer.available ? needs : { skip: true }, async () => {
    if (!bazelRemotePeer.available) return;
    await using remote = await startBazelRemote(bazelRemotePeer.path);
    await using other = await attachedStage(Number(new URL(remote.grpcUrl.replace(/^grpc/, "http")).port));
    await clean();
    const filled = await recordOf(["build", "//:t0", "//:t1"], { on: other, upload: true });
    expect(filled.record.tally).toEqual(counted({ misses: 2 }));
    await clean();
    const all = await recordOf(["build", "//:t0", "//:t1"], { on: other });
    expect(all.record).toMatchObject({ endpoint: remote.grpcUrl, tally: counted({ hits: 2 }) });
  });
});
