import { Exit } from "../../contract/exit.ts";
import { defineCommand } from "../command.ts";
import { runningDaemon } from "../daemon.ts";

export default defineCommand({
  name: "detach",
  summary: "stay unattached until `up` or `attach`",
  options: {},
  examples: [{ line: "flywheel detach", does: "heavy commands are refused from now on" }],
  exits: [{ code: Exit.failed, means: "the daemon could not be reached" }],
  async run({ paths, profile, output }) {
    const report = await (await runningDaemon(paths)).detach(profile);
    if (output.format === "json") output.json(report);
    else output.line(`profile ${profile} is detached; \`flywheel up\` attaches it again`);
    return Exit.ok;
  },
});
