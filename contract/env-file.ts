/**
 * `.env.flywheel.local`: parsed, never sourced. It takes what `flywheel-enroll` writes, lines of
 * `export KEY=VALUE` in any quoting that bash's `printf %q` makes, and nothing that a shell would
 * have to run or look up.
 */
import { type EnvFileVariable, isEnvFileVariable } from "./environment.ts";
import { printable } from "./text.ts";

export const envFileName = ".env.flywheel.local";

/** More than any real file has: characters. */
export const largestEnvFile = 65_536;

export interface EnvFileFault {
  /** 1 for the first line. */
  readonly line: number;
  readonly message: string;
}

export type EnvFileResult =
  | {
      readonly ok: true;
      readonly values: Readonly<Partial<Record<EnvFileVariable, string>>>;
      /** Assignments of names that this file has no say in, with their lines. */
      readonly ignored: readonly { readonly line: number; readonly name: string }[];
    }
  | { readonly ok: false; readonly faults: readonly EnvFileFault[] };

/**
 * @param text the file's content
 * @returns the known variables, or every line that is not an assignment of a constant; never throws
 */
export function parseEnvFile(text: string): EnvFileResult {
  if (text.length > largestEnvFile) return { ok: false, faults: [{ line: 1, message: "the file is too long" }] };
  const values: Partial<Record<EnvFileVariable, string>> = {};
  const ignored: { line: number; name: string }[] = [];
  const faults: EnvFileFault[] = [];
  const seen = new Map<string, number>();
  const reader = new Reader(text);
  while (!reader.done) {
    const line = reader.line;
    let assignment: { name: string; value: string } | undefined;
    try {
      assignment = readLine(reader);
    } catch (error) {
      if (!(error instanceof Fault)) throw error;
      faults.push({ line, message: error.message });
      reader.skipLine();
      continue;
    }
    if (assignment === undefined) continue;
    const { name, value } = assignment;
    const first = seen.get(name);
    if (first !== undefined) faults.push({ line, message: `${name} was already set on line ${first}` });
    else if (isEnvFileVariable(name)) values[name] = value;
    else ignored.push({ line, name });
    if (first === undefined) seen.set(name, line);
  }
  return faults.length > 0 ? { ok: false, faults } : { ok: true, values, ignored };
}

class Fault extends Error {}

class Reader {
  line = 1;
  #at = 0;
  readonly #text: string;

  constructor(text: string) {
    this.#text = text;
  }

  get done(): boolean {
    return this.#at >= this.#text.length;
  }

  /** The next character (a whole code point), or "" at the end. */
  peek(): string {
    const point = this.#text.codePointAt(this.#at);
    return point === undefined ? "" : String.fromCodePoint(point);
  }

  take(): string {
    const character = this.peek();
    this.#at += character.length;
    if (character === "\n") this.line += 1;
    return character;
  }

  takeWhile(pattern: RegExp): string {
    let taken = "";
    while (!this.done && pattern.test(this.peek())) taken += this.take();
    return taken;
  }

  skipLine(): void {
    this.takeWhile(/[^\n]/);
    this.take();
  }
}

function readLine(reader: Reader): { name: string; value: string } | undefined {
  reader.takeWhile(/[ \t]/);
  if (reader.peek() === "\n" || reader.peek() === "#" || reader.done) {
    reader.skipLine();
    return undefined;
  }
  const word = reader.takeWhile(/[A-Za-z0-9_]/);
  if (word !== "export" || reader.takeWhile(/[ \t]/) === "") throw new Fault("expected `export KEY=VALUE`");
  const name = reader.takeWhile(/[A-Za-z0-9_]/);
  if (!/^[A-Za-z_]/.test(name)) throw new Fault("expected a variable's name after `export`");
  if (reader.peek() !== "=") throw new Fault(`expected \`=\` after ${printable(name, 64)}`);
  reader.take();
  const value = readValue(reader);
  const gap = reader.takeWhile(/[ \t]/);
  if (gap !== "" && reader.peek() === "#") reader.takeWhile(/[^\n]/);
  if (reader.peek() !== "\n" && !reader.done) throw new Fault("expected the end of the line after the value");
  reader.take();
  return { name, value };
}

/** One shell word that is constant: bare characters, `\c`, `'…'`, `"…"` and `$'…'`, side by side. */
function readValue(reader: Reader): string {
  const bytes: number[] = [];
  const add = (text: string): void => {
    bytes.push(...new TextEncoder().encode(text));
  };
  let previous = "=";
  while (!reader.done && !/[ \t\n]/.test(reader.peek())) {
    const character = reader.take();
    switch (character) {
      case "\\":
        if (reader.done || reader.peek() === "\n") throw new Fault("a backslash at the end of a line continues it, which is not supported");
        add(reader.take());
        break;
      case "'":
        add(upTo(reader, "'"));
        break;
      case '"':
        readDoubleQuoted(reader, add);
        break;
      case "$":
        if (reader.peek() !== "'") throw new Fault("variables and command substitution are not expanded here");
        reader.take();
        readAnsiC(reader, bytes, add);
        break;
      case "`":
        throw new Fault("variables and command substitution are not expanded here");
      case "~":
        // bash expands a tilde at the start of an assigned value and after each colon.
        if (previous === "=" || previous === ":") throw new Fault("`~` is not expanded here: write the path in full");
        add(character);
        break;
      default:
        if (/[;&|<>(){}]/.test(character)) throw new Fault(`\`${character}\` must be quoted`);
        if (/\p{Cc}/u.test(character)) throw new Fault(character === "\r" ? "the line ends with a carriage return" : "a control character");
        add(character);
    }
    previous = character;
  }
  let text: string;
  try {
    text = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(Uint8Array.from(bytes));
  } catch {
    throw new Fault("the value is not UTF-8");
  }
  if (text.includes("\0")) throw new Fault("the value holds a NUL");
  return text;
}

function upTo(reader: Reader, quote: string): string {
  let taken = "";
  while (reader.peek() !== quote) {
    if (reader.done) throw new Fault(`a quote (${quote}) is not closed`);
    taken += reader.take();
  }
  reader.take();
  return taken;
}

function readDoubleQuoted(reader: Reader, add: (text: string) => void): void {
  while (reader.peek() !== '"') {
    if (reader.done) throw new Fault('a quote (") is not closed');
    const character = reader.take();
    if (character === "$" || character === "`") throw new Fault("variables and command substitution are not expanded here");
    if (character !== "\\") add(character);
    else if (/[$`"\\]/.test(reader.peek())) add(reader.take());
    else if (reader.peek() === "\n") reader.take();
    else add("\\");
  }
  reader.take();
}

const singleEscapes: Readonly<Record<string, string>> = {
  a: "\u0007",
  b: "\b",
  e: "\u001b",
  E: "\u001b",
  f: "\f",
  n: "\n",
  r: "\r",
  t: "\t",
  v: "\v",
  "\\": "\\",
  "'": "'",
  '"': '"',
  "?": "?",
};

/** `$'…'` as bash's manual defines it ("ANSI-C Quoting"). Octal and hexadecimal escapes are bytes, not characters. */
function readAnsiC(reader: Reader, bytes: number[], add: (text: string) => void): void {
  while (reader.peek() !== "'") {
    if (reader.done) throw new Fault("a quote (') is not closed");
    const character = reader.take();
    if (character !== "\\") {
      add(character);
      continue;
    }
    const kind = reader.take();
    const single = singleEscapes[kind];
    if (single !== undefined) add(single);
    else if (/[0-7]/.test(kind)) bytes.push(Number.parseInt(kind + digits(reader, /[0-7]/, 2), 8) & 0xff);
    else if (kind === "x") bytes.push(number(reader, 2));
    else if (kind === "u") add(codePoint(number(reader, 4)));
    else if (kind === "U") add(codePoint(number(reader, 8)));
    else throw new Fault(`\`\\${printable(kind, 4)}\` is not an escape of $'…'`);
  }
  reader.take();
}

function digits(reader: Reader, pattern: RegExp, most: number): string {
  let taken = "";
  while (taken.length < most && pattern.test(reader.peek())) taken += reader.take();
  return taken;
}

function number(reader: Reader, most: number): number {
  const text = digits(reader, /[0-9A-Fa-f]/, most);
  if (text === "") throw new Fault("an escape of $'…' lacks its digits");
  return Number.parseInt(text, 16);
}

function codePoint(value: number): string {
  if (value > 0x10ffff || (value >= 0xd800 && value <= 0xdfff)) throw new Fault("an escape of $'…' names no character");
  return String.fromCodePoint(value);
}
