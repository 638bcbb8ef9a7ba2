/** No daemon answers: because none runs, or because one runs that is stopped or hangs. They are mended differently. */
import { existsSync, statSync } from "node:fs";
import { FlywheelError } from "../../../contract/errors.ts";
import { type Paths, socketPath } from "../../../contract/paths.ts";
import { readBounded } from "./bounded.ts";

export interface Absence {
  readonly kind: "none" | "hung";
  readonly words: string;
  /** What to type next. */
  readonly next: string;
}

/** @returns undefined where what was thrown is another failure than that nobody answers */
export function absenceOf(thrown: unknown, paths: Paths): Absence | undefined {
  if (!(thrown instanceof FlywheelError) || thrown.code !== "daemon-unreachable") return undefined;
  const { cause } = thrown;
  const nobodyListens = cause instanceof Error && "code" in cause && (cause.code === "ECONNREFUSED" || cause.code === "ENOENT");
  if (nobodyListens || !existsSync(socketPath(paths))) return { kind: "none", words: "no daemon is running", next: "flywheel up" };
  return {
    kind: "hung",
    words: "the daemon does not answer",
    next: howToEnd(paths),
  };
}

/**
 * What a person can type about a daemon that does not answer. No process is ever signalled by flywheel itself; and
 * none is named here but a flywheeld of this user's, since a pid in a file may have become anybody's.
 */
export function howToEnd(paths: Paths): string {
  const pid = recordedPid(paths);
  if (pid !== undefined && isFlywheeld(pid)) return `kill -CONT ${pid}   (or: kill ${pid})`;
  return "find it, and kill -CONT or kill it: pgrep -u $(id -u) -fl flywheeld";
}

/** Whether a live daemon of this user's is known to be the one that does not answer: it holds the lock, so that no other can start. */
export function isHeldUp(thrown: unknown, paths: Paths): boolean {
  const pid = absenceOf(thrown, paths)?.kind === "hung" ? recordedPid(paths) : undefined;
  return pid !== undefined && isFlywheeld(pid);
}

export function pidPath(paths: Paths): string {
  return `${paths.runtime}/daemon.pid`;
}

/** What the daemon wrote down of itself. After a crash that may be anybody's pid: to be shown or compared, never acted upon. */
export function recordedPid(paths: Paths): number | undefined {
  try {
    const text = readBounded(pidPath(paths), 64).toString("latin1");
    return /^[1-9][0-9]{0,9}\n$/.test(text) ? Number(text) : undefined;
  } catch {
    return undefined;
  }
}

/** Whether the process is a daemon of this user's, by its command line: proc_pid_cmdline(5), else ps(1). */
function isFlywheeld(pid: number): boolean {
  try {
    const own = process.geteuid?.();
    if (process.platform === "linux") {
      return (
        statSync(`/proc/${pid}`).uid === own &&
        isDaemonCommand(readBounded(`/proc/${pid}/cmdline`, 65_536).toString("utf8").replaceAll("\0", " "))
      );
    }
    // Loaded only here: `flywheel status` must start fast.
    const { execFileSync } = process.getBuiltinModule("node:child_process");
    const [uid, ...command] = execFileSync("/bin/ps", ["-o", "uid=,args=", "-p", String(pid)], { encoding: "utf8", timeout: 2_000 })
      .trim()
      .split(/ +/);
    return Number(uid) === own && isDaemonCommand(command.join(" "));
  } catch {
    return false;
  }
}

/** As autostart.ts and the service units write it; from the source tree, main.ts. */
function isDaemonCommand(command: string): boolean {
  return /(?:\/flywheeld\.js|\/daemon\/main\.ts) run /.test(`${command} `);
}
