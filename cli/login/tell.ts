/** The daemon reads again what is kept; one that does not run will when it starts. */
import { FlywheelError } from "../../contract/errors.ts";
import { DaemonClient } from "../../daemon/api/client/connection.ts";
import type { Context } from "../context.ts";
import { waitingFor } from "../output/progress.ts";

/** @returns why it did not, in words; nothing where it did, or where none runs */
export async function tellDaemon({ paths, output }: Context): Promise<readonly string[]> {
  try {
    await waitingFor(output, "telling the daemon", () => new DaemonClient(paths).reload());
    return [];
  } catch (error) {
    if (!(error instanceof FlywheelError)) throw error;
    if (error.code === "daemon-unreachable") return [];
    return [`the daemon did not read it again: ${error.message}${error.next === undefined ? "" : ` (next: ${error.next})`}`];
  }
}
