/** Kept warm: a standby that takes over without a handshake, a cache that comes and goes, and commands that run. */
import { execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { afterEach, beforeEach, describe, expect, onTestFinished, test } from "vitest";
import type { CandidateReport, StatusReport } from "../../contract/api.ts";
import { type Home, makeHome } from "../daemon/home.ts";
import { type RunningCache, startCache } from "../fixtures/caches/start.ts";
import { bazel, daemonOf, expectAttachedTo, statusWhen } from "../fixtures/guarded.ts";
import { type LocalApi, startLocalApi, type TailnetInWords, tailnetState } from "../fixtures/localapi/state.ts";
import { built, makeStage, type Stage } from "../fixtures/stage.ts";
import { recordingTool } from "../fixtures/tools/recording.ts";

const tag = "tag:bazel-cache";
const near = { name: "near", addresses: ["127.0.0.2"], tags: [tag] };
const far = { name: "far", addresses: ["127.0.0.3"], tags: [tag] };
const both: TailnetInWords = { nodes: [near, far] };

describe("with two caches", () => {
  let home: Home;
  let localApi: LocalApi;
  const caches: RunningCache[] = [];

  beforeEach(async () => {
    home = makeHome();
    localApi = await startLocalApi(home.dir, tailnetState(both));
  });
  afterEach(async () => {
    await home.client.stop().catch(() => undefined);
    await Promise.all([localApi.stop(), ...caches.splice(0).map((cache) => cache.dispose())]);
    await home[Symbol.asyncDispose]();
  });

  async function cacheAt(kind: "grpc" | "http", node: { readonly addresses: readonly string[] }, port = 0): Promise<RunningCache> {
    const cache = await startCache({ kind, host: node.addresses[0] ?? "", port });
    caches.push(cache);
    return cache;
  }

  function lookFor(ports: { readonly grpc?: number; readonly http?: number }): void {
    const list = (port: number | undefined): string => (port === undefined ? "[]" : `[${port}]`);
    home.configure(
      "profiles/default.toml",
      `[tailnet]\nname = "stand-in.example"\n[bazel]\ngrpc_ports = ${list(ports.grpc)}\nhttp_ports = ${list(ports.http)}\n`,
    );
  }

  const candidate = (status: StatusReport, cache: RunningCache): CandidateReport | undefined =>
    status.candidates.find((one) => one.endpoint === cache.url);

  test("failover to the standby makes no new connection, and every candidate says why it is not the one", async () => {
    const first = await cacheAt("grpc", near);
    const second = await cacheAt("grpc", far, first.port);
    lookFor({ grpc: first.port });
    await home.started();
    const before = await home.until((status) => status.bazel.state === "attached" && status.candidates.some((one) => one.standby));
    const [attached, standby] = before.bazel.endpoint === first.url ? [first, second] : [second, first];
    expect(candidate(before, attached)).toMatchObject({ attached: true, standby: false, why: null, since: expect.any(String) });
    expect(candidate(before, standby)).toMatchObject({
      attached: false,
      standby: true,
      why: expect.stringMatching(
        /^as good as the attached one, which stays \(it is (?:not clearly|too early to tell whether it is) faster: [\d.]+ ms against [\d.]+ ms\)$/,
      ),
    });
    // Both are proved with a renewal, on the connections that they have.
    const connections = standby.connections();
    const proved = candidate(before, standby)?.provedAt ?? "";
    await home.client.verify("default");
    await home.until((status) => (candidate(status, standby)?.provedAt ?? "") > proved);
    expect(standby.connections()).toBe(connections);

    await attached.kill();
    const after = await home.until((status) => status.bazel.endpoint === standby.url);
    expect(standby.connections()).toBe(connections);
    expect(Date.parse(after.bazel.since ?? "")).toBeGreaterThan(Date.parse(before.bazel.since ?? ""));
    expect(candidate(after, attached)?.why).toMatch(/^(down|failed its last proof,) at connect since \d{4}-\d\d-\d\d \d\d:\d\d:\d\d$/);
    const detached = await home.client.detach("default");
    expect(detached.candidates.map((one) => one.why)).toEqual(["detached", "detached"]);
  });

  test("of two protocols the standby says so", async () => {
    const grpc = await cacheAt("grpc", near);
    const http = await cacheAt("http", far);
    lookFor({ grpc: grpc.port, http: http.port });
    await home.started();
    const status = await home.until((one) => one.bazel.endpoint === grpc.url && candidate(one, http)?.standby === true);
    expect(candidate(status, http)?.why).toBe("HTTP, and the attached one speaks gRPC");
  });

  // A renewal is due every 15 s and comes on top: so the flapping has to outlast one.
  test.each(["grpc", "http"] as const)(
    "a %s cache that is up 2 s and down 2 s causes one switch, away",
    { timeout: 60_000 },
    async (kind) => {
      // Equals, but for the name: whichever is attached is the one that flaps.
      const first = await cacheAt(kind, near);
      const second = await cacheAt(kind, far, first.port);
      lookFor({ [kind]: first.port });
      await home.started();
      const { bazel: before } = await home.until(
        (status) => status.bazel.state === "attached" && status.candidates.some((one) => one.standby),
      );
      const [flapping, steady] = before.endpoint === first.url ? [first, second] : [second, first];

      const stop = new AbortController();
      const endpoints = [before.endpoint];
      const watching = (async () => {
        for await (const { bazel: now } of home.client.watch("default", stop.signal)) {
          if (now.endpoint !== null && now.endpoint !== endpoints.at(-1)) endpoints.push(now.endpoint);
        }
      })();
      for (let round = 0; round < 5; round += 1) {
        await flapping.kill();
        if (round === 1) await home.client.verify("default");
        await pause(2_000);
        await flapping.restart();
        // Whoever asks must not make it come back either.
        if (round > 1) await home.client.reload();
        await pause(2_000);
      }
      stop.abort();
      await watching;
      expect(endpoints).toEqual([flapping.url, steady.url]);
      const now = await home.client.status("default");
      expect(candidate(now, flapping)?.why).toMatch(
        /^recovering: it failed (lately|\d+ times lately), and must pass for another \d+ (s|min)$/,
      );
    },
  );
});

describe("on a stage", () => {
  let root: string;
  let stage: Stage;
  let cache: RunningCache;

  beforeEach(async () => {
    root = mkdtempSync(join(tmpdir(), "gf-warm-"));
    cache = await startCache({ kind: "grpc" });
  });
  afterEach(async () => {
    await stage.dispose();
    await cache.dispose();
    rmSync(root, { recursive: true, force: true });
  });

  async function stageWith(tools: string): Promise<void> {
    const nodes = [{ name: "cache", addresses: ["127.0.0.1"], tags: [tag] }];
    stage = await makeStage([tools], { grpcPorts: [cache.port], httpPorts: [], tailnet: { nodes } });
    await stage.flywheel(["up"]);
  }

  test("with only the one that comes and goes, the state follows it, and no command is refused once it is back", {
    timeout: 60_000,
  }, async () => {
    const tool = recordingTool(join(root, "tools"));
    await stageWith(tool.directory);
    for (let round = 0; round < 3; round += 1) {
      await statusWhen(stage, "attached", (status) => status.bazel.state === "attached");
      await cache.kill();
      await statusWhen(stage, "unattached", (status) => status.bazel.state === "unattached");
      expect((await bazel(stage, ["build", "//x"])).exitCode).toBe(78);
      await pause(1_500);
      await cache.restart();
      // Before the daemon's own next look, as like as not.
      tool.forget();
      expectAttachedTo(await bazel(stage, ["build", "//x"]), tool, cache.url);
    }
    const restarted = performance.now();
    await statusWhen(stage, "attached", (status) => status.bazel.state === "attached");
    expect(performance.now() - restarted).toBeLessThan(3_000);
  });

  test("a running command is shown, has the cache proved every 5 s, and at once when it ends", { timeout: 60_000 }, async () => {
    const tools = join(root, "tools");
    const lock = join(root, "lock");
    mkdirSync(tools);
    execFileSync("mkfifo", [lock]);
    // It runs until somebody opens the other end.
    writeFileSync(join(tools, "bazel"), `#!/bin/sh\nread _ <'${lock}'\n`);
    chmodSync(join(tools, "bazel"), 0o755);
    await stageWith(tools);
    await statusWhen(stage, "attached", (status) => status.bazel.state === "attached");
    const running = spawn(join(built.shim, "bazel"), ["test", "//x"], { env: stage.env, cwd: stage.env["HOME"], stdio: "ignore" });
    onTestFinished(() => void running.kill("SIGKILL"));
    const exited = once(running, "exit");
    const { running: shown } = await statusWhen(stage, "a running command", (status) => status.running.length > 0);
    expect(shown).toEqual([
      {
        pid: running.pid,
        tool: "bazel",
        command: "test",
        directory: stage.env["HOME"],
        startedAt: expect.stringMatching(/^\d{4}-/),
        endpoint: cache.url,
        lost: null,
      },
    ]);
    // Three proofs in a row, none asked for: apart by less than a renewal.
    const proofs: number[] = [];
    for await (const { bazel: now } of daemonOf(stage).watch("default", AbortSignal.timeout(20_000))) {
      const at = Date.parse(now.verifiedAt ?? "");
      if (at !== proofs.at(-1)) proofs.push(at);
      if (proofs.length === 3) break;
    }
    const [first = 0, second = 0, third = 0] = proofs;
    expect(second - first).toBeLessThan(7_000);
    expect(third - second).toBeGreaterThan(3_500);
    expect(third - second).toBeLessThan(7_000);

    const ended = Date.now();
    writeFileSync(lock, "\n");
    expect((await exited)[0]).toBe(0);
    const after = await statusWhen(
      stage,
      "proved anew",
      (status) => status.running.length === 0 && Date.parse(status.bazel.verifiedAt ?? "") > ended,
    );
    expect(Date.parse(after.bazel.verifiedAt ?? "") - ended).toBeLessThan(3_000);
    expect(after.bazel.state).toBe("attached");
  });
});
