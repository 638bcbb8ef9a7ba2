/** The status as it changes, for as long as a shell is open: also where no daemon runs yet, or it comes back. */
import type { StatusReport } from "../../contract/api.ts";
import type { Paths } from "../../contract/paths.ts";
import { DaemonClient } from "../../daemon/api/client/connection.ts";

/** Between two tries: milliseconds, doubling. A prompt, too, is a reason to try. */
const pauses = { first: 1_000, longest: 30_000 } as const;

export class Follower {
  readonly #client: DaemonClient;
  readonly #profile: string;
  readonly #stop = new AbortController();
  readonly #changed: () => void;
  #report: StatusReport | undefined;
  #at = performance.now();
  #wake: () => void = () => {};

  /**
   * @param known.report what is known already
   * @param known.changed called after each change of `report`, never before this returns
   */
  constructor(paths: Paths, profile: string, { report, changed }: { report: StatusReport; changed: () => void }) {
    this.#client = new DaemonClient(paths);
    this.#profile = profile;
    this.#changed = changed;
    this.#report = report.daemon === null ? undefined : report;
    void this.#follow();
  }

  /** What the daemon said last; undefined while none answers. */
  get report(): StatusReport | undefined {
    return this.#report;
  }

  /** Since it said so: milliseconds. */
  get ageMs(): number {
    return performance.now() - this.#at;
  }

  /** Where no daemon answered, now is a good time to look again. */
  poke(): void {
    this.#wake();
  }

  close(): void {
    this.#stop.abort();
    this.#wake();
  }

  async #follow(): Promise<void> {
    const { signal } = this.#stop;
    let pause: number = pauses.first;
    while (!signal.aborted) {
      try {
        for await (const report of this.#client.watch(this.#profile, signal)) {
          pause = pauses.first;
          this.#say(report);
        }
      } catch {
        // Absent, hung or another version: for a shell it is all the same, and `flywheel status` says which.
      }
      if (signal.aborted) return;
      this.#say(undefined);
      await this.#sleep(pause);
      pause = Math.min(pauses.longest, 2 * pause);
    }
  }

  #say(report: StatusReport | undefined): void {
    if (report === undefined && this.#report === undefined) return;
    this.#report = report;
    this.#at = performance.now();
    this.#changed();
  }

  #sleep(milliseconds: number): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    const timer = setTimeout(resolve, milliseconds);
    this.#wake = resolve;
    return promise.finally(() => clearTimeout(timer));
  }
}
