/** The daemon's log: JSON lines, kept small, and never the reason why the daemon stops. */
import { closeSync, constants, fstatSync, mkdirSync, openSync, renameSync, writeSync } from "node:fs";
import { dirname } from "node:path";
import { type Logger, pino } from "pino";
import { reasonOf } from "../api/client/errno.ts";

/** Rotated to daemon.log.1 beyond this: bytes. */
const largestLog = 5 * 1_048_576;
/** After a failure to write, how long until the next attempt: milliseconds. */
const retryAfter = 30_000;

/**
 * A log file (0600) written line by line, synchronously: what was logged before a crash is there. A
 * disk that is full or a directory that cannot be written loses lines, and is told to `onFault`.
 */
export class LogFile {
  readonly #file: string;
  readonly #limit: number;
  readonly #onFault: (fault: string | undefined) => void;
  #opened: number | undefined;
  #size = 0;
  #notBefore = 0;

  constructor(file: string, onFault: (fault: string | undefined) => void, limit: number = largestLog) {
    this.#file = file;
    this.#limit = limit;
    this.#onFault = onFault;
  }

  write(line: string): void {
    if (performance.now() < this.#notBefore) return;
    try {
      const opened = this.#opened ?? this.#open();
      this.#size += writeSync(opened, line);
      if (this.#size > this.#limit) this.#rotate();
      if (this.#notBefore !== 0) this.#onFault(undefined);
      this.#notBefore = 0;
    } catch (error) {
      this.close();
      this.#notBefore = performance.now() + retryAfter;
      this.#onFault(`${this.#file} cannot be written (${reasonOf(error)})`);
    }
  }

  close(): void {
    if (this.#opened !== undefined) closeSync(this.#opened);
    this.#opened = undefined;
  }

  #open(): number {
    mkdirSync(dirname(this.#file), { recursive: true, mode: 0o700 });
    const flags = constants.O_WRONLY | constants.O_APPEND | constants.O_CREAT | constants.O_NOFOLLOW | constants.O_NONBLOCK;
    const opened = openSync(this.#file, flags, 0o600);
    this.#opened = opened;
    this.#size = fstatSync(opened).size;
    if (this.#size <= this.#limit) return opened;
    this.#rotate();
    return this.#open();
  }

  #rotate(): void {
    this.close();
    renameSync(this.#file, `${this.#file}.1`);
  }
}

/** The daemon's logger over such a file. */
export function createLog(file: LogFile, level: "debug" | "info" | "warn" | "error"): Logger {
  return pino({ level, base: { pid: process.pid }, timestamp: pino.stdTimeFunctions.isoTime }, file);
}
