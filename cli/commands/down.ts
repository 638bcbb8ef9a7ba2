import type { Hello } from "../../contract/api.ts";
import { FlywheelError } from "../../contract/errors.ts";
import { Exit } from "../../contract/exit.ts";
import type { Paths } from "../../contract/paths.ts";
import { absenceOf } from "../../daemon/api/client/absence.ts";
import { DaemonClient } from "../../daemon/api/client/connection.ts";
import { defineCommand } from "../command.ts";
import { waitingFor } from "../output/progress.ts";

export default defineCommand({
  name: "down",
  summary: "stop the daemon",
  details:
    "It withdraws what it published first: heavy commands are refused from then on, until one starts it again. Where a systemd unit listens for it (flywheel service), the next question does.",
  options: {},
  examples: [{ line: "flywheel down", does: "stop the daemon; fine where none runs" }],
  exits: [{ code: Exit.failed, means: "the daemon did not answer as it should" }],
  async run({ paths, output }) {
    const stopped = await waitingFor(output, "asking the daemon to stop", () => stop(paths));
    if (output.format === "json") output.json({ schema: 1, stopped: stopped !== undefined });
    else output.line(stopped === undefined ? "no daemon was running" : "the daemon stops");
    if (stopped === "service" && output.format === "human") {
      // A launchd agent that ended well stays down until the next login (cli/service/launchd.ts).
      if (process.platform === "linux")
        output.notice("its service starts it again when it is next asked; to keep it down: systemctl --user stop gloriousflywheel.socket");
      output.notice("to have no service any more: flywheel service uninstall");
    }
    return Exit.ok;
  },
});

/**
 * @returns who had started it; undefined where there was none. Behind a service's socket there always is one: asking
 * starts it.
 */
async function stop(paths: Paths): Promise<Hello["startedBy"] | undefined> {
  const daemon = new DaemonClient(paths);
  try {
    const { pid, startedBy } = await daemon.hello();
    await daemon.stop({ pid });
    return startedBy;
  } catch (error) {
    const absence = absenceOf(error, paths);
    if (absence === undefined) throw error;
    if (absence.kind === "none") return undefined;
    throw new FlywheelError("daemon-unreachable", `${absence.words}, so it cannot be asked to stop`, { next: absence.next, cause: error });
  }
}
