/**
 * Which of a server's commands a mark was left for, and which command.log is that command's. Only what is certain
 * counts: a figure of another command's would be worse than none. Pure.
 *
 * A server runs one command at a time; others wait for their turn. Each has one command.log, born when its turn comes.
 * The server's log is written through a buffer, which the end of a command empties: of a command that is over all is
 * there but the line that says so, which comes with the next one's.
 */
import { type Execution, isCalledAs, isGiven } from "../../contract/bazel/server-log.ts";

/** A marked command, as far as it is known from outside. Times are wall clock milliseconds. */
export interface Caller {
  readonly command: string;
  /** Where it was called, links resolved. */
  readonly directory: string;
  /** Its command line (`plainCall`); undefined where it was gone before anybody looked. */
  readonly call: string | undefined;
  readonly endpoint: string | undefined;
  readonly started: number;
  readonly state: "runs" | "gone";
  /** When it was seen gone first; undefined where nobody looked, and while it runs. */
  readonly gone: number | undefined;
  /** When others were started that cannot be told from it by their words. */
  readonly twins: readonly number[];
}

/** An execution and the server that had it. */
export interface Found extends Execution {
  readonly server: string;
}

export interface Birth {
  readonly born: number;
}

export type Attribution<Log extends Birth> =
  | { readonly kind: "found"; readonly execution: Found; readonly log: Log | undefined }
  /** It may be told in a moment. */
  | { readonly kind: "not yet"; readonly why: string };

/** Milliseconds. */
const slack = {
  /** A file's times are the kernel's last tick. */
  tick: 10,
  /** A client that was killed leaves its command to be cancelled. */
  cancel: 3_000,
  /** From the mark to the start of Bazel's client, where nobody saw its end: a wrapper may come between. */
  wrapper: 5_000,
} as const;

export const unsure = {
  unknown: "Bazel's server log does not tell which of its commands this was",
  running: "Bazel's server has not said how it went",
  twins: "another Bazel command like it ran here at the same time",
  mixed: "Bazel's records of two commands here cannot be told apart",
} as const;

/**
 * @param executions of all servers of an output base
 * @param logs its command.logs, oldest first
 * @param claimed keys of executions that are known to be another mark's
 */
export function attribute<Log extends Birth>(
  caller: Caller,
  executions: readonly Found[],
  logs: readonly Log[],
  claimed: ReadonlySet<string>,
): Attribution<Log> {
  const execution = choose(caller, executions, claimed);
  if (typeof execution === "string") return { kind: "not yet", why: execution };
  const others = executions.filter((one) => one !== execution);
  const log = logOf(execution, others, logs, caller.gone ?? Number.POSITIVE_INFINITY);
  if (log === "mixed") return { kind: "not yet", why: unsure.mixed };
  // While its client lives it may still be printing, unless somebody else had his turn since.
  const over = caller.state === "gone" || execution.finished !== undefined || (log !== undefined && logs.at(-1) !== log);
  return over ? { kind: "found", execution, log } : { kind: "not yet", why: unsure.running };
}

/** What names an execution for good. */
export function keyOf({ server, thread, arrived }: Found): string {
  return `${server} ${thread} ${arrived}`;
}

function choose(caller: Caller, executions: readonly Found[], claimed: ReadonlySet<string>): Found | string {
  const { command, directory, call, endpoint, gone = Number.POSITIVE_INFINITY, started, twins } = caller;
  const possible = executions.filter(
    (one) =>
      one.command === command &&
      one.began >= started - slack.tick &&
      one.arrived <= gone + slack.tick &&
      (one.finished ?? 0) <= gone + slack.cancel &&
      one.called.includes(", --remote_cache=") &&
      !claimed.has(keyOf(one)),
  );
  const isIts = (one: Found): boolean =>
    call === undefined ? endpoint !== undefined && isGiven(one, directory, endpoint) : isCalledAs(one, call);
  const like = possible.filter(isIts);
  if (like.length === 0) return unsure.unknown;
  if (twins.some((other) => Math.abs(other - started) <= 2 * slack.tick)) return unsure.twins;
  // Of equal ones each client began behind its own mark, and before the next one's.
  const its = like.filter(({ began }) => !twins.some((other) => other > started && other <= began + slack.tick));
  const [only, ...more] = its;
  if (only === undefined || more.length > 0) return unsure.twins;
  // Nobody saw it end: then at least its client must have begun where the mark was left.
  const witnessed = caller.state === "runs" || caller.gone !== undefined;
  return witnessed || only.began <= started + slack.wrapper ? only : unsure.unknown;
}

/**
 * The one log that was born while it had its turn.
 * @param until as long as its end is not told, when it was over at the latest
 */
function logOf<Log extends Birth>(own: Found, others: readonly Found[], logs: readonly Log[], until: number): Log | "mixed" | undefined {
  const waiting = ({ born }: Log): readonly Found[] =>
    others.filter(({ arrived, finished }) => born >= arrived - slack.tick && (finished === undefined || born <= finished));
  if (own.finished === undefined) {
    // What was born behind its own log is the next one's.
    const first = logs.find(({ born }) => born >= own.arrived - slack.tick && born <= until);
    return first === undefined || waiting(first).length === 0 ? first : "mixed";
  }
  const [first, ...more] = inTurnOf(own, others, logs);
  if (first === undefined) return undefined;
  // Whoever waited meanwhile had his turn later, as his own log shows; else it may have been the other way round, and ours given up.
  const later = (other: Found): boolean => other.finished !== undefined && inTurnOf(other, [own, ...others], logs).length > 0;
  return more.length === 0 && waiting(first).every(later) ? first : "mixed";
}

/** The logs that were born between the end of the one before and its own. */
function inTurnOf<Log extends Birth>(own: Found, all: readonly Found[], logs: readonly Log[]): readonly Log[] {
  const { finished = Number.POSITIVE_INFINITY } = own;
  const before = all
    .filter((one) => one.server === own.server && one.finished !== undefined && one.finished < finished)
    .map((one) => one.finished ?? 0);
  const from = Math.max(own.arrived - slack.tick, ...before);
  return logs.filter(({ born }) => born >= from && born <= finished);
}
