/** Help: of the whole, and of one command, from its declaration. */
import { Exit } from "../contract/exit.ts";
import type { Command } from "./command.ts";
import { globalOptions, otherWords, takesTool } from "./options.ts";
import { wrapped } from "./output/wrap.ts";

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
export function helpOf(command: Command): string {
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
    ...(command.details === undefined ? [] : ["", ...wrapped(command.details, "", { indent: 0, width: 100 })]),
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
