import { Exit } from "../../contract/exit.ts";
import type { SpoolEntry } from "../../contract/journal.ts";
import { printable } from "../../contract/text.ts";
import { localTime, table } from "../../contract/words.ts";
import { readSpool } from "../../daemon/api/client/spool.ts";
import { defineCommand } from "../command.ts";
import { seconds, wholeNumber } from "../values.ts";

export default defineCommand({
  name: "history",
  summary: "list escapes and refusals, the newest first",
  options: {
    escapes: { flag: "--escapes", summary: "only what was built past the guard" },
    refusals: { flag: "--refusals", summary: "only what was refused" },
    since: { flag: "--since <span>", summary: "30m, 24h, 7d: no older ones" },
    lines: { flag: "-n, --lines <number>", summary: "at most so many, 1 to 10000 (20)" },
  },
  examples: [
    { line: "flywheel history", does: "the last 20" },
    { line: "flywheel history --escapes --since 7d", does: "who built alone this week, and why" },
  ],
  exits: [{ code: Exit.failed, means: "the journal could not be read" }],
  async run({ paths, output }, options) {
    const most = wholeNumber("--lines", options.lines, { least: 1, most: 10_000 }) ?? 20;
    const oldest = options.since === undefined ? Number.NEGATIVE_INFINITY : Date.now() - seconds("--since", options.since) * 1000;
    const { entries, malformed } = readSpool(paths, { limit: 10_000 });
    const both = options.escapes === options.refusals;
    const chosen = entries
      .filter((entry) => both || (entry.kind === "escape") === options.escapes)
      .filter((entry) => options.since === undefined || Date.parse(entry.at) >= oldest)
      .slice(0, most);
    if (output.format === "json") output.json({ schema: 1, entries: chosen, malformed });
    else {
      output.line(chosen.length === 0 ? "nothing was refused, and nothing went past the guard" : table([heading, ...chosen.map(row)]));
      if (malformed > 0) output.notice(`${malformed} ${malformed === 1 ? "line" : "lines"} of the journal could not be read`);
    }
    return Exit.ok;
  },
});

const heading = ["when", "what", "command", "workspace", "reason"] as const;

function row(entry: SpoolEntry): readonly string[] {
  return [
    localTime(printable(entry.at, 40)),
    entry.kind,
    printable(`${entry.tool} ${entry.command}`.trim(), 60),
    printable(entry.workspace, 60),
    printable(entry.reason, 200),
  ];
}
