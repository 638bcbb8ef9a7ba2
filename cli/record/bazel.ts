/** Recording Bazel: its build events tell the counts; a file of them that the user or an IDE asked for is read, never replaced. */
import { mkdirSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { isAbsolute, join, resolve } from "node:path";
import { readCommandLine } from "../../contract/bazel/command-line.ts";
import { sectionsOf } from "../../contract/bazel/disk-cache.ts";
import { doubtOf } from "../../contract/bazel/processes.ts";
import { messageOf } from "../../contract/errors.ts";
import type { Tally } from "../../contract/invocation.ts";
import { printable } from "../../contract/text.ts";
import { eventsDirectory, eventsFile, eventsOption } from "../../shim/recording.ts";
import { rcLines, usualRcFiles } from "../bazelrc.ts";
import { readBuildEvents } from "./build-events.ts";
import type { Ending } from "./child.ts";
import { outcomeOf, type Reading, type Recorder } from "./recorder.ts";

/** Bazel's ExitCode.INTERRUPTED. */
export const interrupted = 8;

interface Place {
  readonly cwd: string;
  /** The workspace's root: where its rc file lies. */
  readonly root: string;
  readonly home: string;
  /** Where the events go when no directory for such things takes them. */
  readonly runtime: string;
}

/**
 * @param id of the record
 * @returns undefined for what builds nothing
 */
export function bazelRecorder(args: readonly string[], place: Place, id: string): Recorder | undefined {
  const line = readCommandLine(args);
  if (line.kind !== "heavy") return undefined;
  const asked = eventsOf(line.command, args, place);
  const events = asked.state === "ours" ? makeDirectory(id, [tmpdir(), "/tmp", place.runtime]) : asked;
  const directory = events.state === "made" ? events.directory : undefined;
  const file = events.state === "theirs" ? events.file : directory && join(directory, eventsFile);
  const before = { file: stateOf(file ?? ""), at: Date.now() };
  return {
    command: line.command,
    args: directory === undefined ? args : [...args.slice(0, line.at), `${eventsOption}=${file}`, ...args.slice(line.at)],
    stderr: "inherit",
    follow: () => {},
    read: async (ending): Promise<Reading> => {
      if (events.state === "unreadable") return { ...unread(ending, events.why), ran: ending.code !== 78 };
      return read(file ?? "", before, ending);
    },
    close: () => {
      if (directory !== undefined) rmSync(directory, { recursive: true, force: true });
    },
  };
}

type Made = { readonly state: "made"; readonly directory: string } | { readonly state: "unreadable"; readonly why: string };

/** In the first place that has room for it: TMPDIR is often gone behind `nix develop`, and a record is no reason not to build. */
function makeDirectory(id: string, places: readonly string[]): Made {
  let why = "";
  for (const place of places) {
    const directory = resolve(place, eventsDirectory(id));
    try {
      mkdirSync(directory, { mode: 0o700 });
      return { state: "made", directory };
    } catch (error) {
      why ||= messageOf(error);
    }
  }
  return { state: "unreadable", why: `no place for Bazel's build events: ${printable(why)}` };
}

type Events =
  | { readonly state: "ours" }
  | { readonly state: "theirs"; readonly file: string }
  | { readonly state: "unreadable"; readonly why: string };

/** Bazel writes one such file, the one that was named last: one that somebody else asked for stays. */
function eventsOf(command: string, args: readonly string[], { cwd, root, home }: Place): Events {
  const end = args.indexOf("--");
  const own = args.slice(0, end === -1 ? args.length : end);
  const at = own.findLastIndex((word) => word === eventsOption || word.startsWith(`${eventsOption}=`));
  if (at !== -1) {
    const word = own[at] ?? "";
    const value = word.includes("=") ? word.slice(word.indexOf("=") + 1) : (own[at + 1] ?? "");
    return value === ""
      ? { state: "unreadable", why: `${eventsOption} is set to nothing` }
      : { state: "theirs", file: resolve(cwd, value) };
  }
  const rcFiles = own.flatMap((word, index) =>
    word.startsWith("--bazelrc=") ? [resolve(cwd, word.slice(10))] : word === "--bazelrc" ? [resolve(cwd, own[index + 1] ?? "")] : [],
  );
  const lines = [...rcLines(root, [...usualRcFiles(root, home), ...rcFiles])];
  // What a command takes from its own section counts more than what it inherits, wherever the lines stand.
  const named = sectionsOf(command)
    .flatMap((section) => lines.filter((line) => line.section === section))
    .findLast(({ words }) => words.some((word) => word.replaceAll(/["']/g, "").startsWith(eventsOption)));
  if (named === undefined) return { state: "ours" };
  const value = named.words.map((word) => word.replaceAll(/["']/g, "")).findLast((word) => word.startsWith(`${eventsOption}=`));
  const path = value?.slice(eventsOption.length + 1).replace("%workspace%", root) ?? "";
  if (named.config === undefined && isAbsolute(path)) return { state: "theirs", file: path };
  return { state: "unreadable", why: `${named.file}:${named.line} may ask for build events in a file of its own, which is left alone` };
}

/** What changes with each writing of a file; undefined where there is none, or none that may be looked at. */
function stateOf(file: string): string | undefined {
  try {
    const stats = statSync(file, { bigint: true });
    return stats.isFile() ? `${stats.ino} ${stats.size} ${stats.mtimeNs}` : undefined;
  } catch {
    return undefined;
  }
}

interface Before {
  /** Of the file of build events. */
  readonly file: string | undefined;
  readonly at: number;
}

async function read(file: string, before: Before, ending: Ending): Promise<Reading> {
  const none = { ...unread(ending, "Bazel wrote no build events"), ran: ending.code !== 78 };
  // One that the shim or Bazel never came to write.
  const state = stateOf(file);
  if (state === undefined || state === before.file) return none;
  const { counts, namesDiskCache, options, startedAt, version } = await readBuildEvents(file);
  // Another build's, which was there first or runs beside this one.
  if (startedAt === undefined || startedAt < before.at) return none;
  const endpoint = options === undefined ? undefined : options.get("remote_cache") || null;
  const tally: Tally =
    counts === undefined
      ? { state: "unknown", why: "Bazel's build events count no processes: the build did not come to its end" }
      : {
          state: "counted",
          counts,
          source: "build-events",
          doubt: doubtOf({ counts, namesDiskCache }, { diskCache: (options?.get("disk_cache") ?? "") !== "", version }),
        };
  return { ran: true, endpoint, outcome: outcomeOf(ending, interrupted), tally };
}

function unread(ending: Ending, why: string): Omit<Reading, "ran"> {
  return { endpoint: undefined, outcome: outcomeOf(ending, interrupted), tally: { state: "unknown", why } };
}
