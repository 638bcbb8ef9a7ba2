/** Puts the record of a command together from its mark and from what Bazel left behind. Pure. */
import type { CommandLog } from "../../contract/bazel/command-log.ts";
import { hasDiskCache } from "../../contract/bazel/disk-cache.ts";
import { hidesInfo } from "../../contract/bazel/event-filters.ts";
import { doubtOf } from "../../contract/bazel/processes.ts";
import type { Execution } from "../../contract/bazel/server-log.ts";
import type { Invocation, Outcome, Tally } from "../../contract/invocation.ts";
import type { RunningCommand } from "./running.ts";

/** What Bazel's records say of a command. */
export type Evidence =
  | {
      readonly state: "found";
      readonly execution: Execution;
      readonly log: PrintedLog | MissingLog;
      readonly label: string | undefined;
    }
  | { readonly state: "none"; readonly why: string };

export interface PrintedLog extends CommandLog {
  /** When its last line was printed: wall clock milliseconds. */
  readonly written: number;
}

export interface MissingLog {
  readonly missing: string;
}

export interface Loss {
  readonly at: string | null;
  readonly reason: string;
}

export interface Ending {
  readonly command: RunningCommand;
  readonly workspace: string;
  /** When it was seen gone first; undefined where nobody saw it. */
  readonly gone: Date | undefined;
  readonly evidence: Evidence;
  /** What was seen of its cache while it ran. */
  readonly lost: Loss | undefined;
  /** How rc files call this platform: `linux`, `macos`. */
  readonly platform: string;
}

/** Bazel's own names for how a command failed, and the exit codes that its documentation gives them. */
const exits: Readonly<Record<string, { readonly outcome: Outcome; readonly exitCode: number }>> = {
  BUILD_FAILURE: { outcome: "failed", exitCode: 1 },
  PARSING_FAILURE: { outcome: "failed", exitCode: 1 },
  COMMAND_LINE_ERROR: { outcome: "failed", exitCode: 2 },
  TESTS_FAILED: { outcome: "failed", exitCode: 3 },
  NO_TESTS_FOUND: { outcome: "failed", exitCode: 4 },
  INTERRUPTED: { outcome: "interrupted", exitCode: 8 },
  REMOTE_ERROR: { outcome: "failed", exitCode: 34 },
};

/** Commands whose success is the whole truth: what `run` starts then has an end of its own. */
const endWithBuild: ReadonlySet<string> = new Set(["build", "test", "coverage"]);

export function invocationOf({ command, workspace, gone, evidence, lost, platform }: Ending): Invocation {
  const log = evidence.state === "found" && !("missing" in evidence.log) ? evidence.log : undefined;
  const end = endOf(command, evidence, log, gone);
  return {
    id: command.record ?? `${command.bootId ?? "none"}:${command.pid}:${command.started}`,
    tool: command.tool,
    command: command.command,
    workspace,
    profile: command.profile,
    endpoint: command.endpoint ?? null,
    startedAt: command.startedAt.toISOString(),
    endedAt: end?.toISOString() ?? null,
    wallMs: end === undefined ? null : Math.max(0, Math.round(end.getTime() - command.startedAt.getTime())),
    ...outcomeOf(command, evidence, log),
    tally: tallyOf(evidence, log, platform),
    lost: lossOf(evidence, log, lost) ?? (log?.lost === undefined ? null : { at: null, reason: log.lost }),
    recordedBy: "daemon",
  };
}

/** Bazel's own word is to the millisecond, and its client gone a moment later; the last line tells what neither did. */
function endOf(command: RunningCommand, evidence: Evidence, log: PrintedLog | undefined, gone: Date | undefined): Date | undefined {
  if (evidence.state === "none" || livesOn(command)) return gone;
  const printed = gone === undefined && log?.ending !== undefined ? log.written : undefined;
  const finished = evidence.execution.finished ?? printed;
  if (finished === undefined) return gone;
  return gone !== undefined && gone.getTime() < finished ? gone : new Date(finished);
}

/** What was seen of its cache after Bazel was done is no loss of this command: its client goes a moment later, and is missed later still. */
function lossOf(evidence: Evidence, log: PrintedLog | undefined, lost: Loss | undefined): Loss | undefined {
  if (lost === undefined || lost.at === null || evidence.state === "none") return lost;
  const done = evidence.execution.finished ?? (log?.ending === undefined ? undefined : log.written);
  return done !== undefined && Date.parse(lost.at) > done ? undefined : lost;
}

/** Whether the client becomes the program that was built. */
function livesOn({ command }: Pick<RunningCommand, "command">): boolean {
  return command === "run";
}

function outcomeOf(command: RunningCommand, evidence: Evidence, log: PrintedLog | undefined): Pick<Invocation, "outcome" | "exitCode"> {
  if (evidence.state === "none") return { outcome: "unknown", exitCode: null };
  const { exit } = evidence.execution;
  const told = exit === undefined ? undefined : exits[exit];
  if (told !== undefined) return told;
  if (exit !== undefined && exit !== "SUCCESS") return { outcome: "failed", exitCode: null };
  const ending = log?.ending;
  switch (ending) {
    case "succeeded":
      if (livesOn(command)) return { outcome: "unknown", exitCode: null };
      return { outcome: "succeeded", exitCode: endWithBuild.has(command.command) ? 0 : null };
    case "tests failed":
      return { outcome: "failed", exitCode: 3 };
    case "no tests":
      return { outcome: "failed", exitCode: 4 };
    case "interrupted":
      return { outcome: "interrupted", exitCode: 8 };
    case "failed":
      return { outcome: "failed", exitCode: null };
    case undefined:
      return { outcome: "unknown", exitCode: null };
    default:
      return ending satisfies never;
  }
}

function tallyOf(evidence: Evidence, log: PrintedLog | undefined, platform: string): Tally {
  if (evidence.state === "none") return { state: "unknown", why: evidence.why };
  if ("missing" in evidence.log) return { state: "unknown", why: evidence.log.missing };
  if (log?.processes === undefined || hidesInfo(evidence.execution, platform)) {
    return { state: "unknown", why: "Bazel printed no summary: it ended before, or --ui_event_filters left it out" };
  }
  const { execution, label } = evidence;
  const doubt = doubtOf(log.processes, { diskCache: hasDiskCache(execution, platform), version: label });
  return { state: "counted", counts: log.processes.counts, source: "command.log", doubt };
}
