/**
 * Where a command's words go. Standard streams are opened only when something is written, so that
 * commands which hand the terminal to a tool leave it as it was.
 */
import { writeSync } from "node:fs";
import { isatty } from "node:tty";
import type { Environment } from "../../contract/environment.ts";
import { Exit } from "../../contract/exit.ts";
import { type Progress, startProgress, watched } from "../../shim/progress.ts";
import { type Paint, paint } from "./paint.ts";
import { fitted } from "./wrap.ts";

/** Past the streams, one of which has just failed. */
function lastWords(text: string): void {
  try {
    writeSync(2, text);
  } catch {
    // Then nobody hears it.
  }
}

export type Format = "human" | "json";

const leastColumns = 40;

export class Output {
  readonly format: Format;
  readonly #env: Environment;
  readonly #opened = new Set<NodeJS.WriteStream>();
  #progress: Progress | undefined;

  constructor(format: Format, env: Environment) {
    this.format = format;
    this.#env = env;
  }

  /** Colours for what goes to standard output, and for notices. */
  get paint(): Paint {
    return paint(this.#env, isatty(1));
  }

  get noticePaint(): Paint {
    return paint(this.#env, isatty(2));
  }

  /** Whether a question can be asked and answered. */
  get interactive(): boolean {
    return this.format === "human" && isatty(0) && isatty(2);
  }

  /** A line about what is being waited for; undefined where nobody watches. One at a time: call it by waitingFor (progress.ts). */
  progress(words: string): Progress | undefined {
    if (this.format !== "human" || !watched(this.#env, isatty(2))) return undefined;
    this.#progress = startProgress(words, (text) => this.#write(process.stderr, text));
    return this.#progress;
  }

  /** Whether what goes to standard output can be drawn over. */
  get redrawable(): boolean {
    return this.format === "human" && isatty(1) && this.#env["TERM"] !== "dumb";
  }

  /** Whether a program may take the whole terminal, keys and all. */
  get screen(): boolean {
    return this.format === "human" && isatty(0) && isatty(1) && this.#env["TERM"] !== "dumb";
  }

  /** How wide the terminal is that standard output goes to, never less than what words need; undefined where it is none. */
  get columns(): number | undefined {
    return isatty(1) ? Math.max(leastColumns, process.stdout.columns || 80) : undefined;
  }

  line(text = ""): void {
    this.raw(`${text}\n`);
  }

  /** Lines that a terminal would break anywhere, broken between words; to a pipe they go as they are. */
  text(text: string): void {
    this.line(this.fitted(text));
  }

  fitted(text: string): string {
    const { columns } = this;
    return columns === undefined ? text : fitted(text, columns);
  }

  raw(text: string): void {
    this.#progress?.erase();
    this.#write(process.stdout, text);
  }

  json(value: unknown): void {
    this.raw(`${JSON.stringify(value, undefined, 2)}\n`);
  }

  /** One line on standard error: for the person, not for the pipe. */
  notice(text: string): void {
    this.rawNotice(`${text}\n`);
  }

  rawNotice(text: string): void {
    this.#progress?.erase();
    this.#write(process.stderr, text);
  }

  #write(stream: NodeJS.WriteStream, text: string): void {
    if (!this.#opened.has(stream)) {
      this.#opened.add(stream);
      // A reader that goes away (`flywheel logs | head`) ends us without a word, as SIGPIPE would; a full disk with one.
      stream.on("error", (error: NodeJS.ErrnoException) => {
        if (error.code === "EPIPE") process.exit(0);
        if (stream === process.stdout) lastWords(`flywheel: standard output cannot be written (${error.code ?? error.message})\n`);
        process.exit(Exit.failed);
      });
    }
    stream.write(text);
  }
}
