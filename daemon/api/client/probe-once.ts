/** Proves one endpoint without a daemon: runs `flywheeld probe` and reads its one line. What CI uses, where no daemon is started. */
import { execFile } from "node:child_process";
import { fileURLToPath } from "node:url";
import type { ProbeReport, ProbeRequest } from "../../../contract/api.ts";
import { FlywheelError } from "../../../contract/errors.ts";

/** The ladder's own deadline is 2 s; this is for a machine that is slow to start Node: milliseconds. */
const longest = 8000;

/** @throws FlywheelError `internal` where the prober itself could not run */
export async function probeOnce(request: ProbeRequest): Promise<ProbeReport> {
  const entry = fileURLToPath(new URL(import.meta.url.endsWith(".ts") ? "../../main.ts" : "./flywheeld.js", import.meta.url));
  const args = ["probe", "--kind", request.kind, "--endpoint", request.endpoint, "--profile", request.profile];
  const command = ["--disable-warning=ExperimentalWarning", entry, ...args, ...(request.localProof ? ["--local-proof"] : [])];
  // It exits 1 where the endpoint fails, with its report all the same.
  const { line, cause } = await new Promise<{ line: string; cause: unknown }>((resolve) => {
    execFile(process.execPath, command, { timeout: longest, maxBuffer: 65_536 }, (error, stdout) =>
      resolve({ line: stdout, cause: error }),
    );
  });
  try {
    return JSON.parse(line) as ProbeReport;
  } catch {
    throw new FlywheelError("internal", "the endpoint could not be probed: the prober did not answer", { next: "flywheel status", cause });
  }
}
