/** The journal's file: opened, made and migrated; told apart from what only stands in its place, and set aside where it is damaged. */
import { closeSync, constants, fchmodSync, fstatSync, lstatSync, mkdirSync, openSync, readdirSync, renameSync, rmSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { messageOf } from "../../contract/errors.ts";
import { journalPath, type Paths } from "../../contract/paths.ts";
import { isErrno, reasonOf } from "../api/client/errno.ts";
import { ForeignDatabaseError, type Migration, migrate, migrations } from "./schema.ts";

/** Result codes of sqlite3.h. */
const sqlite = { error: 1, corrupt: 11, notADatabase: 26 } as const;

/** How long to wait for another process that writes: milliseconds. The daemon has more to do. */
const patience = 250;
/** Damaged journals that are kept. */
const mostAside = 3;
const companions = ["-wal", "-shm", "-journal"] as const;

/** A file, a directory or whatever else stands where the journal should be, and cannot be it. */
class UnfitFileError extends Error {}

/**
 * Opens the journal, 0600 in a directory of 0700, and makes or migrates it where need be.
 * @throws whatever SQLite and the file system throw, LaterVersionError, ForeignDatabaseError, UnfitFileError
 */
export function openJournal(paths: Paths, steps: readonly Migration[] = migrations): DatabaseSync {
  const file = journalPath(paths);
  mkdirSync(dirname(file), { recursive: true, mode: 0o700 });
  for (const path of [file, ...companions.map((suffix) => `${file}${suffix}`)]) {
    const stats = lstatSync(path, { throwIfNoEntry: false });
    if (stats !== undefined && !stats.isFile()) throw new UnfitFileError("it is no file");
  }
  makePrivate(file);
  const database = new DatabaseSync(file, { timeout: patience });
  try {
    // Before anything is written: a later version's journal stays as it is.
    migrate(prepared(database, steps), steps);
    // The daemon's memory is counted: 128 KiB of pages are enough for what is asked.
    database.exec("PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA cache_size = -128; PRAGMA wal_autocheckpoint = 256");
    database.exec("PRAGMA journal_size_limit = 1048576");
    return database;
  } catch (error) {
    database.close();
    throw error;
  }
}

/** An empty one gives room back as it shrinks; that must be said before its first table. */
function prepared(database: DatabaseSync, steps: readonly Migration[]): DatabaseSync {
  const empty = database.prepare("SELECT count(*) AS n FROM sqlite_schema").get()?.["n"] === 0;
  if (empty && steps.length > 0) database.exec("PRAGMA auto_vacuum = INCREMENTAL");
  return database;
}

function makePrivate(file: string): void {
  const opened = openSync(file, constants.O_RDWR | constants.O_CREAT | constants.O_NOFOLLOW | constants.O_NONBLOCK, 0o600);
  try {
    if ((fstatSync(opened).mode & 0o077) !== 0) fchmodSync(opened, 0o600);
  } finally {
    closeSync(opened);
  }
}

/** Whether this says that the file is no journal any more, or never was: nothing but another file helps. */
export function isDamage(error: unknown): boolean {
  if (error instanceof ForeignDatabaseError || error instanceof UnfitFileError) return true;
  if (!isErrno(error) || !("errcode" in error) || typeof error.errcode !== "number") return false;
  // The low byte is the primary code.
  const primary = error.errcode & 0xff;
  if (primary === sqlite.error) return /^no such (?:table|column)/.test(error.message);
  return primary === sqlite.corrupt || primary === sqlite.notADatabase;
}

/** `EACCES` of the file system, the words of SQLite and of our own. */
export function faultOf(error: unknown): string {
  return isErrno(error) && "errcode" in error ? messageOf(error) : reasonOf(error);
}

/**
 * Moves a damaged journal, and what belongs to it, out of the way. The last few are kept.
 * @returns where it is now
 */
export function setAside(paths: Paths, now: Date): string {
  const file = journalPath(paths);
  const directory = dirname(file);
  const prefix = `${basename(file)}.corrupt-`;
  const time = now.toISOString().replaceAll(/[-:]|\.\d+/g, "");
  let aside = join(directory, `${prefix}${time}`);
  for (let count = 1; lstatSync(aside, { throwIfNoEntry: false }) !== undefined; count += 1)
    aside = join(directory, `${prefix}${time}-${count}`);
  for (const suffix of ["", ...companions]) {
    try {
      renameSync(`${file}${suffix}`, `${aside}${suffix}`);
    } catch (error) {
      if (!isErrno(error) || error.code !== "ENOENT") throw error;
    }
  }
  const older = readdirSync(directory).filter((name) => name.startsWith(prefix) && !companions.some((suffix) => name.endsWith(suffix)));
  for (const name of older.sort().slice(0, -mostAside)) {
    for (const suffix of ["", ...companions]) rmSync(join(directory, `${name}${suffix}`), { recursive: true, force: true });
  }
  return aside;
}
