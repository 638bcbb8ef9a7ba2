/** What Bazel's build events (one JSON object a line, build_event_stream.proto) say of how a build went. */
import type { Counts } from "../invocation.ts";
import { type Processes, parseProcesses } from "./processes.ts";

export interface BuildEvents {
  /** When Bazel began, in milliseconds since 1970; undefined where the event is missing. */
  readonly startedAt: number | undefined;
  /** `2.1.0`; undefined where Bazel has none, as Debian's. */
  readonly version: string | undefined;
  /** The effective values at the end of all rc files and flags; undefined where the event is missing. */
  readonly options: ReadonlyMap<string, string> | undefined;
  readonly counts: Counts | undefined;
  /** Whether the counts tell a disk cache's hits apart from those of the shared cache. */
  readonly namesDiskCache: boolean;
  /** BuildFinished: undefined where the build never came to it. */
  readonly exitCode: number | undefined;
  /** `INTERRUPTED`, `TESTS_FAILED`. */
  readonly exitName: string | undefined;
}

/** Events that tell it, as the beginning of their lines: the others, nearly all of a big build's, need not be parsed. */
const telling = /^\{"id":\{"(?:started|buildFinished|buildToolLogs|structuredCommandLine)"/;

/** Takes the lines as they stand in the file. Never throws: a line that is cut off or no JSON tells nothing. */
export class BuildEventReader {
  #startedAt: number | undefined;
  #version: string | undefined;
  #options: ReadonlyMap<string, string> | undefined;
  #processes: Processes | undefined;
  #exit: { readonly code: number; readonly name: string | undefined } | undefined;

  add(line: string): void {
    if (!telling.test(line)) return;
    const event = fields(parsed(line));
    const started = fields(event["started"]);
    if (typeof started["buildToolVersion"] === "string") this.#version = started["buildToolVersion"];
    // proto3's JSON writes an int64 as a string.
    if (/^\d{1,15}$/.test(String(started["startTimeMillis"]))) this.#startedAt = Number(started["startTimeMillis"]);
    const commandLine = fields(event["structuredCommandLine"]);
    if (commandLine["commandLineLabel"] === "canonical") this.#options = optionsOf(commandLine);
    const finished = fields(event["finished"]);
    if ("exitCode" in finished) {
      const { code, name } = fields(finished["exitCode"]);
      // proto3's JSON leaves out what is 0.
      this.#exit = { code: typeof code === "number" ? code : 0, name: typeof name === "string" ? name : undefined };
    }
    for (const log of list(fields(event["buildToolLogs"])["log"])) {
      const { name, contents } = fields(log);
      if (name === "process stats" && typeof contents === "string") this.#processes = parseProcesses(fromBase64(contents));
    }
  }

  get result(): BuildEvents {
    const [version] = /^\d+\.\d+\.\d+\S{0,20}/.exec(this.#version ?? "") ?? [];
    return {
      startedAt: this.#startedAt,
      version,
      options: this.#options,
      counts: this.#processes?.counts,
      namesDiskCache: this.#processes?.namesDiskCache === true,
      exitCode: this.#exit?.code,
      exitName: this.#exit?.name,
    };
  }
}

/** The last of each name wins, as it does for Bazel. */
function optionsOf(commandLine: Readonly<Record<string, unknown>>): ReadonlyMap<string, string> {
  const options = list(commandLine["sections"]).flatMap((section) => list(fields(fields(section)["optionList"])["option"]));
  return new Map(
    options.flatMap((option): [string, string][] => {
      const { optionName, optionValue } = fields(option);
      return typeof optionName === "string" ? [[optionName, typeof optionValue === "string" ? optionValue : ""]] : [];
    }),
  );
}

function parsed(line: string): unknown {
  try {
    return JSON.parse(line);
  } catch {
    return undefined;
  }
}

function fields(value: unknown): Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value) ? Object.fromEntries(Object.entries(value)) : {};
}

function list(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : [];
}

/** No module of Node's: contract/ has none. */
function fromBase64(text: string): string {
  try {
    return Array.from(atob(text.slice(0, 8192)), (character) => character.charAt(0)).join("");
  } catch {
    return "";
  }
}
