/** The daemon reads again what is kept; one that does not run will when it starts. */
import { FlywheelError } from "../contract/errors.ts";
import { DaemonClient } from "../daemon/api/client/connection.ts";
import type { Context } from "./context.ts";
import { waitingFor } from "./output/progress.ts";

/**
 * Waits until the attachment is proved anew, so that what is asked next finds no older word.
 * @returns why it did not, in words; nothing where it did, or where none runs
 */
export async function tellDaemon({ paths, profile, output }: Context): Promise<readonly string[]> {
  try {
    const daemon = new DaemonClient(paths);
    await waitingFor(output, "telling the daemon", async () => {
      await daemon.reload();
      await daemon.verify(profile);
    });
    return [];
  } catch (error) {
    if (!(error instanceof FlywheelError)) throw error;
    if (error.code === "daemon-unreachable") return [];
    return [`the daemon did not read it again: ${error.message}${error.next === undefined ? "" : ` (next: ${error.next})`}`];
  }
}
