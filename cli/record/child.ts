/** A tool beside which this process stays: everything passes it by, and it ends as the tool did. */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { constants } from "node:os";
import type { Environment } from "../../contract/environment.ts";
import { FlywheelError, messageOf } from "../../contract/errors.ts";

export interface Ending {
  /** As a shell gives it: 128 and the number of the signal that ended it. */
  readonly code: number;
  readonly signal: NodeJS.Signals | undefined;
  readonly startedAt: Date;
  readonly wallMs: number;
}

export interface Beside {
  readonly file: string;
  readonly args: readonly string[];
  readonly env: Environment;
  /** `stderr`: what it says there goes to standard error, since standard output is ours. */
  readonly stdout?: "inherit" | "stderr";
  /** The tool's standard error, where it is not to be the terminal's. */
  readonly onStarted: (child: ChildProcess) => void;
  readonly stderr: "inherit" | "pipe";
}

/**
 * Runs it in this process's own group and on its terminal. The terminal tells both of an interrupt, which is then the
 * tool's to heed; what is sent to this process alone is passed on.
 * @throws FlywheelError `internal` where it cannot be started
 */
export async function runBeside({ file, args, env, stdout, stderr, onStarted }: Beside): Promise<Ending> {
  const heard = new Map<NodeJS.Signals, () => void>();
  const startedAt = new Date();
  const started = performance.now();
  const child = spawn(file, args, { stdio: ["inherit", stdout === "stderr" ? 2 : "inherit", stderr], env: { ...env } });
  for (const signal of ["SIGINT", "SIGQUIT"] as const) heard.set(signal, () => {});
  for (const signal of ["SIGTERM", "SIGHUP"] as const) heard.set(signal, () => void child.kill(signal));
  for (const [signal, listener] of heard) process.on(signal, listener);
  try {
    onStarted(child);
    const [code, signal] = (await once(child, "close")) as [number | null, NodeJS.Signals | null];
    const wallMs = Math.round(performance.now() - started);
    return { code: code ?? 128 + (signal === null ? 0 : constants.signals[signal]), signal: signal ?? undefined, startedAt, wallMs };
  } catch (error) {
    throw new FlywheelError("internal", `${file} could not be started: ${messageOf(error)}`, { cause: error });
  } finally {
    for (const [signal, listener] of heard) process.off(signal, listener);
  }
}
