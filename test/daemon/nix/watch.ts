/** Prints every status of a daemon as a line of JSON, to whoever may ask it: run as that user. */
import { homedir } from "node:os";
import { pathsFrom } from "../../../contract/paths.ts";
import { DaemonClient } from "../../../daemon/api/client/connection.ts";

const stop = new AbortController();
process.stdin.resume().on("end", () => stop.abort());
for await (const status of new DaemonClient(pathsFrom(process.env, homedir())).watch("default", stop.signal)) {
  process.stdout.write(`${JSON.stringify(status)}\n`);
}
process.exit();
