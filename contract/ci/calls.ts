/**
 * Which Bazels and Nixes a list of commands comes to, read lightly: through `nix develop --command`, `bash -c`, `just` and
 * scripts of the repository. What it cannot see through it leaves alone.
 */
import { commandClasses, unaryStartupOptions } from "../bazel/commands.ts";
import type { Call, Command, Place, Settings, Text, Way } from "./model.ts";
import { readScript, type ScriptSource } from "./script.ts";

/** What a name in a command may lead to. */
export interface Library {
  /** A recipe's own lines; undefined where there is none of that name. */
  recipe(name: string): { readonly source: ScriptSource; readonly needs: readonly string[] } | undefined;
  /** A script of the repository, by its path from the root. */
  script(file: string): ScriptSource | undefined;
}

/** Recipes and scripts may call each other. */
const deepest = 6;
const mostCalls = 400;

/** The fleet's wrappers: they check the contract and give Bazel the endpoint themselves. */
const wrapper = /^(?:gloriousflywheel-bazel|bazel-cache-backed|flywheel-bazel)(?:\.sh)?$/;
const wrapperCommands = new Set(["build", "test", "run", "coverage", "info", "fetch"]);
const bazelNames = new Set(["bazel", "bazelisk", "bazelw"]);
const bazelVariable = /^\$\{?(?:BAZEL|BAZELISK|BAZEL_BIN)(?:\}|:-bazel(?:isk)?\})?$/;

const unaryStartup = new Set(unaryStartupOptions.map((name) => `--${name}`));

interface Context {
  readonly environment: Settings;
  readonly place: Place;
  readonly way: Way;
  readonly inNixShell: boolean;
  readonly depth: number;
}

export function callsOf(commands: readonly Command[], library: Library): readonly Call[] {
  const calls: Call[] = [];
  for (const { words, environment, place } of commands) {
    for (const call of follow(words, { environment, place, way: "plain", inNixShell: false, depth: 0 }, library)) {
      if (calls.length >= mostCalls) return calls;
      calls.push(call);
    }
  }
  return calls;
}

function* follow(words: readonly Text[], context: Context, library: Library): Generator<Call> {
  const [first, second] = words;
  if (first === undefined || context.depth > deepest) return;
  const deeper = { ...context, depth: context.depth + 1 };
  const name = first.text.slice(first.text.lastIndexOf("/") + 1);
  const from = (index: number, more: Partial<Context> = {}): Generator<Call> => follow(words.slice(index), { ...deeper, ...more }, library);
  const script = (source: ScriptSource): Generator<Call> => followScript(source, deeper, library);
  if (bazelNames.has(name) || bazelVariable.test(first.text)) yield* bazelCall(words, context);
  else if (wrapper.test(name)) yield* wrapperCall(words, context);
  else if (name === "nix" || name === "nix-build" || name === "nix-shell") {
    yield { ...callOf(words, context), tool: "nix", command: name === "nix" ? (second?.text ?? "") : name };
    const command = words.findIndex(({ text }) => text === "--command" || text === "-c");
    const run = words.findIndex(({ text }) => text === "--run");
    if (command > 0 && name === "nix") yield* from(command + 1, { inNixShell: true });
    else if (run > 0)
      yield* followScript({ text: words[run + 1]?.text ?? "", place: context.place }, { ...deeper, inNixShell: true }, library);
  } else if (name === "flywheel") {
    const dashes = words.findIndex(({ text }) => text === "--");
    if (dashes > 0 && ["exec", "compat"].includes(second?.text ?? "")) yield* from(dashes + 1, { way: "guard" });
  } else if (name === "env" || name === "timeout" || name === "nice" || name === "stdbuf") {
    const behind = words.findIndex(({ text }, at) => at > 0 && !text.startsWith("-") && !/^[A-Za-z_]\w*=|^\d+[smhd]?$/.test(text));
    if (behind > 0) yield* from(behind);
  } else if (name === "npx" || ((name === "pnpm" || name === "yarn" || name === "npm") && second?.text === "exec")) {
    const behind = words.findIndex(({ text }, at) => at > (name === "npx" ? 0 : 1) && !text.startsWith("-"));
    if (behind > 0) yield* from(behind);
  } else if (name === "direnv" && second?.text === "exec") yield* from(3);
  else if (name === "just") yield* recipes(words.slice(1), deeper, library);
  else if (name === "bash" || name === "sh") {
    const inline = words.findIndex(({ text }) => /^-[a-z]*c$/.test(text));
    const at = words.findIndex(({ text }, index) => index > 0 && !text.startsWith("-"));
    const file = words[at]?.text ?? "";
    const found = library.script(file.replace(/^\.\//, ""));
    if (inline > 0) yield* script({ text: words[inline + 1]?.text ?? "", place: context.place });
    else if (wrapper.test(file.slice(file.lastIndexOf("/") + 1))) yield* wrapperCall(words.slice(at), context);
    else if (found !== undefined) yield* script(found);
  } else if (first.text.includes("/")) {
    const found = library.script(first.text.replace(/^\.\//, ""));
    if (found !== undefined) yield* script(found);
  }
}

function* followScript(source: ScriptSource, context: Context, library: Library): Generator<Call> {
  if (context.depth > deepest) return;
  for (const { words, environment, place } of readScript(source, context.environment).commands) {
    yield* follow(words, { ...context, environment, place }, library);
  }
}

function* recipes(words: readonly Text[], context: Context, library: Library): Generator<Call> {
  for (const { text } of words) {
    if (text.startsWith("-")) continue;
    const recipe = library.recipe(text);
    // Behind the recipe's name stand its arguments, or more recipes.
    if (recipe === undefined || context.depth > deepest) continue;
    yield* recipes(
      recipe.needs.map((name) => ({ text: name, unknown: [] })),
      { ...context, depth: context.depth + 1 },
      library,
    );
    yield* followScript(recipe.source, context, library);
  }
}

function callOf(words: readonly Text[], { way, inNixShell, environment, place }: Context): Omit<Call, "tool" | "command"> {
  return { name: words[0]?.text ?? "", args: words.slice(2), way, inNixShell, environment, place };
}

function* bazelCall(words: readonly Text[], context: Context): Generator<Call> {
  let at = 1;
  for (; at < words.length; at += 1) {
    const text = words[at]?.text ?? "";
    if (Object.hasOwn(commandClasses, text) || !text.startsWith("-")) break;
    if (unaryStartup.has(text)) at += 1;
  }
  const command = words[at]?.text;
  if (command === undefined) return;
  yield { ...callOf(words, context), tool: "bazel", command, args: words.slice(at + 1) };
}

/** What a wrapper runs is its first word that it knows. */
function* wrapperCall(words: readonly Text[], context: Context): Generator<Call> {
  const at = words.findIndex(({ text }, index) => index > 0 && wrapperCommands.has(text));
  if (at === -1) return;
  yield { ...callOf(words, context), tool: "bazel", command: words[at]?.text ?? "", args: words.slice(at + 1), way: "wrapper" };
}

/** Whether a call executes actions. */
export function isHeavy({ tool, command }: Pick<Call, "tool" | "command">): boolean {
  if (tool === "nix") return ["build", "develop", "shell", "run", "flake", "nix-build", "nix-shell"].includes(command);
  return Object.hasOwn(commandClasses, command) ? commandClasses[command] === "heavy" : false;
}
