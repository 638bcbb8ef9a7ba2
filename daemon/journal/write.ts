/** What is written into the journal's tables; each within the caller's transaction. */
import type { DatabaseSync } from "node:sqlite";
import type { Invocation } from "../../contract/invocation.ts";
import { mergedInvocation, type SpoolEntry } from "../../contract/journal.ts";
import { invocationOf, type TakenFile } from "../api/client/journal/rows.ts";

/** Of the spool's files, so many of the last are remembered. */
const mostFiles = 16;

export function writeInvocation(database: DatabaseSync, invocation: Invocation): void {
  const known = invocationOf(database, invocation.id);
  const whole = known === undefined ? invocation : mergedInvocation(known, invocation);
  const { tally, wallMs } = whole;
  const counted = tally.state === "counted" && tally.doubt === null;
  const { hits, other, misses } = counted ? tally.counts : { hits: 0, other: 0, misses: 0 };
  database
    .prepare(
      `INSERT INTO invocations (id, started, profile, workspace, tool, command, counted, hits, other, misses, wall_ms, record)
       VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
       ON CONFLICT (id) DO UPDATE SET started = excluded.started, profile = excluded.profile, workspace = excluded.workspace,
         tool = excluded.tool, command = excluded.command, counted = excluded.counted, hits = excluded.hits, other = excluded.other,
         misses = excluded.misses, wall_ms = excluded.wall_ms, record = excluded.record`,
    )
    .run(
      ...[whole.id, Date.parse(whole.startedAt), whole.profile, whole.workspace, whole.tool, whole.command],
      ...[counted ? 1 : 0, hits, other, misses, wallMs, JSON.stringify(whole)],
    );
}

export function writeEntry(database: DatabaseSync, entry: SpoolEntry): void {
  database
    .prepare("INSERT INTO entries (at, kind, profile, workspace, record) VALUES (?, ?, ?, ?, ?)")
    .run(Date.parse(entry.at), entry.kind, entry.profile, entry.workspace, JSON.stringify(entry));
}

export function writeTaken(database: DatabaseSync, { file, taken, malformed }: TakenFile): void {
  // By rowid the last written are the last: what is replaced gets a new one.
  database.prepare("REPLACE INTO spool (file, taken, malformed) VALUES (?, ?, ?)").run(file, taken, malformed);
  database.prepare("DELETE FROM spool WHERE rowid NOT IN (SELECT rowid FROM spool ORDER BY rowid DESC LIMIT ?)").run(mostFiles);
}

export interface Bounds {
  /** No older ones are kept: days. */
  readonly days: number;
  /** Of the database, what is free in it not counted: bytes. The oldest go first. */
  readonly bytes: number;
}

/** Removed at once, so that nobody waits long: records. */
const step = 200;
/** Given back to the file system at once: pages. */
const pagesBack = 64;

/** Removes a little of what is beyond the bounds. @returns whether there is more */
export function prune(database: DatabaseSync, bounds: Bounds, now: Date): boolean {
  const pragma = (name: string): number => Number(database.prepare(`PRAGMA ${name}`).get()?.[name]);
  const used = (pragma("page_count") - pragma("freelist_count")) * pragma("page_size");
  const oldest = database
    .prepare(
      `SELECT max(time) AS time FROM
         (SELECT time FROM (SELECT started AS time FROM invocations UNION ALL SELECT at FROM entries) ORDER BY time LIMIT ${step})`,
    )
    .get();
  const last = oldest?.["time"];
  if (typeof last !== "number") return false;
  const tooOld = now.getTime() - bounds.days * 86_400_000;
  const until = used > bounds.bytes ? last : Math.min(last, tooOld - 1);
  const removed =
    Number(database.prepare("DELETE FROM invocations WHERE started <= ?").run(until).changes) +
    Number(database.prepare("DELETE FROM entries WHERE at <= ?").run(until).changes);
  database.exec(`PRAGMA incremental_vacuum(${pagesBack})`);
  return removed >= step;
}
