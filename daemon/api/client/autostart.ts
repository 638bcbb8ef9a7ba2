/** Starting the daemon where none runs, and learning what became of it. */
import { spawn } from "node:child_process";
import { closeSync, constants, type FSWatcher, fstatSync, openSync, readSync, watch } from "node:fs";
import { apiVersion, type Hello, type StartResult } from "../../../contract/api.ts";
import { FlywheelError } from "../../../contract/errors.ts";
import { logPath, type Paths } from "../../../contract/paths.ts";
import { printable } from "../../../contract/text.ts";
import { version } from "../../../contract/version.ts";
import { howToEnd, isHeldUp, recordedPid } from "./absence.ts";
import { withoutWaiting } from "./bounded.ts";
import { DaemonClient } from "./connection.ts";
import { reasonOf } from "./errno.ts";
import { nodeFlags, ownEntry, programEnvironment } from "./program.ts";
import { describeHello, nextOf, skewOf } from "./skew.ts";

export interface StartOptions {
  /** How long the daemon may take to say how it went: milliseconds, 10,000 unless told. */
  readonly timeoutMs?: number;
  /** The daemon's script; unless told, the one that was built or lies beside this module. */
  readonly entry?: string;
}

/** What points a service unit at this install. */
const renew = "flywheel service install";

/** How often an older daemon is asked to give way, and how long all of that may take: milliseconds. It ends within 2 s (daemon/run.ts). */
const handOver = { tries: 3, patience: 4_000 } as const;

/**
 * Makes sure that a daemon runs that this flywheel can talk to: asks the one there is, or starts one, detached,
 * with a clean environment. One of an older version is asked to stop first, and waited for; no signal is ever sent.
 * @returns how it went; only `failed` means that there is no daemon. Never throws.
 */
export async function ensureDaemon(paths: Paths, options: StartOptions = {}): Promise<StartResult> {
  const client = new DaemonClient(paths);
  const until = performance.now() + handOver.patience;
  let older: Hello | undefined;
  for (let attempt = 0; attempt <= handOver.tries; attempt += 1) {
    const found = await look(client, paths);
    if ("result" in found) return found;
    if (!("hello" in found)) {
      const result = await start(paths, options);
      // Somebody else was quicker: which version that is, the next look shows.
      if (result.result === "already-running" && attempt < handOver.tries) continue;
      return result;
    }
    const { hello } = found;
    switch (skewOf(hello)) {
      case "fits":
        return { result: "already-running", pid: hello.pid };
      case "too-new":
        return failure("protocol", `the running daemon is ${describeHello(hello)}, too new for this flywheel ${version}`, nextOf(hello));
      case "older":
        // A service unit of another install would only start the same one again: it serves, unless it cannot be understood.
        if (hello.startedBy === "service" && hello.entry !== (options.entry ?? ownEntry)) {
          return hello.api === apiVersion ? { result: "already-running", pid: hello.pid } : failure("protocol", stayed(hello), renew);
        }
        older = hello;
        if (attempt < handOver.tries) await giveWay(client, paths, hello, Math.max(0, until - performance.now()));
    }
  }
  return failure("daemon-start-failed", stayed(older), older?.startedBy === "service" ? renew : howToEnd(paths));
}

/** The daemon there is; that there is none; or why that cannot be said, which starting another one would not mend. */
async function look(client: DaemonClient, paths: Paths): Promise<{ readonly hello: Hello } | { readonly none: true } | StartResult> {
  try {
    return { hello: await client.hello() };
  } catch (error) {
    if (!(error instanceof FlywheelError)) return failure("internal", reasonOf(error), null);
    if (error.code !== "daemon-unreachable") return failure(error.code, error.message, error.next ?? null);
    // One that timed out, not one that just went away: another would only wait for its lock.
    if (error.cause === undefined && isHeldUp(error, paths)) return failure("daemon-start-failed", heldUp, howToEnd(paths));
    return { none: true };
  }
}

/**
 * Asks a daemon to stop and waits until nobody listens for it any more. Guarded commands that run meanwhile notice
 * nothing: they were given the cache's own address and talk to it themselves; their marks are files, which the next
 * daemon reads. What the old one published is withdrawn, so that a command that starts just then takes the slow path and
 * waits for the new one.
 */
async function giveWay(client: DaemonClient, paths: Paths, { pid }: Hello, patienceMs: number): Promise<void> {
  const directory = watchDirectory(paths.runtime);
  const patience = AbortSignal.timeout(Math.round(patienceMs));
  try {
    await client.stop({ pid });
    // A socket that a service manager made stays: then the next question waits in its queue for the next daemon.
    while (!patience.aborted && recordedPid(paths) === pid) await directory.change(patience);
  } catch {
    // It stopped by itself, or does not answer: the next look shows which.
  } finally {
    directory.close();
  }
}

const heldUp = "the daemon does not answer: it is stopped, or hangs";

/** Changes in a directory, one after the other, none missed between two waits. */
function watchDirectory(path: string): { change(until: AbortSignal): Promise<void>; close(): void } {
  let changed = Promise.withResolvers<void>();
  const news = (): void => {
    const { resolve } = changed;
    changed = Promise.withResolvers();
    resolve();
  };
  let watcher: FSWatcher | undefined;
  try {
    watcher = watch(path, news);
    // The directory itself went away.
    watcher.on("error", news);
  } catch {
    // It is gone, and the daemon with it.
  }
  return {
    change: (until) => {
      until.addEventListener("abort", news, { once: true });
      return changed.promise;
    },
    close: () => watcher?.close(),
  };
}

function stayed(older: Hello | undefined): string {
  if (older === undefined) return "another daemon came and went each time this one was about to be used";
  const which = `${describeHello(older)}, older than this flywheel ${version}`;
  if (older.startedBy === "service") return `the service starts ${which}`;
  return `the running daemon is ${which}, and did not give way in ${handOver.tries} tries (pid ${older.pid})`;
}

async function start(paths: Paths, options: StartOptions): Promise<StartResult> {
  const timeoutMs = options.timeoutMs ?? 10_000;
  const child = spawn(
    process.execPath,
    [...nodeFlags, options.entry ?? ownEntry, "run", "--ready-fd", "3"],
    // Nothing of ours may stay open in the daemon, or `$(bazel …)` would wait for it: it closes fd 3 once
    // it has spoken, and whatever else it was handed down at once (daemon/inherited.ts).
    { cwd: "/", detached: true, stdio: ["ignore", "ignore", "ignore", "pipe"], env: programEnvironment(paths, process.env) },
  );
  const { promise, resolve } = Promise.withResolvers<StartResult>();
  const pipe = child.stdio[3];
  let line = "";
  if (pipe !== null && pipe !== undefined && "setEncoding" in pipe) {
    pipe.setEncoding("utf8");
    pipe.on("data", (chunk: string) => {
      line += chunk;
      if (line.includes("\n")) resolve(parseResult(line));
    });
    // The daemon ended, or closed the pipe, without a whole line.
    pipe.on("close", () => resolve(failure("daemon-start-failed", died(paths, child.exitCode), "flywheel logs")));
    pipe.on("error", () => pipe.destroy());
  }
  child.on("error", (error) => resolve(failure("daemon-start-failed", `the daemon cannot be started (${reasonOf(error)})`, null)));
  child.unref();
  const timer = setTimeout(() => {
    resolve(failure("daemon-start-failed", `the daemon did not say within ${timeoutMs / 1000} s how its start went`, "flywheel logs"));
  }, timeoutMs);
  try {
    return await promise;
  } finally {
    clearTimeout(timer);
    pipe?.destroy();
  }
}

function parseResult(text: string): StartResult {
  try {
    // The daemon's own word, over a pipe that nobody else holds.
    return JSON.parse(text.slice(0, text.indexOf("\n"))) as StartResult;
  } catch {
    return failure("daemon-start-failed", "the daemon said nothing that can be read about its start", "flywheel logs");
  }
}

function died(paths: Paths, exitCode: number | null): string {
  const last = lastLogLine(paths);
  const how = exitCode === null ? "" : ` (exit ${exitCode})`;
  return `the daemon ended while it was starting${how}${last === undefined ? "" : `; its last words: ${last}`}`;
}

/** What the log ends with, from its last 4 KiB. */
function lastLogLine(paths: Paths): string | undefined {
  try {
    const opened = openSync(logPath(paths), constants.O_RDONLY | withoutWaiting);
    try {
      const buffer = Buffer.alloc(4096);
      const from = Math.max(0, fstatSync(opened).size - buffer.length);
      const line =
        buffer
          .toString("utf8", 0, readSync(opened, buffer, 0, buffer.length, from))
          .trimEnd()
          .split("\n")
          .at(-1) ?? "";
      const entry: unknown = JSON.parse(line);
      if (typeof entry !== "object" || entry === null || !("msg" in entry) || typeof entry.msg !== "string") return undefined;
      return printable(entry.msg);
    } finally {
      closeSync(opened);
    }
  } catch {
    return undefined;
  }
}

function failure(code: string, message: string, next: string | null): StartResult {
  return { result: "failed", code, message, next };
}
