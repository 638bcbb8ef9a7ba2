/** A yes or no over time. Times are milliseconds of performance.now(). */

export class Timeline {
  readonly #changes: { readonly at: number; readonly value: boolean }[];

  constructor(value: boolean, at: number) {
    this.#changes = [{ at, value }];
  }

  set(value: boolean, at: number): void {
    if (this.value !== value) this.#changes.push({ at, value });
  }

  get value(): boolean {
    return this.#changes.at(-1)?.value ?? false;
  }

  /** Since when it is what it is. */
  get since(): number {
    return this.#changes.at(-1)?.at ?? 0;
  }

  /** Whether it was yes without a break from a moment until now. */
  heldSince(from: number): boolean {
    return this.value && this.since <= from;
  }

  /** When the earliest span of `value` that touches [from, to] began; undefined where none does. */
  began(value: boolean, from: number, to: number): number | undefined {
    for (const [index, change] of this.#changes.entries()) {
      const ends = this.#changes[index + 1]?.at ?? Number.POSITIVE_INFINITY;
      if (change.value === value && change.at <= to && ends >= from) return change.at;
    }
    return undefined;
  }
}
