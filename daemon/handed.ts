/** A socket that a service manager listens on for the daemon: sd_listen_fds(3). */
import { FlywheelError } from "../contract/errors.ts";

/** SD_LISTEN_FDS_START of sd-daemon.h. */
const first = 3;

/**
 * Takes the handed socket, if there is one, and the words about it out of the environment: they are for this process alone.
 * @returns its descriptor
 * @throws FlywheelError `usage` where more than one was handed over
 */
export function takeHandedSocket(env: NodeJS.ProcessEnv): number | undefined {
  const { LISTEN_PID: pid, LISTEN_FDS: count } = env;
  for (const name of ["LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES"]) delete env[name];
  if (pid !== String(process.pid) || count === undefined || count === "0") return undefined;
  if (count !== "1") throw new FlywheelError("usage", "the service manager hands over more sockets than the one that flywheeld serves");
  return first;
}
