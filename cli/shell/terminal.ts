/** The terminal that `flywheel shell` stands in: its modes, its size, and its bytes as they are. */
import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { ReadStream } from "node:tty";
import { FlywheelError } from "../../contract/errors.ts";
import type { Size } from "./pty.ts";

/** Every byte passes, both ways. Node's own raw mode leaves newlines to be rewritten on their way out. */
const rawModes = ["raw", "-echo", "-iexten"] as const;

export class Terminal {
  /** As `stty -g` writes the modes that were found. */
  readonly modes: string;
  #raw = false;
  #streams: { readonly input: ReadStream; readonly output: ReadStream } | undefined;

  /** @throws FlywheelError `internal` where its modes cannot be read */
  constructor() {
    const { status, stdout } = stty(["-g"]);
    this.modes = stdout.trim();
    if (status !== 0 || !/^[\w:=.-]+$/.test(this.modes))
      throw new FlywheelError("internal", "stty does not tell the terminal's modes", { next: "flywheel shell -- <your shell>" });
  }

  get size(): Size {
    const [columns, rows] = process.stdout.getWindowSize();
    return { columns, rows };
  }

  onResize(call: () => void): void {
    process.stdout.on("resize", call);
  }

  /**
   * Opened when first asked for. For writing too it is a ReadStream: Node writes to a terminal of a WriteStream
   * without returning before it is read, and a reader that stalls would keep keys and signals waiting.
   */
  get input(): ReadStream {
    return this.#open().input;
  }

  get output(): ReadStream {
    return this.#open().output;
  }

  raw(): void {
    this.#raw = true;
    stty(rawModes);
  }

  /** As it was found; nothing where it is that. */
  restore(): void {
    if (!this.#raw) return;
    this.#raw = false;
    stty([this.modes]);
  }

  #open(): { input: ReadStream; output: ReadStream } {
    this.#streams ??= { input: new ReadStream(0), output: new ReadStream(1) };
    return this.#streams;
  }
}

/** Whether this process may speak to its terminal; one in the background is stopped if it tries. */
export function inForeground(): boolean {
  try {
    // pid (name) state ppid pgrp session tty tpgid: the name may hold anything, a parenthesis too.
    const [, , pgrp, , , tpgid] = readFileSync("/proc/self/stat", "utf8")
      .replace(/^.*\) /s, "")
      .split(" ");
    return pgrp === tpgid;
  } catch {
    return spawnSync("ps", ["-o", "stat=", "-p", String(process.pid)], { encoding: "utf8" }).stdout.includes("+");
  }
}

function stty(args: readonly string[]): { status: number | null; stdout: string } {
  const env = { PATH: `${process.env["PATH"] ?? ""}:/usr/bin:/bin`, LC_ALL: "C" };
  return spawnSync("stty", args, { stdio: ["inherit", "pipe", "ignore"], encoding: "utf8", env });
}
