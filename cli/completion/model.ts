/** What the completions of every shell are made of: the declared commands, and nothing else. */

import { shimNames } from "../../shim/fast-path/names.ts";
import type { ArgumentDefinition, Command, Completes, OptionDefinition } from "../command.ts";
import { globalOptions, shapeOf } from "../options.ts";

/** What a place on the command line takes. */
export type Offer =
  | { readonly kind: "words"; readonly words: readonly string[] }
  /** What `flywheel completion --values` prints. */
  | { readonly kind: "values"; readonly of: Exclude<Completes, "file" | "tool"> }
  | { readonly kind: "file" }
  /** The name of a guarded tool, and then all that is the tool's own. */
  | { readonly kind: "tool"; readonly words: readonly string[] }
  /** Something that nobody can offer. */
  | { readonly kind: "anything" };

export interface OptionModel {
  readonly long: string;
  readonly short: string | undefined;
  readonly summary: string;
  /** undefined: a switch. */
  readonly value: Offer | undefined;
}

export interface CommandModel {
  readonly name: string;
  readonly summary: string;
  readonly options: readonly OptionModel[];
  readonly places: readonly { readonly name: string; readonly summary: string; readonly offer: Offer }[];
}

export interface Model {
  readonly globals: readonly OptionModel[];
  /** `help` among them, which takes a command's name. */
  readonly commands: readonly CommandModel[];
}

export function modelOf(commands: readonly Command[]): Model {
  const globals = Object.values(globalOptions).map(optionModel);
  const names = commands.map(({ name }) => name);
  const help: CommandModel = {
    name: "help",
    summary: "say what a command does",
    options: [],
    places: [{ name: "command", summary: "the command", offer: { kind: "words", words: names } }],
  };
  return { globals, commands: [...commands.map((command) => commandModel(command)), help] };
}

function commandModel({ name, summary, options, arguments: places }: Command): CommandModel {
  return {
    name,
    summary,
    options: Object.values(options).map(optionModel),
    places: places.map((place) => ({ name: place.name.replaceAll(/[<>[\].]/g, ""), summary: place.summary, offer: offerOf(place) })),
  };
}

function optionModel(option: OptionDefinition): OptionModel {
  const { long, short, value } = shapeOf(option.flag);
  return {
    long: `--${long}`,
    short: short === undefined ? undefined : `-${short}`,
    summary: option.summary,
    value: value ? offerOf(option) : undefined,
  };
}

function offerOf({ choices, completes }: Pick<ArgumentDefinition, "choices" | "completes">): Offer {
  if (choices !== undefined) return { kind: "words", words: choices };
  if (completes === undefined) return { kind: "anything" };
  switch (completes) {
    case "file":
      return { kind: "file" };
    case "tool":
      return { kind: "tool", words: shimNames };
    case "endpoint":
    case "profile":
      return { kind: "values", of: completes };
  }
}
