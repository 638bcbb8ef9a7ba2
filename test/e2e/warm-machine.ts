/** A machine of the test's own: a network, and clocks that the test moves, for the processes that run on it. */
import { type ChildProcess, execFileSync, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { closeSync, existsSync, openSync, readFileSync, renameSync, writeFileSync, writeSync } from "node:fs";
import { join } from "node:path";
import { createInterface } from "node:readline";
import type { Peer } from "../fixtures/peers.ts";

export interface Machine {
  /** Of its clock: whole seconds. */
  now(): number;
  /** Moves that clock; the clock of timers stays: as if the machine had been suspended, or somebody had set the time. */
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

const faketime = "/usr/lib/x86_64-linux-gnu/faketime/libfaketime.so.1";

/** Debian's package faketime. */
export function faketimeHere(): Peer {
  return existsSync(faketime) ? { available: true, path: faketime } : { available: false, reason: `${faketime} is not installed` };
}

/**
 * @param dir an existing directory of the test's own
 * @param clock which one the machine has: `boot` is Linux' /proc/uptime; without it, as on macOS, the `wall` clock is all there is
 */
export async function makeMachine(dir: string, clock: "boot" | "wall" = "boot"): Promise<Machine> {
  const file = join(dir, "uptime");
  const shift = join(dir, "shift");
  const uptimeFile = openSync(file, "w");
  let slept = 0;
  const uptime = (): number => Number(readFileSync("/proc/uptime", "latin1").split(" ")[0]) + slept;
  // Always as long, and in place: a reader never meets half of it.
  const tick = (): void => void writeSync(uptimeFile, `${uptime().toFixed(2).padStart(12, "0")} 0.00\n`, 0);
  const setWall = (): void => {
    writeFileSync(`${shift}.new`, `${slept < 0 ? "" : "+"}${slept}\n`);
    renameSync(`${shift}.new`, shift);
  };
  tick();
  setWall();
  const ticking = setInterval(tick, 100);
  const holder = spawn(
    "unshare",
    [
      "--net",
      "--mount",
      "sh",
      "-c",
      `ip link set lo up && mount --bind '${clock === "boot" ? file : "/dev/null"}' /proc/uptime && echo ready && exec cat`,
    ],
    { stdio: ["pipe", "pipe", "inherit"] },
  );
  const enter = ["nsenter", "--target", String(holder.pid), "--net", "--mount"] as const;
  const faked: Record<string, string> =
    clock === "boot"
      ? {}
      : { LD_PRELOAD: faketime, FAKETIME_TIMESTAMP_FILE: shift, FAKETIME_NO_CACHE: "1", FAKETIME_DONT_FAKE_MONOTONIC: "1" };
  const children: ChildProcess[] = [];
  const start: Machine["start"] = async (argv, env = {}) => {
    const [program, ...args] = [...enter, ...argv] as [string, ...string[]];
    const child = spawn(program, args, { stdio: ["pipe", "pipe", "inherit"], env: { PATH: process.env["PATH"] ?? "", ...faked, ...env } });
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
    now: () => Math.floor(clock === "boot" ? uptime() : Date.now() / 1000 + slept),
    sleep: (seconds) => {
      slept += seconds;
      tick();
      setWall();
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
      closeSync(uptimeFile);
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
