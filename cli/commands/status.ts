import { Exit } from "../../contract/exit.ts";
import { defineCommand } from "../command.ts";
import type { Paint } from "../output/paint.ts";
import { choiceWords } from "../profile.ts";
import { type ConfigurationFault, configurationFault } from "../status/configuration.ts";
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
  async run({ paths, profile, profileChoice, output }) {
    const report = await readStatus(paths, profile);
    const configuration = await configurationFault(paths, profile);
    if (output.format === "json") output.json({ ...report, configuration, profileChoice });
    else {
      output.text(viewStatus(report, output.paint));
      const words = choiceWords(profileChoice);
      if (words !== undefined) output.text(`  ${words}`);
      if (configuration !== null) output.text(viewFault(configuration, output.paint));
    }
    return exitOf(report);
  },
});

function viewFault({ fault, next }: ConfigurationFault, paint: Paint): string {
  const lines = [`  config   ${paint.red("heavy commands are refused until it is mended")}`, `           ${fault}`];
  return [...lines, ...(next === null ? [] : [`    next   ${next}`])].join("\n");
}
