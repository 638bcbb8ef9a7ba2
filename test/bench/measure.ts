/** Times whole processes in one run, so that what is compared has met the same machine in the same minute. */
import { execFileSync } from "node:child_process";

export interface Subject {
  readonly name: string;
  readonly argv: readonly [string, ...string[]];
  readonly env: Readonly<Record<string, string>>;
  readonly cwd: string;
}

export interface Measured {
  readonly name: string;
  /** Milliseconds a run, one figure for each round. */
  readonly rounds: readonly number[];
}

/**
 * Runs the subjects in turn, round after round. Node's own spawn costs several milliseconds and grows with its
 * heap, more than a shim itself: so one small sh starts each batch, the same for all, and its cost is shared
 * by `batch` runs. A subject that exits with another code than 0 ends the measurement.
 * @param options.rounds how often each subject gets its turn
 * @param options.batch how many runs make up one turn
 */
export function measure(subjects: readonly Subject[], options: { rounds: number; batch: number }): readonly Measured[] {
  const taken = subjects.map((subject) => ({ subject, rounds: [] as number[] }));
  for (let round = -1; round < options.rounds; round += 1) {
    // Every other round backwards: nobody always runs in the wake of the same neighbour.
    for (const { subject, rounds } of round % 2 === 0 ? taken : taken.toReversed()) {
      const ms = turn(subject, options.batch);
      // Round -1 warms the page cache.
      if (round >= 0) rounds.push(ms);
    }
  }
  return taken.map(({ subject, rounds }) => ({ name: subject.name, rounds }));
}

const loop = 'n=$1; shift; while [ "$n" -gt 0 ]; do "$@" >/dev/null || exit; n=$((n - 1)); done';

function turn(subject: Subject, batch: number): number {
  const started = performance.now();
  execFileSync("/bin/sh", ["-c", loop, "sh", String(batch), ...subject.argv], {
    cwd: subject.cwd,
    env: subject.env,
    stdio: ["ignore", "ignore", "pipe"],
  });
  return (performance.now() - started) / batch;
}

export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = sorted.length >> 1;
  const upper = sorted[middle] ?? Number.NaN;
  return sorted.length % 2 === 1 ? upper : ((sorted[middle - 1] ?? Number.NaN) + upper) / 2;
}

/** The median of what `a` took more than `b`, round by round: milliseconds. */
export function added(a: Measured, b: Measured): number {
  return median(a.rounds.map((ms, round) => ms - (b.rounds[round] ?? Number.NaN)));
}
