/** Reading the end of a log that somebody else writes, rotates and may remove. */
import { once } from "node:events";
import { closeSync, constants, fstatSync, openSync, readSync, statSync, watch } from "node:fs";
import { dirname } from "node:path";
import { StringDecoder } from "node:string_decoder";
import { FlywheelError, messageOf } from "../../contract/errors.ts";
import { withoutWaiting } from "../../daemon/api/client/bounded.ts";

/** The daemon keeps its log under this, one rotation aside (daemon/journal/log.ts): bytes. */
const largest = 8 * 1_048_576;
/** How much is read at once while following: bytes. */
const piece = 65_536;

/**
 * The last whole lines of the log, those of its rotation before it where it has too few.
 * @param most so many, at least 0
 * @returns undefined where there is neither file
 * @throws FlywheelError `state-directory-unusable` where one is there but cannot be read
 */
export function lastLines(file: string, most: number): readonly string[] | undefined {
  return end(file, most)?.lines;
}

/**
 * Hands on the last lines, as `lastLines`.
 * @returns from where `follow` goes on; undefined where there is no log
 */
export function tail(file: string, most: number, line: (text: string) => void): Position | undefined {
  const found = end(file, most);
  for (const each of found?.lines ?? []) line(each);
  return found?.position;
}

/** Behind the last whole line of a file, which may be rotated away meanwhile: hence the inode. */
export interface Position {
  readonly inode: number | undefined;
  readonly at: number;
}

function end(file: string, most: number): { lines: readonly string[]; position: Position } | undefined {
  const now = readEnd(file);
  const before = now === undefined || now.lines.length < most ? readEnd(`${file}.1`) : undefined;
  if (now === undefined && before === undefined) return undefined;
  const lines = [...(before?.lines ?? []), ...(now?.lines ?? [])];
  return { lines: most === 0 ? [] : lines.slice(-most), position: now?.position ?? { inode: undefined, at: 0 } };
}

function readEnd(file: string): { lines: readonly string[]; position: Position } | undefined {
  const opened = open(file);
  if (opened === undefined) return undefined;
  try {
    const { size, ino } = fstatSync(opened);
    const from = Math.max(0, size - largest);
    const bytes = Buffer.alloc(size - from);
    const text = bytes.subarray(0, readSync(opened, bytes, 0, bytes.length, from));
    const behind = text.lastIndexOf(10) + 1;
    const lines = text.subarray(0, behind).toString("utf8").split("\n").slice(0, -1);
    // Where a file is cut, its first line is only a part of one.
    return { lines: from === 0 ? lines : lines.slice(1), position: { inode: ino, at: from + behind } };
  } finally {
    closeSync(opened);
  }
}

/**
 * Hands on each further line until the signal aborts or the process is interrupted: through a rotation, of which it reads
 * the old file to its end first, and through a file that is emptied or removed.
 * @throws FlywheelError `state-directory-unusable` where the log's directory is not there
 */
export async function follow(file: string, from: Position | undefined, line: (text: string) => void, signal?: AbortSignal): Promise<void> {
  const reader = new Follower(file, from, line);
  let watcher: ReturnType<typeof watch>;
  try {
    // The directory, since a rotation replaces the file.
    watcher = watch(dirname(file), { ...(signal && { signal }) }, () => reader.read());
  } catch (error) {
    throw new FlywheelError("state-directory-unusable", `${dirname(file)} cannot be watched: ${messageOf(error)}`, {
      next: "flywheel up",
      cause: error,
    });
  }
  const closed = once(watcher, "close");
  reader.read();
  await closed;
  reader.close();
}

class Follower {
  readonly #file: string;
  readonly #line: (text: string) => void;
  #opened: number | undefined;
  #at = 0;
  #rest = "";
  #decoder = new StringDecoder("utf8");

  constructor(file: string, from: Position | undefined, line: (text: string) => void) {
    this.#file = file;
    this.#line = line;
    // Where it was rotated between the tail and now, what is left of the old file comes first.
    for (const name of from?.inode === undefined ? [] : [file, `${file}.1`]) {
      const opened = open(name);
      if (opened === undefined) continue;
      if (fstatSync(opened).ino === from?.inode) {
        this.#opened = opened;
        this.#at = from.at;
        return;
      }
      closeSync(opened);
    }
  }

  read(): void {
    this.#drain();
    if (this.#opened !== undefined && statSync(this.#file, { throwIfNoEntry: false })?.ino === fstatSync(this.#opened).ino) return;
    const next = open(this.#file);
    // Between a rotation and the first line after it there is no file: the old one may still grow.
    if (next === undefined) return;
    if (this.#opened !== undefined) {
      this.#drain();
      closeSync(this.#opened);
    }
    this.#begin(next);
    this.#drain();
  }

  close(): void {
    if (this.#opened !== undefined) closeSync(this.#opened);
    this.#opened = undefined;
  }

  #begin(opened: number): void {
    this.#opened = opened;
    this.#at = 0;
    this.#rest = "";
    this.#decoder = new StringDecoder("utf8");
  }

  #drain(): void {
    if (this.#opened === undefined) return;
    if (fstatSync(this.#opened).size < this.#at) this.#begin(this.#opened);
    const bytes = Buffer.alloc(piece);
    for (;;) {
      const length = readSync(this.#opened, bytes, 0, bytes.length, this.#at);
      if (length === 0) return;
      this.#at += length;
      const lines = `${this.#rest}${this.#decoder.write(bytes.subarray(0, length))}`.split("\n");
      this.#rest = lines.pop() ?? "";
      for (const each of lines) this.#line(each);
    }
  }
}

/** @returns undefined where there is no file */
function open(file: string): number | undefined {
  let opened: number;
  try {
    // A pipe in its place would wait for a writer for ever.
    opened = openSync(file, constants.O_RDONLY | withoutWaiting);
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "ENOENT") return undefined;
    throw new FlywheelError("state-directory-unusable", `${file} cannot be read: ${messageOf(error)}`, { cause: error });
  }
  if (fstatSync(opened).isFile()) return opened;
  closeSync(opened);
  throw new FlywheelError("state-directory-unusable", `${file} is no file`, { next: `remove ${file}` });
}
