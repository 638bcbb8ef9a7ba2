/** The guarded commands that run now, by the marks that sh leaves for them (contract/running.ts). */
import {
  closeSync,
  constants,
  existsSync,
  type FSWatcher,
  fstatSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  watch,
} from "node:fs";
import { join } from "node:path";
import { messageOf } from "../../contract/errors.ts";
import type { Paths } from "../../contract/paths.ts";
import type { Clock } from "../../contract/published.ts";
import { largestMark, parseMark, type RunningMark, runningDirectory } from "../../contract/running.ts";
import { inspectRuntimeDirectory, unsafe } from "../api/client/directory.ts";
import { lifeOf } from "./process.ts";

const most = {
  /** Marks that are followed at once. */
  followed: 256,
  /** Files of the directory that are looked at. */
  files: 4096,
} as const;

/** How often the followed processes are looked at; not at all while there are none: milliseconds. */
const lookEvery = 250;
/** How long a directory that was taken away is left alone: milliseconds. */
const absence = 1_000;
/** A mark's clock has whole seconds, and is read before the mark is written: seconds. */
const rounding = 1;

export interface RunningCommand extends RunningMark {
  /** Wall clock: when its mark was written. */
  readonly startedAt: Date;
}

export interface EndedCommand {
  readonly command: RunningCommand;
  /** When it was seen gone first; undefined where nobody looked: it ended before this daemon began. */
  readonly gone: Date | undefined;
}

export interface RunningOptions {
  readonly paths: Paths;
  readonly clock: () => Clock;
  /**
   * A command began or ended; `ended` are those that did, of which the attachment may have been the reason. The mark
   * of each is there until `forget`: whoever dies before he has written down how it went leaves it to the next daemon.
   */
  readonly onChange: (ended: readonly EndedCommand[]) => void;
  /** The followed processes were looked at, and some live. */
  readonly onLook?: () => void;
  /** Why the marks cannot be followed. */
  readonly onFault: (message: string) => void;
}

interface Followed {
  readonly command: RunningCommand;
  /** The process that was meant: seconds since boot. */
  readonly born: number | undefined;
  /** The mark's content. */
  readonly text: string;
}

/** Whether an end that is met was just now, or at a time that nobody knows. */
type Past = "seen" | "left";

type Verdict =
  | ({ readonly kind: "runs" } & Followed)
  /** The process is gone, or another one has its number. */
  | { readonly kind: "over"; readonly pid: number; readonly command: RunningCommand | undefined; readonly text: string }
  | { readonly kind: "nothing new" };

export class RunningCommands {
  readonly #options: RunningOptions;
  readonly #directory: string;
  readonly #followed = new Map<number, Followed>();
  /** Marks of commands that ended and are not forgotten yet: their content, by pid. */
  readonly #ended = new Map<number, string>();
  /** Whether there was no room for all that had ended. */
  #left = false;
  #reading: NodeJS.Immediate | undefined;
  #watcher: FSWatcher | undefined;
  #timer: NodeJS.Timeout | undefined;
  #again: NodeJS.Timeout | undefined;
  #closed = false;

  constructor(options: RunningOptions) {
    this.#options = options;
    this.#directory = join(options.paths.runtime, runningDirectory);
  }

  /** Oldest first. */
  get list(): readonly RunningCommand[] {
    return [...this.#followed.values()].map(({ command }) => command);
  }

  /** Makes the directory, tells of what a former time left, and follows what comes. Never throws. */
  start(): void {
    try {
      mkdirSync(this.#directory, { recursive: true, mode: 0o700 });
      const directory = inspectRuntimeDirectory(this.#directory);
      if (!directory.ok) throw unsafe(directory);
      // One event a file at least: a mark is complete when the last of them is told.
      this.#watcher = watch(this.#directory, { persistent: false }, (_, name) => this.#seen(name));
      this.#watcher.on("error", (error) => this.#fault(error));
      this.#readAll("left");
    } catch (error) {
      this.#fault(error);
    }
  }

  close(): void {
    this.#watcher?.close();
    clearInterval(this.#timer);
    clearTimeout(this.#again);
    clearImmediate(this.#reading);
    this.#closed = true;
  }

  #fault(error: unknown): void {
    this.#watcher?.close();
    this.#options.onFault(`guarded commands that run are not followed: ${messageOf(error)}`);
  }

  #seen(name: string | null): void {
    // Of the directory itself: it was moved or removed, and its successor is not the one that is watched.
    if (name === runningDirectory) this.#startAgain();
    else if (name === null) this.#readAll("seen");
    else this.#take([this.#judge(name)], "seen");
  }

  /** Not at once: where the whole runtime directory is being taken away, nothing is put in its way. */
  #startAgain(): void {
    this.#watcher?.close();
    clearTimeout(this.#again);
    this.#again = setTimeout(() => {
      if (existsSync(this.#options.paths.runtime)) this.start();
    }, absence).unref();
  }

  /** All files of the directory, for when nobody said which one is new. */
  #readAll(past: Past): void {
    let names: readonly string[];
    try {
      names = readdirSync(this.#directory).slice(0, most.files);
    } catch {
      // The whole runtime directory is being taken away: then the daemon ends.
      return;
    }
    this.#take(
      names.map((name) => this.#judge(name)),
      past,
    );
  }

  #take(verdicts: readonly Verdict[], past: Past): void {
    let news = false;
    const ended: EndedCommand[] = [];
    for (const verdict of verdicts) {
      if (verdict.kind === "over") {
        if (verdict.command === undefined) this.#remove(verdict.pid);
        // It waits, as its mark, until others are written down.
        else if (this.#ended.size >= most.followed) this.#left = true;
        else {
          this.#ended.set(verdict.pid, verdict.text);
          ended.push({ command: verdict.command, gone: past === "seen" ? new Date() : undefined });
        }
      } else if (verdict.kind === "runs" && this.#followed.size < most.followed) {
        this.#followed.set(verdict.command.pid, verdict);
        this.#timer ??= setInterval(() => this.look(), lookEvery).unref();
        news = true;
      }
    }
    if (news || ended.length > 0) this.#options.onChange(ended);
  }

  #judge(name: string): Verdict {
    const pid = Number(name);
    const file = this.#followed.has(pid) ? undefined : this.#read(name);
    if (file === undefined || file.text === this.#ended.get(pid)) return { kind: "nothing new" };
    const { text } = file;
    const mark = parseMark(name, text);
    const command = mark === undefined ? undefined : { ...mark, startedAt: this.#wallTime(mark, file.written) };
    const life = lifeOf(pid);
    if (life.state === "gone") return { kind: "over", pid, command, text };
    // Half written: another event follows, or it is none of ours.
    if (command === undefined) return { kind: "nothing new" };
    // Of another boot; where marks name none, one that the boot clock has not come to yet.
    const now = this.#options.clock();
    const other =
      now.source === "boot" && (command.bootId === undefined ? command.started > now.seconds + rounding : command.bootId !== now.bootId);
    // Whoever was born after the mark has only inherited its number.
    const inherited = life.born !== undefined && life.born > command.started + rounding;
    if (other || inherited) return { kind: "over", pid, command, text };
    return { kind: "runs", command, born: life.born, text };
  }

  /** The file's own time has fractions; but not where somebody touched it, or set the clock since. */
  #wallTime(mark: RunningMark, written: Date): Date {
    const now = this.#options.clock();
    if (now.source === "boot" && mark.bootId !== undefined && mark.bootId !== now.bootId) return written;
    const counted = new Date(Date.now() - Math.max(0, now.seconds - mark.started) * 1000);
    return Math.abs(written.getTime() - counted.getTime()) <= 2_000 * rounding ? written : counted;
  }

  /** Whether the followed processes still live: now and then, and before somebody is told what runs. */
  look(): void {
    const full = this.#followed.size >= most.followed;
    const now = new Date();
    const ended: EndedCommand[] = [];
    for (const { command, born, text } of this.#followed.values()) {
      const life = lifeOf(command.pid);
      if (life.state === "alive" && life.born === born) continue;
      this.#followed.delete(command.pid);
      this.#ended.set(command.pid, text);
      ended.push({ command, gone: now });
    }
    if (this.#followed.size > 0) this.#options.onLook?.();
    if (ended.length === 0) return;
    if (this.#followed.size === 0) {
      clearInterval(this.#timer);
      this.#timer = undefined;
    }
    this.#options.onChange(ended);
    // Another command may have the number, and its own mark there, by now.
    this.#take(
      ended.map(({ command }) => this.#judge(String(command.pid))),
      "seen",
    );
    if (full) this.#readAll("seen");
  }

  /** It is written down how a command went: its mark has served. */
  forget({ pid }: RunningCommand): void {
    const text = this.#ended.get(pid);
    // Another command may have the number, and its own mark there, by now.
    if (text !== undefined && this.#read(String(pid))?.text === text) this.#remove(pid);
    this.#ended.delete(pid);
    if (!this.#left || this.#closed) return;
    // Once for all that are forgotten in one turn, and not within the telling of what ended.
    this.#reading ??= setImmediate(() => {
      this.#reading = undefined;
      this.#left = false;
      this.#readAll("left");
    });
  }

  /** @returns undefined where the file is nothing that our sh wrote: no regular file of this user, or too large */
  #read(name: string): { readonly text: string; readonly written: Date } | undefined {
    if (!/^[1-9][0-9]{0,9}$/.test(name)) return undefined;
    let file: number;
    try {
      // Neither a link nor a FIFO is followed, or waited for.
      file = openSync(join(this.#directory, name), constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
    } catch {
      return undefined;
    }
    try {
      const stats = fstatSync(file);
      if (!stats.isFile() || stats.uid !== process.geteuid?.() || stats.size > largestMark) return undefined;
      return { text: readFileSync(file, "utf8"), written: stats.mtime };
    } catch {
      return undefined;
    } finally {
      closeSync(file);
    }
  }

  #remove(pid: number): void {
    try {
      rmSync(join(this.#directory, String(pid)), { force: true });
    } catch {
      // A directory of that name, say: it is none of ours.
    }
  }
}
