/**
 * Where a command's words go. Standard streams are opened only when something is written, so that
 * commands which hand the terminal to a tool leave it as it was.
 */
import { isatty } from "node:tty";
import type { Environment } from "../../contract/environment.ts";
import { type Paint, paint } from "./paint.ts";

export type Format = "human" | "json";

export class Output {
  readonly format: Format;
  readonly #env: Environment;
  readonly #opened = new Set<NodeJS.WriteStream>();

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

  /** Whether progress may be drawn over and over on standard error. */
  get live(): boolean {
    return this.format === "human" && isatty(2) && this.#env["TERM"] !== "dumb";
  }

  line(text = ""): void {
    this.raw(`${text}\n`);
  }

  raw(text: string): void {
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
    this.#write(process.stderr, text);
  }

  #write(stream: NodeJS.WriteStream, text: string): void {
    if (!this.#opened.has(stream)) {
      this.#opened.add(stream);
      // A reader that goes away (`flywheel logs | head`) ends us without a word, as SIGPIPE would.
      stream.on("error", (error: NodeJS.ErrnoException) => {
        if (error.code === "EPIPE") process.exit(0);
        throw error;
      });
    }
    stream.write(text);
  }
}
