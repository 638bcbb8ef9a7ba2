/** The daemon's word as it changes: watched while one answers, looked for while none does. */
import { type FSWatcher, watch } from "node:fs";
import { basename, dirname } from "node:path";
import type { Environment } from "../../contract/environment.ts";
import { FlywheelError, messageOf } from "../../contract/errors.ts";
import { type Paths, socketPath } from "../../contract/paths.ts";
import { absenceOf } from "../../daemon/api/client/absence.ts";
import { DaemonClient } from "../../daemon/api/client/connection.ts";
import { runningDaemon } from "../daemon.ts";
import type { Link, News } from "./scene.ts";

/** How long to wait before another look where the file system says nothing: milliseconds. */
const patience = { settle: 100, look: 2_000 } as const;

export class Feed {
  readonly #paths: Paths;
  readonly #profile: string;
  readonly #listeners = new Set<() => void>();
  #news: News = { link: { state: "looking" }, report: undefined, receivedAt: 0 };

  constructor(paths: Paths, profile: string) {
    this.#paths = paths;
    this.#profile = profile;
  }

  /** Bound, as React's useSyncExternalStore wants both. */
  readonly subscribe = (listener: () => void): (() => void) => {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  };

  readonly news = (): News => this.#news;

  /** Follows the daemon until the signal aborts. Starts one where none runs, once, but never where CI is set; later only who asks for it does. */
  async run(env: Environment, signal: AbortSignal): Promise<void> {
    let mayStart = !env["CI"];
    while (!signal.aborted) {
      // Before the question, so that a daemon that comes while it is asked is not missed.
      const door = watchForDaemon(this.#paths);
      try {
        await this.#follow(signal);
        if (!signal.aborted) this.#gone("the daemon stopped", "flywheel up");
      } catch (error) {
        const absence = absenceOf(error, this.#paths);
        if (mayStart && absence?.kind === "none") {
          mayStart = false;
          if (await this.#start()) continue;
        } else if (absence !== undefined) {
          // That it stopped says more than that there is none.
          if (absence.kind === "hung" || this.#news.link.state !== "gone") this.#gone(absence.words, absence.next);
        } else this.#gone(messageOf(error), error instanceof FlywheelError ? (error.next ?? null) : "flywheel logs");
      } finally {
        mayStart &&= this.#news.report === undefined;
        if (this.#news.link.state === "gone") await door.knock(signal);
        door.close();
      }
    }
  }

  async #follow(signal: AbortSignal): Promise<void> {
    for await (const report of new DaemonClient(this.#paths).watch(this.#profile, signal)) {
      this.#tell({ link: { state: "live" }, report, receivedAt: performance.now() });
    }
  }

  async #start(): Promise<boolean> {
    this.#tell({ ...this.#news, link: { state: "starting" } });
    try {
      await runningDaemon(this.#paths);
      return true;
    } catch (error) {
      this.#gone(messageOf(error), error instanceof FlywheelError ? (error.next ?? null) : null);
      return false;
    }
  }

  #gone(why: string, next: string | null): void {
    const { link } = this.#news;
    const since = link.state === "gone" ? link.since : new Date();
    if (link.state === "gone" && link.why === why && link.next === next) return;
    this.#tell({ ...this.#news, link: { state: "gone", since, why, next } satisfies Link });
  }

  #tell(news: News): void {
    this.#news = news;
    for (const listener of this.#listeners) listener();
  }
}

/** Resolves `knock` when a daemon makes its socket, or after a while. */
function watchForDaemon(paths: Paths): { knock(signal: AbortSignal): Promise<void>; close(): void } {
  const { runtime } = paths;
  const changed = Promise.withResolvers<void>();
  let watcher: FSWatcher | undefined;
  // Where the directory is not there either, its parent is told when it comes.
  for (const [directory, awaited] of [
    [runtime, basename(socketPath(paths))],
    [dirname(runtime), basename(runtime)],
  ] as const) {
    try {
      watcher = watch(directory, { persistent: false }, (_event, name) => {
        if (name === awaited) setTimeout(changed.resolve, patience.settle);
      }).on("error", () => {});
      break;
    } catch {
      // The next, or the clock alone.
    }
  }
  return {
    knock: async (signal) => {
      const timer = setTimeout(changed.resolve, patience.look);
      const end = (): void => changed.resolve();
      signal.addEventListener("abort", end, { once: true });
      await changed.promise;
      signal.removeEventListener("abort", end);
      clearTimeout(timer);
    },
    close: () => watcher?.close(),
  };
}
