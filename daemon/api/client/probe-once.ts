/** Proves one endpoint without a daemon: runs `flywheeld probe` and reads its one line. What CI uses, where no daemon is started. */
import { execFile } from "node:child_process";
import { homedir } from "node:os";
import type { ProbeReport, ProbeRequest } from "../../../contract/api.ts";
import type { Credential } from "../../../contract/credential.ts";
import { writeCredential } from "../../../contract/credential-wire.ts";
import { FlywheelError } from "../../../contract/errors.ts";
import { pathsFrom } from "../../../contract/paths.ts";
import { nodeFlags, ownEntry, programEnvironment } from "./program.ts";

/** The ladder's own deadline is 2 s; this is for a machine that is slow to start Node: milliseconds. */
const longest = 8000;

/**
 * @param credential sent to the endpoint instead of what is kept for it; it goes to the prober on its standard input
 * @throws FlywheelError `internal` where the prober itself could not run
 */
export async function probeOnce(request: ProbeRequest, credential?: Credential): Promise<ProbeReport> {
  const args = ["probe", "--kind", request.kind, "--endpoint", request.endpoint, "--profile", request.profile];
  const flags = [...(request.localProof ? ["--local-proof"] : []), ...(credential === undefined ? [] : ["--credential-stdin"])];
  const command = [...nodeFlags, ownEntry, ...args, ...flags];
  const env = programEnvironment(pathsFrom(process.env, homedir()), process.env);
  // It exits 1 where the endpoint fails, with its report all the same.
  const { line, cause } = await new Promise<{ line: string; cause: unknown }>((resolve) => {
    const child = execFile(process.execPath, command, { env, timeout: longest, maxBuffer: 65_536 }, (error, stdout) =>
      resolve({ line: stdout, cause: error }),
    );
    // One that ended before it read all of it says why by its end.
    child.stdin?.on("error", () => {});
    child.stdin?.end(credential === undefined ? "" : writeCredential(credential).reveal());
  });
  try {
    return JSON.parse(line) as ProbeReport;
  } catch {
    throw new FlywheelError("internal", "the endpoint could not be probed: the prober did not answer", { next: "flywheel status", cause });
  }
}
