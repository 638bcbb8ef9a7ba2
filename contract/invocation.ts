/** What is known of one guarded command that ran: who, where, how long, how it ended, and what the shared cache gave it. */
import * as v from "valibot";

/**
 * Actions by who did them, in the words of Bazel's `N processes: …` line. Of Nix: store paths substituted by the
 * attached cache (hits), by another cache (other), and derivations built (misses).
 */
const countsSchema = v.object({
  /** Answered by the shared cache. */
  hits: v.number(),
  /** Answered by another cache: a disk cache, where Bazel tells it apart; another substituter. */
  other: v.number(),
  /** Executed, by whatever runner: no cache had them. */
  misses: v.number(),
  /** Of the misses, those that ran on this machine. */
  local: v.number(),
  /** Bazel's own bookkeeping actions; they count for nothing. */
  internal: v.number(),
});
export type Counts = v.InferOutput<typeof countsSchema>;

/** Where figures were read: Bazel's command.log, its build event file, or Nix's internal-json log. */
const recordSources = ["command.log", "build-events", "internal-json"] as const;

const tallySchema = v.variant("state", [
  v.object({
    state: v.literal("counted"),
    counts: countsSchema,
    source: v.picklist(recordSources),
    /** Why the hits may not be the shared cache's; null where they can be believed. */
    doubt: v.nullable(v.string()),
  }),
  /** `why`: what is missing, in the user's words. Never a guess. */
  v.object({ state: v.literal("unknown"), why: v.string() }),
]);
export type Tally = v.InferOutput<typeof tallySchema>;

/** `failed` as the tool's own records say it; `unknown` where there are none. */
export const outcomes = ["succeeded", "failed", "interrupted", "unknown"] as const;
export type Outcome = (typeof outcomes)[number];

export const invocationSchema = v.object({
  /** Unique for ever: the recorder's UUID, or boot id, pid and start. */
  id: v.pipe(v.string(), v.maxLength(128)),
  /** The name that was called: `bazel`, `nix-build`. */
  tool: v.string(),
  command: v.string(),
  /** Where it was called: the workspace's root where one was found, else the directory. */
  workspace: v.string(),
  profile: v.string(),
  /** The endpoint that it was given. */
  endpoint: v.nullable(v.string()),
  /** ISO 8601. */
  startedAt: v.string(),
  /** ISO 8601; null where nobody saw it end. */
  endedAt: v.nullable(v.string()),
  wallMs: v.nullable(v.number()),
  /** null: unknown, since the shim has become the tool and nobody of ours waits for it. */
  exitCode: v.nullable(v.number()),
  outcome: v.picklist(outcomes),
  tally: tallySchema,
  /** The cache died under it: what was seen, and when. */
  lost: v.nullable(v.object({ at: v.nullable(v.string()), reason: v.string() })),
  /** Who wrote this: the daemon, from marks and Bazel's records, or `flywheel exec --record`, which stayed beside the tool. */
  recordedBy: v.picklist(["daemon", "exec"]),
});
export type Invocation = v.InferOutput<typeof invocationSchema>;

/** Hits and misses of several builds together. */
export interface HitRate {
  readonly builds: number;
  /** Of them, those whose figures are known and to be believed; only these are in the sums. */
  readonly counted: number;
  readonly hits: number;
  readonly misses: number;
}

export function hitRateOf(invocations: Iterable<Invocation>): HitRate {
  let [builds, counted, hits, misses] = [0, 0, 0, 0];
  for (const { tally } of invocations) {
    builds += 1;
    if (tally.state !== "counted" || tally.doubt !== null) continue;
    counted += 1;
    hits += tally.counts.hits;
    misses += tally.counts.misses + tally.counts.other;
  }
  return { builds, counted, hits, misses };
}
