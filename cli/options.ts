/** What every command takes, and how the declaration of an option is read. */
import type { Command, OptionDefinition } from "./command.ts";

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
