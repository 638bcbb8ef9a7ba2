/** Bazel's own count of what ran: `7 processes: 6 remote cache hit, 1 internal.`, at the end of a build and as "process stats" among its events. */
import type { Counts } from "../invocation.ts";

/** Without what is in front of it. Where all went one way, very old ones say `6 processes, remote cache hit.` */
const stats = /^(\d{1,9}) process(?:es)?(?:: (.{1,4000})|, (.{1,100}))?\.$/;

export interface Processes {
  readonly counts: Counts;
  /** Whether it tells a disk cache's hits apart from those of the shared cache. */
  readonly namesDiskCache: boolean;
}

/**
 * @param text the sentence alone, as SpawnStats writes it
 * @returns undefined where it is no such sentence, or its parts do not make its sum
 */
export function parseProcesses(text: string): Processes | undefined {
  const match = stats.exec(text.trim());
  if (match === null) return undefined;
  const [, total = "", parts, only] = match;
  const counts = { hits: 0, other: 0, misses: 0, local: 0, internal: 0 };
  let [sum, namesDiskCache] = [0, false];
  for (const part of only === undefined ? (parts ?? "").split(", ") : [`${total} ${only}`]) {
    if (part === "") continue;
    const [, number = "", runner = ""] = /^(\d{1,9}) (\S.*)$/.exec(part) ?? [];
    if (number === "") return undefined;
    const count = Number(number);
    // Nothing was to be done: the output tree had them already, and they are no processes.
    if (runner === "action cache hit") continue;
    sum += count;
    if (runner === "remote cache hit") counts.hits += count;
    else if (runner === "disk cache hit") {
      counts.other += count;
      namesDiskCache = true;
    } else if (runner === "internal") counts.internal += count;
    else {
      counts.misses += count;
      if (runner !== "remote") counts.local += count;
    }
  }
  return sum === Number(total) ? { counts, namesDiskCache } : undefined;
}

/**
 * Why the hits may not be the shared cache's. Bazel calls a disk cache's hit `disk cache hit` since 5.1 (its issue 16043), and
 * 6 is the first of which all do; before, it is a `remote cache hit` too (tried on 2.1.0 and 4.2.3).
 * @param version `4.2.3`, `7.1.0rc2`; undefined or anything else where it is not known
 */
export function doubtOf(
  { counts, namesDiskCache }: Processes,
  build: { readonly diskCache: boolean; readonly version: string | undefined },
): string | null {
  if (!build.diskCache || counts.hits === 0 || namesDiskCache) return null;
  const major = /^(\d{1,4})\.\d/.exec(build.version ?? "")?.[1];
  if (major !== undefined && Number(major) >= 6) return null;
  const bazel = major === undefined ? "a Bazel that does not tell its version" : `Bazel ${build.version?.slice(0, 32)}`;
  return `a disk cache answered too, and ${bazel} does not tell its hits from the shared cache's`;
}
