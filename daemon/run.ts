/** `flywheeld run`: one daemon for a runtime directory, from its start, which it reports, to its end, which it tidies. */
import { rmSync, statSync, watch, writeFileSync } from "node:fs";
import { setTimeout as delay } from "node:timers/promises";
import type { StartResult } from "../contract/api.ts";
import { FlywheelError, messageOf } from "../contract/errors.ts";
import { logPath, type Paths, socketPath } from "../contract/paths.ts";
import { DaemonClient } from "./api/client/connection.ts";
import { ensureRuntimeDirectory } from "./api/client/directory.ts";
import { type ApiServer, serve } from "./api/server.ts";
import { Faults } from "./faults.ts";
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

/**
 * Runs until it is told to stop, or its socket is taken away.
 * @param report called once, with how the start went
 * @returns the exit code
 */
export async function run(
  paths: Paths,
  env: Readonly<Record<string, string | undefined>>,
  report: (result: StartResult) => void,
): Promise<number> {
  process.umask(0o077);
  const faults = new Faults();
  const file = new LogFile(logPath(paths), (fault) => faults.set("log", fault));
  const log = createLog(file, "info");
  try {
    ensureRuntimeDirectory(paths.runtime);
    const held = await takeOver(paths);
    if ("pid" in held) {
      report({ result: "already-running", pid: held.pid });
      return 0;
    }
    const stopped = Promise.withResolvers<string>();
    const service = new Service({ paths, env, log, faults, startedBy: "flywheel", onStop: () => stopped.resolve("asked to stop") });
    log.level = service.logLevel;
    const server = await serve(socketPath(paths), service);
    // Before it says that it runs: whoever hears that may already send it a signal.
    const forget = listen(service, server, paths, log, stopped.resolve);
    log.info("started");
    report({ result: "started", pid: process.pid });
    service.begin();
    const why = await stopped.promise;
    log.info(`stopping: ${why}`);
    forget();
    const ownsRuntime = server.ownsSocket();
    // Whatever still hangs is left to the end of the process.
    await Promise.race([Promise.all([service.close({ ownsRuntime }), server.close()]), delay(timing.end)]);
    if (ownsRuntime) rmSync(`${paths.runtime}/daemon.pid`, { force: true });
    held.release();
    return 0;
  } catch (error) {
    const known = error instanceof FlywheelError ? error : undefined;
    const message = messageOf(error);
    log.error(known === undefined ? { err: error } : {}, `not started: ${message}`);
    report({ result: "failed", code: known?.code ?? "internal", message, next: known?.next ?? null });
    return 1;
  }
}

/**
 * Takes the lock, or finds out who has it.
 * @returns the lock, to be held until the end, or the pid of the daemon that runs already
 */
async function takeOver(paths: Paths): Promise<Lock | { readonly pid: number }> {
  const client = new DaemonClient(paths);
  const until = performance.now() + timing.other;
  let reason = "";
  do {
    const lock = takeLock(`${paths.runtime}/daemon.lock`);
    if (lock !== undefined) {
      notePid(paths);
      return lock;
    }
    try {
      return { pid: (await client.hello()).pid };
    } catch (error) {
      // It is starting, or stopping: then the lock is free in a moment.
      reason = messageOf(error);
    }
    await delay(timing.otherLook);
  } while (performance.now() < until);
  throw new FlywheelError("daemon-start-failed", `another daemon holds ${paths.runtime}/daemon.lock, but ${reason}`, {
    next: `kill -CONT, or kill, the process that ${paths.runtime}/daemon.pid names`,
  });
}

/** For people who have to end a daemon that does not answer; nothing reads it. */
function notePid(paths: Paths): void {
  try {
    writeFileSync(`${paths.runtime}/daemon.pid`, `${process.pid}\n`, { mode: 0o600 });
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
  stop: (why: string) => void,
): () => void {
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
    process.exitCode = 1;
    stop("a defect");
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
