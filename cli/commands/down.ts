import { FlywheelError } from "../../contract/errors.ts";
import { Exit } from "../../contract/exit.ts";
import type { Paths } from "../../contract/paths.ts";
import { absenceOf } from "../../daemon/api/client/absence.ts";
import { DaemonClient } from "../../daemon/api/client/connection.ts";
import { defineCommand } from "../command.ts";

export default defineCommand({
  name: "down",
  summary: "stop the daemon",
  details: "It withdraws what it published first: heavy commands are refused from then on, until one starts it again.",
  options: {},
  examples: [{ line: "flywheel down", does: "stop the daemon; fine where none runs" }],
  exits: [{ code: Exit.failed, means: "the daemon did not answer as it should" }],
  async run({ paths, output }) {
    const stopped = await stop(paths);
    if (output.format === "json") output.json({ stopped });
    else output.line(stopped ? "the daemon stops" : "no daemon was running");
    return Exit.ok;
  },
});

/** @returns whether there was one */
async function stop(paths: Paths): Promise<boolean> {
  try {
    await new DaemonClient(paths).stop();
    return true;
  } catch (error) {
    const absence = absenceOf(error, paths);
    if (absence === undefined) throw error;
    if (absence.kind === "none") return false;
    throw new FlywheelError("daemon-unreachable", `${absence.words}, so it cannot be asked to stop`, { next: absence.next, cause: error });
  }
}
