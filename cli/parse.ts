/**
 * From argv to a command's values, and from a command's declaration to its help. On util.parseArgs: a
 * parser that loads `node:process` (commander does) opens the standard streams and leaves pipes
 * non-blocking, so that the tool which `exec` becomes would lose output.
 */
import { parseArgs } from "node:util";
import { FlywheelError } from "../contract/errors.ts";
import { Exit } from "../contract/exit.ts";
import { printable } from "../contract/text.ts";
import type { ArgumentDefinition, Command, OptionDefinition, RawValues } from "./command.ts";
import { didYouMean } from "./did-you-mean.ts";

export interface GlobalValues {
  readonly json: boolean;
  readonly debug: boolean;
  readonly profile: string | undefined;
}

export type Parsed =
  | { readonly kind: "run"; readonly globals: GlobalValues; readonly values: RawValues; readonly args: readonly string[] }
  | { readonly kind: "help"; readonly text: string };

export const globalOptions = {
  json: { flag: "--json", summary: "print JSON, for machines" },
  profile: {
    flag: "--profile <name>",
    summary: "the profile (else GF_PROFILE, else the repository's, else default)",
    completes: "profile",
  },
  debug: { flag: "--debug", summary: "print a stack trace with an error" },
  help: { flag: "-h, --help", summary: "say what the command does, with examples and exit codes" },
} as const satisfies Readonly<Record<string, OptionDefinition>>;

/** Instead of a command; main.ts knows them. */
export const otherWords = [
  ["help <command>", "the same as <command> --help"],
  ["-V, --version", "print the version"],
] as const;

/** argv before the command's name: `flywheel --json status` means `flywheel status --json`. */
export function splitCommand(argv: readonly string[]): { name: string | undefined; rest: readonly string[] } {
  const globals: string[] = [];
  for (let index = 0; index < argv.length; index += 1) {
    const word = argv[index] ?? "";
    if (!word.startsWith("-") || word === "--") return { name: word, rest: [...globals, ...argv.slice(index + 1)] };
    globals.push(word);
    if (word === "--profile") {
      index += 1;
      const value = argv[index];
      if (value !== undefined) globals.push(value);
    }
  }
  return { name: undefined, rest: globals };
}

/**
 * Parses what follows a command's name.
 * @throws FlywheelError `usage`
 */
export function parse(command: Command, argv: readonly string[]): Parsed {
  const definitions = Object.entries<OptionDefinition>({ ...command.options, ...globalOptions }).map(([key, option]) => ({
    key,
    choices: option.choices,
    ...shapeOf(option.flag),
  }));
  const tool = takesTool(command);
  const found = new Map<string, string | true>();
  const args: string[] = [];
  const { tokens } = parseArgs({
    args: [...argv],
    strict: false,
    tokens: true,
    allowPositionals: true,
    options: Object.fromEntries(
      definitions.map(({ long, short, value }) => [long, { type: value ? "string" : "boolean", ...(short && { short }) }]),
    ),
  });
  const help = `flywheel ${command.name} --help`;
  const fail = (message: string, next: string = help): FlywheelError => new FlywheelError("usage", printable(message, 300), { next });
  const nextFor = (mistyped: string): string => {
    const meant = didYouMean(
      mistyped,
      definitions.map(({ long }) => `--${long}`),
    );
    return meant === undefined ? help : `flywheel ${command.name} ${meant}   (all options: ${help})`;
  };
  for (const token of tokens) {
    // From the tool's name on, every word is the tool's.
    if (tool && token.kind !== "option") {
      args.push(...argv.slice(token.kind === "positional" ? token.index : token.index + 1));
      break;
    }
    if (token.kind === "positional") args.push(token.value);
    if (token.kind !== "option") continue;
    const definition = definitions.find(({ long }) => long === token.name);
    if (definition === undefined) throw fail(`unknown option '${token.rawName}'`, nextFor(token.rawName));
    if (definition.value && (token.value === undefined || (!token.inlineValue && token.value.startsWith("--")))) {
      throw fail(`${token.rawName} needs a value`);
    }
    if (!definition.value && token.value !== undefined) throw fail(`${token.rawName} takes no value`);
    if (token.value !== undefined && definition.choices?.includes(token.value) === false)
      throw fail(`--${definition.long}: expected one of ${definition.choices.join(", ")}, found ${printable(token.value, 40)}`);
    found.set(definition.key, token.value ?? true);
  }
  if (found.has("help")) return { kind: "help", text: helpOf(command) };
  checkArguments(command, args, fail);
  const values = Object.fromEntries(
    definitions.filter(({ key }) => key in command.options).map(({ key, value }) => [key, value ? found.get(key) : found.has(key)]),
  );
  const profile = found.get("profile");
  const globals = { json: found.has("json"), debug: found.has("debug"), profile: typeof profile === "string" ? profile : undefined };
  return { kind: "run", globals, values, args };
}

/** Whether it hands a tool all that is left of the command line. */
export function takesTool(command: Command): boolean {
  return command.arguments.some(({ name, mixed }) => name.includes("...") && mixed !== true);
}

export interface OptionShape {
  readonly long: string;
  readonly short: string | undefined;
  readonly value: boolean;
}

export function shapeOf(flag: string): OptionShape {
  return {
    long: /--([a-z-]+)/.exec(flag)?.[1] ?? flag,
    short: /^-([a-zA-Z]),/.exec(flag)?.[1],
    value: flag.includes("<"),
  };
}

function checkArguments(
  { name: command, arguments: definitions }: Command,
  args: readonly string[],
  fail: (message: string) => FlywheelError,
): void {
  for (const [index, { name, choices }] of definitions.entries()) {
    const value = args[index];
    if (value === undefined && name.startsWith("<")) throw fail(`the argument ${name} is missing`);
    if (value !== undefined && choices !== undefined && !choices.includes(value))
      throw fail(`'${value}' is not one of ${choices.join(", ")}`);
  }
  const variadic = definitions.some(({ name }) => name.includes("..."));
  // What is too much is not repeated: it may be a secret that somebody meant to hand over.
  if (!variadic && args.length > definitions.length) throw fail(`flywheel ${command} takes ${namesOf(definitions)}`);
}

function namesOf(definitions: readonly ArgumentDefinition[]): string {
  return definitions.length === 0 ? "no argument" : `${definitions.map(({ name }) => name).join(" ")} and nothing more`;
}

/** Help of the whole: the commands with their summaries. */
export function overview(commands: readonly Command[]): string {
  const globals = Object.values(globalOptions);
  const start = [
    ["flywheel up", "find a cache, prove it and attach"],
    ["flywheel status", "what is attached, and why not"],
    ["flywheel shim install", "put the guard in front of bazel"],
  ] as const;
  return [
    "Usage: flywheel <command> [options]",
    "",
    "Finds the shared build caches that this machine can route to, proves them, and guards bazel and nix",
    "so that nothing heavy builds alone by accident.",
    "",
    "Commands:",
    columns(commands.map((command) => [command.name, command.summary])),
    "",
    "Instead of a command:",
    columns(otherWords),
    "",
    "Options of every command:",
    columns(globals.map((option) => [option.flag, option.summary])),
    "",
    "Start here:",
    columns(start),
    "",
  ].join("\n");
}

/** Help of one command. */
function helpOf(command: Command): string {
  const words = command.arguments.map(({ name }) => name).join(" ");
  const section = (title: string, rows: readonly (readonly [string, string])[]): string[] =>
    rows.length === 0 ? [] : ["", title, columns(rows)];
  const exits = [{ code: Exit.ok, means: "fine" }, ...command.exits, { code: Exit.usage, means: "the command line is wrong" }].sort(
    (a, b) => a.code - b.code,
  );
  return [
    `Usage: flywheel ${command.name} [options]${words === "" ? "" : ` ${takesTool(command) ? "[--] " : ""}${words}`}`,
    "",
    `${command.summary.charAt(0).toUpperCase()}${command.summary.slice(1)}.`,
    ...(command.details === undefined ? [] : ["", wrapped(command.details, 100)]),
    ...section(
      "Arguments:",
      command.arguments.map(({ name, summary, choices }) => [name, choices === undefined ? summary : `${summary}: ${choices.join(", ")}`]),
    ),
    ...section(
      "Options:",
      [...Object.values(command.options), ...Object.values(globalOptions)].map(({ flag, summary }) => [flag, summary]),
    ),
    ...section(
      "Examples:",
      command.examples.map(({ line, does }) => [line, does]),
    ),
    ...section(
      "Exit codes:",
      exits.map(({ code, means }) => [String(code), means]),
    ),
    "",
  ].join("\n");
}

function columns(rows: readonly (readonly [string, string])[]): string {
  const width = Math.max(...rows.map(([first]) => first.length));
  return rows.map(([first, second]) => `  ${first.padEnd(width)}  ${second}`).join("\n");
}

function wrapped(text: string, width: number): string {
  const lines: string[] = [];
  for (const word of text.split(" ")) {
    const last = lines.at(-1);
    if (last === undefined || last.length + word.length >= width) lines.push(word);
    else lines[lines.length - 1] = `${last} ${word}`;
  }
  return lines.join("\n");
}
