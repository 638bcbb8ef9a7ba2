/**
 * The files from which a tool takes a credential: a directory for each endpoint and login (contract/paths.ts). What is in
 * one is never written to again, since a tool may read it twice, and must not find another cache's secret the second time.
 */
import { randomUUID } from "node:crypto";
import { existsSync, mkdirSync, mkdtempSync, readdirSync, renameSync, rmSync, statSync, utimesSync, writeFileSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { FlywheelError } from "../../contract/errors.ts";
import { generationPath, type Paths } from "../../contract/paths.ts";
import type { Secret } from "../../contract/secret.ts";
import { inspectRuntimeDirectory, unsafe } from "../api/client/directory.ts";
import { isErrno, reasonOf } from "../api/client/errno.ts";

/** How long a directory stays after it was asked for last: milliseconds. No build takes longer. */
const kept = 24 * 3_600_000;

/** Begins the name of a directory that is being filled, or removed, which is done in one go: one that is found is a dead daemon's. */
const unfinished = ".new-";

export class Generations {
  readonly #root: string;
  readonly #runtime: string;
  readonly #now: () => Date;

  constructor(paths: Paths, now: () => Date = () => new Date()) {
    this.#root = dirname(generationPath(paths, "x"));
    this.#runtime = paths.runtime;
    this.#now = now;
  }

  /**
   * @param directory of generationDirectory()
   * @param file its only file: `bazelrc` or `netrc`
   * @param write gives its content; called only where the directory is not there yet
   * @throws FlywheelError `runtime-directory-unsafe` where it cannot be made, or another stands in its place
   */
  async make(directory: string, file: string, write: () => Secret | Promise<Secret>): Promise<void> {
    this.prune();
    if (this.#refresh(directory)) return;
    const content = await write();
    // Asked for twice at once: the other one was quicker.
    if (this.#refresh(directory)) return;
    this.#inspect(this.#runtime);
    let fresh: string | undefined;
    try {
      mkdirSync(this.#root, { recursive: true, mode: 0o700 });
      this.#inspect(this.#root);
      fresh = mkdtempSync(join(this.#root, unfinished));
      writeFileSync(join(fresh, file), content.reveal(), { mode: 0o600, flag: "wx" });
      const now = this.#now();
      utimesSync(fresh, now, now);
      renameSync(fresh, directory);
    } catch (error) {
      if (fresh !== undefined) rmSync(fresh, { recursive: true, force: true });
      if (error instanceof FlywheelError) throw error;
      throw new FlywheelError("runtime-directory-unsafe", `${directory} cannot be made (${reasonOf(error)})`, {
        next: "make the runtime directory writable, or set GF_RUNTIME_DIR",
        cause: error,
      });
    }
  }

  /** make(), without making anything: throws where that would. */
  async look(directory: string, write: () => Secret | Promise<Secret>): Promise<void> {
    for (const path of [this.#runtime, this.#root, directory]) if (existsSync(path)) this.#inspect(path);
    if (!existsSync(directory)) await write();
  }

  /** Removes what nobody has asked for within a day, and what is of no login any more. @param logins those there are; all, where absent */
  prune(logins?: readonly string[]): void {
    const oldest = this.#now().getTime() - kept;
    for (const name of this.#names()) {
      const path = join(this.#root, name);
      const gone = name.startsWith(unfinished) || (logins !== undefined && !logins.some((login) => name.startsWith(`${login}-`)));
      if (gone || (statSync(path, { throwIfNoEntry: false })?.mtimeMs ?? Number.POSITIVE_INFINITY) < oldest) this.#remove(path);
    }
  }

  /** Out of sight in one step, then away: nobody finds half of it. */
  #remove(path: string): void {
    try {
      const doomed = join(this.#root, `${unfinished}${randomUUID()}`);
      renameSync(path, doomed);
      rmSync(doomed, { recursive: true, force: true });
    } catch {
      // Gone already, or not ours to remove: the next look tries again.
    }
  }

  #names(): readonly string[] {
    try {
      return readdirSync(this.#root);
    } catch (error) {
      if (isErrno(error) && (error.code === "ENOENT" || error.code === "ENOTDIR")) return [];
      throw error;
    }
  }

  /** @returns whether it is there; it is then kept for another day */
  #refresh(directory: string): boolean {
    const stats = statSync(directory, { throwIfNoEntry: false });
    if (stats === undefined) return false;
    this.#inspect(dirname(directory));
    this.#inspect(directory);
    const now = this.#now();
    utimesSync(directory, now, now);
    return true;
  }

  #inspect(path: string): void {
    const result = inspectRuntimeDirectory(path);
    if (!result.ok) throw unsafe({ ...result, message: `${basename(path)}: ${result.message}` });
  }
}
