/** The marks of running commands against real processes and a real directory. */
import { execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { chmodSync, existsSync, mkdirSync, mkdtempSync, readdirSync, renameSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, onTestFinished, test, vi } from "vitest";
import { largestMark, runningVersion } from "../../../contract/running.ts";
import { readClock } from "../../../daemon/api/client/clock.ts";
import { type EndedCommand, RunningCommands } from "../../../daemon/running/running.ts";

let runtime: string;
let directory: string;
let commands: RunningCommands;
/** What was told, in order: the commands that ran then, and those that had ended. */
let told: { readonly runs: readonly number[]; readonly ended: readonly EndedCommand[] }[];
let faults: string[];
let tell: () => void = () => undefined;

beforeEach(() => {
  runtime = mkdtempSync(join(tmpdir(), "gf-run-"));
  directory = join(runtime, "running");
  told = [];
  faults = [];
  commands = new RunningCommands({
    paths: { config: runtime, state: runtime, runtime },
    clock: readClock,
    onChange: (ended) => {
      told.push({ runs: commands.list.map(({ pid }) => pid), ended });
      for (const { command } of ended) commands.forget(command);
      tell();
    },
    onFault: (fault) => faults.push(fault),
  });
});
afterEach(() => {
  commands.close();
  rmSync(runtime, { recursive: true, force: true });
});

/** Resolves once what was told holds. */
function until(holds: () => boolean): Promise<void> {
  return new Promise((resolve) => {
    tell = () => {
      if (holds()) resolve();
    };
    tell();
  });
}

/** A process that lives until it is ended, as the tool behind a mark. */
function tool(): { readonly pid: number; end(): Promise<unknown> } {
  const child = spawn("/bin/cat", { stdio: ["pipe", "ignore", "ignore"] });
  const ended = once(child, "exit");
  onTestFinished(() => void child.kill("SIGKILL"));
  const end = (): Promise<unknown> => {
    child.stdin.end();
    return ended;
  };
  return { pid: child.pid ?? 0, end };
}

const text = (more: { started?: number; profile?: string; directory?: string } = {}): string =>
  `${runningVersion}\ntool bazel\ncommand build\nprofile ${more.profile ?? "default"}\nendpoint none\nrecord none\nboot none\nstarted ${more.started ?? readClock().seconds}\ndirectory ${more.directory ?? "/w"}\n`;
const mark = (pid: number, content = text()): void => writeFileSync(join(directory, String(pid)), content);
const lies = (): string[] => readdirSync(directory).sort();

test("a command is followed from its mark to its end, and its mark removed", async () => {
  commands.start();
  const { pid, end } = tool();
  mark(pid);
  await until(() => commands.list.length === 1);
  expect(commands.list[0]).toMatchObject({ pid, tool: "bazel", command: "build", profile: "default", directory: "/w" });
  expect(Math.abs(Date.now() - (commands.list[0]?.startedAt.getTime() ?? 0))).toBeLessThan(3_000);
  expect(lies()).toEqual([String(pid)]);
  await end();
  await until(() => commands.list.length === 0);
  expect(told.at(-1)?.ended.map(({ command }) => command.pid)).toEqual([pid]);
  expect(lies()).toEqual([]);
  expect(faults).toEqual([]);
});

test("whoever looks before telling tells of none that has ended", async () => {
  commands.start();
  const { pid, end } = tool();
  mark(pid);
  await until(() => commands.list.length === 1);
  await end();
  commands.look();
  expect(commands.list).toEqual([]);
  expect(told.at(-1)).toMatchObject({ runs: [], ended: [{ command: { pid }, gone: expect.any(Date) }] });
});

test("one that came and went between two looks has ended all the same", async () => {
  commands.start();
  const { pid, end } = tool();
  await end();
  mark(pid);
  await until(() => told.length > 0);
  expect(told[0]).toMatchObject({ runs: [], ended: [{ command: { pid, command: "build" }, gone: expect.any(Date) }] });
  expect(lies()).toEqual([]);
});

test("what a former time left has ended, nobody knows when; what runs since before is followed", async () => {
  mkdirSync(directory, { mode: 0o700 });
  const [dead, living] = [tool(), tool()];
  await dead.end();
  mark(dead.pid);
  mark(living.pid);
  commands.start();
  expect(told).toMatchObject([{ runs: [living.pid], ended: [{ command: { pid: dead.pid }, gone: undefined }] }]);
  expect(lies()).toEqual([String(living.pid)]);
});

test("a pid that belongs to another process by now is no command of ours", async () => {
  const { pid } = tool();
  commands.start();
  // Of a time before that process was born: what left it is gone, and its number was given away.
  mark(pid, text({ started: Math.max(1, readClock().seconds - 3_600) }));
  const other = tool();
  mark(other.pid);
  await until(() => commands.list.length > 0);
  expect(commands.list.map((command) => command.pid)).toEqual([other.pid]);
  expect(lies()).toEqual([String(other.pid)]);
});

test("a mark of a time that has not come is another boot's, and whoever has its number now no command", async () => {
  mkdirSync(directory, { mode: 0o700 });
  const [other, ours] = [tool(), tool()];
  mark(other.pid, text({ started: readClock().seconds + 3_600 }));
  mark(ours.pid);
  commands.start();
  expect(told).toMatchObject([{ runs: [ours.pid], ended: [{ command: { pid: other.pid }, gone: undefined }] }]);
  expect(lies()).toEqual([String(ours.pid)]);
});

test("where the directory was taken away or replaced under the daemon, the next commands are followed in the new one", async () => {
  commands.start();
  for (const replace of [
    () => rmSync(directory, { recursive: true }),
    () => renameSync(directory, join(runtime, `was-${readClock().seconds}`)),
  ]) {
    replace();
    await vi.waitFor(() => expect(existsSync(directory)).toBe(true), { timeout: 5_000 });
    const { pid, end } = tool();
    mark(pid);
    await until(() => commands.list.length === 1);
    await end();
    await until(() => commands.list.length === 0);
  }
  expect(faults).toEqual([]);
});

test("where the whole runtime directory was taken away, it is not made again", async () => {
  commands.start();
  rmSync(runtime, { recursive: true });
  await new Promise((resolve) => setTimeout(resolve, 1_500));
  expect(existsSync(runtime)).toBe(false);
});

test("whatever is no mark is neither believed, followed, waited for nor removed", async () => {
  commands.start();
  const { pid } = tool();
  const big = tool();
  const linked = tool();
  const piped = tool();
  const victim = join(runtime, "victim");
  writeFileSync(victim, text());
  symlinkSync(victim, join(directory, String(linked.pid)));
  execFileSync("mkfifo", [join(directory, String(piped.pid))]);
  mark(big.pid, text({ directory: "x".repeat(largestMark) }));
  writeFileSync(join(directory, "notes.txt"), "mine");
  mkdirSync(join(directory, "1"));
  for (const [index, content] of [
    "",
    "x",
    text().slice(0, -1),
    text({ profile: "../x" }),
    text().replace("running 2", "running 3"),
  ].entries()) {
    writeFileSync(join(directory, `0${index}`), content);
    mark(pid, content);
  }
  const real = tool();
  mark(real.pid);
  await until(() => commands.list.some((command) => command.pid === real.pid));
  expect(commands.list.map((command) => command.pid)).toEqual([real.pid]);
  expect(existsSync(victim)).toBe(true);
  expect(lies()).toEqual(expect.arrayContaining(["notes.txt", "1", String(linked.pid), String(piped.pid), String(pid)]));
});

test("no more than 256 are followed; the next ones are as those end", { timeout: 60_000 }, async () => {
  mkdirSync(directory, { mode: 0o700 });
  // One process with many children, so that they end together.
  const parent = spawn("/bin/sh", ["-c", "n=260; while [ $n -gt 0 ]; do cat <&3 & echo $!; n=$((n - 1)); done; exec cat <&3", "sh"], {
    stdio: ["ignore", "pipe", "ignore", "pipe"],
  });
  onTestFinished(() => void parent.kill("SIGKILL"));
  const pids: number[] = [];
  for await (const chunk of parent.stdout ?? []) {
    pids.push(...String(chunk).trim().split("\n").map(Number));
    if (pids.length >= 260) break;
  }
  for (const pid of pids) mark(pid);
  commands.start();
  expect(commands.list.length).toBe(256);
  const first = commands.list[0]?.pid ?? 0;
  process.kill(first, "SIGKILL");
  await until(() => !commands.list.some((command) => command.pid === first));
  await until(() => commands.list.length === 256);
  (parent.stdio[3] as NodeJS.WritableStream).end();
  await until(() => commands.list.length === 0);
  expect(lies()).toEqual([]);
});

test("of more than 256 that a former time left none is lost: the next ones are told of as those are written down", async () => {
  mkdirSync(directory, { mode: 0o700 });
  // Numbers that no process has: above Linux's highest.
  const pids = Array.from({ length: 600 }, (_, index) => 4_194_305 + index);
  for (const pid of pids) mark(pid);
  commands.start();
  const ended = (): readonly EndedCommand[] => told.flatMap((one) => one.ended);
  expect(ended().length).toBe(256);
  await until(() => ended().length >= pids.length);
  expect(ended().map(({ command }) => command.pid)).toEqual(expect.arrayContaining(pids));
  expect(ended().length).toBe(pids.length);
  expect(lies()).toEqual([]);
});

test("a directory that others may write to is not believed, and the fault is told", () => {
  mkdirSync(directory);
  chmodSync(directory, 0o777);
  commands.start();
  expect(faults).toEqual([expect.stringMatching(/guarded commands that run are not followed: .*open to other users \(mode 0777\)/)]);
  expect(commands.list).toEqual([]);
});

test("no timer while nothing runs: the process may end", () => {
  const program = `
    const { RunningCommands } = await import(${JSON.stringify(join(import.meta.dirname, "../../../daemon/running/running.ts"))});
    const runtime = ${JSON.stringify(runtime)};
    new RunningCommands({ paths: { config: runtime, state: runtime, runtime }, clock: () => ({ seconds: 1 }), onChange() {}, onFault: console.error }).start();
    process.stdout.write(JSON.stringify(process.getActiveResourcesInfo().filter((name) => name === "Timeout")));`;
  expect(execFileSync(process.execPath, ["--input-type=module", "-e", program], { encoding: "utf8", timeout: 10_000 })).toBe("[]");
});
