/**
 * The mark of a guarded command that runs: a file in the runtime directory named for its pid, which the tool
 * keeps through exec. The fast path writes it without a fork; the daemon reads it, verifies more often while
 * the process lives, and removes it. One `key value` a line, the format's version first; `directory` last.
 */
import { profileName } from "./published.ts";
import { printable } from "./text.ts";

export const runningVersion = "flywheel-running 1";
/** Below the runtime directory. */
export const runningDirectory = "running";
/** A mark larger than this is not ours: bytes. */
export const largestMark = 8192;

export interface RunningMark {
  readonly pid: number;
  /** The name that was called: `bazel`, `bazelisk`. */
  readonly tool: string;
  readonly command: string;
  readonly profile: string;
  /** Seconds of the boot clock (contract/published.ts) when the tool was about to start. */
  readonly started: number;
  readonly directory: string | undefined;
}

/**
 * @param name the file's name
 * @param text its content
 * @returns undefined where either is not what the fast path writes
 */
export function parseMark(name: string, text: string): RunningMark | undefined {
  if (!/^[1-9][0-9]{0,9}$/.test(name)) return undefined;
  const match =
    /^flywheel-running 1\ntool ([a-z][a-z-]{0,31})\ncommand ([A-Za-z0-9_-]{1,64})\nprofile ([a-z0-9-]{1,32})\nstarted ([0-9]{1,12})\ndirectory ([\s\S]*)\n$/.exec(
      text,
    );
  if (match === null) return undefined;
  const [, tool = "", command = "", profile = "", started = "", directory = ""] = match;
  if (!profileName.test(profile)) return undefined;
  return {
    pid: Number(name),
    tool,
    command,
    profile,
    started: Number(started),
    directory: directory === "" ? undefined : printable(directory, 4096),
  };
}
