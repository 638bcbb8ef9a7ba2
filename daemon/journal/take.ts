/** The spool's lines on their way into the tables. */
import type { DatabaseSync } from "node:sqlite";
import { storableEntry, storableInvocation } from "../../contract/journal.ts";
import { takenFiles } from "../api/client/journal/rows.ts";
import { isEntry } from "../api/client/spool.ts";
import { readSpoolFrom, type SpoolFile } from "../api/client/spool-files.ts";
import { writeEntry, writeInvocation, writeTaken } from "./write.ts";

/** Of a spool that has grown beyond all measure only the end is taken in: bytes. */
const mostOfSpool = 16 * 1_048_576;

export interface Taken {
  /** Lines that came. */
  readonly lines: number;
  /** Lines that were none. */
  readonly malformed: number;
  /** Whether this was not all of it. */
  readonly more: boolean;
}

/**
 * Takes in the next part of a file, and how far it goes, in the caller's transaction: whatever ends us, no line is taken twice.
 * @param options.finished nobody writes to the file any more
 */
export function takePart(database: DatabaseSync, file: SpoolFile, options: { readonly finished: boolean }): Taken {
  const known = takenFiles(database).get(file.id) ?? { file: file.id, taken: 0, malformed: 0 };
  // Whoever cut the file short took lines away; what they append now is new.
  const from = Math.max(Math.min(known.taken, file.size), file.size - mostOfSpool);
  const { lines, malformed, next } = readSpoolFrom(file, from, { finished: options.finished, cut: from > known.taken });
  if (next === from) return { lines: 0, malformed: 0, more: false };
  for (const line of lines) {
    if (line.kind === "spool") continue;
    if (isEntry(line)) {
      const entry = storableEntry(line);
      if (entry !== undefined) writeEntry(database, entry);
    } else {
      const invocation = storableInvocation(line.invocation);
      if (invocation !== undefined) writeInvocation(database, invocation);
    }
  }
  writeTaken(database, { file: file.id, taken: next, malformed: known.malformed + malformed });
  return { lines: lines.length, malformed, more: next < file.size };
}
