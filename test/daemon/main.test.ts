import { execFile, spawn } from "node:child_process";
import { once } from "node:events";
import {
  chmodSync,
  chownSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  statSync,
  symlinkSync,
  unlinkSync,
} from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterEach, beforeEach, expect, test } from "vitest";
import type { StartResult } from "../../contract/api.ts";
import { attachmentPath, logPath, socketPath } from "../../contract/paths.ts";
import { leaseFault } from "../../contract/published.ts";
import { version } from "../../contract/version.ts";
import { readClock } from "../../daemon/api/client/clock.ts";
import { readPublished } from "../../daemon/api/client/published.ts";
import { alive, entry, gone, type Home, makeHome, nodeFlags } from "./home.ts";

const run = promisify(execFile);
const root = join(import.meta.dirname, "../..");
const nobody = 65_534;
const ordinary = test.runIf(process.getuid?.() === 0);

let home: Home;
beforeEach(() => {
  home = makeHome();
});
afterEach(() => home[Symbol.asyncDispose]());

/** Runs flywheeld in the foreground, as nobody, and gives the first line that it says. */
async function runAsNobody(): Promise<{ result: StartResult; end: () => Promise<number | null> }> {
  const env = { HOME: home.dir, GF_RUNTIME_DIR: home.paths.runtime, GF_CONFIG_DIR: home.paths.config, GF_STATE_DIR: home.paths.state };
  const child = spawn(process.execPath, [...nodeFlags, entry, "run"], { uid: nobody, gid: nobody, cwd: "/", env });
  const exited = once(child, "exit");
  const [line] = await once(child.stdout.setEncoding("utf8"), "data");
  const result: StartResult = JSON.parse(line);
  return {
    result,
    end: async () => {
      if (result.result === "started") child.kill("SIGTERM");
      await exited;
      return child.exitCode;
    },
  };
}

test("its version is package.json's", () => {
  expect(JSON.parse(readFileSync(join(root, "package.json"), "utf8")).version).toBe(version);
});

test.runIf(process.platform === "linux")("SIGUSR1 opens no inspector, by which other users could read its memory", async () => {
  const pid = await home.started();
  process.kill(pid, "SIGUSR1");
  // Long enough for Node's to listen: its own answers come later.
  for (let each = 0; each < 20; each += 1) await home.client.hello();
  const held = readdirSync(`/proc/${pid}/fd`).flatMap((fd) => /^socket:\[(\d+)\]$/.exec(readlinkSync(`/proc/${pid}/fd/${fd}`))?.[1] ?? []);
  const listening = readFileSync("/proc/net/tcp", "utf8")
    .split("\n")
    .map((line) => line.trim().split(/\s+/))
    .filter(([, , , state]) => state === "0A")
    .map((fields) => fields[9]);
  expect(held.filter((inode) => listening.includes(inode))).toEqual([]);
  expect(await home.client.hello()).toMatchObject({ pid });
});

test("started, already running, stopped without a trace", async () => {
  const pid = await home.started();
  expect(await home.start()).toEqual({ result: "already-running", pid });
  expect(await home.client.hello()).toMatchObject({ api: 1, pid, version });
  expect(statSync(socketPath(home.paths)).mode & 0o777).toBe(0o600);
  await home.until((status) => !status.bazel.unsettled);
  expect(statSync(attachmentPath(home.paths, "default", "bazel")).mode & 0o777).toBe(0o600);
  expect(statSync(logPath(home.paths)).mode & 0o777).toBe(0o600);
  await home.client.stop();
  await gone(pid);
  expect(existsSync(socketPath(home.paths))).toBe(false);
  expect(existsSync(join(home.paths.runtime, "attachment"))).toBe(false);
  await expect(home.client.hello()).rejects.toMatchObject({ code: "daemon-unreachable" });
  await expect(home.client.hello()).rejects.toThrow(/not running/);
});

test("SIGTERM ends it cleanly too", async () => {
  const pid = await home.started();
  process.kill(pid, "SIGTERM");
  await gone(pid);
  expect(existsSync(socketPath(home.paths))).toBe(false);
});

test("an upgrade of the package under it ends it, so that the next command starts the new one", async () => {
  const { ensureDaemon } = await import("../../daemon/api/client/autostart.ts");
  const entry = join(home.dir, "flywheeld.ts");
  symlinkSync(join(root, "daemon/main.ts"), entry);
  const started = await ensureDaemon(home.paths, { entry });
  if (started.result === "failed") throw new Error(started.message);
  unlinkSync(entry);
  await gone(started.pid);
  expect(existsSync(socketPath(home.paths))).toBe(false);
});

test("a malformed configuration is a failed start that names file and line", async () => {
  home.configure("config.toml", "[guard]\nscope = 7\n");
  expect(await home.start()).toMatchObject({
    result: "failed",
    code: "config-invalid",
    message: expect.stringContaining(`${home.paths.config}/config.toml:2:`),
  });
});

test("start-up fails without a cause (sccache #317): a daemon that dies before it has spoken is a failed start with its last words", async () => {
  const { ensureDaemon } = await import("../../daemon/api/client/autostart.ts");
  expect(await ensureDaemon(home.paths, { entry: join(home.dir, "absent.js") })).toMatchObject({
    result: "failed",
    code: "daemon-start-failed",
    message: expect.stringContaining("ended while it was starting"),
  });
});

test("parallel clients race autostart (matz/spinel #1427): eight starts at once make one daemon", async () => {
  const results = await Promise.all(Array.from({ length: 8 }, () => home.start()));
  const pids = new Set(results.map((result) => (result.result === "failed" ? JSON.stringify(result) : result.pid)));
  expect(pids.size).toBe(1);
  expect(results.filter((result) => result.result === "started")).toHaveLength(1);
});

test("stale pid and socket (Turborepo #2034, Telepresence #2247): SIGKILL leaves them, and the next one takes over", async () => {
  const first = await home.started();
  process.kill(first, "SIGKILL");
  await gone(first);
  expect(existsSync(socketPath(home.paths))).toBe(true);
  await expect(home.client.status("default")).rejects.toThrow(/not running/);
  const second = await home.started();
  expect(second).not.toBe(first);
  expect((await home.client.hello()).pid).toBe(second);
});

test("hang at launch (Telepresence #2888): SIGSTOP: its word runs out, clients do not hang, and whoever would start a second one hears who is in the way", async () => {
  const pid = await home.started();
  await home.until((status) => !status.bazel.unsettled);
  process.kill(pid, "SIGSTOP");
  const now = readClock();
  const reading = readPublished(home.paths, "default", "bazel", now);
  if (reading.state !== "live") throw new Error(reading.state);
  expect(reading.published.validUntil - now.seconds).toBeLessThanOrEqual(45);
  expect(leaseFault(reading.published, { ...now, seconds: now.seconds + 46 })).toMatch(/lease ended/);
  await expect(home.client.hello()).rejects.toThrow(/did not answer within 2 s/);
  expect(await home.start()).toMatchObject({
    result: "failed",
    code: "daemon-start-failed",
    message: expect.stringContaining("does not answer"),
    next: expect.stringContaining(`kill -CONT ${pid} `),
  });
  // No second one was started, which could only have waited for the lock.
  expect(readFileSync(logPath(home.paths), "utf8")).not.toContain("not started");
  process.kill(pid, "SIGCONT");
  expect(await home.start()).toEqual({ result: "already-running", pid });
});

test("a FIFO in the place of daemon.pid neither stops a start nor a question", async () => {
  mkdirSync(home.paths.runtime, { mode: 0o700 });
  const file = join(home.paths.runtime, "daemon.pid");
  await run("mkfifo", [file]);
  const pid = await home.started();
  expect(readFileSync(file, "utf8")).toBe(`${pid}\n`);
  rmSync(file);
  await run("mkfifo", [file]);
  process.kill(pid, "SIGSTOP");
  expect(await home.start()).toMatchObject({ result: "failed", next: expect.stringContaining("pgrep") });
});

test("it ends when its socket is taken away, or its directory, and leaves a successor alone", async () => {
  const first = await home.started();
  rmSync(socketPath(home.paths));
  await gone(first);
  const second = await home.started();
  rmSync(home.paths.runtime, { recursive: true, maxRetries: 10 });
  const third = await home.started();
  await gone(second);
  expect((await home.client.hello()).pid).toBe(third);
});

test("a command substitution around a start does not wait for the daemon", async () => {
  const script = `
    const { ensureDaemon } = await import(${JSON.stringify(join(root, "daemon/api/client/autostart.ts"))});
    const result = await ensureDaemon(${JSON.stringify(home.paths)}, { entry: ${JSON.stringify(entry)} });
    process.stdout.write(String(result.pid));`;
  // Extra descriptors of the substitution's pipe are open in the client; were one left in the daemon, bash would wait.
  const { stdout } = await run(
    "bash",
    ["-c", 'pid=$("$0" --input-type=module -e "$1" 5>&1 7>&1 63>&1 251>&1 2>&1); echo "$pid"', process.execPath, script],
    { timeout: 10_000 },
  );
  const pid = Number(stdout);
  expect(alive(pid)).toBe(true);
  await home.client.stop();
  await gone(pid);
});

test("a configuration that is malformed at a reload is shown, and the old one holds", async () => {
  const pid = await home.started();
  home.configure("config.toml", "[guard\n");
  await expect(home.client.reload()).rejects.toMatchObject({ code: "config-invalid", message: expect.stringContaining("config.toml:") });
  const { daemon } = await home.client.status("default");
  expect(daemon?.faults).toEqual([expect.stringMatching(/^the old configuration holds: .*; once it is mended: flywheel up$/)]);
  home.configure("config.toml", "");
  process.kill(pid, "SIGHUP");
  const mended = await home.until((status) => status.daemon?.faults.length === 0);
  expect(mended.daemon?.pid).toBe(pid);
});

test("an unknown profile is said so, a written one is kept as well", async () => {
  await home.started();
  await expect(home.client.status("other")).rejects.toMatchObject({ code: "config-invalid", message: "there is no profile named other" });
  home.configure("profiles/other.toml", "");
  expect(await home.until((status) => !status.bazel.unsettled, "other")).toMatchObject({ profile: "other" });
  expect(readPublished(home.paths, "other", "bazel", readClock()).state).toBe("live");
});

test("a disk that takes nothing more: it runs, publishes nothing, and says so", async () => {
  // A file size limit of 0 fails each write to a file as a full disk does (EFBIG instead of ENOSPC).
  const env = { ...process.env, GF_RUNTIME_DIR: home.paths.runtime, GF_CONFIG_DIR: home.paths.config, GF_STATE_DIR: home.paths.state };
  const line = `trap "" XFSZ; ulimit -f 0; exec "$0" ${nodeFlags.join(" ")} "$1" run`;
  const child = spawn("sh", ["-c", line, process.execPath, entry], { env, stdio: ["ignore", "pipe", "inherit"] });
  const exited = once(child, "exit");
  const [said] = await once(child.stdout.setEncoding("utf8"), "data");
  expect(JSON.parse(said)).toMatchObject({ result: "started" });
  const status = await home.until((one) => (one.daemon?.faults.length ?? 0) > 2);
  expect(status.daemon?.faults).toEqual(
    expect.arrayContaining(
      ["nothing is published", "daemon.log cannot be written", "journal.db cannot be written"].map((fault) =>
        expect.stringContaining(fault),
      ),
    ),
  );
  expect(readPublished(home.paths, "default", "bazel", readClock())).toEqual({ state: "absent" });
  child.kill("SIGTERM");
  expect(await exited).toEqual([0, null]);
});

ordinary("as an ordinary user: a state directory that cannot be written costs the log and the journal, not the daemon", async () => {
  chmodSync(home.dir, 0o755);
  mkdirSync(home.paths.state, { mode: 0o755 });
  mkdirSync(home.paths.runtime, { mode: 0o700 });
  chownSync(home.paths.runtime, nobody, nobody);
  const { result, end } = await runAsNobody();
  expect(result.result).toBe("started");
  // Root may read another's directory, but does not take it for its own: nobody's daemon is asked as nobody.
  const script = `
    const { DaemonClient } = await import(${JSON.stringify(join(root, "daemon/api/client/connection.ts"))});
    console.log(JSON.stringify((await new DaemonClient(${JSON.stringify(home.paths)}).status("default")).daemon.faults));`;
  const asked = await run(process.execPath, ["--input-type=module", "-e", script], { uid: nobody, gid: nobody, cwd: "/" });
  expect(JSON.parse(asked.stdout)).toEqual(
    ["daemon.log cannot be written (EACCES)", "journal.db cannot be written (EACCES)"].map((fault) => expect.stringContaining(fault)),
  );
  await expect(home.client.hello()).rejects.toMatchObject({ code: "runtime-directory-unsafe" });
  expect(await end()).toBe(0);
});

ordinary.for([
  ["open to others", "mode 0777"],
  ["another's", "belongs to another user"],
  ["a symbolic link", "symbolic link"],
  ["not to be written", "cannot be"],
] as const)("as an ordinary user: a runtime directory that is %s is a failed start", async ([how, words]) => {
  chmodSync(home.dir, 0o755);
  switch (how) {
    case "open to others":
      mkdirSync(home.paths.runtime);
      chmodSync(home.paths.runtime, 0o777);
      chownSync(home.paths.runtime, nobody, nobody);
      break;
    case "another's":
      mkdirSync(home.paths.runtime, { mode: 0o700 });
      break;
    case "a symbolic link": {
      const target = join(home.dir, "target");
      mkdirSync(target, { mode: 0o700 });
      chownSync(target, nobody, nobody);
      symlinkSync(target, home.paths.runtime);
      break;
    }
    case "not to be written":
      mkdirSync(home.paths.runtime, { mode: 0o500 });
      chmodSync(home.paths.runtime, 0o500);
      chownSync(home.paths.runtime, nobody, nobody);
      break;
  }
  const { result, end } = await runAsNobody();
  expect(result).toMatchObject({ result: "failed", code: "runtime-directory-unsafe", message: expect.stringContaining(words) });
  expect(await end()).toBe(1);
});

test("flywheeld probe judges one endpoint without a daemon", async () => {
  const env = { ...process.env, GF_RUNTIME_DIR: home.paths.runtime, GF_CONFIG_DIR: home.paths.config, GF_STATE_DIR: home.paths.state };
  const args = [...nodeFlags, entry, "probe", "--kind", "bazel", "--endpoint"];
  home.configure("config.toml", "");
  const refused = await run(process.execPath, [...args, "http://127.0.0.1:1"], { env }).catch((error) => error);
  expect([refused.code, JSON.parse(refused.stdout)]).toEqual([1, expect.objectContaining({ ok: false, rung: "resolve" })]);
  const dead = await run(process.execPath, [...args, "http://127.0.0.1:1", "--local-proof"], { env }).catch((error) => error);
  expect(JSON.parse(dead.stdout)).toMatchObject({ ok: false, rung: "connect" });
  const usage = await run(process.execPath, [entry, "probe", "--kind", "cargo"], { env }).catch((error) => error);
  expect([usage.code, usage.stdout]).toEqual([2, ""]);
  expect(existsSync(home.paths.runtime)).toBe(false);
});
