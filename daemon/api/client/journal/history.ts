/** The journal for whoever only reads: the database, where there is one, and what the spool has beyond it. Asks no daemon, and makes nothing. */
import { lstatSync } from "node:fs";
import type { DatabaseSync } from "node:sqlite";
import type { EscapesReport } from "../../../../contract/api.ts";
import { messageOf } from "../../../../contract/errors.ts";
import { type HitRate, hitRateOf, type Invocation } from "../../../../contract/invocation.ts";
import {
  lastReport,
  mergedInvocation,
  midnight,
  type SpoolEntry,
  storableEntry,
  storableInvocation,
  summaryOf,
} from "../../../../contract/journal.ts";
import { journalPath, type Paths } from "../../../../contract/paths.ts";
import { estimateSavings, pacing, type Savings, type TimedBuild } from "../../../../contract/savings.ts";
import { isEntry } from "../spool.ts";
import { readSpoolFrom, type SpoolFile, withSpool } from "../spool-files.ts";
import {
  type Chosen,
  entriesOf,
  entriesReport,
  hitRateFrom,
  invocationOf,
  invocationsOf,
  isChosen,
  journalVersion,
  type TakenFile,
  takenFiles,
  timedBuildOf,
  timedBuilds,
} from "./rows.ts";

/** How long to wait for the daemon, where it writes: milliseconds. */
const patience = 2_000;
/** Of what no daemon took in, the end is read: bytes of each file. */
const mostBeyond = 5 * 1_048_576;

export type HistoryKind = SpoolEntry["kind"] | "invocation";

/** An escape or a refusal as the spool has it; an invocation with the time that it is listed by. */
export type HistoryEntry = SpoolEntry | (Invocation & { readonly kind: "invocation"; readonly at: string });

export interface HistoryQuery {
  readonly kinds: readonly HistoryKind[];
  /** Wall clock, milliseconds: no older ones. */
  readonly since?: number | undefined;
  /** Directories: what was called in them and below. */
  readonly workspaces?: readonly string[] | undefined;
  readonly most: number;
}

export interface PeriodSummary {
  readonly hitRate: HitRate;
  readonly escapes: number;
  readonly refusals: number;
}

export interface HistorySummary {
  /** Since midnight, local time. */
  readonly today: PeriodSummary;
  /** Today and the six days before. */
  readonly week: PeriodSummary;
  /** In that week. */
  readonly saved: Savings;
}

export interface HistoryReading {
  /** Newest first. */
  readonly entries: readonly HistoryEntry[];
  /** Lines of the spool that are none. */
  readonly malformed: number;
  readonly summary: HistorySummary;
  /** Why the database could not be read, where there is one: then only the spool speaks. */
  readonly fault: string | undefined;
}

/** @throws FlywheelError `state-directory-unusable` where the spool is there but cannot be read */
export async function readHistory(paths: Paths, query: HistoryQuery, now: Date): Promise<HistoryReading> {
  return await withJournal(paths, (database, beyond, fault) => ({
    entries: entriesIn(database, beyond, query),
    malformed: beyond.malformed,
    summary: summaryIn(database, beyond, query.workspaces, now),
    fault,
  }));
}

/** What status shows without a daemon. @throws as readHistory */
export async function readEscapes(paths: Paths, now: Date): Promise<{ readonly escapes: EscapesReport; readonly refusals: EscapesReport }> {
  return await withJournal(paths, (database, beyond) => ({
    escapes: escapesIn(database, beyond, "escape", now),
    refusals: escapesIn(database, beyond, "refusal", now),
  }));
}

/** What the spool has, and the database has not. */
interface Beyond {
  /** Newest first. */
  readonly entries: readonly SpoolEntry[];
  /** With what the database knows of them already. */
  readonly invocations: ReadonlyMap<string, Invocation>;
  readonly malformed: number;
}

type Work<T> = (database: DatabaseSync | undefined, beyond: Beyond, fault: string | undefined) => T;

/** One moment of both: what the daemon takes in meanwhile is neither missed nor met twice. */
async function withJournal<T>(paths: Paths, work: Work<T>): Promise<T> {
  const alone = (fault: string | undefined): T => work(undefined, beyondOf(paths, undefined), fault);
  const file = journalPath(paths);
  if (lstatSync(file, { throwIfNoEntry: false })?.isFile() !== true) return alone(undefined);
  let reading: { readonly result: T } | { readonly fault: string | undefined };
  let database: DatabaseSync | undefined;
  try {
    // Only where there is one: loading SQLite costs a start some milliseconds.
    const { DatabaseSync } = await import("node:sqlite");
    database = new DatabaseSync(file, { readOnly: true, timeout: patience });
    database.exec("BEGIN");
    const version = Number(database.prepare("PRAGMA user_version").get()?.["user_version"]);
    if (version === journalVersion) reading = { result: work(database, beyondOf(paths, database), undefined) };
    else if (version === 0) reading = { fault: undefined };
    else
      reading = {
        fault: `it is of version ${version}, and this flywheel reads ${journalVersion}; next: flywheel up, with the newest flywheel`,
      };
  } catch (error) {
    // The spool's own faults are the caller's to hear, and it is read again below.
    reading = { fault: messageOf(error) };
  } finally {
    database?.close();
  }
  return "result" in reading ? reading.result : alone(reading.fault === undefined ? undefined : `${file} cannot be read: ${reading.fault}`);
}

function beyondOf(paths: Paths, database: DatabaseSync | undefined): Beyond {
  const taken = database === undefined ? new Map<string, TakenFile>() : takenFiles(database);
  const entries: SpoolEntry[] = [];
  const invocations = new Map<string, Invocation>();
  let malformed = 0;
  withSpool(paths, (files) => {
    for (const file of files) {
      const known = taken.get(file.id);
      malformed += known?.malformed ?? 0;
      for (const chunk of chunksFrom(file, known?.taken ?? 0)) {
        malformed += chunk.malformed;
        for (const line of chunk.lines) {
          if (line.kind === "spool") continue;
          if (isEntry(line)) {
            const entry = storableEntry(line);
            if (entry !== undefined) entries.push(entry);
            continue;
          }
          const invocation = storableInvocation(line.invocation);
          if (invocation === undefined) continue;
          const { id } = invocation;
          const before = invocations.get(id) ?? (database === undefined ? undefined : invocationOf(database, id));
          invocations.set(id, before === undefined ? invocation : mergedInvocation(before, invocation));
        }
      }
    }
  });
  return { entries: newestFirst(entries.toReversed()), invocations, malformed };
}

function* chunksFrom(file: SpoolFile, taken: number): Generator<ReturnType<typeof readSpoolFrom>> {
  const first = Math.max(Math.min(taken, file.size), file.size - mostBeyond);
  for (let from = first; from < file.size; ) {
    const chunk = readSpoolFrom(file, from, { cut: from === first && first > taken });
    yield chunk;
    // A last line that is not whole: it is being written.
    if (chunk.next === from) return;
    from = chunk.next;
  }
}

function entriesIn(database: DatabaseSync | undefined, beyond: Beyond, query: HistoryQuery): readonly HistoryEntry[] {
  const { kinds, since, workspaces, most } = query;
  const chosen: Chosen = { since, workspaces, without: [...beyond.invocations.keys()] };
  const written = kinds.filter((kind) => kind !== "invocation");
  const found: HistoryEntry[] = beyond.entries.filter((entry) => written.includes(entry.kind) && isChosen(entry, chosen));
  if (database !== undefined && written.length > 0) found.push(...entriesOf(database, written, chosen, most));
  if (kinds.includes("invocation")) {
    const ran = [...beyond.invocations.values(), ...(database === undefined ? [] : invocationsOf(database, chosen, most))];
    found.push(...ran.map((one) => ({ kind: "invocation", at: one.startedAt, ...one }) as const).filter((one) => isChosen(one, chosen)));
  }
  return newestFirst(found).slice(0, most);
}

function newestFirst<T extends { readonly at: string }>(entries: readonly T[]): readonly T[] {
  return entries.toSorted((a, b) => Date.parse(b.at) - Date.parse(a.at));
}

function summaryIn(
  database: DatabaseSync | undefined,
  beyond: Beyond,
  workspaces: readonly string[] | undefined,
  now: Date,
): HistorySummary {
  const period = (since: Date): PeriodSummary => {
    const chosen: Chosen = { since: since.getTime(), workspaces, without: [...beyond.invocations.keys()] };
    const count = (kind: SpoolEntry["kind"]): number => {
      const more = beyond.entries.filter((entry) => entry.kind === kind && isChosen(entry, chosen)).length;
      return more + (database === undefined ? 0 : entriesReport(database, kind, chosen).today);
    };
    const rows = database === undefined ? hitRateOf([]) : hitRateFrom(database, chosen);
    const more = hitRateOf(invocationsBeyond(beyond, chosen));
    const hitRate = {
      builds: rows.builds + more.builds,
      counted: rows.counted + more.counted,
      hits: rows.hits + more.hits,
      misses: rows.misses + more.misses,
    };
    return { hitRate, escapes: count("escape"), refusals: count("refusal") };
  };
  const timed = (since: Date, which: "hits" | "paces"): readonly TimedBuild[] => {
    const chosen: Chosen = { since: since.getTime(), workspaces, without: [...beyond.invocations.keys()] };
    const more = invocationsBeyond(beyond, chosen).flatMap((one) => timedBuildOf(one) ?? []);
    return [...(database === undefined ? [] : timedBuilds(database, chosen, which)), ...more];
  };
  const week = midnight(now, 6);
  return {
    today: period(midnight(now)),
    week: period(week),
    saved: estimateSavings(timed(midnight(now, pacing.days), "paces"), timed(week, "hits")),
  };
}

function invocationsBeyond(beyond: Beyond, chosen: Chosen): readonly Invocation[] {
  return [...beyond.invocations.values()].filter((one) => isChosen({ ...one, at: one.startedAt }, chosen));
}

function escapesIn(database: DatabaseSync | undefined, beyond: Beyond, kind: SpoolEntry["kind"], now: Date): EscapesReport {
  const own = summaryOf(beyond.entries, kind, now);
  if (database === undefined) return own;
  const rows = entriesReport(database, kind, { since: midnight(now).getTime() });
  // By their times, not by where they stand: a clock may have been set back.
  const last = newestFirst([own.last, rows.last].filter((one) => one !== null))[0] ?? lastReport(undefined);
  return { today: own.today + rows.today, last };
}
