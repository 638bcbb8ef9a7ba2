import { Exit } from "../../contract/exit.ts";
import { defineCommand } from "../command.ts";
import { ownVersion } from "../package.ts";

export default defineCommand({
  name: "version",
  summary: "print the version",
  options: {},
  examples: [{ line: "flywheel --version", does: "the same" }],
  async run({ output }) {
    const version = ownVersion();
    if (output.format === "json") output.json({ version, node: process.versions.node });
    else output.line(`flywheel ${version}`);
    return Exit.ok;
  },
});
