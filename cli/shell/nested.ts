/** Whether this process already runs in a shell of `flywheel shell`. */
import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import type { Environment } from "../../contract/environment.ts";

/** The pid of the `flywheel shell` around a process; a terminal multiplexer's shells keep it longer than it lives. */
export const shellVariable = "GF_SHELL";

/** @returns the pid of the one around this process; undefined where there is none, or only a trace of one */
export function outerShell(env: Environment): number | undefined {
  const said = Number(env[shellVariable]);
  if (!Number.isSafeInteger(said) || said <= 1) return undefined;
  for (let pid = process.ppid; pid > 1; pid = parentOf(pid)) if (pid === said) return said;
  return undefined;
}

function parentOf(pid: number): number {
  try {
    return Number(
      readFileSync(`/proc/${pid}/stat`, "utf8")
        .replace(/^.*\) /s, "")
        .split(" ")[1],
    );
  } catch {
    // No /proc, or it has just ended.
    return Number(spawnSync("ps", ["-o", "ppid=", "-p", String(pid)], { encoding: "utf8" }).stdout ?? 0);
  }
}
