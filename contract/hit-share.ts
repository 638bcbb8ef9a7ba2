/** Apart from contract/invocation.ts, whose schema library a command that only shows figures need not load. */
import type { Counts } from "./invocation.ts";

/** @returns hits of all actions that a cache could have answered, 0 to 1; undefined where there was none, as in a null build, or nobody knows */
export function hitShare(of: Pick<Counts, "hits" | "misses"> & Partial<Pick<Counts, "other">>): number | undefined {
  const all = of.hits + of.misses + (of.other ?? 0);
  return all === 0 ? undefined : of.hits / all;
}
