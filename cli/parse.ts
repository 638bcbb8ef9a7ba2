/** From argv to a command's values, and from a command's declaration to its help: both by commander. */
import { Argument, Command as Commander, CommanderError, Option } from "commander";
import { FlywheelError } from "../contract/errors.ts";
import { Exit } from "../contract/exit.ts";
import { printable } from "../contract/text.ts";
import type { Command, RawValues } from "./command.ts";

export interface GlobalValues {
  readonly json: boolean;
  readonly debug: boolean;
  readonly profile: string | undefined;
}

export type Parsed =
  | { readonly kind: "run"; readonly globals: GlobalValues; readonly values: RawValues; readonly args: readonly string[] }
  | { readonly kind: "help"; readonly text: string };

const globalOptions = {
  json: new Option("--json", "print JSON, for machines"),
  profile: new Option("--profile <name>", "the profile (else GF_PROFILE, else default)"),
  debug: new Option("--debug", "print a stack trace with an error"),
};

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
  const parser = parserOf(command);
  let help = "";
  parser.exitOverride().configureOutput({
    writeOut: (text) => {
      help += text;
    },
    writeErr: () => {},
  });
  try {
    parser.parse([...argv], { from: "user" });
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error;
    if (error.code === "commander.helpDisplayed") return { kind: "help", text: help };
    const message = error.message.replace(/^error: /, "").replace(/\n\((.*)\)$/, " ($1)");
    throw new FlywheelError("usage", printable(message, 300), { next: `flywheel ${command.name} --help` });
  }
  const raw: Record<string, unknown> = parser.opts();
  const read = (option: Option): string | boolean | undefined => {
    const value = raw[option.attributeName()];
    if (option.isBoolean()) return value === true;
    return typeof value === "string" ? value : undefined;
  };
  const values = Object.fromEntries(Object.entries(command.options).map(([key, { flag }]) => [key, read(new Option(flag))]));
  const globals = {
    json: read(globalOptions.json) === true,
    debug: read(globalOptions.debug) === true,
    profile: raw["profile"] === undefined ? undefined : String(raw["profile"]),
  };
  return { kind: "run", globals, values, args: parser.args };
}

/** Help of the whole: the commands with their summaries. */
export function overview(commands: readonly Command[]): string {
  const width = Math.max(...commands.map((command) => command.name.length));
  const globals = Object.values(globalOptions);
  const optionWidth = Math.max(...globals.map((option) => option.flags.length));
  return [
    "Usage: flywheel <command> [options]",
    "",
    "Finds the shared build caches that this machine can route to, proves them, and guards bazel and nix",
    "so that nothing heavy builds alone by accident.",
    "",
    "Commands:",
    ...commands.map((command) => `  ${command.name.padEnd(width)}  ${command.summary}`),
    "",
    "Options of every command:",
    ...globals.map((option) => `  ${option.flags.padEnd(optionWidth)}  ${option.description}`),
    `  ${"-h, --help".padEnd(optionWidth)}  say what a command does, with examples and exit codes`,
    "",
    "Start here:",
    "  flywheel up          find a cache, prove it and attach",
    "  flywheel status      what is attached, and why not",
    "  flywheel shim install    put the guard in front of bazel",
    "",
  ].join("\n");
}

function parserOf(command: Command): Commander {
  const parser = new Commander(`flywheel ${command.name}`);
  parser.description(command.details === undefined ? command.summary : `${command.summary}\n\n${command.details}`);
  parser.helpOption("-h, --help", "print this");
  for (const { name, summary, choices } of command.arguments) {
    const argument = new Argument(name, summary);
    if (choices !== undefined) argument.choices([...choices]);
    parser.addArgument(argument);
    // From the tool's name on, every word is the tool's.
    if (argument.variadic) parser.passThroughOptions();
  }
  for (const { flag, summary } of Object.values(command.options)) parser.addOption(new Option(flag, summary));
  for (const option of Object.values(globalOptions)) parser.addOption(option);
  parser.addHelpText("after", () => afterHelp(command));
  return parser;
}

function afterHelp(command: Command): string {
  const width = Math.max(0, ...command.examples.map((example) => example.line.length));
  const examples = command.examples.map((example) => `  ${example.line.padEnd(width)}  ${example.does}`);
  const exits = [{ code: Exit.ok, means: "fine" }, ...command.exits, { code: Exit.usage, means: "the command line is wrong" }];
  const byCode = [...new Map(exits.map((exit) => [exit.code, exit.means])).entries()].sort(([a], [b]) => a - b);
  return ["", "Examples:", ...examples, "", "Exit codes:", ...byCode.map(([code, means]) => `  ${String(code).padEnd(3)} ${means}`)].join(
    "\n",
  );
}
