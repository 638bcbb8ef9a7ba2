/** How a daemon ends: told to, because nobody needs it, and behind a socket that is not its own. */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { chmodSync, existsSync, mkdirSync, readFileSync, rmSync, statSync } from "node:fs";
import { createServer, type Server, type Socket } from "node:net";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { setTimeout as delay } from "node:timers/promises";
import { afterEach, beforeEach, describe, expect, onTestFinished, test } from "vitest";
import type { StartResult, StatusReport } from "../../contract/api.ts";
import { attachmentPath, logPath, socketPath } from "../../contract/paths.ts";
import { ensureDaemon } from "../../daemon/api/client/autostart.ts";
import { programOnPath, required } from "../fixtures/peers.ts";
import { alive, entry, gone, type Home, makeHome, nodeFlags, standInConfig } from "./home.ts";

let home: Home;
beforeEach(() => {
  home = makeHome();
});
afterEach(() => home[Symbol.asyncDispose]());

const environment = (): Record<string, string> => ({
  HOME: home.dir,
  PATH: "/usr/bin:/bin",
  GF_RUNTIME_DIR: home.paths.runtime,
  GF_CONFIG_DIR: home.paths.config,
  GF_STATE_DIR: home.paths.state,
});

/** The last `stopping: …` of the log. */
function lastWords(): string | undefined {
  const log = readFileSync(logPath(home.paths), "utf8").trim().split("\n");
  return log.map((line) => String(JSON.parse(line).msg)).findLast((message) => message.startsWith("stopping: "));
}

/** A cache that accepts and says nothing: a probe of it takes its two seconds. */
async function silentCache(): Promise<Server> {
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on("error", () => {}).on("close", () => sockets.delete(socket));
  }).listen(0, "127.0.0.1");
  await once(server, "listening");
  onTestFinished(() => {
    server.close();
    for (const socket of sockets) socket.destroy();
  });
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("no TCP address");
  home.configure("config.toml", `${standInConfig(join(home.dir, "tailscaled.sock"))}bazel = ["grpc://127.0.0.1:${address.port}"]\n`);
  return server;
}

test("SIGTERM drains: an answer in flight is given, watches end in order, what was published is withdrawn, within two seconds", async () => {
  const cache = await silentCache();
  const probed = once(cache, "connection");
  const pid = await home.started();
  const watching = home.client.watch("default");
  expect((await watching.next()).value?.profile).toBe("default");
  await probed;
  const verifying = home.client.verify("default");
  // Answered after the question before it was read.
  await home.client.hello();
  const from = performance.now();
  process.kill(pid, "SIGTERM");
  expect(await verifying).toMatchObject({ profile: "default", bazel: { state: "unattached" } });
  const rest: StatusReport[] = [];
  for await (const status of watching) rest.push(status);
  await gone(pid);
  expect(performance.now() - from).toBeLessThan(3_000);
  expect(rest.every((status) => status.bazel.state === "unattached")).toBe(true);
  expect([existsSync(socketPath(home.paths)), existsSync(attachmentPath(home.paths, "default", "bazel"))]).toEqual([false, false]);
  expect(existsSync(join(home.paths.runtime, "daemon.pid"))).toBe(false);
  expect(lastWords()).toBe("stopping: SIGTERM");
});

describe("idle exit", () => {
  /** Long enough for a loaded machine to ask within it; config.toml has whole minutes. */
  const span = 1_500;

  /** Runs the daemon with a span of milliseconds, which only its own code can be given. */
  async function startIdle(idleMs: number | undefined): Promise<{ readonly child: ChildProcess; readonly exited: Promise<unknown[]> }> {
    const script = `
      const { run } = await import(${JSON.stringify(join(import.meta.dirname, "../../daemon/run.ts"))});
      const say = (result) => console.log(JSON.stringify(result));
      process.exitCode = await run(${JSON.stringify(home.paths)}, process.env, say, ${JSON.stringify({ startedBy: "flywheel", idleMs })});
      process.exit();`;
    const child = spawn(process.execPath, [...nodeFlags, "--input-type=module", "-e", script], {
      env: environment(),
      stdio: ["ignore", "pipe", "inherit"],
    });
    const exited = once(child, "exit");
    onTestFinished(() => void child.kill("SIGKILL"));
    const [line] = await once(createInterface({ input: child.stdout }), "line");
    const result: StartResult = JSON.parse(line);
    expect(result.result).toBe("started");
    return { child, exited };
  }

  test("a daemon that nobody asks ends, and takes back what it published", async () => {
    const { exited } = await startIdle(span);
    await home.until((status) => !status.bazel.unsettled);
    expect(existsSync(attachmentPath(home.paths, "default", "bazel"))).toBe(true);
    expect(await exited).toEqual([0, null]);
    expect(lastWords()).toMatch(/^stopping: nobody asked anything for \d s$/);
    expect([existsSync(socketPath(home.paths)), existsSync(attachmentPath(home.paths, "default", "bazel"))]).toEqual([false, false]);
  });

  test("a watch that is open, and a question within the span, keep it", async () => {
    const { child, exited } = await startIdle(span);
    const stop = new AbortController();
    const watching = home.client.watch("default", stop.signal);
    await watching.next();
    // That nothing happens can only be waited for.
    await delay(2 * span);
    expect(child.exitCode).toBeNull();
    await home.client.hello();
    stop.abort();
    await watching.next();
    for (let asked = 0; asked < 4; asked += 1) {
      await delay(span / 2);
      await home.client.hello();
    }
    expect(await exited).toEqual([0, null]);
  });

  test("idle exit during a build (sccache #904): never while a guarded command runs", async () => {
    const { child, exited } = await startIdle(span);
    await home.until((status) => !status.bazel.unsettled);
    const running = join(home.paths.runtime, "running");
    mkdirSync(running, { recursive: true, mode: 0o700 });
    // What the shim does: it leaves word of itself, and becomes the tool.
    const line = `read up rest < /proc/uptime
printf 'flywheel-running 2\\ntool bazel\\ncommand build\\nprofile default\\nendpoint none\\nrecord none\\nboot none\\nstarted %s\\ndirectory /\\n' "\${up%%.*}" > "$1/$$"
exec sleep 600`;
    const build = spawn("sh", ["-c", line, "sh", running], { stdio: "ignore" });
    onTestFinished(() => void build.kill());
    await home.until((status) => status.running.some(({ pid }) => pid === build.pid));
    await delay(2 * span);
    expect(child.exitCode).toBeNull();
    build.kill();
    expect(await exited).toEqual([0, null]);
  });

  test("off by default, and set in whole minutes", async () => {
    const { child } = await startIdle(undefined);
    await delay(2 * span);
    expect(child.exitCode).toBeNull();
    home.configure("config.toml", "[daemon]\nidle_exit_minutes = 0.5\n");
    await expect(home.client.reload()).rejects.toThrow(/idle_exit_minutes: expected whole minutes/);
  });
});

describe("a socket that systemd listens on", () => {
  interface Activated {
    readonly child: ChildProcess;
    readonly exited: Promise<unknown[]>;
  }

  /** The real systemd-socket-activate, which becomes the daemon when somebody connects. */
  async function activate(program: string, socket: string = socketPath(home.paths)): Promise<Activated> {
    mkdirSync(home.paths.runtime, { recursive: true, mode: 0o700 });
    const names = Object.keys(environment()).flatMap((name) => ["-E", name]);
    const args = ["-l", socket, ...names, process.execPath, ...nodeFlags, entry, "run", "--service"];
    const child = spawn(program, args, { env: environment(), stdio: ["ignore", "ignore", "pipe"] });
    onTestFinished(() => void child.kill("SIGKILL"));
    const exited = once(child, "exit");
    await once(createInterface({ input: child.stderr }), "line");
    // A unit's SocketMode does that.
    chmodSync(socket, 0o600);
    return { child, exited };
  }

  const activator = (skip: (reason: string) => never): string => required(programOnPath("systemd-socket-activate"), skip);

  test("the first question starts the daemon, which answers it; the socket stays systemd's at the end", async ({ skip }) => {
    const { child, exited } = await activate(activator(skip));
    const inode = statSync(socketPath(home.paths)).ino;
    expect(await home.client.hello()).toMatchObject({ pid: child.pid, startedBy: "service", entry });
    expect(await ensureDaemon(home.paths, { entry })).toEqual({ result: "already-running", pid: child.pid });
    await home.until((status) => !status.bazel.unsettled);
    await home.client.stop();
    expect(await exited).toEqual([0, null]);
    expect(statSync(socketPath(home.paths)).ino).toBe(inode);
    expect(existsSync(join(home.paths.runtime, "attachment"))).toBe(false);
    expect(lastWords()).toBe("stopping: asked to stop");
  });

  test("a daemon that ran before loses its socket to systemd, and gives way to the one that it starts", async ({ skip }) => {
    const program = activator(skip);
    const before = await home.started();
    await activate(program);
    const { pid } = await home.client.hello();
    expect(pid).not.toBe(before);
    await gone(before);
    expect((await home.client.hello()).pid).toBe(pid);
  });

  test("deleting the socket, or the runtime directory, stops this one too", async ({ skip }) => {
    const program = activator(skip);
    for (const victim of [socketPath(home.paths), home.paths.runtime]) {
      const { exited } = await activate(program);
      await home.client.hello();
      rmSync(victim, { recursive: true, maxRetries: 10 });
      expect(await exited).toEqual([0, null]);
      expect(lastWords()).toBe("stopping: the socket was taken away");
    }
  });

  test("two daemons: behind systemd's socket as well as without, the lock decides", async ({ skip }) => {
    await activate(activator(skip));
    const { pid } = await home.client.hello();
    const second = spawn(process.execPath, [...nodeFlags, entry, "run"], { env: environment(), stdio: ["ignore", "pipe", "inherit"] });
    const [line] = await once(createInterface({ input: second.stdout }), "line");
    expect(JSON.parse(line)).toEqual({ result: "already-running", pid });
  });

  test("a start that fails is told to whoever waits", async ({ skip }) => {
    home.configure("config.toml", "[guard]\nscope = 7\n");
    const { exited } = await activate(activator(skip));
    await expect(home.client.status("default")).rejects.toMatchObject({
      code: "config-invalid",
      message: expect.stringContaining("config.toml:2:"),
    });
    expect(await exited).toEqual([1, null]);
  });

  test("a socket elsewhere than where flywheel looks is no place to answer at", async ({ skip }) => {
    const elsewhere = join(home.dir, "elsewhere.sock");
    const { exited } = await activate(activator(skip), elsewhere);
    const { connect } = await import("node:net");
    const socket = connect(elsewhere);
    socket.on("error", () => {});
    expect(await exited).toEqual([0, null]);
    expect(lastWords()).toBe("stopping: the socket was taken away");
  });

  test("words about sockets that are meant for another process, or are none, are not taken", async () => {
    for (const env of [{ LISTEN_PID: "1", LISTEN_FDS: "1" }, { LISTEN_FDS: "1" }, { LISTEN_PID: "x", LISTEN_FDS: "y" }]) {
      const child = spawn(process.execPath, [...nodeFlags, entry, "run"], {
        env: { ...environment(), ...env },
        stdio: ["ignore", "pipe", "inherit"],
      });
      const exited = once(child, "exit");
      const [line] = await once(createInterface({ input: child.stdout }), "line");
      expect(JSON.parse(line)).toEqual({ result: "started", pid: child.pid });
      expect(alive(child.pid ?? 0)).toBe(true);
      child.kill("SIGTERM");
      expect(await exited).toEqual([0, null]);
    }
  });
});
