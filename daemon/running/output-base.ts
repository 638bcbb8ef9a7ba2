/**
 * The records that Bazel leaves in one output base: each command's command.log, held open from its birth, since the
 * next command makes another in its place; and the server's java.log, which says whose command was when.
 */
import { closeSync, constants, type FSWatcher, fstatSync, openSync, readdirSync, readSync, statSync, watch } from "node:fs";
import { join } from "node:path";
import { readServerLog, type ServerLog } from "../../contract/bazel/server-log.ts";
import { readBounded, withoutWaiting } from "../api/client/bounded.ts";

const most = {
  /** Logs that are held at once. */
  held: 32,
  /** Of a command.log, from its end: bytes. Its summary stands there. */
  commandLog: 1_048_576,
  /** Of a java.log, from its end: bytes. */
  serverLog: 4_194_304,
  /** Servers whose logs are read: a command that restarts the server leaves the last one's behind. */
  servers: 2,
  label: 256,
} as const;

/** Enough of a log to meet a line with a time: characters. */
const head = 65_536;
const oneDay = 86_400_000;
/** Time zones differ by multiples of it: milliseconds. */
const quarter = 900_000;

export interface HeldLog {
  readonly file: number;
  /** Wall clock: milliseconds. */
  readonly born: number;
}

/** A server's commands, with the times as wall clock milliseconds. */
export interface ServerRecord extends ServerLog {
  readonly server: string;
}

export class OutputBase {
  readonly path: string;
  readonly #held: HeldLog[] = [];
  #watcher: FSWatcher | undefined;

  private constructor(path: string) {
    this.path = path;
  }

  /**
   * @param onBirth a command began to print: what the one before left is whole by then
   * @returns undefined where there is no such directory of this user's
   */
  static at(path: string, onBirth: (base: OutputBase) => void): OutputBase | undefined {
    const base = new OutputBase(path);
    try {
      const stats = statSync(path);
      if (!stats.isDirectory() || stats.uid !== process.geteuid?.()) return undefined;
    } catch {
      return undefined;
    }
    try {
      base.#watcher = watch(path, { persistent: false }, (event, name) => {
        if (event === "rename" && name === "command.log" && base.look()) onBirth(base);
      });
      base.#watcher.on("error", () => base.#watcher?.close());
    } catch {
      // It went away, or the system has no watch left: whoever looks now and then sees most of it.
    }
    base.look();
    return base;
  }

  /** Holds the log that stands there, if it is a new one. @returns whether it was */
  look(): boolean {
    const log = open(join(this.path, "command.log"));
    if (log === undefined) return false;
    if (this.#held.at(-1)?.born === log.born) {
      closeSync(log.file);
      return false;
    }
    this.#held.push(log);
    if (this.#held.length > most.held) for (const { file } of this.#held.splice(0, 1)) closeSync(file);
    return true;
  }

  /** Oldest first. */
  get logs(): readonly HeldLog[] {
    return this.#held;
  }

  /** The end of a log, and when it was written to last; undefined where it cannot be read. */
  read({ file }: HeldLog): { readonly text: string; readonly written: number } | undefined {
    const text = endOf(file, most.commandLog);
    return text === undefined ? undefined : { text, written: fstatSync(file).mtimeMs };
  }

  /** What the servers of this output base did, back to `since` where their logs reach so far. */
  servers(since: number): readonly ServerRecord[] {
    return youngestServers(this.path).map(({ server, files }) => {
      let [text, left, modified] = ["", most.serverLog, 0];
      for (const path of files) {
        const log = open(path);
        if (log === undefined) continue;
        modified = Math.max(modified, log.modified);
        text = `${endOf(log.file, left) ?? ""}${text}`;
        closeSync(log.file);
        left = most.serverLog - text.length;
        // Whatever the server's time zone is, a day is more than that.
        const { first } = readServerLog(text.slice(0, head));
        if (left <= 0 || (first !== undefined && first < since - oneDay)) break;
      }
      return { server, ...atWallClock(readServerLog(text), modified) };
    });
  }

  /** Bazel's version as it names itself: `2.1.0`, or `no_version` of a distribution's. */
  get label(): string | undefined {
    try {
      return readBounded(join(this.path, "install/build-label.txt"), most.label).toString("utf8").trim();
    } catch {
      return undefined;
    }
  }

  close(): void {
    this.#watcher?.close();
    for (const { file } of this.#held.splice(0)) closeSync(file);
  }
}

/** Opens a regular file of this user's, no link and no FIFO. */
function open(path: string): (HeldLog & { readonly modified: number }) | undefined {
  let file: number;
  try {
    file = openSync(path, constants.O_RDONLY | constants.O_NOFOLLOW | withoutWaiting);
  } catch {
    return undefined;
  }
  const stats = fstatSync(file);
  if (stats.isFile() && stats.uid === process.geteuid?.()) return { file, born: stats.birthtimeMs, modified: stats.mtimeMs };
  closeSync(file);
  return undefined;
}

function endOf(file: number, bytes: number): string | undefined {
  try {
    const { size } = fstatSync(file);
    const buffer = Buffer.alloc(Math.min(size, bytes));
    const read = readSync(file, buffer, 0, buffer.length, size - buffer.length);
    return buffer.toString("utf8", 0, read);
  } catch {
    return undefined;
  }
}

/** By server the files of its log, the youngest first: `java.log.<host>.<user>.log.java.<date>-<time>.<pid>`, a new one when one is full. */
function youngestServers(base: string): readonly { readonly server: string; readonly files: readonly string[] }[] {
  let names: readonly string[];
  try {
    names = readdirSync(base).filter((name) => /^java\.log\..*\.[0-9]+$/.test(name));
  } catch {
    return [];
  }
  const files = names
    .map((name) => ({ name, at: statSync(join(base, name), { throwIfNoEntry: false })?.mtimeMs ?? 0 }))
    .toSorted((a, b) => b.at - a.at || b.name.localeCompare(a.name));
  const servers = Map.groupBy(files, ({ name }) => name.slice(name.lastIndexOf(".") + 1));
  return [...servers].slice(0, most.servers).map(([server, all]) => ({ server, files: all.map(({ name }) => join(base, name)) }));
}

/** The server's time zone need not be ours: its last line was written when the file was. */
function atWallClock(log: ServerLog, modified: number): ServerLog {
  const zone = log.last === undefined ? 0 : Math.round((log.last - modified) / quarter) * quarter;
  const there = (at: number): number => at - zone;
  return {
    first: log.first === undefined ? undefined : there(log.first),
    last: log.last === undefined ? undefined : there(log.last),
    executions: log.executions.map((one) => ({
      ...one,
      arrived: there(one.arrived),
      began: there(one.began),
      finished: one.finished === undefined ? undefined : there(one.finished),
    })),
  };
}
