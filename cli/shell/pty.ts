/**
 * A program in a pseudoterminal of its own, on node-pty's native half alone. Its streams are not used: they are
 * destroyed 200 ms after the program's end, and with them whatever a slow reader has not taken by then.
 */
import { writeSync } from "node:fs";
import { createRequire } from "node:module";
import { ReadStream } from "node:tty";
import { FlywheelError } from "../../contract/errors.ts";
import { ptyDirectory } from "../package.ts";

/** What node-pty 1.1 calls its binding. */
interface Binding {
  fork(
    file: string,
    args: readonly string[],
    env: readonly string[],
    cwd: string,
    columns: number,
    rows: number,
    uid: number,
    gid: number,
    utf8: boolean,
    helper: string,
    onExit: (code: number, signal: number) => void,
  ): { readonly fd: number; readonly pid: number };
  resize(fd: number, columns: number, rows: number): void;
}

export interface Size {
  readonly columns: number;
  readonly rows: number;
}

/** How a program ended. */
export type End = { readonly kind: "exited"; readonly code: number } | { readonly kind: "killed"; readonly signal: number };

export interface Program {
  readonly file: string;
  readonly args: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  readonly cwd: string;
}

export interface Pty {
  readonly pid: number;
  /** What the program writes, in bytes. It fails with EIO, or ends, once nothing holds the other side any more. */
  readonly stream: ReadStream;
  /** What the program reads. */
  readonly keys: Keys;
  /** The program itself is gone; what it wrote may not have been read yet. */
  readonly ended: Promise<End>;
  resize(size: Size): void;
}

/** @throws FlywheelError `internal` where there is no native half for this platform, or none that can be loaded */
export function startInPty({ file, args, env, cwd }: Program, { columns, rows }: Size): Pty {
  const { binding, helper } = load();
  const { promise: ended, resolve } = Promise.withResolvers<End>();
  const variables = Object.entries(env).map(([name, value]) => `${name}=${value}`);
  const { fd, pid } = binding.fork(file, args, variables, cwd, columns, rows, -1, -1, false, helper, (code, signal) =>
    resolve(signal === 0 ? { kind: "exited", code } : { kind: "killed", signal }),
  );
  const stream = new ReadStream(fd);
  return { pid, stream, keys: new Keys(fd, stream), ended, resize: (size) => binding.resize(fd, size.columns, size.rows) };
}

/**
 * A program that does not read is asked again: at once so many times, since one that reads takes a few KiB at a time,
 * then after so many milliseconds, doubling. Nobody tells when there is room.
 */
const patience = { atOnce: 50, first: 1, longest: 16 } as const;

/**
 * The way in. Not by the stream: libuv takes this side of a pseudoterminal for one that it must write to without
 * pause, so that a program which does not read would stop everything, its own output too.
 */
export class Keys {
  readonly #fd: number;
  readonly #stream: ReadStream;
  #queue: Buffer[] = [];
  #waiting = 0;
  #refused = 0;
  #asking: "now" | "later" = "now";
  #drained: () => void = () => {};

  /** @param stream whose descriptor it is: closed with it */
  constructor(fd: number, stream: ReadStream) {
    this.#fd = fd;
    this.#stream = stream;
  }

  /** Bytes that the program has not made room for. */
  get waiting(): number {
    return this.#waiting;
  }

  /** @param call each time that nothing waits any more */
  onDrained(call: () => void): void {
    this.#drained = call;
  }

  write(bytes: Buffer | string): void {
    const buffer = Buffer.from(bytes);
    if (buffer.length === 0 || this.#stream.destroyed) return;
    this.#queue.push(buffer);
    this.#waiting += buffer.length;
    if (this.#asking === "now") this.#flush();
  }

  #flush(): void {
    this.#asking = "now";
    try {
      for (let first = this.#queue[0]; first !== undefined && !this.#stream.destroyed; first = this.#queue[0]) {
        const written = writeSync(this.#fd, first);
        this.#refused = 0;
        this.#waiting -= written;
        if (written === first.length) this.#queue.shift();
        else this.#queue[0] = first.subarray(written);
      }
    } catch (error) {
      if (error instanceof Error && "code" in error && error.code === "EAGAIN") {
        this.#later();
        return;
      }
      // The program is gone, and nobody will read it.
      this.#queue = [];
      this.#waiting = 0;
    }
    this.#drained();
  }

  #later(): void {
    this.#asking = "later";
    this.#refused += 1;
    const again = (): void => this.#flush();
    const late = this.#refused - patience.atOnce;
    if (late <= 0) setImmediate(again);
    else setTimeout(again, Math.min(patience.longest, patience.first * 2 ** late));
  }
}

function load(): { binding: Binding; helper: string } {
  const directory = ptyDirectory();
  const next = 'PATH="$(flywheel shim path):$PATH" and eval "$(flywheel env)" in your own shell, or the devshell';
  if (directory === undefined) {
    throw new FlywheelError("internal", `there is no pseudoterminal for ${process.platform}-${process.arch} in this package`, { next });
  }
  try {
    return { binding: createRequire(import.meta.url)(`${directory}pty.node`), helper: `${directory}spawn-helper` };
  } catch (cause) {
    throw new FlywheelError("internal", "the pseudoterminal's native part cannot be loaded on this system", { next, cause });
  }
}
