/** Descriptors that whoever started the daemon left open: kept, they would keep a `$(…)` or a `>(…)` of theirs waiting. */
import { closeSync, readdirSync, readFileSync } from "node:fs";

/** O_CLOEXEC as /proc shows it (proc_pid_fdinfo(5)); Node opens everything of its own with it. */
const closeOnExec = 0o2000000;

/**
 * Closes them. Node itself (uv_disable_stdio_inheritance) keeps the first sixteen from being handed
 * down, but not, say, bash's /dev/fd/63. Without a /proc nothing can be told apart, and nothing is closed.
 * @param keep the highest descriptor that was meant to be handed down
 */
export function closeInherited(keep: number): void {
  let names: string[];
  try {
    names = readdirSync("/proc/self/fd");
  } catch {
    return;
  }
  for (const fd of names.map(Number)) {
    if (fd <= keep) continue;
    try {
      const flags = /^flags:\s*([0-7]+)$/m.exec(readFileSync(`/proc/self/fdinfo/${fd}`, "utf8"))?.[1];
      if (flags !== undefined && (Number.parseInt(flags, 8) & closeOnExec) === 0) closeSync(fd);
    } catch {
      // The one that listed the directory: it is gone already.
    }
  }
}
