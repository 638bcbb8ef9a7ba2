/** Bazel's own count of what ran: `7 processes: 6 remote cache hit, 1 internal.`, at the end of a build and as "process stats" among its events. */
import type { Counts } from "../invocation.ts";

/** Without what is in front of it, or behind it. */
const stats = /^(\d{1,9}) process(?:es)?(?:: (.{0,4000}?))?\.$/;

/**
 * @param text the sentence alone, as SpawnStats writes it
 * @returns undefined where it is no such sentence, or its parts do not make its sum
 */
export function parseProcesses(text: string): Counts | undefined {
  const match = stats.exec(text.trim());
  if (match === null) return undefined;
  const runners = new Map<string, number>();
  for (const part of (match[2] ?? "").split(", ").filter((each) => each !== "")) {
    const [, count, runner] = /^(\d{1,9}) (.+)$/.exec(part) ?? [];
    if (count === undefined || runner === undefined) return undefined;
    runners.set(runner, (runners.get(runner) ?? 0) + Number(count));
  }
  const named = [...runners.values()].reduce((sum, count) => sum + count, 0);
  if (named !== Number(match[1])) return undefined;
  const of = (runner: string): number => runners.get(runner) ?? 0;
  const [hits, other, internal] = [of("remote cache hit"), of("disk cache hit"), of("internal")];
  const misses = named - hits - other - internal;
  return { hits, other, misses, local: misses - of("remote"), internal };
}

/**
 * Why the hits may not be the shared cache's. Older Bazels count a disk cache's hit as `remote cache hit` (tried on 2.1.0
 * and 4.2.3), newer ones as `disk cache hit` (bazelbuild/bazel#16043); 7 is the first that is sure to.
 * @param version `4.2.3`, `7.1.0rc2`; undefined or anything else where it is not known
 */
export function doubtOf(counts: Counts, build: { readonly diskCache: boolean; readonly version: string | undefined }): string | null {
  if (!build.diskCache || counts.hits === 0 || counts.other > 0) return null;
  const major = Number(/^(\d{1,3})\.\d/.exec(build.version ?? "")?.[1] ?? Number.NaN);
  if (major >= 7) return null;
  const who = Number.isNaN(major) ? "a Bazel whose version is not known" : `Bazel ${build.version}`;
  return `a disk cache is in use, and ${who} may count its hits as the shared cache's`;
}
