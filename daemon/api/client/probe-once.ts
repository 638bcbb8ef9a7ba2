/** Proves one endpoint without a daemon: runs `flywheeld probe` and reads its one line. What CI uses, where no daemon is started. */
import { execFile } from "node:child_process";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import type { ProbeReport, ProbeRequest } from "../../../contract/api.ts";
import { FlywheelError } from "../../../contract/errors.ts";

/** The ladder's own deadline is 2 s; this is for a machine that is slow to start Node: milliseconds. */
const longest = 8000;

/** @throws FlywheelError `internal` where the prober itself could not run */
export async function probeOnce(request: ProbeRequest): Promise<ProbeReport> {
  const entry = fileURLToPath(new URL("./flywheeld.js", import.meta.url));
  const args = ["probe", "--kind", request.kind, "--endpoint", request.endpoint, "--profile", request.profile];
  try {
    const { stdout } = await promisify(execFile)(process.execPath, [entry, ...args, ...(request.localProof ? ["--local-proof"] : [])], {
      timeout: longest,
      maxBuffer: 65_536,
    });
    return JSON.parse(stdout) as ProbeReport;
  } catch (error) {
    throw new FlywheelError("internal", "the endpoint could not be probed", { next: "flywheel logs", cause: error });
  }
}
