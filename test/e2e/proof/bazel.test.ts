/**
 * The Bazel half on real Bazels and a real bazel-remote: what it proves, and everything that only looks like it. In order:
 * each test goes on with the caches that the ones before it filled.
 */
import { execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { appendFileSync, existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { execa } from "execa";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { ProofRecord } from "../../../contract/proof/record.ts";
import { realBazels } from "../../fixtures/bazel/real.ts";
import { runBazel } from "../../fixtures/bazel/run.ts";
import { bazelRemote } from "../../fixtures/bazel-remote/bazel-remote.ts";
import { peersRequired } from "../../fixtures/peers.ts";
import { built } from "../../fixtures/stage.ts";
import { type BazelMachine, makeBazelMachine } from "./bazel-machine.ts";
import { expectSchema } from "./schema.ts";

const remote = await bazelRemote();
const lacking = [remote, ...realBazels()].flatMap((peer) => (peer.available ? [] : [peer.reason]));
if (lacking.length > 0 && peersRequired()) throw new Error(lacking.join("; "));

const rulesOf = ({ reasons }: ProofRecord): readonly string[] => reasons.map(({ rule }) => rule);

describe.for(realBazels())("Bazel $version", (bazel) => {
  const needs = bazel.available && remote.available ? { timeout: 180_000 } : { skip: true };
  let machine: BazelMachine;

  beforeAll(async () => {
    if (!bazel.available || !remote.available) return;
    machine = await makeBazelMachine({ bazel: bazel.path, bazelRemote: remote.path });
    await machine.uploads("forbidden");
  }, 120_000);
  afterAll(async () => {
    if (bazel.available && remote.available) await machine[Symbol.asyncDispose]();
  });

  /** A proof that has to fail, by these rules. */
  const expectNotProved = async (rules: readonly string[], words: readonly string[] = ["//:all"], env = {}): Promise<ProofRecord> => {
    const { record, exitCode, stderr } = await machine.prove(words, env);
    expect(rulesOf(record), stderr).toEqual(rules);
    expect(exitCode).toBe(1);
    expect(record).toMatchObject({ proved: false, productEvidence: false, shown: [] });
    expectSchema(record);
    return record;
  };
  /** Below the output user root, and in the workspace: all that is the user's. Bazel unpacks itself once for all. */
  const unpacked = new Set(["install", "cache"]);
  const everything = () => ({
    root: readdirSync(machine.root)
      .filter((name) => !unpacked.has(name))
      .sort(),
    workspace: readdirSync(machine.workspace.dir).sort(),
  });

  test("hits of a disk cache are none of the shared cache's, wherever an rc names it", needs, async () => {
    const disk = join(machine.root, "disk");
    writeFileSync(join(machine.root, "imported.rc"), `build --disk_cache=${disk}\n`);
    machine.rc([
      `build --disk_cache=${disk}`,
      `build:disk --disk_cache=${disk}`,
      "build --config=disk",
      `try-import ${machine.root}/imported.rc`,
    ]);
    // Full, as a developer's is: what this Bazel would answer from it, it calls `remote cache hit`.
    const plain = {
      bazel: bazel.available ? bazel.path : "",
      workspace: machine.workspace,
      outputUserRoot: machine.root,
      env: { PATH: machine.stage.env["PATH"] },
    };
    const path = (machine.stage.env["PATH"] ?? "")
      .split(":")
      .filter((directory) => directory !== built.shim)
      .join(":");
    const run = (outputBase: string) =>
      runBazel({ ...plain, outputBase, args: ["build", "//:all", "--symlink_prefix=/"], env: { PATH: path } });
    expect((await run("users-own")).exitCode).toBe(0);
    expect((await run("faked")).processes).toEqual({ hits: 3, total: 3 });

    const before = everything();
    const record = await expectNotProved(["no-hits"], ["//:all", "--", "--config=disk"]);
    expect(record.bazel).toMatchObject({ fill: null, rebuild: { exitCode: 0, processes: { hits: 0, misses: 3 } } });
    expect(record.bazel?.flags).not.toHaveProperty("disk_cache");
    expect(record.reasons[0]?.next).toContain("let CI build these targets first");
    expect(everything()).toEqual(before);
    machine.rc([]);
  });

  test("a cache that answers a rebuild from nothing is proved, and nothing of the user's is changed", needs, async () => {
    await machine.uploads("allowed");
    // Links and an output base, as anybody's workspace has them, and files that an rc asks for.
    const events = join(machine.root, "ide.bin");
    machine.rc([`build --build_event_binary_file=${events}`, "build --noremote_accept_cached --remote_executor=grpc://127.0.0.1:1"]);
    const own = await machine.stage.flywheel(
      ["compat", "--reason", "the user's own", "--", "bazel", "build", "//:t0", "--remote_executor=", "--symlink_prefix=own-"],
      { cwd: machine.workspace.dir },
    );
    expect(own.exitCode, own.stderr).toBe(0);
    const base = join(machine.root, "users-own");
    const server = readFileSync(join(base, "server/server.pid.txt"), "utf8");
    const log = readFileSync(join(base, "command.log"), "utf8");
    const binary = readFileSync(events);
    const before = everything();
    expect(before.workspace).toContain("own-bin");

    const page = join(machine.root, "page.md");
    const { record, exitCode, stdout, stderr } = await machine.prove([
      "//:all",
      "--markdown",
      page,
      "-o",
      join(machine.root, "record.json"),
    ]);
    expect(rulesOf(record), stderr).toEqual([]);
    expect(exitCode).toBe(0);
    expectSchema(record);
    expect(record).toMatchObject({
      ...{ proved: true, productEvidence: false, parts: ["bazel"], mode: "shared-cache-backed", profileState: "local-proof", nix: null },
      machine: { os: process.platform, context: "developer-machine", runnerClass: null },
      bazel: {
        ...{ tool: "bazel", version: bazel.version === "2.1.0" ? "2.1.0" : null, targets: ["//:all"], upload: true },
        endpoint: { url: expect.stringMatching(/^grpc:\/\/<redacted>:\d+$/), source: "peer", by: "tag:bazel-cache", node: null },
        flags: { remote_accept_cached: "1", remote_upload_local_results: "false" },
        fill: { exitCode: 0, processes: { hits: 0, misses: 3 } },
        rebuild: { exitCode: 0, processes: { hits: 3, misses: 0, local: 0, remote: 0, other: 0 } },
      },
    });
    expect(record.notShown).toEqual([
      "a local proof (loopback, a port-forward) is not product evidence",
      "cache hits are not remote execution: nothing was executed elsewhere",
      "repository fetches came before the cache, which cannot help with them",
      "targets that were not named, and actions that may not be cached",
      "anything of Nix: it was not asked for",
    ]);
    expect(JSON.parse(readFileSync(join(machine.root, "record.json"), "utf8"))).toEqual(record);
    expect(readFileSync(page, "utf8")).toMatch(
      /^# Proof of bazel: proved locally \(not product evidence\)\n[\s\S]*\| rebuild \| 3 hits of 3, 0 executed/,
    );
    // Whoever reads it learns no address.
    for (const text of [stdout, readFileSync(page, "utf8")]) expect(text).not.toMatch(/127\.0\.0\.1|tail0ffee/);
    for (const file of [page, join(machine.root, "record.json")]) rmSync(file);
    expect(everything()).toEqual(before);
    expect(readFileSync(join(base, "server/server.pid.txt"), "utf8")).toBe(server);
    expect(readFileSync(join(base, "command.log"), "utf8")).toBe(log);
    expect(readFileSync(events)).toEqual(binary);
    machine.rc([]);
  });

  test("a record of CI: the same cache by another route is fine, another policy or fewer hits are not", needs, async () => {
    await machine.uploads("forbidden");
    const first = await machine.prove(["//:all"]);
    expect(first.record.proved, first.stderr).toBe(true);
    expect(first.record.bazel).toMatchObject({ fill: null, upload: false, rebuild: { processes: { hits: 3 } } });
    const file = join(machine.root, "ci.json");
    const { bazel: proved } = first.record;
    if (proved === null || proved.endpoint === null) throw new Error("it is there: it was proved");
    const elsewhere = { ...proved.endpoint, url: "grpc://<redacted>:9092", digest: "0".repeat(12), source: "operator", by: null };
    writeFileSync(file, JSON.stringify({ ...first.record, bazel: { ...proved, endpoint: elsewhere } }));
    const same = await machine.prove(["//:all", "--ci", file]);
    expect(same.exitCode, same.stdout).toBe(0);
    expectSchema(same.record);
    expect(same.record.ci?.lines.filter(({ verdict }) => verdict !== "same").map(({ what, verdict }) => [what, verdict])).toEqual([
      ["Bazel endpoint", "route"],
    ]);

    writeFileSync(file, JSON.stringify({ ...first.record, bazel: { ...proved, upload: true } }));
    const record = await expectNotProved(["drift"], ["//:all", "--ci", file]);
    expect(record.reasons[0]).toMatchObject({ part: "ci", message: "Bazel upload policy: read-only here, may fill in CI" });
    rmSync(file);
  });

  test("what a wrapper does behind the guard is seen in the build's own events", needs, async () => {
    machine.behindTheGuard(["--noremote_accept_cached"]);
    expect((await expectNotProved(["cache-not-read", "no-hits"])).bazel?.rebuild?.processes).toMatchObject({ hits: 0, misses: 3 });
    machine.behindTheGuard([`--remote_cache=${(await machine.caches()).spare.grpcUrl}`]);
    await expectNotProved(["endpoint-swapped", "no-hits"]);
    machine.behindTheGuard([`--disk_cache=${join(machine.root, "disk")}`]);
    // They are hits, and of a full disk cache.
    const faked = await expectNotProved(["disk-cache", "doubtful-hits"]);
    expect(faked.bazel?.rebuild?.processes?.hits).toBeGreaterThan(0);
    machine.behindTheGuard([]);
  });

  test("a null build, a failing one, and a claim to execute remotely prove nothing", needs, async () => {
    writeFileSync(join(machine.workspace.dir, "source.txt"), "x");
    appendFileSync(
      join(machine.workspace.dir, "BUILD.bazel"),
      `filegroup(name = "nothing", srcs = ["source.txt"])\ngenrule(name = "bad", outs = ["bad.txt"], cmd = "exit 3", tags = ["manual"])\n`,
    );
    await expectNotProved(["null-build"], ["//:nothing"]);
    await expectNotProved(["rebuild-failed"], ["//:bad"]);
    const claimed = await expectNotProved(["bazel-unattached"], ["//:t0"], { GF_BAZEL_SUBSTRATE_MODE: "executor-backed" });
    expect(claimed).toMatchObject({ mode: "shared-cache-backed", bazel: { rebuild: null } });
    expect(claimed.reasons[0]?.message).toContain("a shared cache is not remote execution");
    const escaped = await expectNotProved(["bazel-unattached"], ["//:t0"], { GF_GUARD_BYPASS: "in a hurry" });
    expect(escaped.reasons[0]?.message).toBe("GF_GUARD_BYPASS is set, and an escape runs alone");
    const detached = await expectNotProved(["bazel-unattached"], ["//:t0", "--", "--noremote_accept_cached"]);
    expect(detached.bazel).toMatchObject({ endpoint: null, rebuild: null });
  });

  test("interrupted half-way, it leaves nothing behind", needs, async () => {
    const { fifo, run } = waitingBuild(machine);
    const before = everything();
    const child = spawn(built.flywheel, ["proof", "//:wait", "--json"], {
      cwd: machine.workspace.dir,
      env: machine.stage.env,
      stdio: ["ignore", "pipe", "ignore"],
      detached: true,
    });
    let said = "";
    child.stdout.on("data", (chunk: Buffer) => {
      said += chunk.toString();
    });
    await run();
    const scratch = readdirSync(machine.root).filter((name) => name.startsWith("flywheel-proof-"));
    expect(scratch).toHaveLength(1);
    const server = Number(readFileSync(join(machine.root, scratch[0] ?? "", "rebuild/server/server.pid.txt"), "utf8"));
    const exited = once(child, "exit");
    // As a service's stop does it, to this process alone; and as a terminal does it, to all that run on it.
    const [pid, signal, code] = bazel.version === "2.1.0" ? ([1, "SIGTERM", 143] as const) : ([-1, "SIGINT", 130] as const);
    process.kill(pid * (child.pid ?? 0), signal);
    expect(await exited).toEqual([code, null]);
    expect(said).toBe("");
    expect(everything()).toEqual(before);
    expect(existsSync(`/proc/${server}`)).toBe(false);
    rmSync(fifo);
  });

  test("in CI, where nobody starts a daemon, what the runner's environment names is proved", needs, async () => {
    const { attached } = await machine.caches();
    await machine.stage.down();
    const { record, exitCode, stderr } = await machine.prove(["//:all"], { CI: "true", BAZEL_REMOTE_CACHE: attached.grpcUrl });
    expect(rulesOf(record), stderr).toEqual([]);
    expect(exitCode).toBe(0);
    expect(record).toMatchObject({
      proved: true,
      machine: { context: "ci" },
      profileState: "local-proof",
      bazel: { endpoint: { source: "operator", by: null } },
    });
    expectSchema(record);
    expect(existsSync(join(machine.stage.env["GF_RUNTIME_DIR"] ?? "", "daemon.sock"))).toBe(false);
  });

  test("an endpoint that is swapped half-way, for one that holds the same, is not what was proved", needs, async () => {
    await machine.uploads("allowed", "beside it");
    const { fifo, run } = waitingBuild(machine);
    const proof = machine.prove(["//:wait", "//:t0"]);
    await run();
    // The first build runs, attached to the one; now it dies, and the other takes its place.
    const { attached, spare } = await machine.caches();
    const published = machine.stage.published(`endpoint ${spare.grpcUrl}`, { timeoutMs: 60_000 });
    await attached.stop();
    await published;
    writeFileSync(`${fifo}.go`, "");
    const { record, exitCode, stderr } = await proof;
    expect(rulesOf(record), stderr).toContain("endpoint-swapped");
    expect(exitCode).toBe(1);
    expect(record.proved).toBe(false);
    expectSchema(record);
    // And without any attachment at all.
    await spare.stop();
    await expectNotProved(["bazel-unattached", "strict-cache"]);
  });
});

/** Adds `//:wait`, whose action says that it runs and then waits until it is let go on. */
function waitingBuild(machine: BazelMachine): { readonly fifo: string; run(): Promise<void> } {
  const fifo = join(machine.root, "fifo");
  const build = join(machine.workspace.dir, "BUILD.bazel");
  if (!readFileSync(build, "utf8").includes('"wait"')) {
    const waits = `test -e ${fifo}.go || echo runs > ${fifo}; while ! test -e ${fifo}.go; do sleep 0.1; done; touch $@`;
    appendFileSync(build, `genrule(name = "wait", outs = ["wait.txt"], local = 1, tags = ["manual"], cmd = "${waits}")\n`);
  }
  execFileSync("mkfifo", [fifo]);
  return {
    fifo,
    // Opened by the action: then it runs.
    run: async () => void (await execa("cat", [fifo], { timeout: 60_000 })),
  };
}
