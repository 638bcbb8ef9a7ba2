/** One clock for a whole climb: what is left of it, and the signal that ends whatever is still waiting. */

class TimeUp extends Error {
  readonly afterMs: number;

  constructor(afterMs: number) {
    super("time is up");
    this.afterMs = afterMs;
  }
}

export class Deadline {
  readonly signal: AbortSignal;
  readonly #controller = new AbortController();
  readonly #timer: NodeJS.Timeout;
  readonly #endsAt: number;

  /**
   * @param ms from now on, in milliseconds
   * @param parent ends this deadline early
   */
  constructor(ms: number, parent?: AbortSignal) {
    this.#endsAt = performance.now() + ms;
    this.signal = parent === undefined ? this.#controller.signal : AbortSignal.any([this.#controller.signal, parent]);
    this.#timer = setTimeout(() => this.#controller.abort(new TimeUp(ms)), Math.max(0, ms));
  }

  /** A deadline of a share (0 to 1) of what is left of this one. */
  share(share: number): Deadline {
    return new Deadline(Math.max(1, (this.#endsAt - performance.now()) * share), this.signal);
  }

  /** How it ended: after so many milliseconds, called off by whoever asked, or not at all yet. */
  get ended(): { state: "expired"; afterMs: number } | { state: "called-off" } | { state: "running" } {
    if (!this.signal.aborted) return { state: "running" };
    const reason: unknown = this.signal.reason;
    return reason instanceof TimeUp ? { state: "expired", afterMs: reason.afterMs } : { state: "called-off" };
  }

  /** Stops the clock; for `finally`. */
  stop(): void {
    clearTimeout(this.#timer);
  }
}
