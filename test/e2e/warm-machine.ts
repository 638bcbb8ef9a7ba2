/** A machine of the test's own: a network, and a boot clock that the test moves, for the processes that run on it. */
import { type ChildProcess, execFileSync, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { closeSync, openSync, readFileSync, writeSync } from "node:fs";
import { join } from "node:path";
import { createInterface } from "node:readline";
import type { Peer } from "../fixtures/peers.ts";

export interface Machine {
  /** Of the boot clock there: whole seconds. */
  now(): number;
  /** As if it had been suspended for so long: the boot clock goes on, the clock of timers does not. */
  sleep(seconds: number): void;
  /** Runs `ip` there. */
  ip(...args: readonly string[]): void;
  /** Starts a process there; it ends with its standard input. @returns what it said first */
  start(argv: readonly string[], env?: Readonly<Record<string, string>>): Promise<{ readonly child: ChildProcess; readonly said: string }>;
  [Symbol.asyncDispose](): Promise<void>;
}

/** Namespaces of one's own want root, and a kernel that gives them. */
export function namespaces(): Peer {
  const tried = spawnSync("unshare", ["--net", "--mount", "sh", "-c", "ip link set lo up && mount --bind /dev/null /proc/uptime"]);
  if (tried.status === 0) return { available: true, path: "unshare" };
  return { available: false, reason: `no network and mount namespaces here: ${String(tried.stderr ?? tried.error).trim()}` };
}

/** @param dir an existing directory of the test's own */
export async function makeMachine(dir: string): Promise<Machine> {
  const file = join(dir, "uptime");
  const clock = openSync(file, "w");
  let slept = 0;
  const uptime = (): number => Number(readFileSync("/proc/uptime", "latin1").split(" ")[0]) + slept;
  // Always as long, and in place: a reader never meets half of it.
  const tick = (): void => void writeSync(clock, `${uptime().toFixed(2).padStart(12, "0")} 0.00\n`, 0);
  tick();
  const ticking = setInterval(tick, 100);
  const holder = spawn(
    "unshare",
    ["--net", "--mount", "sh", "-c", `ip link set lo up && mount --bind '${file}' /proc/uptime && echo ready && exec cat`],
    { stdio: ["pipe", "pipe", "inherit"] },
  );
  const enter = ["nsenter", "--target", String(holder.pid), "--net", "--mount"] as const;
  const children: ChildProcess[] = [];
  const start: Machine["start"] = async (argv, env = {}) => {
    const [program, ...args] = [...enter, ...argv] as [string, ...string[]];
    const child = spawn(program, args, { stdio: ["pipe", "pipe", "inherit"], env: { PATH: process.env["PATH"] ?? "", ...env } });
    children.push(child);
    return { child, said: await firstLine(child) };
  };
  const end = async (child: ChildProcess): Promise<void> => {
    if (child.exitCode !== null || child.signalCode !== null) return;
    const exited = once(child, "exit");
    child.stdin?.end();
    const timer = setTimeout(() => child.kill("SIGKILL"), 3_000);
    await exited;
    clearTimeout(timer);
  };
  await firstLine(holder);
  return {
    now: () => Math.floor(uptime()),
    sleep: (seconds) => {
      slept += seconds;
      tick();
    },
    ip: (...args) => {
      const [program, ...before] = enter;
      execFileSync(program, [...before, "ip", ...args], { stdio: ["ignore", "ignore", "pipe"] });
    },
    start,
    [Symbol.asyncDispose]: async () => {
      await Promise.all(children.map(end));
      await end(holder);
      clearInterval(ticking);
      closeSync(clock);
    },
  };
}

async function firstLine(child: ChildProcess): Promise<string> {
  const { stdout } = child;
  if (stdout === null) throw new Error("no standard output");
  const lines = createInterface({ input: stdout });
  const line = once(lines, "line").then(([text]) => String(text));
  const ended = once(child, "exit").then(([code]) => Promise.reject(new Error(`it ended (${code}) before it said anything`)));
  return Promise.race([line, ended]);
}
