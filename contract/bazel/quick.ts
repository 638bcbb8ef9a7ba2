/**
 * What the fast path makes of an argument list, word for word what the generated sh does: a differential
 * test feeds both the same lists. It never guesses; what it is not sure of is `unclear`, the slow path's.
 */
import {
  bazeliskModes,
  booleanOptions,
  cacheOptions,
  commandClasses,
  mostArgumentsToMove,
  nullaryStartupOptions,
  policyOption,
  shortBooleanOptions,
  unaryStartupOptions,
} from "./commands.ts";

export type Quick =
  /** Light or medium: the tool runs untouched. */
  | { readonly kind: "pass" }
  /** Heavy, and nothing in the way: the flags go before argument number `at` (which is `--`, or the end). */
  | { readonly kind: "heavy"; readonly at: number }
  | { readonly kind: "unclear" };

const unary = new Set(unaryStartupOptions.map((name) => `--${name}`));
const nullary = new Set(nullaryStartupOptions.flatMap((name) => [`--${name}`, `--no${name}`]));
const alone = new Set([...shortBooleanOptions, ...booleanOptions.flatMap((name) => [`--${name}`, `--no${name}`])]);
const aboutTheCache = new Set(cacheOptions.flatMap((name) => [`--${name}`, `--no${name}`]));

/** @param args the words after the tool's name */
export function quickJudgement(args: readonly string[]): Quick {
  let expectsValue = false;
  let policy = false;
  for (const [index, word] of args.entries()) {
    if (expectsValue) {
      expectsValue = false;
      continue;
    }
    if (index === 0 && (bazeliskModes.includes(word) || word.startsWith("--bisect="))) continue;
    if (Object.hasOwn(commandClasses, word))
      return commandClasses[word] === "heavy" ? behindCommand(args, index + 1, policy) : { kind: "pass" };
    if (word === `--${policyOption}` || word.startsWith(`--${policyOption}=`)) policy = true;
    if (unary.has(word)) expectsValue = true;
    else if (nullary.has(word)) continue;
    // `--name=value` never takes the next word, whether or not Bazel knows the name.
    else if (word.startsWith("--") && word.includes("=")) continue;
    else return word.startsWith("-") ? { kind: "unclear" } : behindCommand(args, index + 1, policy);
  }
  // No command: Bazel prints its help, or its complaint.
  return { kind: "pass" };
}

function behindCommand(args: readonly string[], from: number, policy: boolean): Quick {
  if (policy) return { kind: "unclear" };
  // Whether the last word is an option that may take the next word as its value.
  let open = false;
  for (let index = from; index < args.length; index += 1) {
    const word = args[index] ?? "";
    if (word === "--") return open || index > mostArgumentsToMove ? { kind: "unclear" } : { kind: "heavy", at: index };
    const equals = word.indexOf("=");
    if (aboutTheCache.has(equals === -1 ? word : word.slice(0, equals))) return { kind: "unclear" };
    open = word.startsWith("-") && equals === -1 && !alone.has(word);
  }
  return open ? { kind: "unclear" } : { kind: "heavy", at: args.length };
}
