/** Whether a login is one that its cache does not ask for, by what the daemon found out. */
import type { Endpoint } from "../../contract/endpoint.ts";
import { FlywheelError } from "../../contract/errors.ts";
import type { Paths } from "../../contract/paths.ts";
import { DaemonClient } from "../../daemon/api/client/connection.ts";

/** @returns false where it is not attached, and where nobody can tell */
export async function answersAnybody(paths: Paths, profile: string, { kind, url }: Endpoint): Promise<boolean> {
  try {
    const { [kind]: report } = await new DaemonClient(paths).status(profile);
    return report.endpoint === url && report.credential?.needed === "no";
  } catch (error) {
    if (error instanceof FlywheelError) return false;
    throw error;
  }
}
