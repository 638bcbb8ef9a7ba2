/** Chance that a seed decides alone: Math.random could not be run again. */

/** @returns the generator Mulberry32 (github.com/bryc/code, jshash/PRNGs.md): numbers in [0, 1), the same for the same seed everywhere */
export function randomFrom(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 0x1_0000_0000;
  };
}

export class Dice {
  readonly #next: () => number;

  constructor(seed: number) {
    this.#next = randomFrom(seed);
  }

  chance(probability: number): boolean {
    return this.#next() < probability;
  }

  one<T>(items: readonly [T, ...T[]]): T {
    return items[Math.floor(this.#next() * items.length)] ?? items[0];
  }

  /** @param items each with its weight, above 0 */
  weighted<T>(items: readonly [readonly [number, T], ...(readonly [number, T])[]]): T {
    let left = this.#next() * items.reduce((sum, [weight]) => sum + weight, 0);
    for (const [weight, item] of items) {
      left -= weight;
      if (left < 0) return item;
    }
    return items[0][1];
  }
}
