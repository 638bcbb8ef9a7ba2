/**
 * Shell text as simple commands, read lightly: quotes, continuations, comments, redirections and the words between them.
 * What a substitution would give is not known; nothing is run, and no text makes this fail or take long.
 */
import type { Text } from "./model.ts";

export interface ShellCommand {
  /** Counted from 0 within the text. */
  readonly line: number;
  /** Quotes are gone; `$VAR`, `${…}`, `$(…)` and a forge's `${{ … }}` stay as they are. */
  readonly words: readonly string[];
  readonly assignments: readonly (readonly [name: string, value: string])[];
  /** Files that its output goes to, or that of the `{ … }` it stands in. */
  readonly writes: readonly string[];
  /** It stands behind an `if`, a loop, `&&` or `||`: whether it runs, only who runs the script sees. */
  readonly conditional: boolean;
}

/** Longer scripts are read so far: characters. */
const longestScript = 200_000;

interface Token {
  readonly kind: "word" | "end" | "write";
  readonly text: string;
  readonly line: number;
}

export function shellCommands(text: string): readonly ShellCommand[] {
  const commands: (ShellCommand & { readonly writes: string[] })[] = [];
  const groups: number[] = [];
  let tokens: Token[] = [];
  let depth = 0;
  let ended = "";
  let logical = false;
  const flush = (): void => {
    const word = tokens.find(({ kind }) => kind === "word")?.text ?? "";
    if (opening.has(word)) depth += 1;
    if (word === "{" && groups.length < deepestGroup) groups.push(commands.length);
    const command = commandOf(tokens, depth > 0 || logical);
    if (command !== undefined) commands.push(command);
    if (closingWords.has(word)) depth = Math.max(0, depth - 1);
    // What a group's end writes to, each command of it does.
    if (word === "}") for (const one of commands.slice(groups.pop() ?? commands.length)) one.writes.push(...(command?.writes ?? []));
    tokens = [];
  };
  for (const token of tokenize(text.slice(0, longestScript))) {
    if (token.kind !== "end") {
      tokens.push(token);
      ended = "";
      continue;
    }
    if (tokens.length > 0) {
      flush();
      logical = false;
    }
    if ((token.text === "&" || token.text === "|") && ended === token.text) logical = true;
    ended = token.text;
  }
  flush();
  return commands;
}

/** Groups nest no deeper in what people write. */
const deepestGroup = 20;
const opening = new Set(["if", "while", "until", "for", "case", "select"]);
const closingWords = new Set(["fi", "done", "esac"]);

/** What stands before a command and is none itself. */
const prefixes = new Set(["then", "else", "elif", "if", "do", "while", "until", "!", "{", "(", "time", "exec", "command", "sudo", "nohup"]);
const assigning = new Set(["export", "env", "declare", "local", "readonly", "typeset"]);
const assignment = /^([A-Za-z_][A-Za-z0-9_]*)\+?=(.*)$/s;

function commandOf(tokens: readonly Token[], conditional: boolean): (ShellCommand & { readonly writes: string[] }) | undefined {
  const first = tokens[0];
  if (first === undefined) return undefined;
  const writes: string[] = [];
  const words: string[] = [];
  const assignments: (readonly [string, string])[] = [];
  let exporting = false;
  for (const [at, { kind, text }] of tokens.entries()) {
    if (kind === "write") continue;
    if (tokens[at - 1]?.kind === "write") {
      writes.push(text);
      continue;
    }
    const set = assignment.exec(text);
    if (words.length === 0 && set !== null) assignments.push([set[1] ?? "", set[2] ?? ""]);
    else if (words.length === 0 && prefixes.has(text)) continue;
    else if (words.length === 0 && assigning.has(text)) exporting = true;
    // Options of export, declare and env.
    else if (words.length === 0 && exporting && text.startsWith("-")) continue;
    else words.push(text);
  }
  const line = tokens.find(({ kind }) => kind === "word")?.line ?? first.line;
  if (words.length + assignments.length + writes.length === 0) return undefined;
  return { line, words, assignments, writes, conditional };
}

function* tokenize(text: string): Generator<Token> {
  let at = 0;
  let line = 0;
  let word = "";
  let started: number | undefined;
  const take = (until: number): string => {
    const piece = text.slice(at, until);
    for (const character of piece) if (character === "\n") line += 1;
    at = until;
    return piece;
  };
  const begin = (): void => {
    started ??= line;
  };
  const wordDone = (): Token[] => {
    if (started === undefined) return [];
    const token: Token = { kind: "word", text: word, line: started };
    word = "";
    started = undefined;
    return [token];
  };
  const hereDocuments: string[] = [];
  while (at < text.length) {
    const character = text[at] ?? "";
    const next = text[at + 1] ?? "";
    if (character === "\\") {
      if (next === "\n" || text.startsWith("\r\n", at + 1)) {
        take(text.indexOf("\n", at) + 1);
        continue;
      }
      begin();
      take(at + 1);
      word += take(Math.min(text.length, at + 1));
    } else if (character === "'") {
      begin();
      const end = text.indexOf("'", at + 1);
      word += take(end === -1 ? text.length : end + 1).slice(1, end === -1 ? undefined : -1);
    } else if (character === '"') {
      begin();
      take(at + 1);
      while (at < text.length && text[at] !== '"') {
        if (text[at] === "\\") {
          // A quoted continuation joins its lines.
          const escaped = take(Math.min(text.length, at + 2)).slice(1);
          word += escaped === "\n" ? "" : /["\\$`]/.test(escaped) ? escaped : `\\${escaped}`;
        } else word += text[at] === "$" ? take(substitutionEnd(text, at)) : take(at + 1);
      }
      take(Math.min(text.length, at + 1));
    } else if (character === "$" || (character === "{" && next === "{")) {
      begin();
      word += take(substitutionEnd(text, at));
    } else if (character === "`") {
      begin();
      const end = text.indexOf("`", at + 1);
      word += take(end === -1 ? text.length : end + 1);
    } else if (character === "#" && started === undefined) {
      const end = text.indexOf("\n", at);
      take(end === -1 ? text.length : end);
    } else if (character === "\n") {
      yield* wordDone();
      yield { kind: "end", text: "\n", line };
      take(at + 1);
      while (hereDocuments.length > 0) skipHereDocument(hereDocuments.shift() ?? "");
    } else if (/[;&|()]/.test(character)) {
      // `>&2` and `&>` belong to a redirection.
      if (character === "&" && next === ">") {
        take(at + 1);
        continue;
      }
      yield* wordDone();
      yield { kind: "end", text: character, line };
      take(at + 1);
    } else if (character === ">") {
      const descriptor = /^\d$/.test(word);
      if (descriptor) {
        word = "";
        started = undefined;
      }
      yield* wordDone();
      take(at + 1);
      if (text[at] === ">" || text[at] === "|") take(at + 1);
      if (text[at] === "&") take(/^&[\d-]?/.exec(text.slice(at, at + 2)) === null ? at : at + (/[\d-]/.test(text[at + 1] ?? "") ? 2 : 1));
      else yield { kind: "write", text: ">", line };
    } else if (character === "<") {
      yield* wordDone();
      const heredoc = /^<<-?\s*(["']?)([A-Za-z_][A-Za-z0-9_]*)\1/.exec(text.slice(at, at + 80));
      if (heredoc !== null) hereDocuments.push(heredoc[2] ?? "");
      take(at + (heredoc?.[0].length ?? 1));
    } else if (/\s/.test(character)) {
      yield* wordDone();
      take(at + 1);
    } else {
      begin();
      word += take(at + 1);
    }
  }
  yield* wordDone();

  function skipHereDocument(end: string): void {
    while (at < text.length) {
      const newline = text.indexOf("\n", at);
      const content = take(newline === -1 ? text.length : newline + 1);
      if (content.trim() === end) return;
    }
  }
}

const closing: Readonly<Record<string, string>> = { "(": ")", "{": "}" };

/** The index behind `$NAME`, `${…}`, `$(…)`, `${{ … }}` or a Justfile's `{{ … }}` that begins at `from`. */
function substitutionEnd(text: string, from: number): number {
  const forge = text.startsWith("${{", from) ? 3 : text.startsWith("{{", from) ? 2 : 0;
  if (forge > 0) {
    const end = text.indexOf("}}", from + forge);
    return end === -1 ? text.length : end + 2;
  }
  const open = text[from + 1] ?? "";
  const close = closing[open];
  if (close === undefined) return from + 1;
  let depth = 0;
  for (let at = from + 1; at < text.length; at += 1) {
    if (text[at] === open) depth += 1;
    else if (text[at] === close) depth -= 1;
    if (depth === 0) return at + 1;
  }
  return text.length;
}

/** The variables that a text names: `$NAME`, `${NAME}`, `${NAME:-default}`; and what stands in `$(…)` and backquotes. */
const reference = /\$\$|\$\(|`|\$\{([A-Za-z_][A-Za-z0-9_]*)(?::?[-+?=][^}]*)?\}|\$\{[^}]*\}|\$([A-Za-z_][A-Za-z0-9_]*)/g;

/** No value is longer, however often one names another: characters. */
const longestValue = 10_000;

/**
 * A text with its variables filled in; where one is not known, the text as it was written.
 * @param value of a variable; undefined where nobody here knows it
 */
export function expand(text: string, value: (name: string) => Text | undefined): Text {
  const unknown = new Set<string>();
  let length = 0;
  const filled = text.slice(0, longestValue).replaceAll(reference, (all, braced?: string, bare?: string) => {
    if (all === "$$") return "$";
    const name = braced ?? bare;
    const known = name === undefined || length > longestValue ? undefined : value(name);
    if (known === undefined) unknown.add(name === undefined ? "what a command prints" : `$${name}`);
    for (const each of known?.unknown ?? []) unknown.add(each);
    length += known?.text.length ?? 0;
    return known?.text ?? "";
  });
  return { text: unknown.size === 0 ? filled : text.slice(0, longestValue), unknown: [...unknown].slice(0, mostUnknown) };
}

/** Of one text no more unknowns are named. */
const mostUnknown = 8;
