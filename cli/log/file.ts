/** Reading the end of a log that somebody else writes, rotates and may remove. */

import { once } from "node:events";
import { closeSync, fstatSync, openSync, readSync, statSync, watch } from "node:fs";
import { dirname } from "node:path";
import { StringDecoder } from "node:string_decoder";
import { FlywheelError, messageOf } from "../../contract/errors.ts";

/** The daemon keeps its log under this, one rotation aside: bytes. */
const largest = 8 * 1_048_576;

/**
 * Hands on the last lines of a file.
 * @returns where the last whole line ends, for `follow`; undefined where there is no file
 */
export function tail(file: string, most: number, line: (text: string) => void): number | undefined {
  const read = readFrom(file, Math.max(0, sizeOf(file) - largest));
  if (read === undefined) return undefined;
  const end = read.bytes.lastIndexOf(10) + 1;
  const lines = read.bytes.subarray(0, end).toString("utf8").split("\n").slice(0, -1);
  for (const each of most === 0 ? [] : lines.slice(-most)) line(each);
  return read.at + end;
}

/** Hands on each further line, also after a rotation, until the process is interrupted. */
export async function follow(file: string, from: number, line: (text: string) => void): Promise<void> {
  let at = from;
  let rest = "";
  let decoder = new StringDecoder("utf8");
  const read = (): void => {
    const size = sizeOf(file);
    if (size < at) {
      at = 0;
      rest = "";
      decoder = new StringDecoder("utf8");
    }
    if (size === at) return;
    const more = readFrom(file, at);
    if (more === undefined) return;
    at += more.bytes.length;
    const lines = `${rest}${decoder.write(more.bytes)}`.split("\n");
    rest = lines.pop() ?? "";
    for (const each of lines) line(each);
  };
  let watcher: ReturnType<typeof watch>;
  try {
    // The directory, since a rotation replaces the file.
    watcher = watch(dirname(file), read);
  } catch (error) {
    throw new FlywheelError("state-directory-unusable", `${dirname(file)} cannot be watched: ${messageOf(error)}`, {
      next: "flywheel up",
      cause: error,
    });
  }
  read();
  await once(watcher, "close");
}

function sizeOf(file: string): number {
  return statSync(file, { throwIfNoEntry: false })?.size ?? 0;
}

function readFrom(file: string, at: number): { at: number; bytes: Buffer } | undefined {
  let opened: number;
  try {
    opened = openSync(file, "r");
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "ENOENT") return undefined;
    throw new FlywheelError("state-directory-unusable", `${file} cannot be read: ${messageOf(error)}`, { cause: error });
  }
  try {
    const bytes = Buffer.alloc(Math.max(0, fstatSync(opened).size - at));
    const length = readSync(opened, bytes, 0, bytes.length, at);
    return { at, bytes: bytes.subarray(0, length) };
  } finally {
    closeSync(opened);
  }
}
