/** Reads a file that anything may stand in place of by now: never more of it than it may have, and never waiting for one that is no file. */
import { closeSync, constants, fstatSync, openSync, readSync } from "node:fs";

/** Opens for reading, and without it also for appending, what is a regular file; a FIFO would let us wait for its other end. */
export const withoutWaiting: number = constants.O_NONBLOCK | constants.O_NOCTTY;

/**
 * @param most bytes that the file may have
 * @returns the whole content
 * @throws Error a system error with its code; or one that says "it is no file", or how large it may be
 */
export function readBounded(file: string, most: number): Buffer {
  const opened = openSync(file, constants.O_RDONLY | withoutWaiting);
  try {
    const stats = fstatSync(opened);
    if (!stats.isFile()) throw new Error("it is no file");
    if (stats.size > most) throw tooLarge(most);
    // One byte more than was told: it may be growing, and a file of /proc tells no size.
    const chunks: Buffer[] = [];
    for (let length = 0; ; ) {
      const chunk = Buffer.allocUnsafe(Math.max(4096, stats.size + 1 - length));
      const read = readSync(opened, chunk);
      if (read === 0) return Buffer.concat(chunks, length);
      chunks.push(chunk.subarray(0, read));
      length += read;
      if (length > most) throw tooLarge(most);
    }
  } finally {
    closeSync(opened);
  }
}

function tooLarge(most: number): Error {
  return new Error(`it is larger than ${most >= 1_048_576 ? `${most / 1_048_576} MiB` : `${most / 1024} KiB`}`);
}
