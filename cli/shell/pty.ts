/**
 * A program in a pseudoterminal of its own, on node-pty's native half alone. Its streams are not used: they are
 * destroyed 200 ms after the program's end, and with them whatever a slow reader has not taken by then.
 */
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
  /** Both ways, in bytes. It fails with EIO, or ends, once nothing holds the other side any more. */
  readonly stream: ReadStream;
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
  return { pid, stream: new ReadStream(fd), ended, resize: (size) => binding.resize(fd, size.columns, size.rows) };
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
