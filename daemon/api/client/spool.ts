/** The spool of escapes, refusals and recorded invocations: appended whether or not a daemon runs; the daemon takes it into its journal. */
import {
  closeSync,
  constants,
  fstatSync,
  linkSync,
  lstatSync,
  mkdirSync,
  openSync,
  readSync,
  renameSync,
  unlinkSync,
  writeSync,
} from "node:fs";
import { dirname } from "node:path";
import { FlywheelError } from "../../../contract/errors.ts";
import type { Invocation } from "../../../contract/invocation.ts";
import {
  longestInvocationLine,
  longestSpoolLine,
  parseSpoolLine,
  type SpoolEntry,
  type SpoolLine,
  storableInvocation,
} from "../../../contract/journal.ts";
import { type Paths, rotatedSpoolPath, spoolPath } from "../../../contract/paths.ts";
import { withoutWaiting } from "./bounded.ts";
import { isErrno, reasonOf } from "./errno.ts";

/** Bytes. */
export interface SpoolLimits {
  /** Rotated to spool.1.jsonl beyond this, once that is gone: the daemon removes it when all of it is in the journal. */
  readonly rotated: number;
  /** Beyond this it takes the place of a spool.1.jsonl that nobody took in: the oldest go first. */
  readonly most: number;
}
const limits: SpoolLimits = { rotated: 5 * 1_048_576, most: 10 * 1_048_576 };
/** How much of its end is read: bytes. */
const readAtMost = 1_048_576;
/** Into a file that is taken away in that moment, at most so often. */
const attempts = 3;

/**
 * Appends one entry in one write, so that concurrent guards never mix their lines.
 * Texts that would make the line too long are cut.
 * @throws FlywheelError `state-directory-unusable`
 */
export function appendSpool(paths: Paths, entry: SpoolEntry, within: SpoolLimits = limits): void {
  append(paths, lineOf(entry), within);
}

/**
 * Appends what ran, for whoever stayed beside it; the daemon's own record of it gives way.
 * @throws FlywheelError `internal` where it is no invocation that can be kept, `state-directory-unusable`
 */
export function appendInvocation(paths: Paths, invocation: Invocation, within: SpoolLimits = limits): void {
  const storable = storableInvocation(invocation);
  if (storable === undefined) throw new FlywheelError("internal", "what ran cannot be recorded: a time or a count in it is none");
  append(paths, invocationLine(storable), within);
}

function append(paths: Paths, line: Buffer, within: SpoolLimits): void {
  const file = spoolPath(paths);
  try {
    mkdirSync(dirname(file), { recursive: true, mode: 0o700 });
    let left = attempts;
    while (!appendOnce(paths, file, line, within)) {
      left -= 1;
      if (left === 0) throw new Error("it is taken away again and again");
    }
  } catch (error) {
    throw new FlywheelError("state-directory-unusable", `${file} cannot be written (${reasonOf(error)})`, {
      next: "make the state directory writable, or set GF_STATE_DIR",
      cause: error,
    });
  }
}

/** @returns false where the file was removed between opening and writing: nobody will find the line there */
function appendOnce(paths: Paths, file: string, line: Buffer, within: SpoolLimits): boolean {
  const flags = constants.O_RDWR | constants.O_APPEND | constants.O_CREAT | constants.O_NOFOLLOW | withoutWaiting;
  const opened = openSync(file, flags, 0o600);
  try {
    const stats = fstatSync(opened);
    if (!stats.isFile()) throw new Error("it is no file");
    const { size, ino } = stats;
    const before = size === 0 ? headLine() : endsInLine(opened, size) ? nothing : newline;
    const whole = Buffer.concat([before, line]);
    const written = writeSync(opened, whole);
    if (written !== whole.length) throw new Error("the disk took only a part of the line");
    if (fstatSync(opened).nlink === 0) return false;
    if (size + written > within.rotated) rotate(paths, { ino, full: size + written > within.most });
    return true;
  } finally {
    closeSync(opened);
  }
}

/** The line is there already: where another guard rotates too, or was killed while it did, whoever appends next goes on. */
function rotate(paths: Paths, spool: { readonly ino: number; readonly full: boolean }): void {
  try {
    putAside(paths, spool);
  } catch (error) {
    if (!isErrno(error)) throw error;
  }
}

function putAside(paths: Paths, { ino, full }: { readonly ino: number; readonly full: boolean }): void {
  const [file, rotated] = [spoolPath(paths), rotatedSpoolPath(paths)];
  // Another guard may have rotated it meanwhile: the new file must not replace the full one.
  if (lstatSync(file).ino !== ino) return;
  const there = lstatSync(rotated, { throwIfNoEntry: false });
  // Another guard was killed between the two steps below.
  if (there?.ino === ino) {
    unlinkSync(file);
    return;
  }
  if (there !== undefined && !full) return;
  if (there !== undefined) {
    renameSync(file, rotated);
    return;
  }
  try {
    // Unlike a rename it replaces nothing: of two guards that rotate at once, one is the first.
    linkSync(file, rotated);
  } catch (error) {
    if (!isErrno(error) || error.code === "EEXIST" || error.code === "ENOENT") return;
    // A file system without hard links.
    renameSync(file, rotated);
    return;
  }
  unlinkSync(file);
}

export interface SpoolReading {
  /** Newest first. */
  readonly entries: readonly SpoolEntry[];
  /** Lines that are no entries: cut by a crash or a full disk, or written by a later version. */
  readonly malformed: number;
}

/**
 * The newest escapes and refusals, from the last 1 MiB of the spool; nothing where there is none.
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
    const entry = parseSpoolLine(line);
    if (entry === undefined) malformed += 1;
    else if (isEntry(entry)) entries.push(entry);
  }
  return { entries, malformed };
}

export function isEntry(line: SpoolLine): line is SpoolEntry {
  return line.kind === "escape" || line.kind === "refusal";
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

const nothing = Buffer.alloc(0);
const newline = Buffer.from("\n");

/** Of this machine, this process and this moment: no other file has it. Two guards may both begin a file; the first line counts. */
function headLine(): Buffer {
  const id = `${Date.now()}-${process.pid}-${process.hrtime.bigint()}`;
  return Buffer.from(`${JSON.stringify({ v: 1, kind: "spool", id })}\n`);
}

/** Whether the file ends with a whole line: one that a crash cut off must not swallow the next. */
function endsInLine(opened: number, size: number): boolean {
  const last = Buffer.alloc(1);
  return readSync(opened, last, 0, 1, size - 1) === 0 || last.equals(newline);
}

// JSON escapes a character to at most six bytes: a few texts of 120 characters always fit.
const cut = (text: string): string => (text.length > 120 ? `${text.slice(0, 120)}…` : text);

function lineOf(entry: SpoolEntry): Buffer {
  const whole = Buffer.from(`${JSON.stringify(entry)}\n`);
  if (whole.length <= longestSpoolLine) return whole;
  const texts = { tool: cut(entry.tool), command: cut(entry.command), workspace: cut(entry.workspace), reason: cut(entry.reason) };
  return Buffer.from(`${JSON.stringify({ ...entry, ...texts })}\n`);
}

function invocationLine(invocation: Invocation): Buffer {
  const lineFor = (one: Invocation): Buffer =>
    Buffer.from(`${JSON.stringify({ v: 1, at: new Date().toISOString(), kind: "invocation", invocation: one })}\n`);
  const whole = lineFor(invocation);
  if (whole.length <= longestInvocationLine) return whole;
  const { tally, lost, endpoint } = invocation;
  return lineFor({
    ...invocation,
    workspace: cut(invocation.workspace),
    endpoint: endpoint === null ? null : cut(endpoint),
    tally:
      tally.state === "unknown" ? { ...tally, why: cut(tally.why) } : { ...tally, doubt: tally.doubt === null ? null : cut(tally.doubt) },
    lost: lost === null ? null : { ...lost, reason: cut(lost.reason) },
  });
}
