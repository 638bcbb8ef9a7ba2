/** The spool's files as whoever takes them in reads them: which they are, whatever they are called by now, and their whole lines from a place on. */
import { closeSync, constants, fstatSync, openSync, readSync } from "node:fs";
import { FlywheelError } from "../../../contract/errors.ts";
import { parseSpoolLine, type SpoolLine } from "../../../contract/journal.ts";
import { type Paths, rotatedSpoolPath, spoolPath } from "../../../contract/paths.ts";
import { withoutWaiting } from "./bounded.ts";
import { isErrno, reasonOf } from "./errno.ts";

/** Read at once: bytes, more than any line has. */
const chunk = 65_536;
/** Of the first line, where it is none of ours. */
const longestIdentity = 256;

export interface SpoolFile {
  /** What its first line says, which no other file's says: it stays the same when the file is renamed, or comes from a backup. */
  readonly id: string;
  readonly descriptor: number;
  readonly inode: number;
  readonly size: number;
  /** Wall clock: milliseconds. */
  readonly modified: number;
  readonly rotated: boolean;
}

/**
 * Works on the spool's files that are there, the older one first, and closes them behind it. A file whose first line
 * is not whole yet is not there.
 * @throws FlywheelError `state-directory-unusable` where one is there but cannot be read
 */
export function withSpool<T>(paths: Paths, work: (files: readonly SpoolFile[]) => T): T {
  const opened: number[] = [];
  try {
    // The younger first: one that is rotated meanwhile is met twice, and not missed.
    const young = openSpool(spoolPath(paths), opened, false);
    const old = openSpool(rotatedSpoolPath(paths), opened, true);
    return work(
      [old, young].filter((file) => file !== undefined).filter((file, at, all) => all.findIndex(({ id }) => id === file.id) === at),
    );
  } finally {
    for (const descriptor of opened) closeSync(descriptor);
  }
}

function openSpool(path: string, opened: number[], rotated: boolean): SpoolFile | undefined {
  try {
    const descriptor = openSync(path, constants.O_RDONLY | constants.O_NOFOLLOW | withoutWaiting);
    opened.push(descriptor);
    const stats = fstatSync(descriptor);
    if (!stats.isFile()) throw new Error("it is no file");
    const id = identityOf(descriptor, stats.size);
    return id === undefined ? undefined : { id, descriptor, inode: stats.ino, size: stats.size, modified: stats.mtimeMs, rotated };
  } catch (error) {
    if (isErrno(error) && error.code === "ENOENT") return undefined;
    throw new FlywheelError("state-directory-unusable", `${path} cannot be read (${reasonOf(error)})`, { cause: error });
  }
}

function identityOf(descriptor: number, size: number): string | undefined {
  const head = Buffer.alloc(Math.min(size, 8192));
  const text = head.toString("utf8", 0, readSync(descriptor, head, 0, head.length, 0));
  const end = text.indexOf("\n");
  if (end === -1 && size <= head.length) return undefined;
  const line = end === -1 ? text : text.slice(0, end);
  const parsed = parseSpoolLine(line);
  if (parsed?.kind === "spool") return parsed.id;
  // Of a version that wrote no head: times of a millisecond, and a workspace, tell them apart.
  return `first line ${line.slice(0, end === -1 ? longestIdentity : undefined)}`;
}

export interface SpoolChunk {
  /** In the order in which they were written. */
  readonly lines: readonly SpoolLine[];
  /** Lines that are none: cut by a crash or a full disk, or of a later version. */
  readonly malformed: number;
  /** Where to go on. */
  readonly next: number;
}

/**
 * The whole lines from `from` on, of the next 64 KiB. A line that is being written is left for later; in a file that
 * nobody writes any more it is one that was cut off.
 * @param options.cut the place was chosen without looking: what stands there may be a part of a line, which is passed over
 */
export function readSpoolFrom(
  file: SpoolFile,
  from: number,
  options: { readonly finished?: boolean; readonly cut?: boolean } = {},
): SpoolChunk {
  // With the byte before it, which says whether a line begins here.
  const start = Math.max(0, from - 1);
  const buffer = Buffer.alloc(Math.min(chunk, Math.max(0, file.size - start)));
  const bytes = buffer.subarray(0, readSync(file.descriptor, buffer, 0, buffer.length, start)).subarray(from - start);
  const midLine = from > 0 && buffer[0] !== 0x0a;
  const atEnd = from + bytes.length >= file.size;
  const lastLine = bytes.lastIndexOf(0x0a) + 1;
  const whole = atEnd && options.finished === true ? bytes.length : lastLine;
  // Longer than any line of ours: its end will be counted, when it comes.
  if (whole === 0 && !atEnd) return { lines: [], malformed: 0, next: from + bytes.length };
  const texts = bytes.toString("utf8", 0, whole).split("\n");
  const lines: SpoolLine[] = [];
  let malformed = 0;
  for (const [at, text] of texts.entries()) {
    const cut = at === 0 && midLine && text !== "";
    if (cut && options.cut === true) continue;
    if (text === "") continue;
    const line = cut ? undefined : parseSpoolLine(text);
    if (line === undefined) malformed += 1;
    else lines.push(line);
  }
  return { lines, malformed, next: from + whole };
}
