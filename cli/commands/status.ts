import { Exit } from "../../contract/exit.ts";
import { defineCommand } from "../command.ts";
import { readStatus } from "../status/report.ts";
import { exitOf, viewStatus } from "../status/view.ts";

export default defineCommand({
  name: "status",
  summary: "say what is attached, since when it is proved, and why not",
  details: "Starts nothing: without a daemon it tells what the published files still say.",
  options: {},
  examples: [
    { line: "flywheel status", does: "for a person" },
    { line: "flywheel status --json", does: "for a program; `schema` tells the version" },
  ],
  exits: [{ code: Exit.notAttached, means: "Bazel is not attached" }],
  async run({ paths, profile, output }) {
    const report = await readStatus(paths, profile);
    if (output.format === "json") output.json(report);
    else output.line(viewStatus(report, output.paint));
    return exitOf(report);
  },
});
