/** A tar.gz that only its owner reads, written in one go or not at all, and never over anything. */
import { accessSync, constants, createWriteStream, lstatSync, rmSync } from "node:fs";
import { dirname } from "node:path";
import { pipeline } from "node:stream/promises";
import { createGzip } from "node:zlib";
import { pack } from "tar-stream";
import { FlywheelError } from "../../contract/errors.ts";
import { isErrno, reasonOf } from "../../daemon/api/client/errno.ts";

export interface ArchiveFile {
  /** Below the archive's one directory. */
  readonly name: string;
  readonly text: string;
}

/**
 * @param file absolute; made with mode 0600
 * @param directory the one directory that everything in the archive lies in
 * @throws FlywheelError `usage` where something stands there already or it cannot be written
 */
export async function writeArchive(file: string, directory: string, files: readonly ArchiveFile[]): Promise<void> {
  const archive = pack();
  // No owner and no name of one: numbers are a trace too.
  for (const { name, text } of files) archive.entry({ name: `${directory}/${name}`, mode: 0o600, uid: 0, gid: 0 }, text);
  archive.finalize();
  try {
    await pipeline(archive, createGzip(), createWriteStream(file, { flags: "wx", mode: 0o600 }));
  } catch (error) {
    if (isErrno(error) && error.code === "EEXIST") throw alreadyThere(file);
    // Half an archive is none.
    if (isErrno(error) && error.syscall === "write") rmSync(file, { force: true });
    throw unwritable(file, error);
  }
}

/**
 * For before anybody is asked.
 * @throws FlywheelError `usage` where something stands there already or nothing can be made there
 */
export function requirePlace(file: string): void {
  if (lstatSync(file, { throwIfNoEntry: false }) !== undefined) throw alreadyThere(file);
  try {
    accessSync(dirname(file), constants.W_OK | constants.X_OK);
  } catch (error) {
    throw unwritable(file, error);
  }
}

function unwritable(file: string, error: unknown): FlywheelError {
  return new FlywheelError("usage", `${file} cannot be written (${reasonOf(error)})`, {
    next: "name another place with --output",
    cause: error,
  });
}

function alreadyThere(file: string): FlywheelError {
  return new FlywheelError("usage", `${file} is already there, and is not written over`, { next: "name another file with --output" });
}
