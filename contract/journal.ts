/** The spool: one JSON object a line, appended by whoever knows, with or without a daemon. */
import * as v from "valibot";
import type { EscapesReport } from "./api.ts";
import { printable } from "./text.ts";

export const spoolEntrySchema = v.object({
  v: v.literal(1),
  /** ISO 8601. */
  at: v.string(),
  kind: v.picklist(["escape", "refusal"]),
  /** The name that was called: `bazel`, `bazelisk`, … */
  tool: v.string(),
  /** Bazel's command, or empty. */
  command: v.string(),
  /** Absolute path of the workspace or current directory. */
  workspace: v.string(),
  profile: v.string(),
  /** The user's words for an escape; the guard's for a refusal. */
  reason: v.string(),
});

export type SpoolEntry = v.InferOutput<typeof spoolEntrySchema>;

/** A line longer than this would not be appended in one piece (PIPE_BUF's habit, kept for files): bytes. */
export const longestSpoolLine = 4096;

/**
 * What status shows of escapes, or of refusals.
 * @param entries the newest first
 * @param now decides what today is, by local time
 */
export function summaryOf(entries: readonly SpoolEntry[], kind: SpoolEntry["kind"], now: Date): EscapesReport {
  const chosen = entries.filter((entry) => entry.kind === kind);
  const midnight = new Date(now.getFullYear(), now.getMonth(), now.getDate()).getTime();
  const today = chosen.filter((entry) => Date.parse(entry.at) >= midnight).length;
  const [last] = chosen;
  if (last === undefined) return { today, last: null };
  const command = printable(`${last.tool} ${last.command}`.trim(), 200);
  return { today, last: { at: printable(last.at, 40), reason: printable(last.reason), command } };
}
