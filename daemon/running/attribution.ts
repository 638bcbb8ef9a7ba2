/**
 * Which of a server's commands a mark was left for, and which command.log is that command's. Only what is certain
 * counts: a figure of another command's would be worse than none. Pure.
 */
import { type Execution, isCalledAs, isGiven } from "../../contract/bazel/server-log.ts";

/** A marked command, as far as it is known from outside. Times are wall clock milliseconds. */
export interface Caller {
  readonly command: string;
  /** Where it was called, links resolved. */
  readonly directory: string;
  /** Behind the command; undefined where it was gone before anybody looked. */
  readonly args: readonly string[] | undefined;
  readonly endpoint: string | undefined;
  readonly started: number;
  /** When it was seen alive last, and when gone first; undefined where nobody saw it end. */
  readonly alive: number | undefined;
  readonly gone: number | undefined;
  /** Whether the client becomes another program at the end (`run`), and so outlives its command. */
  readonly livesOn: boolean;
  /** Whether another one that cannot be told from it runs, or ran at the same time. */
  readonly twins: boolean;
}

/** An execution and the log of the server that had it. */
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
  /** From the end of a command to the end of its client, and from a line of the server's log to its writing. */
  leave: 300,
  written: 100,
  /** From the mark to the start of Bazel's client, where nobody saw the end: a wrapper may come between. */
  reach: 5_000,
} as const;

export const unsure = {
  unknown: "Bazel's server log does not tell which of its commands this was",
  unfinished: "Bazel's server did not say that it finished",
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
  const late = caller.gone ?? Number.POSITIVE_INFINITY;
  const possible = executions.filter(
    (one) =>
      one.command === caller.command &&
      one.arrived >= caller.started - slack.tick &&
      one.arrived <= late + slack.tick &&
      !claimed.has(keyOf(one)),
  );
  const execution = choose(caller, possible);
  if (typeof execution === "string") return { kind: "not yet", why: execution };
  const log = logOf(execution, logs);
  // Two commands that were asked for at once, of which one printed nothing yet, or never did.
  const shared = log !== undefined && executions.some((other) => keyOf(other) !== keyOf(execution) && logOf(other, logs) === log);
  return shared ? { kind: "not yet", why: unsure.mixed } : { kind: "found", execution, log };
}

/** What names an execution for good. */
export function keyOf({ server, thread, arrived }: Found): string {
  return `${server} ${thread} ${arrived}`;
}

function choose(caller: Caller, possible: readonly Found[]): Found | string {
  const { directory, args, endpoint, alive, gone, started } = caller;
  const exact = args === undefined ? [] : possible.filter((one) => isCalledAs(one, directory, args));
  // A wrapper may add words, but the cache is the one that this command was given.
  const given = endpoint === undefined ? [] : possible.filter((one) => isGiven(one, directory, endpoint));
  const like = exact.length > 0 ? exact : given;
  if (like.length === 0) return unsure.unknown;
  const done = like.filter((one) => one.finished !== undefined);
  if (gone === undefined) {
    // Asked while it runs, or of one whose end nobody saw: then its client began where the mark was left.
    const its = alive === undefined ? like.filter((one) => one.began <= started + slack.reach) : like;
    const [only] = its;
    if (only === undefined) return unsure.unknown;
    if (its.length > 1 || caller.twins) return unsure.twins;
    return only.finished === undefined ? unsure.unfinished : only;
  }
  const fitting = done.filter((one) => (one.finished ?? 0) <= gone + slack.cancel);
  const [only] = fitting;
  if (only === undefined) return unsure.unfinished;
  if (fitting.length === 1 && !caller.twins) return only;
  if (caller.livesOn) return unsure.twins;
  const [closest, ...more] = fitting.filter(
    ({ finished = 0 }) => finished >= (alive ?? started) - slack.leave && finished <= gone + slack.written,
  );
  return closest === undefined || more.length > 0 ? unsure.twins : closest;
}

/** The last one that was born while it ran: whatever waited for its turn came before. */
function logOf<Log extends Birth>({ arrived, finished = Number.POSITIVE_INFINITY }: Found, logs: readonly Log[]): Log | undefined {
  return logs.findLast(({ born }) => born >= arrived - slack.tick && born <= finished + slack.tick);
}
