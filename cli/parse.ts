/**
 * From argv to a command's values. On util.parseArgs: a parser that loads `node:process` (commander does) opens the
 * standard streams and leaves pipes non-blocking, so that the tool which `exec` becomes would lose output.
 */
import { parseArgs } from "node:util";
import { FlywheelError } from "../contract/errors.ts";
import { printable } from "../contract/text.ts";
import type { ArgumentDefinition, Command, OptionDefinition, RawValues } from "./command.ts";
import { didYouMean } from "./did-you-mean.ts";
import { helpOf } from "./help.ts";
import { globalOptions, shapeOf, takesTool } from "./options.ts";

export interface GlobalValues {
  readonly json: boolean;
  readonly debug: boolean;
  readonly profile: string | undefined;
}

export type Parsed =
  | { readonly kind: "run"; readonly globals: GlobalValues; readonly values: RawValues; readonly args: readonly string[] }
  | { readonly kind: "help"; readonly text: string };

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
