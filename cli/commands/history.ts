import { realpathSync } from "node:fs";
import { resolve } from "node:path";
import { Exit } from "../../contract/exit.ts";
import type { Paths } from "../../contract/paths.ts";
import type { HistoryKind } from "../../daemon/api/client/journal/history.ts";
import { defineCommand } from "../command.ts";
import { seconds, wholeNumber } from "../values.ts";

/**
 * `--json`, schema 2: `entries`, newest first, each with `at` and `kind`: an `escape` or a `refusal` (contract/journal.ts,
 * as in schema 1), or an `invocation` (contract/invocation.ts; `at` is its start). `malformed`: lines of the spool that
 * could not be read. `fault`: why the database could not be, or null. `summary`: `today` (since local midnight) and
 * `week` (today and the six days before), each with `hitRate` (builds, those counted, their hits and misses), `escapes`
 * and `refusals`; `saved` (of that week: `seconds` or null, `builds` that had hits, those `estimated`, and the `method`).
 */
export default defineCommand({
  name: "history",
  summary: "what ran, what was refused and what went past the guard, the newest first",
  options: {
    builds: { flag: "--builds", summary: "what ran with the shared cache" },
    escapes: { flag: "--escapes", summary: "what was built past the guard" },
    refusals: { flag: "--refusals", summary: "what was refused" },
    since: { flag: "--since <span>", summary: "30m, 24h, 7d: no older ones" },
    workspace: { flag: "--workspace <path>", summary: "only of this directory, and below", completes: "file" },
    lines: { flag: "-n, --lines <number>", summary: "at most so many, 1 to 10000 (20)" },
    summary: { flag: "--summary", summary: "only the hit rates, and the time that the cache saved" },
  },
  examples: [
    { line: "flywheel history", does: "the last 20, and a summary" },
    { line: "flywheel history --escapes --since 7d", does: "who built alone this week, and why" },
    { line: "flywheel history --builds --workspace .", does: "the builds of this workspace, with their hits" },
  ],
  exits: [{ code: Exit.failed, means: "the journal could not be read" }],
  async run({ paths, profile, output, cwd, home }, options) {
    const lines = wholeNumber("--lines", options.lines, { least: 1, most: 10_000 }) ?? 20;
    const since = options.since === undefined ? undefined : Date.now() - seconds("--since", options.since) * 1000;
    const workspaces = options.workspace === undefined ? undefined : namesOf(resolve(cwd, options.workspace));
    const chosen = kinds.filter((kind) => options[optionOf[kind]]);
    const { readHistory } = await import("../../daemon/api/client/journal/history.ts");
    await untilRecorded(paths, profile);
    const most = options.summary ? 0 : lines;
    const query = { kinds: chosen.length === 0 ? kinds : chosen, since, workspaces, most };
    const { entries, malformed, summary, fault } = await readHistory(paths, query, new Date());
    if (output.format === "json") {
      output.json({ schema: 2, entries, malformed, fault: fault ?? null, summary });
      return Exit.ok;
    }
    const { viewEntries, viewSummary } = await import("../history/view.ts");
    const asked = { kinds: query.kinds, since: options.since, workspace: workspaces?.[0] };
    if (!options.summary) output.line(`${viewEntries(entries, asked, { home, columns: output.columns, paint: output.paint })}\n`);
    output.text(viewSummary(summary, workspaces?.[0]));
    if (fault !== undefined) output.notice(`${fault}\n  shown is what the spool has`);
    if (malformed > 0) output.notice(`${malformed} ${malformed === 1 ? "line" : "lines"} of the spool could not be read`);
    return Exit.ok;
  },
});

/** How long a daemon may take to write down what just ended: milliseconds. One that does not answer keeps nobody from the journal. */
const recording = 1_000;

/** The last command may be over, and not in the journal yet: a daemon that runs is asked, none is started. */
async function untilRecorded(paths: Paths, profile: string): Promise<void> {
  const { DaemonClient } = await import("../../daemon/api/client/connection.ts");
  await new DaemonClient(paths).recorded(profile, recording).catch(() => undefined);
}

const kinds: readonly HistoryKind[] = ["invocation", "escape", "refusal"];
const optionOf = { invocation: "builds", escape: "escapes", refusal: "refusals" } as const;

/** A directory as it was named, and as it is found: a record has one of them. */
function namesOf(path: string): readonly string[] {
  try {
    return [...new Set([path, realpathSync(path)])];
  } catch {
    // It is gone, and its history is still there.
    return [path];
  }
}
