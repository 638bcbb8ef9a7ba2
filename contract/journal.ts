/**
 * The journal's vocabulary. The spool is one JSON object a line, appended by whoever knows, with or without a daemon;
 * the daemon takes it into the journal proper, a database that holds the same words.
 */
import * as v from "valibot";
import type { EscapesReport } from "./api.ts";
import { withoutCredentials } from "./endpoint.ts";
import { type Counts, type Invocation, invocationSchema, type Tally } from "./invocation.ts";
import { printable } from "./text.ts";

export const spoolEntrySchema = v.object({
  v: v.literal(1),
  /** ISO 8601. */
  at: v.string(),
  kind: v.picklist(["escape", "refusal"]),
  /** The name that was called: `bazel`, `bazelisk`, … */
  tool: v.string(),
  /** Bazel's command, or empty. */
  command: v.string(),
  /** Absolute path of the workspace or current directory. */
  workspace: v.string(),
  profile: v.string(),
  /** The user's words for an escape; the guard's for a refusal. */
  reason: v.string(),
});

export type SpoolEntry = v.InferOutput<typeof spoolEntrySchema>;

/** A line longer than this would not be appended in one piece (PIPE_BUF's habit, kept for files): bytes. */
export const longestSpoolLine = 4096;

/** What ran, told by whoever stayed beside it (`flywheel exec --record`); at most twice as long as the others. */
export const spoolInvocationSchema = v.object({
  v: v.literal(1),
  /** ISO 8601: when it was written. */
  at: v.string(),
  kind: v.literal("invocation"),
  invocation: invocationSchema,
});
export const longestInvocationLine = 8192;

/** The first line of a file, so that no two of them are ever taken for each other. */
export const spoolHeadSchema = v.object({
  v: v.literal(1),
  kind: v.literal("spool"),
  id: v.pipe(v.string(), v.maxLength(128)),
});

export const spoolLineSchema = v.variant("kind", [spoolEntrySchema, spoolInvocationSchema, spoolHeadSchema]);
export type SpoolLine = v.InferOutput<typeof spoolLineSchema>;

/** @returns undefined where it is none: cut by a crash or a full disk, or of a later version */
export function parseSpoolLine(text: string): SpoolLine | undefined {
  try {
    const result = v.safeParse(spoolLineSchema, JSON.parse(text));
    return result.success ? result.output : undefined;
  } catch {
    return undefined;
  }
}

/** Local midnight; so many days before that of `now`. */
export function midnight(now: Date, daysBefore = 0): Date {
  return new Date(now.getFullYear(), now.getMonth(), now.getDate() - daysBefore);
}

/**
 * What status shows of escapes, or of refusals.
 * @param entries the newest first
 * @param now decides what today is, by local time
 */
export function summaryOf(entries: readonly SpoolEntry[], kind: SpoolEntry["kind"], now: Date): EscapesReport {
  const chosen = entries.filter((entry) => entry.kind === kind);
  const since = midnight(now).getTime();
  const today = chosen.filter((entry) => Date.parse(entry.at) >= since).length;
  return { today, last: lastReport(chosen[0]) };
}

/** An escape or a refusal, as status names the last one. */
export function lastReport(entry: SpoolEntry | undefined): EscapesReport["last"] {
  if (entry === undefined) return null;
  const command = printable(`${entry.tool} ${entry.command}`.trim(), 200);
  return { at: printable(entry.at, 40), reason: printable(entry.reason), command };
}

/** How long a record's texts may be: characters. */
const longest = { word: 64, profile: 40, time: 40, endpoint: 512, workspace: 1024, reason: 400 } as const;

/** An escape or a refusal as the journal keeps it; undefined where its time is none. */
export function storableEntry(entry: SpoolEntry): SpoolEntry | undefined {
  if (Number.isNaN(Date.parse(entry.at))) return undefined;
  return {
    ...entry,
    at: printable(entry.at, longest.time),
    tool: printable(entry.tool, longest.word),
    command: printable(entry.command, longest.word),
    workspace: printable(entry.workspace, longest.workspace),
    profile: printable(entry.profile, longest.profile),
    reason: printable(entry.reason, longest.reason),
  };
}

/**
 * An invocation as the journal keeps it: its texts bounded and harmless, without credentials.
 * @returns undefined where it is none: a time that is no time, a count that counts nothing
 */
export function storableInvocation(invocation: Invocation): Invocation | undefined {
  const { startedAt, endedAt, wallMs, tally, lost } = invocation;
  const times = [startedAt, endedAt, lost?.at ?? null];
  if (!v.is(invocationSchema, invocation) || invocation.id === "" || invocation.id !== printable(invocation.id, 128)) return undefined;
  if (times.some((time) => time !== null && Number.isNaN(Date.parse(time)))) return undefined;
  if (wallMs !== null && !(Number.isFinite(wallMs) && wallMs >= 0)) return undefined;
  if (tally.state === "counted" && !countable(tally.counts)) return undefined;
  return {
    id: invocation.id,
    tool: printable(invocation.tool, longest.word),
    command: printable(invocation.command, longest.word),
    workspace: printable(invocation.workspace, longest.workspace),
    profile: printable(invocation.profile, longest.profile),
    endpoint: invocation.endpoint === null ? null : printable(withoutCredentials(invocation.endpoint), longest.endpoint),
    startedAt: printable(startedAt, longest.time),
    endedAt: endedAt === null ? null : printable(endedAt, longest.time),
    wallMs,
    exitCode: invocation.exitCode,
    outcome: invocation.outcome,
    tally: storableTally(tally),
    lost:
      lost === null
        ? null
        : { at: lost.at === null ? null : printable(lost.at, longest.time), reason: printable(lost.reason, longest.reason) },
    recordedBy: invocation.recordedBy,
  };
}

function countable(counts: Counts): boolean {
  return Object.values(counts).every((count) => Number.isSafeInteger(count) && count >= 0);
}

function storableTally(tally: Tally): Tally {
  switch (tally.state) {
    case "counted":
      return { ...tally, doubt: tally.doubt === null ? null : printable(tally.doubt, longest.reason) };
    case "unknown":
      return { state: "unknown", why: printable(tally.why, longest.reason) };
    default:
      return tally satisfies never;
  }
}

/**
 * Two records of the same invocation as one. Who stayed beside the tool is believed before the daemon, which only saw
 * it come and go; else the later one is. What the believed one does not know, the other one may.
 */
export function mergedInvocation(earlier: Invocation, later: Invocation): Invocation {
  const [first, second] = earlier.recordedBy === "exec" && later.recordedBy === "daemon" ? [earlier, later] : [later, earlier];
  return {
    ...first,
    endpoint: first.endpoint ?? second.endpoint,
    endedAt: first.endedAt ?? second.endedAt,
    wallMs: first.wallMs ?? second.wallMs,
    exitCode: first.exitCode ?? second.exitCode,
    outcome: first.outcome === "unknown" ? second.outcome : first.outcome,
    tally: worth(second.tally) > worth(first.tally) ? second.tally : first.tally,
    lost: first.lost ?? second.lost,
  };
}

/** Figures that can be believed are worth more than doubtful ones, and those more than none. */
function worth(tally: Tally): 0 | 1 | 2 {
  if (tally.state === "unknown") return 0;
  return tally.doubt === null ? 2 : 1;
}
