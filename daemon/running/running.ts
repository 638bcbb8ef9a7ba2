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
const lookEvery = 1_000;
/** A mark's clock has whole seconds, and is read before the mark is written: seconds. */
const rounding = 1;

export interface RunningCommand extends RunningMark {
  /** Wall clock, for people. */
  readonly startedAt: Date;
}

export interface RunningOptions {
  readonly paths: Paths;
  readonly clock: () => Clock;
  /** A command began or ended; `ended` are those that did, of which the attachment may have been the reason. */
  readonly onChange: (ended: readonly RunningCommand[]) => void;
  /** Why the marks cannot be followed. */
  readonly onFault: (message: string) => void;
}

interface Followed {
  readonly command: RunningCommand;
  /** The process that was meant: seconds since boot. */
  readonly born: number | undefined;
}

type Verdict =
  | ({ readonly kind: "runs" } & Followed)
  /** The process is gone, or another one has its number. */
  | { readonly kind: "over"; readonly pid: number; readonly command: RunningCommand | undefined }
  | { readonly kind: "nothing new" };

export class RunningCommands {
  readonly #options: RunningOptions;
  readonly #directory: string;
  readonly #followed = new Map<number, Followed>();
  #watcher: FSWatcher | undefined;
  #timer: NodeJS.Timeout | undefined;
  #again: NodeJS.Timeout | undefined;

  constructor(options: RunningOptions) {
    this.#options = options;
    this.#directory = join(options.paths.runtime, runningDirectory);
  }

  /** Oldest first. */
  get list(): readonly RunningCommand[] {
    return [...this.#followed.values()].map(({ command }) => command);
  }

  /** Makes the directory, sweeps out what a former time left, and follows what comes. Never throws. */
  start(): void {
    try {
      mkdirSync(this.#directory, { recursive: true, mode: 0o700 });
      const directory = inspectRuntimeDirectory(this.#directory);
      if (!directory.ok) throw unsafe(directory);
      // One event a file at least: a mark is complete when the last of them is told.
      this.#watcher = watch(this.#directory, { persistent: false }, (_, name) => this.#seen(name));
      this.#watcher.on("error", (error) => this.#fault(error));
      this.#readAll("only sweep");
    } catch (error) {
      this.#fault(error);
    }
  }

  close(): void {
    this.#watcher?.close();
    clearInterval(this.#timer);
    clearTimeout(this.#again);
  }

  #fault(error: unknown): void {
    this.#watcher?.close();
    this.#options.onFault(`guarded commands that run are not followed: ${messageOf(error)}`);
  }

  #seen(name: string | null): void {
    // Of the directory itself: it was moved or removed, and its successor is not the one that is watched.
    if (name === runningDirectory) this.#startAgain();
    else if (name === null) this.#readAll("heed what ended");
    else this.#take([this.#judge(name)], "heed what ended");
  }

  /** Not at once: where the whole runtime directory is being taken away, nothing is put in its way. */
  #startAgain(): void {
    this.#watcher?.close();
    clearTimeout(this.#again);
    this.#again = setTimeout(() => {
      if (existsSync(this.#options.paths.runtime)) this.start();
    }, lookEvery).unref();
  }

  /** All files of the directory, for when nobody said which one is new. */
  #readAll(past: "heed what ended" | "only sweep"): void {
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

  #take(verdicts: readonly Verdict[], past: "heed what ended" | "only sweep"): void {
    let news = false;
    const ended: RunningCommand[] = [];
    for (const verdict of verdicts) {
      if (verdict.kind === "over") {
        this.#remove(verdict.pid);
        if (verdict.command !== undefined && past === "heed what ended") ended.push(verdict.command);
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
    const text = this.#followed.has(pid) ? undefined : this.#read(name);
    if (text === undefined) return { kind: "nothing new" };
    const mark = parseMark(name, text);
    const command = mark === undefined ? undefined : { ...mark, startedAt: this.#wallTime(mark) };
    const life = lifeOf(pid);
    if (life.state === "gone") return { kind: "over", pid, command };
    // Half written: another event follows, or it is none of ours.
    if (command === undefined) return { kind: "nothing new" };
    // The boot clock has not been there yet: the mark is of another boot.
    const now = this.#options.clock();
    if (now.source === "boot" && command.started > now.seconds + rounding) return { kind: "over", pid, command: undefined };
    // Whoever was born after the mark has only inherited its number.
    if (life.born !== undefined && life.born > command.started + rounding) return { kind: "over", pid, command: undefined };
    return { kind: "runs", command, born: life.born };
  }

  #wallTime(mark: RunningMark): Date {
    return new Date(Date.now() - Math.max(0, this.#options.clock().seconds - mark.started) * 1000);
  }

  /** Whether the followed processes still live: now and then, and before somebody is told what runs. */
  look(): void {
    const full = this.#followed.size >= most.followed;
    const ended: RunningCommand[] = [];
    for (const { command, born } of this.#followed.values()) {
      const life = lifeOf(command.pid);
      if (life.state === "alive" && life.born === born) continue;
      this.#followed.delete(command.pid);
      ended.push(command);
    }
    if (ended.length === 0) return;
    // Another command may have the number, and its own mark there, by now.
    this.#take(
      ended.map(({ pid }) => this.#judge(String(pid))),
      "only sweep",
    );
    if (this.#followed.size === 0) {
      clearInterval(this.#timer);
      this.#timer = undefined;
    }
    this.#options.onChange(ended);
    if (full) this.#readAll("heed what ended");
  }

  /** @returns undefined where the file is nothing that our sh wrote: no regular file of this user, or too large */
  #read(name: string): string | undefined {
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
      return readFileSync(file, "utf8");
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
