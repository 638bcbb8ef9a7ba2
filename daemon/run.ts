/** `flywheeld run`: one daemon for a runtime directory, from its start, which it reports, to its end, which it tidies. */
import { rmSync, statSync, watch, writeFileSync } from "node:fs";
import { setTimeout as delay } from "node:timers/promises";
import type { Hello, StartResult } from "../contract/api.ts";
import { FlywheelError, messageOf } from "../contract/errors.ts";
import { logPath, type Paths, socketPath } from "../contract/paths.ts";
import { span } from "../contract/words.ts";
import { howToEnd, pidPath } from "./api/client/absence.ts";
import { DaemonClient } from "./api/client/connection.ts";
import { ensureRuntimeDirectory } from "./api/client/directory.ts";
import { type ApiServer, regret, serve } from "./api/server.ts";
import { Faults } from "./faults.ts";
import { onIdle } from "./idle.ts";
import { createLog, LogFile } from "./journal/log.ts";
import { type Lock, takeLock } from "./lock.ts";
import { Service } from "./service.ts";

/** Milliseconds. */
const timing = {
  /** How long to wait for the daemon that holds the lock to answer: a guard that waits for us must not hang for 10 s. */
  other: 3_000,
  otherLook: 50,
  /** How often to look whether the socket is still there, where the file system does not tell. */
  look: 5_000,
  /** How long the end may take. */
  end: 2_000,
} as const;

export interface RunOptions {
  /** A service unit, or a flywheel that needed it. */
  readonly startedBy: Hello["startedBy"];
  /** The descriptor of a socket that a service manager listens on for us. */
  readonly handed?: number | undefined;
  /** Instead of config.toml's idle_exit_minutes: milliseconds. */
  readonly idleMs?: number;
}

/** Why it ends. A defect is a failure (EX_SOFTWARE of sysexits.h), so that a service manager starts it again. */
interface End {
  readonly why: string;
  readonly exitCode: 0 | 70;
}

/**
 * Runs until it is told to stop, is not needed, or its socket is taken away.
 * @param report called once, with how the start went
 * @returns the exit code: 1 where it could not start, 70 after a defect
 */
export async function run(
  paths: Paths,
  env: Readonly<Record<string, string | undefined>>,
  report: (result: StartResult) => void,
  options: RunOptions,
): Promise<number> {
  process.umask(0o077);
  const faults = new Faults();
  const file = new LogFile(logPath(paths), (fault) => faults.set("log", fault));
  const log = createLog(file, "info");
  const { handed, startedBy } = options;
  try {
    ensureRuntimeDirectory(paths.runtime);
    const held = handed === undefined ? await takeOver(paths) : await takeLockSoon(paths);
    if ("pid" in held) {
      report({ result: "already-running", pid: held.pid });
      return 0;
    }
    const stopped = Promise.withResolvers<End>();
    const stop = (why: string, exitCode: End["exitCode"] = 0): void => stopped.resolve({ why, exitCode });
    const service = new Service({ paths, env, log, faults, startedBy, onStop: () => stop("asked to stop") });
    log.level = service.logLevel;
    const server = await serve({ path: socketPath(paths), handed }, service);
    // Before it says that it runs: whoever hears that may already send it a signal.
    const forget = listen(service, server, paths, log, stop);
    const endIdle = onIdle({
      span: () => options.idleMs ?? service.idleExitMinutes * 60_000,
      unused: () => server.idleMs,
      busy: () => service.busy,
      onIdle: (unused) => stop(`nobody asked anything for ${span(unused / 1000)}`),
    });
    log.info("started");
    report({ result: "started", pid: process.pid });
    service.begin();
    const { why, exitCode } = await stopped.promise;
    log.info(`stopping: ${why}`);
    endIdle();
    forget();
    const ownsRuntime = server.ownsSocket();
    // Whatever still hangs is left to the end of the process.
    await Promise.race([Promise.all([service.close({ ownsRuntime }), server.close()]), delay(timing.end)]);
    if (ownsRuntime) rmSync(pidPath(paths), { force: true });
    held.release();
    return exitCode;
  } catch (error) {
    const known = error instanceof FlywheelError ? error : undefined;
    const message = messageOf(error);
    log.error(known === undefined ? { err: error } : {}, `not started: ${message}`);
    report({ result: "failed", code: known?.code ?? "internal", message, next: known?.next ?? null });
    if (handed !== undefined) await regret(handed, error);
    return 1;
  }
}

/**
 * Takes the lock, or finds out who has it.
 * @returns the lock, to be held until the end, or the pid of the daemon that runs already
 */
async function takeOver(paths: Paths): Promise<Lock | { readonly pid: number }> {
  const client = new DaemonClient(paths);
  const running = async (): Promise<{ readonly pid: number }> => ({ pid: (await client.hello()).pid });
  return lockOr(paths, running);
}

/** With a handed socket nobody else can be asked over it: whoever has the lock sees the socket taken away, and ends. */
function takeLockSoon(paths: Paths): Promise<Lock> {
  return lockOr(paths, () => Promise.reject(new Error("it does not end although its socket was taken away")));
}

/** @param other asks the daemon that has the lock; while that throws, it is starting, or stopping: then the lock is free in a moment */
async function lockOr<T>(paths: Paths, other: () => Promise<T>): Promise<Lock | T> {
  const until = performance.now() + timing.other;
  let reason = "";
  do {
    const lock = takeLock(`${paths.runtime}/daemon.lock`);
    if (lock !== undefined) {
      notePid(paths);
      return lock;
    }
    try {
      return await other();
    } catch (error) {
      reason = messageOf(error);
    }
    await delay(timing.otherLook);
  } while (performance.now() < until);
  throw new FlywheelError("daemon-start-failed", `another daemon holds ${paths.runtime}/daemon.lock, but ${reason}`, {
    next: howToEnd(paths),
  });
}

/** For people who have to end a daemon that does not answer, and for whoever waits until this one is gone. */
function notePid(paths: Paths): void {
  try {
    // A new file: what stands there instead (a FIFO, a link) is not waited for, nor followed.
    rmSync(pidPath(paths), { force: true });
    writeFileSync(pidPath(paths), `${process.pid}\n`, { mode: 0o600, flag: "wx" });
  } catch {
    // A full disk: publishing will say so.
  }
}

/** Hears whatever ends the daemon, or makes it read its configuration again. @returns what stops hearing it */
function listen(
  service: Service,
  server: ApiServer,
  paths: Paths,
  log: ReturnType<typeof createLog>,
  stop: (why: string, exitCode?: End["exitCode"]) => void,
): () => void {
  process.on("SIGUSR1", () => {});
  process.on("SIGTERM", () => stop("SIGTERM"));
  process.on("SIGINT", () => stop("SIGINT"));
  process.on("SIGHUP", () => {
    try {
      service.reload();
    } catch {
      // Logged and shown by status already.
    }
  });
  process.on("uncaughtException", (error) => {
    log.error({ err: error }, `a defect: ${messageOf(error)}`);
    stop("a defect", 70);
  });
  const code = identity(process.argv[1]);
  const look = (): void => {
    if (!server.ownsSocket()) stop("the socket was taken away");
    // What is loaded later would be another version's, or not there: the next command starts the new one.
    if (identity(process.argv[1]) !== code) stop("its package was replaced");
  };
  const timer = setInterval(look, timing.look);
  const watcher = watch(paths.runtime, look);
  watcher.on("error", look);
  return () => {
    clearInterval(timer);
    watcher.close();
  };
}

/** Which file stands at a path now; another one after an upgrade, even at the same path. */
function identity(file: string | undefined): string | undefined {
  const stats = file === undefined ? undefined : statSync(file, { throwIfNoEntry: false });
  return stats === undefined ? undefined : `${stats.dev}:${stats.ino}:${stats.mtimeMs}`;
}
