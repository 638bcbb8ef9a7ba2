/** What the shared cache saved: an estimate, from builds that had to do without it, which says how it was made. */

/** Of one build whose figures are known and to be believed. */
export interface TimedBuild {
  readonly workspace: string;
  readonly tool: string;
  readonly command: string;
  readonly hits: number;
  readonly other: number;
  readonly misses: number;
  readonly wallMs: number;
}

/** What counts as a build that had to do without the cache, and how many of them tell a pace. */
export const pacing = {
  /** Actions that it executed, at least: with fewer, the tool's own start is most of the time. */
  misses: 20,
  /** Actions that some cache answered, at most: of those executed. */
  answered: 0.25,
  /** Such builds of the same command in the same workspace, at least. */
  builds: 3,
  /** How far back they are looked for. */
  days: 30,
} as const;

export interface Savings {
  /** Of all builds together; null where too little is known of each. */
  readonly seconds: number | null;
  /** Builds that had hits, and of them those whose workspace has a pace; only these are in the sum. */
  readonly builds: number;
  readonly estimated: number;
  /** How it was made, or what is missing: in the user's words. */
  readonly method: string;
}

export function isPacing(build: TimedBuild): boolean {
  return build.misses >= pacing.misses && build.hits + build.other <= pacing.answered * build.misses && build.wallMs > 0;
}

/**
 * The pace of a command in a workspace is the median of wall time per executed action over the builds that had few
 * hits, so that it knows how many actions run side by side. A build saved what its hits would have taken at that pace,
 * less what it took itself beyond its misses: fetching is no gain. Never less than nothing.
 * @param past where the paces are from
 * @param builds whose savings are asked for
 */
export function estimateSavings(past: Iterable<TimedBuild>, builds: Iterable<TimedBuild>): Savings {
  const paces = pacesOf(past);
  let [withHits, estimated, milliseconds] = [0, 0, 0];
  for (const build of builds) {
    if (build.hits === 0) continue;
    withHits += 1;
    const pace = paces.get(subjectOf(build));
    if (pace === undefined) continue;
    estimated += 1;
    const beyondMisses = Math.max(0, build.wallMs - build.misses * pace);
    milliseconds += Math.max(0, build.hits * pace - beyondMisses);
  }
  const counts = { builds: withHits, estimated };
  if (withHits === 0) return { seconds: null, ...counts, method: "no build had hits" };
  if (estimated === 0) {
    const needed = `${pacing.builds} builds of the same command in the same workspace with few hits and ${pacing.misses} executed actions`;
    return { seconds: null, ...counts, method: `too little is known: it takes ${needed} within ${pacing.days} days` };
  }
  const rest = withHits - estimated;
  const left = rest === 0 ? "" : `; ${rest} ${rest === 1 ? "build" : "builds"} left out, where too little is known`;
  return {
    seconds: Math.round(milliseconds / 1000),
    ...counts,
    method: `an estimate: hits × the median wall time of an executed action in this command's builds with few hits, less what fetching took${left}`,
  };
}

function pacesOf(past: Iterable<TimedBuild>): ReadonlyMap<string, number> {
  const samples = new Map<string, number[]>();
  for (const build of past) {
    if (!isPacing(build)) continue;
    const subject = subjectOf(build);
    const known = samples.get(subject);
    const sample = build.wallMs / build.misses;
    if (known === undefined) samples.set(subject, [sample]);
    else known.push(sample);
  }
  return new Map([...samples].filter(([, each]) => each.length >= pacing.builds).map(([subject, each]) => [subject, median(each)]));
}

function subjectOf({ workspace, tool, command }: TimedBuild): string {
  return JSON.stringify([workspace, tool, command]);
}

function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = Math.floor(sorted.length / 2);
  const upper = sorted[middle] ?? 0;
  return sorted.length % 2 === 1 ? upper : ((sorted[middle - 1] ?? upper) + upper) / 2;
}
