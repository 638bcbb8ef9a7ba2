/** What is asked of the journal's database: by the daemon, which writes it, and by whoever only reads it. */
import type { DatabaseSync, SQLInputValue } from "node:sqlite";
import * as v from "valibot";
import type { EscapesReport } from "../../../../contract/api.ts";
import { type HitRate, type Invocation, invocationSchema } from "../../../../contract/invocation.ts";
import { lastReport, type SpoolEntry, spoolEntrySchema } from "../../../../contract/journal.ts";
import { pacing, type TimedBuild } from "../../../../contract/savings.ts";

/** The version of the tables (PRAGMA user_version) that these questions are for. */
export const journalVersion = 1;
/** No more builds are weighed for an estimate. */
const mostWeighed = 20_000;

export interface Chosen {
  /** Wall clock, milliseconds: no older ones. */
  readonly since?: number | undefined;
  /** Directories: these, and what lies below. */
  readonly workspaces?: readonly string[] | undefined;
  readonly profile?: string | undefined;
  /** Invocations that somebody knows better: passed over. */
  readonly without?: readonly string[] | undefined;
}

/** A WHERE clause of the values' own, its parameters bound by place. */
interface Where {
  readonly text: string;
  readonly values: readonly SQLInputValue[];
}

function whereOf(time: "started" | "at", chosen: Chosen, ...more: readonly Where[]): Where {
  const parts: Where[] = [...more];
  if (chosen.since !== undefined) parts.push({ text: `${time} >= ?`, values: [chosen.since] });
  if (chosen.profile !== undefined) parts.push({ text: "profile = ?", values: [chosen.profile] });
  if (chosen.workspaces !== undefined) {
    const each = chosen.workspaces.map(() => "workspace = ? OR substr(workspace, 1, length(?)) = ?");
    const values = chosen.workspaces.flatMap((path) => [path, below(path), below(path)]);
    parts.push({ text: `(${each.join(" OR ")})`, values });
  }
  if (chosen.without !== undefined && chosen.without.length > 0) {
    parts.push({ text: "id NOT IN (SELECT value FROM json_each(?))", values: [JSON.stringify(chosen.without)] });
  }
  const text = parts.length === 0 ? "" : `WHERE ${parts.map((part) => part.text).join(" AND ")}`;
  return { text, values: parts.flatMap((part) => part.values) };
}

function below(path: string): string {
  return path.endsWith("/") ? path : `${path}/`;
}

/** The same choice, of what is no row. */
export function isChosen(of: { readonly at: string; readonly workspace: string; readonly profile: string }, chosen: Chosen): boolean {
  if (chosen.since !== undefined && !(Date.parse(of.at) >= chosen.since)) return false;
  if (chosen.profile !== undefined && of.profile !== chosen.profile) return false;
  return chosen.workspaces?.some((path) => of.workspace === path || of.workspace.startsWith(below(path))) ?? true;
}

/** Newest first. A row that is none of ours is passed over. */
export function invocationsOf(database: DatabaseSync, chosen: Chosen, most: number): readonly Invocation[] {
  const where = whereOf("started", chosen);
  const rows = database.prepare(`SELECT record FROM invocations ${where.text} ORDER BY started DESC, rowid DESC LIMIT ?`);
  return parsed(invocationSchema, rows.all(...where.values, most));
}

export function invocationOf(database: DatabaseSync, id: string): Invocation | undefined {
  return parsed(invocationSchema, database.prepare("SELECT record FROM invocations WHERE id = ?").all(id))[0];
}

/** Newest first. */
export function entriesOf(
  database: DatabaseSync,
  kinds: readonly SpoolEntry["kind"][],
  chosen: Omit<Chosen, "without">,
  most: number,
): readonly SpoolEntry[] {
  const where = whereOf("at", chosen, { text: "kind IN (SELECT value FROM json_each(?))", values: [JSON.stringify(kinds)] });
  const rows = database.prepare(`SELECT record FROM entries ${where.text} ORDER BY at DESC, id DESC LIMIT ?`);
  return parsed(spoolEntrySchema, rows.all(...where.values, most));
}

/** @param chosen its `since` is midnight: when today began */
export function entriesReport(database: DatabaseSync, kind: SpoolEntry["kind"], chosen: Omit<Chosen, "without">): EscapesReport {
  const where = whereOf("at", chosen, { text: "kind = ?", values: [kind] });
  const today = numberOf(database.prepare(`SELECT count(*) AS n FROM entries ${where.text}`).get(...where.values)?.["n"]);
  return { today, last: lastReport(entriesOf(database, [kind], { ...chosen, since: undefined }, 1)[0]) };
}

export function hitRateFrom(database: DatabaseSync, chosen: Chosen): HitRate {
  const where = whereOf("started", chosen);
  const row = database
    .prepare(
      `SELECT count(*) AS builds, sum(counted) AS counted, sum(counted * hits) AS hits, sum(counted * (misses + other)) AS misses
       FROM invocations ${where.text}`,
    )
    .get(...where.values);
  return {
    builds: numberOf(row?.["builds"]),
    counted: numberOf(row?.["counted"]),
    hits: numberOf(row?.["hits"]),
    misses: numberOf(row?.["misses"]),
  };
}

/** Builds that can be weighed, whole ones only: of them, `hits` those that saved something, `paces` those that tell what an action takes. */
export function timedBuilds(database: DatabaseSync, chosen: Chosen, which: "hits" | "paces"): readonly TimedBuild[] {
  const condition =
    which === "hits"
      ? { text: "hits > 0", values: [] }
      : { text: "misses >= ? AND hits + other <= ? * misses", values: [pacing.misses, pacing.answered] };
  const where = whereOf("started", chosen, { text: "counted = 1 AND wall_ms > 0", values: [] }, condition);
  return database
    .prepare(
      `SELECT workspace, tool, command, hits, other, misses, wall_ms FROM invocations ${where.text} ORDER BY started DESC LIMIT ${mostWeighed}`,
    )
    .all(...where.values)
    .map((row) => ({
      workspace: String(row["workspace"]),
      tool: String(row["tool"]),
      command: String(row["command"]),
      hits: numberOf(row["hits"]),
      other: numberOf(row["other"]),
      misses: numberOf(row["misses"]),
      wallMs: numberOf(row["wall_ms"]),
    }));
}

/** An invocation as `timedBuilds` would give it; undefined where it cannot be weighed. */
export function timedBuildOf({ workspace, tool, command, tally, wallMs }: Invocation): TimedBuild | undefined {
  if (tally.state !== "counted" || tally.doubt !== null || wallMs === null || wallMs === 0) return undefined;
  const { hits, other, misses } = tally.counts;
  return { workspace, tool, command, hits, other, misses, wallMs };
}

export interface TakenFile {
  readonly file: string;
  /** Bytes of it that are in the tables. */
  readonly taken: number;
  /** Lines among them that were none. */
  readonly malformed: number;
}

export function takenFiles(database: DatabaseSync): ReadonlyMap<string, TakenFile> {
  const rows = database.prepare("SELECT file, taken, malformed FROM spool").all();
  return new Map(
    rows.map((row) => {
      const file = String(row["file"]);
      return [file, { file, taken: numberOf(row["taken"]), malformed: numberOf(row["malformed"]) }];
    }),
  );
}

function parsed<T>(schema: v.GenericSchema<unknown, T>, rows: readonly Record<string, unknown>[]): readonly T[] {
  return rows.flatMap((row) => {
    try {
      const result = v.safeParse(schema, JSON.parse(String(row["record"])));
      return result.success ? [result.output] : [];
    } catch {
      return [];
    }
  });
}

function numberOf(value: unknown): number {
  return typeof value === "number" ? value : 0;
}
