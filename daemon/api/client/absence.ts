/** No daemon answers: because none runs, or because one runs that is stopped or hangs. They are mended differently. */
import { existsSync } from "node:fs";
import { FlywheelError } from "../../../contract/errors.ts";
import { type Paths, socketPath } from "../../../contract/paths.ts";

export interface Absence {
  readonly kind: "none" | "hung";
  readonly words: string;
  /** What to type next. */
  readonly next: string;
}

/** @returns undefined where what was thrown is another failure than that nobody answers */
export function absenceOf(thrown: unknown, paths: Paths): Absence | undefined {
  if (!(thrown instanceof FlywheelError) || thrown.code !== "daemon-unreachable") return undefined;
  const { cause } = thrown;
  const nobodyListens = cause instanceof Error && "code" in cause && (cause.code === "ECONNREFUSED" || cause.code === "ENOENT");
  if (nobodyListens || !existsSync(socketPath(paths))) return { kind: "none", words: "no daemon is running", next: "flywheel up" };
  return {
    kind: "hung",
    words: "the daemon does not answer",
    next: `kill -CONT, or kill, the process that ${paths.runtime}/daemon.pid names`,
  };
}
