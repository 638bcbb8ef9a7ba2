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
  const lines = linesOf(text);
  // What an action printed may look like a summary, but Bazel's own is the last, and nothing is built behind it.
  const elapsed = lines.findLastIndex((line) => line.startsWith("INFO: Elapsed time: "));
  const behind = elapsed < 0 ? [] : lines.slice(elapsed + 1, elapsed + 1 + mostBetween);
  const summary = behind.findIndex((line) => processesIn(line) !== undefined);
  const closes = isClosing(lines.slice(elapsed + 1 + Math.max(0, summary)));
  return {
    processes: closes ? processesIn(behind[summary] ?? "") : undefined,
    ending: elapsed < 0 || closes ? endingOf(lines) : undefined,
    lost: lossIn(lines),
  };
}

function processesIn(line: string): Processes | undefined {
  return line.startsWith("INFO: ") ? parseProcesses(line.slice(6)) : undefined;
}

/** What stands there in the end: without colours, and without the progress that was drawn over. */
function linesOf(text: string): readonly string[] {
  const lines: string[] = [];
  for (const [index, piece] of text.split("\u001b[1A\u001b[K").entries()) {
    // The line that was begun, and the one above; what Bazel said is never taken back, whatever an action prints.
    if (index > 0) lines.pop();
    if (index > 0 && !own.test(lines.at(-1) ?? "")) lines.pop();
    // biome-ignore lint/suspicious/noControlCharactersInRegex: Bazel colours its log where the terminal has colours
    const plain = piece.replaceAll(/\u001b\[[0-?]*[ -/]*[@-~]/g, "");
    for (const line of plain.replace(/\r$/, "").split(/\r?\n|\r/)) lines.push(line);
  }
  return lines;
}

const own = /^(?:INFO|WARNING|ERROR|FAILED|DEBUG): /;
/** `//x:y  PASSED in 0.1s`, its logs below it, and what is said of all tests. */
const results =
  /^(?:@{0,2}[^\s/]*\/\/\S+\s.*\b(?:PASSED|FAILED|FLAKY|TIMEOUT|INCOMPLETE|NO STATUS|SKIPPED)\b|\s|Executed \d+ out of \d+ tests?\b|Test cases: |There were tests whose specified size is too big)/;

/** Whether these lines are only what Bazel says at the end: while it builds there is progress, and there are actions that print. */
function isClosing(lines: readonly string[]): boolean {
  return lines.every((line, index) => {
    if (line.trim() === "" || results.test(line)) return true;
    if (own.test(line)) return !line.startsWith("INFO: From ");
    const before = lines[index - 1] ?? "";
    // 2.1 gives the reason of a warning in the next line; and the last line of progress, `INFO: Build completed`, is wrapped.
    return /^(?:WARNING|ERROR): .*:\s*$/.test(before) || (own.test(before) && before.endsWith("\\"));
  });
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

/** An action may warn too, but it draws no progress. */
const ownAgain = /^(?:INFO: |FAILED: |\[[\d,]+ \/ [\d,]+\] |Loading: |Analyzing: |Target \S+ )/;
const testEnd = /^={80}\s*$/;

/** A blob that the cache does not have any more is no loss of the cache: only one that could not be asked is. */
function lossIn(lines: readonly string[]): string | undefined {
  const warning =
    /^(?:WARNING: (?:Reading from Remote Cache|Writing to Remote Cache|Remote Cache)\b|ERROR: Failed to query remote execution capabilities)/;
  const dead = /refused|unavailable|unreachable|reset|timed? ?out|deadline|closed|broken pipe|no route|io exception|\b50[0234]\b/i;
  /** What stands there is an action's, or a test's, until this comes. */
  let foreign: RegExp | undefined;
  for (const [index, line] of lines.entries()) {
    if (foreign?.test(line) === true) foreign = undefined;
    if (/^INFO: From .*:\s*$/.test(line)) foreign = ownAgain;
    else if (foreign !== testEnd && /^=+ Test output for .*:\s*$/.test(line)) foreign = testEnd;
    if (foreign !== undefined || !warning.test(line)) continue;
    // 2.1 gives the reason in the next line.
    const whole = line.trimEnd().endsWith(":") ? `${line.trimEnd()} ${lines[index + 1] ?? ""}` : line;
    if (dead.test(whole)) return printable(whole.slice(whole.indexOf(" ") + 1), longestWarning);
  }
  return undefined;
}
