/** The spool of escapes and refusals: appended by the guard whether or not a daemon runs, read by status and history. */
import { closeSync, constants, fstatSync, lstatSync, mkdirSync, openSync, readSync, renameSync, writeSync } from "node:fs";
import { dirname } from "node:path";
import * as v from "valibot";
import { FlywheelError } from "../../../contract/errors.ts";
import type { Invocation } from "../../../contract/invocation.ts";
import { longestSpoolLine, type SpoolEntry, spoolEntrySchema } from "../../../contract/journal.ts";
import { type Paths, spoolPath } from "../../../contract/paths.ts";
import { withoutWaiting } from "./bounded.ts";
import { isErrno, reasonOf } from "./directory.ts";

/** Rotated to spool.1.jsonl beyond this: bytes. */
const largestSpool = 5 * 1_048_576;
/** How much of its end is read: bytes. */
const readAtMost = 1_048_576;

/**
 * Appends one entry in one write, so that concurrent guards never mix their lines.
 * Texts that would make the line too long are cut.
 * @throws FlywheelError `state-directory-unusable`
 */
export function appendSpool(paths: Paths, entry: SpoolEntry): void {
  appendLine(paths, lineOf(entry));
}

/** @throws FlywheelError `state-directory-unusable` */
export function appendInvocation(paths: Paths, invocation: Invocation): void {
  appendLine(paths, Buffer.from(`${JSON.stringify({ v: 1, kind: "invocation", invocation })}\n`));
}

function appendLine(paths: Paths, line: Buffer): void {
  const file = spoolPath(paths);
  try {
    mkdirSync(dirname(file), { recursive: true, mode: 0o700 });
    const flags = constants.O_RDWR | constants.O_APPEND | constants.O_CREAT | constants.O_NOFOLLOW | withoutWaiting;
    const opened = openSync(file, flags, 0o600);
    try {
      const stats = fstatSync(opened);
      if (!stats.isFile()) throw new Error("it is no file");
      const { size, ino } = stats;
      const whole = endsInLine(opened, size) ? line : Buffer.concat([newline, line]);
      const written = writeSync(opened, whole);
      if (written !== whole.length) throw new Error("the disk took only a part of the line");
      // Another guard may have rotated it meanwhile: the new file must not replace the full one.
      if (size + written > largestSpool && lstatSync(file).ino === ino) renameSync(file, file.replace(/\.jsonl$/, ".1.jsonl"));
    } finally {
      closeSync(opened);
    }
  } catch (error) {
    throw new FlywheelError("state-directory-unusable", `${file} cannot be written (${reasonOf(error)})`, {
      next: "make the state directory writable, or set GF_STATE_DIR",
      cause: error,
    });
  }
}

export interface SpoolReading {
  /** Newest first. */
  readonly entries: readonly SpoolEntry[];
  /** Lines that are no entries: cut by a crash or a full disk, or written by a later version. */
  readonly malformed: number;
}

/**
 * The newest entries, from the last 1 MiB of the spool; nothing where there is none.
 * @param options.limit at most so many
 * @throws FlywheelError `state-directory-unusable` where it is there but cannot be read
 */
export function readSpool(paths: Paths, options: { readonly limit: number }): SpoolReading {
  const file = spoolPath(paths);
  let text: string;
  try {
    text = readEnd(file);
  } catch (error) {
    if (isErrno(error) && error.code === "ENOENT") return { entries: [], malformed: 0 };
    throw new FlywheelError("state-directory-unusable", `${file} cannot be read (${reasonOf(error)})`, { cause: error });
  }
  const entries: SpoolEntry[] = [];
  let malformed = 0;
  for (const line of text.split("\n").toReversed()) {
    if (entries.length >= options.limit) break;
    if (line === "") continue;
    const entry = parseLine(line);
    if (entry === undefined) malformed += 1;
    else entries.push(entry);
  }
  return { entries, malformed };
}

function readEnd(file: string): string {
  const opened = openSync(file, constants.O_RDONLY | constants.O_NOFOLLOW | withoutWaiting);
  try {
    const stats = fstatSync(opened);
    if (!stats.isFile()) throw new Error("it is no file");
    const { size } = stats;
    const from = Math.max(0, size - readAtMost);
    const buffer = Buffer.alloc(Math.min(size, readAtMost));
    const text = buffer.toString("utf8", 0, readSync(opened, buffer, 0, buffer.length, from));
    // The first line of a cut is only a part of one.
    return from === 0 ? text : text.slice(text.indexOf("\n") + 1);
  } finally {
    closeSync(opened);
  }
}

function parseLine(line: string): SpoolEntry | undefined {
  try {
    const result = v.safeParse(spoolEntrySchema, JSON.parse(line));
    return result.success ? result.output : undefined;
  } catch {
    return undefined;
  }
}

const newline = Buffer.from("\n");

/** Whether the file ends with a whole line: one that a crash cut off must not swallow the next. */
function endsInLine(opened: number, size: number): boolean {
  if (size === 0) return true;
  const last = Buffer.alloc(1);
  return readSync(opened, last, 0, 1, size - 1) === 0 || last.equals(newline);
}

function lineOf(entry: SpoolEntry): Buffer {
  const whole = Buffer.from(`${JSON.stringify(entry)}\n`);
  if (whole.length <= longestSpoolLine) return whole;
  // JSON escapes a character to at most six bytes: four texts of 120 characters always fit.
  const cut = (text: string): string => (text.length > 120 ? `${text.slice(0, 120)}…` : text);
  const texts = { tool: cut(entry.tool), command: cut(entry.command), workspace: cut(entry.workspace), reason: cut(entry.reason) };
  return Buffer.from(`${JSON.stringify({ ...entry, ...texts })}\n`);
}
