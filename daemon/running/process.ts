/** What /proc tells of a process: whether it is still the one that was meant, and how it was called. */
import { existsSync, readFileSync, readlinkSync, statSync } from "node:fs";
import { readBounded } from "../api/client/bounded.ts";
import { isErrno } from "../api/client/errno.ts";

/** Of the times in /proc/<pid>/stat: USER_HZ, which is 100 on every Linux that Node runs on (proc_pid_stat(5)). */
const ticksPerSecond = 100;

export type Life =
  | { readonly state: "gone" }
  /** `born`: seconds since boot; undefined where nobody tells, as on macOS. */
  | { readonly state: "alive"; readonly born: number | undefined };

/** Another user's process is gone as far as we care, and so is a zombie: it builds nothing any more. */
export function lifeOf(pid: number): Life {
  let stat: string;
  try {
    stat = readFileSync(`/proc/${pid}/stat`, "latin1");
  } catch (error) {
    const noProc = isErrno(error) && error.code === "ENOENT" && !existsSync("/proc/self/stat");
    return noProc ? signalled(pid) : { state: "gone" };
  }
  // The second field is the program's name in brackets, and may hold anything.
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  const [state] = fields;
  const born = Number(fields[19]);
  if (state === "Z" || state === "X" || Number.isNaN(born)) return { state: "gone" };
  return { state: "alive", born: born / ticksPerSecond };
}

function signalled(pid: number): Life {
  try {
    process.kill(pid, 0);
    return { state: "alive", born: undefined };
  } catch {
    return { state: "gone" };
  }
}

const longestCommandLine = 2_097_152;

/** What a process of this user was started with; undefined where nobody tells. */
export function wordsOf(pid: number): readonly string[] | undefined {
  try {
    if (statSync(`/proc/${pid}`).uid !== process.geteuid?.()) return undefined;
    return readBounded(`/proc/${pid}/cmdline`, longestCommandLine).toString("utf8").split("\0").slice(0, -1);
  } catch {
    return undefined;
  }
}

/** Where a process is, links resolved; undefined where nobody tells. */
export function whereabouts(pid: number): string | undefined {
  try {
    return readlinkSync(`/proc/${pid}/cwd`);
  } catch {
    return undefined;
  }
}
