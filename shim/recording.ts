/** The words that `flywheel exec --record` adds to a tool's command line: it adds them, and a refusal leaves them out. */
import { isNixName } from "../contract/nix/commands.ts";
import type { Invocation } from "./decide.ts";
import { recordVariable } from "./fast-path/names.ts";

/** In front of all others. */
export const nixRecordingWords: readonly string[] = ["--log-format", "internal-json"];

export const eventsOption = "--build_event_json_file";
export const eventsFile = "events.json";

/** The name of the directory in which the build events of one record lie. */
export function eventsDirectory(id: string): string {
  return `flywheel-record-${id}`;
}

/** @returns the user's own words: those that a recorder above this process added are left out */
export function withoutRecording({ tool, args, env }: Pick<Invocation, "tool" | "args" | "env">): readonly string[] {
  const id = env[recordVariable];
  if (!id) return args;
  if (isNixName(tool)) return nixRecordingWords.every((word, at) => args[at] === word) ? args.slice(nixRecordingWords.length) : args;
  const end = `/${eventsDirectory(id)}/${eventsFile}`;
  return args.filter((word) => !(word.startsWith(`${eventsOption}=/`) && word.endsWith(end)));
}
