/** GitLab's `rules: if:` expressions, as far as a repository tells whether they hold. */
import type { Text } from "./model.ts";
import { tokensOf, Unreadable } from "./tokens.ts";

/** A variable's value: a text, `null` where it is unset in this situation, undefined where nobody here knows. */
export type Variable = (name: string) => Text | null | undefined;

const longestCondition = 2000;
const deepest = 40;
const token =
  /\s*(?:(\$\{?[A-Za-z_][A-Za-z0-9_]*\}?)|("[^"]*"|'[^']*')|(&&|\|\||==|!=|=~|!~|[()])|(\/(?:[^/\\\n]|\\.)*\/[a-z]*)|(null\b))/y;

/** A value, or why there is none: unset, or unknown. */
type Value = { readonly text: string } | "unset" | "unknown";

/** Whether it holds; undefined where only GitLab knows, or where it cannot be read. Never throws. */
export function conditionHolds(condition: string, variable: Variable): boolean | undefined {
  try {
    if (condition.length > longestCondition) return undefined;
    const parser = new Parser(tokensOf(condition, token), variable);
    const result = parser.or(0);
    return parser.atEnd ? result : undefined;
  } catch (error) {
    if (!(error instanceof Unreadable)) throw error;
    return undefined;
  }
}

class Parser {
  readonly #tokens: readonly string[];
  readonly #variable: Variable;
  #at = 0;

  constructor(tokens: readonly string[], variable: Variable) {
    this.#tokens = tokens;
    this.#variable = variable;
  }

  get atEnd(): boolean {
    return this.#at >= this.#tokens.length;
  }

  or(depth: number): boolean | undefined {
    let left = this.#and(depth);
    while (this.#takes("||")) {
      const right = this.#and(depth);
      left = left === true || right === true ? true : left === undefined || right === undefined ? undefined : false;
    }
    return left;
  }

  #and(depth: number): boolean | undefined {
    let left = this.#comparison(depth);
    while (this.#takes("&&")) {
      const right = this.#comparison(depth);
      left = left === false || right === false ? false : left === undefined || right === undefined ? undefined : true;
    }
    return left;
  }

  #comparison(depth: number): boolean | undefined {
    if (depth > deepest) throw new Unreadable();
    if (this.#takes("(")) {
      const result = this.or(depth + 1);
      if (!this.#takes(")")) throw new Unreadable();
      return result;
    }
    const left = this.#value();
    const operator = ["==", "!=", "=~", "!~"].find((each) => this.#takes(each));
    // A variable alone: it is set, and not empty.
    if (operator === undefined) return left === "unknown" ? undefined : left !== "unset" && left.text !== "";
    if (operator === "=~" || operator === "!~") {
      const matches = matchesSimple(left, this.#next());
      return matches === undefined ? undefined : matches === (operator === "=~");
    }
    const right = this.#value();
    if (left === "unknown" || right === "unknown") return undefined;
    const same = left === "unset" || right === "unset" ? left === right : left.text === right.text;
    return same === (operator === "==");
  }

  #value(): Value {
    const word = this.#next();
    if (word === "null") return "unset";
    if (/^["']/.test(word)) return { text: word.slice(1, -1) };
    if (!word.startsWith("$")) throw new Unreadable();
    const found = this.#variable(word.replaceAll(/[${}]/g, ""));
    if (found === null) return "unset";
    return found === undefined || found.unknown.length > 0 ? "unknown" : { text: found.text };
  }

  #next(): string {
    const word = this.#tokens[this.#at];
    if (word === undefined) throw new Unreadable();
    this.#at += 1;
    return word;
  }

  #takes(word: string): boolean {
    if (this.#tokens[this.#at] !== word) return false;
    this.#at += 1;
    return true;
  }
}

/** A pattern that is only a text with `^` and `$` is matched; of any other the repository's author knows more than we do. */
function matchesSimple(left: Value, pattern: string): boolean | undefined {
  if (left === "unset") return false;
  if (left === "unknown") return undefined;
  const match = /^\/(\^?)([A-Za-z0-9_\-./|()]*?)(\$?)\/$/.exec(pattern.replaceAll("\\/", "/").replaceAll("\\.", "."));
  if (match === null) return undefined;
  const [, start, body = "", end] = match;
  if (/[()|]/.test(body) && !/^\([^()]*\)$|^[^()|]*$/.test(body)) return undefined;
  return body
    .replace(/^\(|\)$/g, "")
    .split("|")
    .some((word) => {
      const text = word.replace(/\)$/, "");
      if (start === "^" && end === "$") return left.text === text;
      if (start === "^") return left.text.startsWith(text);
      return end === "$" ? left.text.endsWith(text) : left.text.includes(text);
    });
}
