/** A command, declared: its words, options and examples are data, from which the parser and the help are made. */
import type { Context } from "./context.ts";

/** Values that a shell can offer: endpoints and profiles that this machine knows, what lies about, or a guarded tool and all that is its own. */
export type Completes = "endpoint" | "profile" | "file" | "tool";

export interface OptionDefinition {
  /** `-n, --lines <number>`; without `<…>` it is a switch. */
  readonly flag: string;
  readonly summary: string;
  /** The words that a value may be: parse.ts takes no other. */
  readonly choices?: readonly string[];
  /** What a shell offers where there are no such words. */
  readonly completes?: Completes;
}

export interface ArgumentDefinition {
  /**
   * `<endpoint>` is needed, `[file]` is not; `<tool...>` and `[command...]` take all that is left, options of the tool's own
   * included, unless they are `mixed`.
   */
  readonly name: string;
  readonly summary: string;
  readonly choices?: readonly string[];
  /** Of `[…...]`: options may stand among its words; without it every word from the first on is the tool's. */
  readonly mixed?: true;
  readonly completes?: Completes;
}

export interface Example {
  readonly line: string;
  readonly does: string;
}

export interface ExitDefinition {
  readonly code: number;
  readonly means: string;
}

type Options = Readonly<Record<string, OptionDefinition>>;

/** Switches are boolean; options with a value are text, or one of their choices, undefined where they were not given. */
export type Values<O extends Options> = {
  readonly [K in keyof O]: O[K]["flag"] extends `${string}<${string}` ? TextOf<O[K]> | undefined : boolean;
};

type TextOf<D extends OptionDefinition> = D extends { readonly choices: readonly (infer Word)[] } ? Word : string;

export type RawValues = Readonly<Record<string, string | boolean | undefined>>;

export interface Command {
  readonly name: string;
  readonly summary: string;
  /** More than the summary, for the command's own help. */
  readonly details: string | undefined;
  readonly arguments: readonly ArgumentDefinition[];
  readonly options: Options;
  readonly examples: readonly Example[];
  readonly exits: readonly ExitDefinition[];
  run(context: Context, values: RawValues, args: readonly string[]): Promise<number>;
}

/**
 * Declares a command. `run` gets the values of exactly the options that are declared, and the arguments
 * in order (an optional one that was not given is missing); it gives the exit code and throws FlywheelError.
 */
export function defineCommand<const O extends Options>(definition: {
  name: string;
  summary: string;
  details?: string;
  arguments?: readonly ArgumentDefinition[];
  options: O;
  examples: readonly Example[];
  exits?: readonly ExitDefinition[];
  run(context: Context, values: Values<O>, args: readonly string[]): Promise<number>;
}): Command {
  return {
    name: definition.name,
    summary: definition.summary,
    details: definition.details,
    arguments: definition.arguments ?? [],
    options: definition.options,
    examples: definition.examples,
    exits: definition.exits ?? [],
    // parse.ts fills in a value for each declared option, by its flag and its choices.
    run: (context, values, args) => definition.run(context, values as Values<O>, args),
  };
}
