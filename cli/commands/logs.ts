import { FlywheelError } from "../../contract/errors.ts";
import { Exit } from "../../contract/exit.ts";
import { logPath } from "../../contract/paths.ts";
import { defineCommand } from "../command.ts";
import { follow, tail } from "../log/file.ts";
import { viewLogLine } from "../log/view.ts";
import { wholeNumber } from "../values.ts";

export default defineCommand({
  name: "logs",
  summary: "print the daemon's log",
  options: {
    follow: { flag: "-f, --follow", summary: "go on as lines come, until interrupted" },
    lines: { flag: "-n, --lines <number>", summary: "begin with the last so many, 0 to 100000 (50)" },
  },
  examples: [
    { line: "flywheel logs -f", does: "watch the daemon at work" },
    { line: "flywheel logs --json -n 1000", does: "raw lines, one JSON object each" },
  ],
  exits: [{ code: Exit.failed, means: "there is no log, or it could not be read" }],
  async run({ paths, output }, options) {
    const most = wholeNumber("--lines", options.lines, { least: 0, most: 100_000 }) ?? 50;
    const file = logPath(paths);
    const show = (line: string): void => output.line(output.format === "json" ? line : viewLogLine(line, output.paint));
    const end = tail(file, most, show);
    if (end === undefined && !options.follow) {
      throw new FlywheelError("state-directory-unusable", `there is no log at ${file}`, { next: "flywheel up" });
    }
    if (options.follow) await follow(file, end ?? 0, show);
    return Exit.ok;
  },
});
