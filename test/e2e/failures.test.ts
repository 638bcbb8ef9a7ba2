/**
 * What breaks, end to end: the cache, the daemon, the Tailscale client. Each leaves a refusal with a clear first
 * line and 78, or a build that is attached; nothing hangs (every `bazel` here is timed), and what heals is used again.
 */
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer as createHttpServer } from "node:http";
import { createServer, type Server, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { Server as GrpcServer, ServerCredentials } from "@grpc/grpc-js";
import { afterAll, beforeAll, beforeEach, describe, expect, onTestFinished, test } from "vitest";
import type { StatusReport } from "../../contract/api.ts";
import type { Rung } from "../../contract/candidate.ts";
import { startCache } from "../fixtures/caches/start.ts";
import { bazel, daemonOf, expectAttachedTo, expectRefused, longestHang, statusWhen } from "../fixtures/guarded.ts";
import { freePort } from "../fixtures/process.ts";
import { makeStage, type Ran, type Stage } from "../fixtures/stage.ts";
import { type RecordingTool, recordingTool } from "../fixtures/tools/recording.ts";

const tailnet = { nodes: [{ name: "cache", addresses: ["127.0.0.1"], tags: ["tag:bazel-cache"] }] };

let root: string;
let tool: RecordingTool;
let stage: Stage;

beforeAll(async () => {
  root = mkdtempSync(join(tmpdir(), "gf-fa-"));
  tool = recordingTool(join(root, "tools"));
  stage = await makeStage([tool.directory], { grpcPorts: [], httpPorts: [], tailnet });
  await stage.flywheel(["up"]);
});
afterAll(async () => {
  await stage.dispose();
  rmSync(root, { recursive: true, force: true });
});
beforeEach(() => tool.forget());

const build = (env: Record<string, string> = {}): Promise<Ran> => bazel(stage, ["build", "//x"], { env });

/** Has the profile look on that port alone, and the daemon know it. */
async function lookOn(protocol: "grpc" | "http", port: number): Promise<void> {
  const file = join(stage.dir, "config/profiles/default.toml");
  const ports = { grpc: protocol === "grpc" ? `[${port}]` : "[]", http: protocol === "http" ? `[${port}]` : "[]" };
  const text = readFileSync(file, "utf8")
    .replace(/grpc_ports = .*/, `grpc_ports = ${ports.grpc}`)
    .replace(/http_ports = .*/, `http_ports = ${ports.http}`);
  writeFileSync(file, text);
  await daemonOf(stage).reload();
}

const attachedTo = (url: string, timeoutMs?: number): Promise<StatusReport> =>
  statusWhen(stage, `attached to ${url}`, (status) => status.bazel.endpoint === url, timeoutMs);

function unattached(reason: RegExp, timeoutMs?: number): Promise<StatusReport> {
  const holds = ({ bazel: report }: StatusReport) => report.state === "unattached" && !report.unsettled && reason.test(report.reason ?? "");
  return statusWhen(stage, `unattached, ${reason}`, holds, timeoutMs);
}

/** A server of the test's own on a free port of 127.0.0.1; it ends with the test. */
async function listening(server: Server): Promise<number> {
  const sockets = new Set<Socket>();
  server.on("connection", (socket: Socket) => {
    sockets.add(socket);
    socket.on("error", () => {}).on("close", () => sockets.delete(socket));
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  onTestFinished(() => {
    server.close();
    for (const socket of sockets) socket.destroy();
  });
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("no TCP address");
  return address.port;
}

const silent = () => listening(createServer(() => {}));
const garbage = () => listening(createServer((socket) => socket.end("\u0000\u0001\u0002 neither this nor that \r\n\r\n")));
const webPage = () =>
  listening(
    createHttpServer((_, response) => {
      response.writeHead(200, { "content-type": "text/html" }).end("<html>Welcome</html>");
    }),
  );

async function grpcWithoutReapi(): Promise<number> {
  const server = new GrpcServer();
  const { promise, resolve, reject } = Promise.withResolvers<number>();
  server.bindAsync("127.0.0.1:0", ServerCredentials.createInsecure(), (error, port) => (error === null ? resolve(port) : reject(error)));
  onTestFinished(() => server.forceShutdown());
  return promise;
}

async function denying(kind: "grpc" | "http"): Promise<number> {
  const cache = await startCache({ kind, deny: true });
  onTestFinished(() => cache.dispose());
  return cache.port;
}

async function plainCache(kind: "grpc" | "http"): Promise<number> {
  const cache = await startCache({ kind });
  onTestFinished(() => cache.dispose());
  return cache.port;
}

interface CacheFault {
  readonly what: string;
  readonly protocol: "grpc" | "http";
  readonly start: () => Promise<number>;
  readonly rung: Rung;
  readonly reason: RegExp;
}

const cacheFaults: readonly CacheFault[] = [
  {
    what: "down",
    protocol: "grpc",
    start: freePort,
    rung: "connect",
    reason: /nothing listens on 127\.0\.0\.1:\d+ \(connection refused\)/,
  },
  {
    what: "down",
    protocol: "http",
    start: freePort,
    rung: "connect",
    reason: /nothing listens on 127\.0\.0\.1:\d+ \(connection refused\)/,
  },
  { what: "hanging", protocol: "grpc", start: silent, rung: "handshake", reason: /accepted the connection and did not answer within 2 s/ },
  { what: "hanging", protocol: "http", start: silent, rung: "handshake", reason: /accepted the connection and did not answer within 2 s/ },
  { what: "answering garbage", protocol: "grpc", start: garbage, rung: "handshake", reason: /127\.0\.0\.1:\d+ / },
  { what: "answering garbage", protocol: "http", start: garbage, rung: "handshake", reason: /127\.0\.0\.1:\d+ / },
  { what: "an HTTP cache", protocol: "grpc", start: () => plainCache("http"), rung: "handshake", reason: /HTTP/ },
  { what: "a gRPC cache", protocol: "http", start: () => plainCache("grpc"), rung: "handshake", reason: /127\.0\.0\.1:\d+ / },
  { what: "gRPC without the Remote Execution API", protocol: "grpc", start: grpcWithoutReapi, rung: "capabilities", reason: /gRPC/ },
  { what: "a web page for everything", protocol: "http", start: webPage, rung: "capabilities", reason: /200|web page|HTML/i },
  {
    what: "refusing with PERMISSION_DENIED",
    protocol: "grpc",
    start: () => denying("grpc"),
    rung: "authority",
    reason: /PERMISSION_DENIED/,
  },
  { what: "refusing with 403", protocol: "http", start: () => denying("http"), rung: "authority", reason: /403/ },
];

test.each(cacheFaults)("the $protocol cache is $what: refused at $rung", async ({ protocol, start, rung, reason }) => {
  const port = await start();
  await lookOn(protocol, port);
  const shown = new RegExp(`${port}.*`);
  const status = await unattached(shown);
  expect(status.bazel).toMatchObject({ rung, endpoint: null });
  expect(status.bazel.reason).toMatch(reason);
  expect(status).toMatchObject({ profileState: "unattached", mode: "compatibility-local-only" });
  const run = await build();
  expectRefused(run, tool, reason);
  expect(run.stderr).toContain(`  tried: ${protocol}://127.0.0.1:${port} (peer cache.tail0ffee.ts.net): ${rung}: `);
  expect(run.stderr).toContain("  next: flywheel status\n");
  expect(run.stderr).toContain('  next: flywheel compat --reason "…" -- bazel build //x');
  const up = await stage.flywheel(["up"]);
  expect(up.exitCode).toBe(3);
  expect(up.stdout).toMatch(reason);
});

test("the attached cache dies, and comes back", { timeout: 90_000 }, async () => {
  await using cache = await startCache({ kind: "grpc" });
  await lookOn("grpc", cache.port);
  await attachedTo(cache.url);
  expectAttachedTo(await build(), tool, cache.url);
  await cache.kill();
  // A renewal is due every 15 s, and a ladder has 2 s.
  const dead = await unattached(/nothing listens/, 20_000);
  expect(dead.bazel).toMatchObject({ rung: "connect", verifiedAt: expect.stringMatching(/^\d{4}-/), proofAgeS: expect.any(Number) });
  tool.forget();
  expectRefused(await build(), tool, /nothing listens on 127\.0\.0\.1:\d+ \(connection refused\)/);
  const said = await stage.flywheel(["status"]);
  expect(said.exitCode).toBe(3);
  expect(said.stdout).toMatch(/unattached {2}connect: nothing listens.*\n.*last proved \d+ s ago/);
  await cache.restart();
  await attachedTo(cache.url, 20_000);
  expectAttachedTo(await build(), tool, cache.url);
});

describe("the daemon", () => {
  let url: string;
  let stop: () => Promise<void>;
  beforeAll(async () => {
    const cache = await startCache({ kind: "grpc" });
    url = cache.url;
    stop = () => cache.dispose();
    await lookOn("grpc", cache.port);
  });
  afterAll(() => stop());
  beforeEach(async () => {
    await stage.tailnet(tailnet);
    await stage.flywheel(["up"]);
    await attachedTo(url);
  });

  const published = (): string => join(stage.dir, "run/attachment/default/bazel");
  async function daemonPid(): Promise<number> {
    return (await daemonOf(stage).hello()).pid;
  }

  /** As if a minute had passed since the daemon wrote its last word. */
  function endLease(): void {
    const text = readFileSync(published(), "utf8");
    const earlier = (_: string, key: string, seconds: string) => `${key} ${Number(seconds) - 60}`;
    writeFileSync(published(), text.replaceAll(/^(verified|valid-until) (\d+)$/gm, earlier));
  }

  async function killed(): Promise<number> {
    const pid = await daemonPid();
    process.kill(pid, "SIGKILL");
    // It is no child of ours: that it is gone can only be asked.
    while (isAlive(pid)) await pause(5);
    return pid;
  }

  test("killed with SIGKILL: its word is believed no longer than its lease; the guard starts another and decides rightly", async () => {
    const pid = await killed();
    // Proved less than 45 s ago: that still holds, without a daemon.
    expectAttachedTo(await build(), tool, url);
    expect((await stage.flywheel(["status", "--json"])).exitCode).toBe(0);
    await expect(daemonPid()).rejects.toMatchObject({ code: "daemon-unreachable" });
    endLease();
    tool.forget();
    expectAttachedTo(await build(), tool, url);
    expect(await daemonPid()).not.toBe(pid);
  });

  test("… and in CI, where the guard starts none: not believed, and refused", async () => {
    await killed();
    endLease();
    const run = await build({ CI: "true" });
    expectRefused(run, tool, /no shared cache is attached: CI is set, so no daemon is started/);
    expect(run.stderr).toContain("next: set BAZEL_REMOTE_CACHE");
    const status = await stage.flywheel(["status"]);
    expect(status.exitCode).toBe(3);
    expect(status.stdout).toMatch(/its lease ended \d+ s ago/);
    await expect(daemonPid()).rejects.toMatchObject({ code: "daemon-unreachable" });
  });

  test("stopped with SIGSTOP: not believed once its lease is over, and no hang; SIGCONT heals", { timeout: 60_000 }, async () => {
    const pid = await daemonPid();
    process.kill(pid, "SIGSTOP");
    try {
      endLease();
      const run = await build();
      expectRefused(run, tool, /no shared cache is attached: the daemon does not answer: it is stopped, or hangs/);
      expect(run.stderr).toMatch(/next: kill -CONT \d+ {3}\(or: kill \d+\)/);
      expectRefused(await build({ CI: "1" }), tool, /no shared cache is attached: the daemon does not answer/);
      const started = performance.now();
      for (const command of ["status", "env"]) expect((await stage.flywheel([command])).exitCode).toBe(command === "env" ? 0 : 3);
      expect((await stage.flywheel(["up"])).exitCode).toBe(1);
      expect(performance.now() - started).toBeLessThan(2 * longestHang);
      const compat = await stage.flywheel(["compat", "--reason", "the daemon hangs", "--", "bazel", "build", "//x"]);
      expect(compat.exitCode, compat.stderr).toBe(0);
      expect(tool.words()).toEqual(["build", "//x"]);
    } finally {
      process.kill(pid, "SIGCONT");
    }
    tool.forget();
    await attachedTo(url);
    expectAttachedTo(await build(), tool, url);
    expect(await daemonPid()).toBe(pid);
  });

  describe("without a Tailscale client that answers", () => {
    test.each([
      { fault: "403", reason: /denied|403|not allowed/i },
      { fault: "hang", reason: /does not answer in time/ },
      { fault: "garbage", reason: /tailscaled\.sock/ },
      { fault: "endless", reason: /the Tailscale client's answer is longer than/ },
    ] as const)("LocalAPI: $fault", { timeout: 90_000 }, async ({ fault, reason }) => {
      await stage.tailnet({ ...tailnet, fault });
      const status = await unattached(reason, 20_000);
      expect(status.tailnet).toMatchObject({ name: null, trusted: false });
      expectRefused(await build(), tool, reason);
      // And a daemon that is only being started.
      await stage.down();
      expectRefused(await build(), tool, /no shared cache is attached/);
      await unattached(reason, 20_000);
      await stage.tailnet(tailnet);
      await attachedTo(url, 20_000);
      expectAttachedTo(await build(), tool, url);
    });

    test("no socket", async () => {
      await stage.down();
      const env = { GF_TAILSCALED_SOCKET: join(stage.dir, "nobody.sock") };
      const run = await build(env);
      expectRefused(run, tool, /nobody\.sock/);
      const status = await unattached(/nobody\.sock/);
      expect(status.tailnet).toMatchObject({ name: null, trusted: false, systemSocket: false });
      await stage.down();
      // What an operator names needs no tailnet.
      expectAttachedTo(await build({ ...env, BAZEL_REMOTE_CACHE: url }), tool, url);
      await stage.down();
    });
  });
});

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}
