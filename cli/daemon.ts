/** A client of a daemon that runs: started where there was none. */
import { type ErrorCode, FlywheelError } from "../contract/errors.ts";
import type { Paths } from "../contract/paths.ts";
import { ensureDaemon } from "../daemon/api/client/autostart.ts";
import { DaemonClient } from "../daemon/api/client/connection.ts";

/** @throws FlywheelError with the daemon's own words where it could not start */
export async function runningDaemon(paths: Paths): Promise<DaemonClient> {
  const start = await ensureDaemon(paths);
  if (start.result === "failed") {
    throw new FlywheelError(startFailure(start.code), start.message, start.next === null ? {} : { next: start.next });
  }
  return new DaemonClient(paths);
}

/** The daemon's own code where it is one that the user can act upon by it. */
function startFailure(code: string): ErrorCode {
  return code === "config-invalid" || code === "runtime-directory-unsafe" || code === "protocol" ? code : "daemon-start-failed";
}
