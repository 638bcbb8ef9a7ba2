import { Exit } from "../../contract/exit.ts";
import { version } from "../../contract/version.ts";
import { defineCommand } from "../command.ts";

export default defineCommand({
  name: "version",
  summary: "print the version",
  options: {},
  examples: [{ line: "flywheel --version", does: "the same" }],
  async run({ output }) {
    if (output.format === "json") output.json({ schema: 1, version, node: process.versions.node });
    else output.line(`flywheel ${version}`);
    return Exit.ok;
  },
});
