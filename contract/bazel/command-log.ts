/**
 * What a Bazel command printed, as `<output_base>/command.log` keeps it: how its actions were done, and how it
 * ended. The shape is that of 2.1 and 4.2 as tried, and of later ones as their sources print it. Pure; never throws.
 */
import { printable } from "../text.ts";
import { type Processes, parseProcesses } from "./processes.ts";

/** How the last lines say that it went; undefined where they do not (`--noshow_progress`, `--ui_event_filters`). */
export type Ending = "succeeded" | "tests failed" | "no tests" | "failed" | "interrupted";

export interface CommandLog {
  /** Undefined where there is no summary: it ended before, or was told not to print one. */
  readonly processes: Processes | undefined;
  readonly ending: Ending | undefined;
  /** What Bazel said of a cache that did not answer any more. */
  readonly lost: string | undefined;
}

/** Between the two lines of a summary, where progress is drawn: lines. */
const mostBetween = 8;
const longestWarning = 300;

export function readCommandLog(text: string): CommandLog {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: Bazel colours its log where the terminal has colours
  const lines = text.replaceAll(/\u001b\[[0-?]*[ -/]*[@-~]/g, "").split(/\r?\n|\r/);
  // What an action printed may look like a summary, but Bazel's own is the last.
  const elapsed = lines.findLastIndex((line) => line.startsWith("INFO: Elapsed time: "));
  const behind = elapsed < 0 ? [] : lines.slice(elapsed + 1, elapsed + 1 + mostBetween);
  return {
    processes: behind
      .map((line) => (line.startsWith("INFO: ") ? parseProcesses(line.slice(6)) : undefined))
      .find((one) => one !== undefined),
    ending: endingOf(lines),
    lost: lossIn(lines),
  };
}

/** The last word counts; but an interruption and missing tests are told before it. */
function endingOf(lines: readonly string[]): Ending | undefined {
  const at = lines.findLastIndex((line) =>
    /^(?:INFO: Build completed successfully\b|INFO: Build completed, \d+ tests? FAILED\b|(?:FAILED|ERROR): Build did NOT complete successfully\b)/.test(
      line,
    ),
  );
  const line = lines[at];
  const before = lines.slice(Math.max(0, at - 64));
  if (before.some((one) => /^(?:ERROR|WARNING): build interrupted\b/i.test(one))) return "interrupted";
  if (line === undefined) return endsInError(lines) ? "failed" : undefined;
  if (line.startsWith("INFO: Build completed, ")) return "tests failed";
  if (!line.startsWith("INFO: ")) return "failed";
  return before.some((one) => one.startsWith("ERROR: No test targets were found")) ? "no tests" : "succeeded";
}

/** It was over before it built anything: an option that Bazel does not know, a cache that does not answer. */
function endsInError(lines: readonly string[]): boolean {
  if (lines.some((line) => line.startsWith("INFO: Elapsed time: "))) return false;
  return lines.findLast((line) => line !== "")?.startsWith("ERROR: ") === true;
}

/** A blob that the cache does not have any more is no loss of the cache: only one that could not be asked is. */
function lossIn(lines: readonly string[]): string | undefined {
  const warning =
    /^(?:WARNING: (?:Reading from Remote Cache|Writing to Remote Cache|Remote Cache)\b|ERROR: Failed to query remote execution capabilities)/;
  const dead = /refused|unavailable|unreachable|reset|timed? ?out|deadline|closed|broken pipe|no route|io exception|\b50[0234]\b/i;
  for (const [index, line] of lines.entries()) {
    if (!warning.test(line)) continue;
    // 2.1 gives the reason in the next line.
    const whole = line.trimEnd().endsWith(":") ? `${line.trimEnd()} ${lines[index + 1] ?? ""}` : line;
    if (dead.test(whole)) return printable(whole.slice(whole.indexOf(" ") + 1), longestWarning);
  }
  return undefined;
}
