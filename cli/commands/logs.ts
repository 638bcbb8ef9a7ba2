import { FlywheelError } from "../../contract/errors.ts";
import { Exit } from "../../contract/exit.ts";
import { logPath } from "../../contract/paths.ts";
import { defineCommand } from "../command.ts";
import { follow, tail } from "../log/file.ts";
import { jsonLogLine, viewLogLine } from "../log/view.ts";
import { wholeNumber } from "../values.ts";

export default defineCommand({
  name: "logs",
  summary: "print the daemon's log",
  details: "The daemon writes it to daemon.log of the state directory and keeps one older file beside it; both are read as one.",
  options: {
    follow: { flag: "-f, --follow", summary: "go on as lines come, until interrupted" },
    lines: { flag: "-n, --lines <number>", summary: "begin with the last so many, 0 to 100000 (50)" },
  },
  examples: [
    { line: "flywheel logs -f", does: "watch the daemon at work" },
    { line: "flywheel logs --json -n 1000", does: "one JSON object a line, as the daemon wrote them" },
  ],
  exits: [{ code: Exit.failed, means: "there is no log, or it could not be read" }],
  async run({ paths, output }, options) {
    const most = wholeNumber("--lines", options.lines, { least: 0, most: 100_000 }) ?? 50;
    const file = logPath(paths);
    const show = (line: string): void => output.line(output.format === "json" ? jsonLogLine(line) : viewLogLine(line, output.paint));
    const position = tail(file, most, show);
    if (position === undefined && !options.follow) {
      throw new FlywheelError("state-directory-unusable", `there is no log at ${file}`, { next: "flywheel up" });
    }
    if (options.follow) await follow(file, position, show);
    return Exit.ok;
  },
});
