/** The spool: one JSON object a line, appended by whoever knows, with or without a daemon. */
import * as v from "valibot";

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
