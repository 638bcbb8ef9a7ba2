/** One daemon for a runtime directory: a lock that the kernel releases when its process ends, however it ends. */
import { DatabaseSync } from "node:sqlite";
import { FlywheelError, messageOf } from "../contract/errors.ts";

/** SQLITE_BUSY of sqlite3.h. */
const busy = 5;

export interface Lock {
  release(): void;
}

/**
 * Takes the lock, which is SQLite's own exclusive one (Node has no flock): nothing is ever written to the file.
 * @returns undefined where another process has it
 * @throws FlywheelError `runtime-directory-unsafe` where the file cannot be made
 */
export function takeLock(file: string): Lock | undefined {
  let database: DatabaseSync | undefined;
  try {
    database = new DatabaseSync(file, { timeout: 0 });
    database.exec("PRAGMA journal_mode = MEMORY; PRAGMA locking_mode = EXCLUSIVE; BEGIN EXCLUSIVE");
  } catch (error) {
    database?.close();
    if (error instanceof Error && "errcode" in error && error.errcode === busy) return undefined;
    throw new FlywheelError("runtime-directory-unsafe", `${file} cannot be written (${messageOf(error)})`, {
      next: "make the runtime directory writable, or set GF_RUNTIME_DIR",
      cause: error,
    });
  }
  const held = database;
  return { release: () => held.close() };
}
