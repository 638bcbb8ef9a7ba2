/** The journal's tables, and how an older journal becomes one of this version: one step a version, each in a transaction of its own. */
import type { DatabaseSync } from "node:sqlite";
import { journalVersion } from "../api/client/journal/rows.ts";

/** From the version of its place in the list to the next. */
export type Migration = (database: DatabaseSync) => void;

const toVersion1: Migration = (database) =>
  database.exec(`
    -- One row an invocation: what is asked for by itself, and the whole as JSON (contract/invocation.ts).
    CREATE TABLE invocations (
      id TEXT PRIMARY KEY,
      started INTEGER NOT NULL,
      profile TEXT NOT NULL,
      workspace TEXT NOT NULL,
      tool TEXT NOT NULL,
      command TEXT NOT NULL,
      -- Whether the figures are known and to be believed; else they are 0.
      counted INTEGER NOT NULL,
      hits INTEGER NOT NULL,
      other INTEGER NOT NULL,
      misses INTEGER NOT NULL,
      wall_ms REAL,
      record TEXT NOT NULL
    ) STRICT;
    CREATE INDEX invocations_started ON invocations (started);
    CREATE INDEX invocations_profile ON invocations (profile, started);
    -- Escapes and refusals (contract/journal.ts).
    CREATE TABLE entries (
      id INTEGER PRIMARY KEY,
      at INTEGER NOT NULL,
      kind TEXT NOT NULL,
      profile TEXT NOT NULL,
      workspace TEXT NOT NULL,
      record TEXT NOT NULL
    ) STRICT;
    CREATE INDEX entries_at ON entries (at);
    CREATE INDEX entries_kind ON entries (kind, at);
    -- How much of each of the spool's files is in the tables: bytes.
    CREATE TABLE spool (
      file TEXT PRIMARY KEY,
      taken INTEGER NOT NULL,
      malformed INTEGER NOT NULL
    ) STRICT;
  `);

export const migrations: readonly Migration[] = [toVersion1];

if (migrations.length !== journalVersion) throw new Error("the questions in rows.ts are for another version than the tables");

/** A journal that a later flywheel wrote. */
export class LaterVersionError extends Error {
  readonly version: number;

  constructor(version: number, known: number) {
    super(`it is of version ${version}, and this flywheel knows ${known}`);
    this.version = version;
  }
}

/** A database, but not the journal. */
export class ForeignDatabaseError extends Error {
  constructor() {
    super("it is another program's database");
  }
}

export function versionOf(database: DatabaseSync): number {
  return Number(database.prepare("PRAGMA user_version").get()?.["user_version"]);
}

/**
 * @param steps all that there are, from an empty database on
 * @throws LaterVersionError, ForeignDatabaseError; of neither anything was changed
 */
export function migrate(database: DatabaseSync, steps: readonly Migration[] = migrations): void {
  const found = versionOf(database);
  if (found > steps.length) throw new LaterVersionError(found, steps.length);
  if (found === 0 && database.prepare("SELECT 1 FROM sqlite_schema").get() !== undefined) throw new ForeignDatabaseError();
  for (const [version, step] of steps.entries()) {
    if (version < found) continue;
    database.exec("BEGIN IMMEDIATE");
    try {
      // Another daemon of this state directory may have been faster.
      if (versionOf(database) === version) {
        step(database);
        database.exec(`PRAGMA user_version = ${version + 1}`);
      }
      database.exec("COMMIT");
    } catch (error) {
      if (database.isTransaction) database.exec("ROLLBACK");
      throw error;
    }
  }
}
