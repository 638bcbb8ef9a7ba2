/**
 * The mark of a guarded command that runs: a file in the runtime directory named for its pid, which the tool
 * keeps through exec. The fast path writes it without a fork; the daemon reads it, verifies more often while
 * the process lives, records how it went, and removes it. One `key value` a line, the format's version first;
 * `directory` last, since a path may hold anything.
 */
import { parseEndpoint } from "./endpoint.ts";
import { profileName } from "./published.ts";
import { printable } from "./text.ts";

export const runningVersion = "flywheel-running 2";
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
  /** The endpoint that the command was given: Bazel's or Nix's URL, canonical. */
  readonly endpoint: string | undefined;
  /** The UUID by which `flywheel exec --record` will report it. */
  readonly record: string | undefined;
  /** /proc/sys/kernel/random/boot_id; undefined where there is none. */
  readonly bootId: string | undefined;
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
  const head = `${runningVersion}\n`;
  if (!text.startsWith(head)) return undefined;
  const match =
    /^tool ([a-z][a-z-]{0,31})\ncommand ([A-Za-z0-9_-]{1,64})\nprofile ([a-z0-9-]{1,32})\nendpoint (\S{1,512})\nrecord (none|[0-9a-f-]{1,36})\nboot (none|[0-9a-f-]{1,36})\nstarted ([0-9]{1,12})\ndirectory ([\s\S]*)\n$/.exec(
      text.slice(head.length),
    );
  if (match === null) return undefined;
  const [, tool = "", command = "", profile = "", url = "", record = "", boot = "", started = "", directory = ""] = match;
  if (!profileName.test(profile)) return undefined;
  // Shown only, but by everything that shows anything: what is no endpoint is not repeated.
  const endpoint = parseEndpoint(url, tool.startsWith("bazel") ? "bazel" : "nix");
  if (url !== "none" && !endpoint.ok) return undefined;
  return {
    pid: Number(name),
    tool,
    command,
    profile,
    endpoint: endpoint.ok ? endpoint.endpoint.url : undefined,
    record: record === "none" ? undefined : record,
    bootId: boot === "none" ? undefined : boot,
    started: Number(started),
    directory: directory === "" ? undefined : printable(directory, 4096),
  };
}
