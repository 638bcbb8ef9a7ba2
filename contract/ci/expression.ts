/**
 * GitHub's `${{ … }}`, as far as a repository tells its value: literals, comparisons, the logical operators and the contexts
 * that are known. Everything else is unknown, by its name; nothing is guessed.
 */
import { printable } from "../text.ts";
import type { Text } from "./model.ts";
import { tokensOf, Unreadable } from "./tokens.ts";

type Plain = string | number | boolean | null;

/** `truth` of an unknown one is known where either operand of `&&` or `||` settles it. */
export type Result =
  | { readonly known: true; readonly value: Plain }
  | { readonly known: false; readonly names: readonly string[]; readonly truth: boolean | undefined };

/** The value of `github.ref`, `env.X`, `inputs.y`; undefined where nobody here knows it. */
export type Lookup = (path: readonly string[]) => Text | undefined;

const longestExpression = 2000;
const deepest = 40;

const token = /\s*(?:('(?:[^']|'')*')|(\d+(?:\.\d+)?)|(&&|\|\||[=!<>]=|[!<>(),[\]])|([A-Za-z_][\w-]*(?:\.(?:[\w-]+|\*))*))/y;

/** @param expression without its `${{ }}` @returns unknown for what cannot be read, too */
export function evaluate(expression: string, lookup: Lookup): Result {
  try {
    if (expression.length > longestExpression) throw new Unreadable();
    const parser = new Parser(tokensOf(expression, token), lookup);
    const result = parser.or(0);
    if (!parser.atEnd) throw new Unreadable();
    return result;
  } catch (error) {
    if (!(error instanceof Unreadable)) throw error;
    return unknown([printable(expression.trim(), 80)]);
  }
}

/** Whether a condition holds; undefined where only the forge knows. An `if:` needs no `${{ }}`. */
export function holds(condition: string, lookup: Lookup): boolean | undefined {
  const bare = /^\s*\$\{\{(.*?)\}\}\s*$/s.exec(condition)?.[1] ?? condition;
  return truthOf(evaluate(bare, lookup));
}

/** A text with each `${{ … }}` in it filled in. */
export function interpolate(text: string, lookup: Lookup): Text {
  const unknowns: string[] = [];
  let filled = "";
  let at = 0;
  for (let start = text.indexOf("${{"); start !== -1; start = text.indexOf("${{", at)) {
    const end = text.indexOf("}}", start + 3);
    // Nor has any behind it an end.
    if (end === -1) break;
    const result = evaluate(text.slice(start + 3, end), lookup);
    filled += text.slice(at, start);
    if (result.known) filled += result.value === null ? "" : String(result.value);
    else unknowns.push(...result.names.map((name) => `\${{ ${name} }}`));
    at = end + 2;
  }
  return { text: unknowns.length === 0 ? filled + text.slice(at) : text, unknown: [...new Set(unknowns)] };
}

function truthOf(result: Result): boolean | undefined {
  if (!result.known) return result.truth;
  return Boolean(result.value);
}

function unknown(names: readonly string[], truth?: boolean): Result {
  return { known: false, names, truth };
}

function known(value: Plain): Result {
  return { known: true, value };
}

class Parser {
  readonly #tokens: readonly string[];
  readonly #lookup: Lookup;
  #at = 0;

  constructor(tokens: readonly string[], lookup: Lookup) {
    this.#tokens = tokens;
    this.#lookup = lookup;
  }

  get atEnd(): boolean {
    return this.#at >= this.#tokens.length;
  }

  or(depth: number): Result {
    let left = this.#and(depth);
    while (this.#takes("||")) {
      const right = this.#and(depth);
      const truth = truthOf(left);
      if (truth === false) left = right;
      else if (truth === undefined) left = unknown(namesOf(left, right), truthOf(right) === true ? true : undefined);
    }
    return left;
  }

  #and(depth: number): Result {
    let left = this.#comparison(depth);
    while (this.#takes("&&")) {
      const right = this.#comparison(depth);
      const truth = truthOf(left);
      if (truth === true) left = right;
      else if (truth === undefined) left = truthOf(right) === false ? known(false) : unknown(namesOf(left, right));
    }
    return left;
  }

  #comparison(depth: number): Result {
    const left = this.#unary(depth);
    const operator = ["==", "!=", "<=", ">=", "<", ">"].find((each) => this.#takes(each));
    if (operator === undefined) return left;
    const right = this.#unary(depth);
    if (!left.known || !right.known) return unknown(namesOf(left, right));
    if (operator !== "==" && operator !== "!=") return unknown([`${String(left.value)} ${operator} ${String(right.value)}`]);
    // GitHub compares without case, and null as the empty text.
    const text = (value: Plain): string => (value === null ? "" : String(value).toLowerCase());
    return known((text(left.value) === text(right.value)) === (operator === "=="));
  }

  #unary(depth: number): Result {
    if (depth > deepest) throw new Unreadable();
    if (this.#takes("!")) {
      const result = this.#unary(depth + 1);
      const truth = truthOf(result);
      return truth === undefined ? result : known(!truth);
    }
    if (this.#takes("(")) {
      const result = this.or(depth + 1);
      if (!this.#takes(")")) throw new Unreadable();
      return result;
    }
    return this.#operand(depth);
  }

  #operand(depth: number): Result {
    const word = this.#tokens[this.#at];
    if (word === undefined) throw new Unreadable();
    this.#at += 1;
    if (word.startsWith("'")) return known(word.slice(1, -1).replaceAll("''", "'"));
    if (/^\d/.test(word)) return known(Number(word));
    if (!/^[A-Za-z_]/.test(word)) throw new Unreadable();
    if (word === "true" || word === "false") return known(word === "true");
    if (word === "null") return known(null);
    if (this.#takes("(")) return this.#call(word, depth);
    if (this.#takes("[")) {
      this.or(depth + 1);
      if (!this.#takes("]")) throw new Unreadable();
      return unknown([word]);
    }
    const found = this.#lookup(word.split("."));
    if (found === undefined) return unknown([word]);
    return found.unknown.length === 0 ? known(found.text) : unknown(found.unknown);
  }

  #call(name: string, depth: number): Result {
    const values: Result[] = [];
    while (!this.#takes(")")) {
      values.push(this.or(depth + 1));
      this.#takes(",");
      if (this.atEnd) throw new Unreadable();
    }
    const texts = values.map((value) => (value.known ? String(value.value ?? "").toLowerCase() : undefined));
    const [first, second] = texts;
    switch (name) {
      case "always":
      case "success":
        return known(true);
      case "failure":
      case "cancelled":
        return known(false);
      case "contains":
        return first === undefined || second === undefined ? unknown(namesOf(...values)) : known(first.includes(second));
      case "startsWith":
        return first === undefined || second === undefined ? unknown(namesOf(...values)) : known(first.startsWith(second));
      case "endsWith":
        return first === undefined || second === undefined ? unknown(namesOf(...values)) : known(first.endsWith(second));
      default:
        return unknown([`${name}(…)`]);
    }
  }

  #takes(word: string): boolean {
    if (this.#tokens[this.#at] !== word) return false;
    this.#at += 1;
    return true;
  }
}

function namesOf(...results: readonly Result[]): readonly string[] {
  return [...new Set(results.flatMap((result) => (result.known ? [] : result.names)))];
}
