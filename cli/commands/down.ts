import { FlywheelError } from "../../contract/errors.ts";
import { Exit } from "../../contract/exit.ts";
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
    const stopped = await stop(new DaemonClient(paths));
    if (output.format === "json") output.json({ stopped });
    else output.line(stopped ? "the daemon stops" : "no daemon was running");
    return Exit.ok;
  },
});

async function stop(daemon: DaemonClient): Promise<boolean> {
  try {
    await daemon.stop();
    return true;
  } catch (error) {
    if (error instanceof FlywheelError && error.code === "daemon-unreachable") return false;
    throw error;
  }
}
