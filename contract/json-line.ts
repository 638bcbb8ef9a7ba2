/** On which line of a JSON text something stands: JSON.parse says what is wrong, but not reliably where. */

type Expected = "value" | "value-or-end" | "key" | "key-or-end" | "colon" | "comma-or-end" | "nothing";

const space = /[ \t\n\r]*/y;
/** RFC 8259's tokens: a mark, a string, or anything else that is whole by itself. */
const token =
  // biome-ignore lint/suspicious/noControlCharactersInRegex: a JSON string holds none
  /([{}[\],:])|("(?:[^"\\\u0000-\u001f]|\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4}))*")|(?:-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?|true|false|null)(?![\w.])/y;

/**
 * Never throws, and does not recurse: the text may be anybody's.
 * @param path keys and indices from the top, as a validator names them
 * @returns the line, counted from 1, on which the value at the path begins (or the deepest part of the path that is
 *   there); of a text that is no JSON, the line of the first fault
 */
export function lineInJson(text: string, path: readonly (string | number)[]): number {
  const open: { readonly kind: "{" | "["; key: string | number }[] = [];
  let expected: Expected = "value";
  let found = { depth: 0, offset: 0 };
  let offset = 0;
  /** How much of the path leads to the value that comes now; 0 where it is another's. */
  const depthHere = (): number => (open.length <= path.length && open.every(({ key }, at) => key === path[at]) ? open.length : 0);
  while (expected !== "nothing") {
    const start = behindSpace(text, offset);
    token.lastIndex = start;
    const match = token.exec(text);
    if (match === null) return lineAt(text, start);
    const [, mark, string] = match;
    const top = open.at(-1);
    const isValue = mark === undefined || mark === "{" || mark === "[";
    if ((expected === "value" || expected === "value-or-end") && isValue) {
      if (depthHere() > found.depth) found = { depth: depthHere(), offset: start };
      if (mark === "{") open.push({ kind: "{", key: "" });
      else if (mark === "[") open.push({ kind: "[", key: 0 });
      expected = mark === "{" ? "key-or-end" : mark === "[" ? "value-or-end" : "comma-or-end";
    } else if ((expected === "key" || expected === "key-or-end") && string !== undefined && top !== undefined) {
      top.key = JSON.parse(string) as string;
      expected = "colon";
    } else if (expected === "colon" && mark === ":") {
      expected = "value";
    } else if (expected === "comma-or-end" && mark === "," && top !== undefined) {
      if (typeof top.key === "number") top.key += 1;
      expected = top.kind === "{" ? "key" : "value";
    } else if (expected.endsWith("-or-end") && top !== undefined && mark === (top.kind === "{" ? "}" : "]")) {
      open.pop();
      expected = "comma-or-end";
    } else return lineAt(text, start);
    if (open.length === 0 && expected === "comma-or-end") expected = "nothing";
    offset = token.lastIndex;
  }
  const end = behindSpace(text, offset);
  return lineAt(text, end === text.length ? found.offset : end);
}

function behindSpace(text: string, offset: number): number {
  space.lastIndex = offset;
  space.test(text);
  return space.lastIndex;
}

function lineAt(text: string, offset: number): number {
  return text.slice(0, offset).split("\n").length;
}
