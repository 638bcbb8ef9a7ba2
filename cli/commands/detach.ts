import { Exit } from "../../contract/exit.ts";
import { defineCommand } from "../command.ts";
import { runningDaemon } from "../daemon.ts";
import { waitingFor } from "../output/progress.ts";

export default defineCommand({
  name: "detach",
  summary: "forget what `attach` kept, and stay unattached until `up` or `attach`",
  options: {},
  examples: [
    { line: "flywheel detach", does: "heavy commands are refused from now on" },
    { line: "flywheel detach && flywheel up", does: "forget every endpoint that `flywheel attach` kept, and look for a cache again" },
  ],
  exits: [{ code: Exit.failed, means: "the daemon could not be reached" }],
  async run({ paths, profile, output }) {
    const report = await waitingFor(output, "asking the daemon", async () => (await runningDaemon(paths)).detach(profile));
    if (output.format === "json") output.json(report);
    else
      output.line(
        `profile ${profile} is detached, and what \`flywheel attach\` kept for it is forgotten; \`flywheel up\` looks for a cache again`,
      );
    return Exit.ok;
  },
});
