/** Nix's own programs, past the shim and apart from the user's configuration. */
import { spawn } from "node:child_process";
import { createInterface } from "node:readline";
import type { Environment } from "../../contract/environment.ts";
import { messageOf } from "../../contract/errors.ts";
import { printable } from "../../contract/text.ts";

export interface NixRun {
  readonly exitCode: number;
  readonly stdout: string;
  /** Its error, on one line. */
  readonly said: string;
}

export interface NixCall {
  readonly program: string;
  readonly args: readonly string[];
  readonly env: Environment;
  readonly cwd: string;
  readonly signal: AbortSignal;
  /** Sees each line of its log. @returns whether it is done with it: the others are looked through for an error */
  readonly onLine?: (line: string) => string | undefined;
}

const largestOutput = 4 * 1_048_576;

/** Never throws: a program that is not there has exit code 127. */
export function runNix({ program, args, env, cwd, signal, onLine }: NixCall): Promise<NixRun> {
  const { promise, resolve } = Promise.withResolvers<NixRun>();
  const child = spawn(program, args, { cwd, env: { ...env }, stdio: ["ignore", "pipe", "pipe"], signal });
  let stdout = "";
  const said: string[] = [];
  child.stdout.setEncoding("utf8").on("data", (chunk: string) => {
    stdout = `${stdout}${chunk}`.slice(0, largestOutput);
  });
  createInterface({ input: child.stderr, crlfDelay: Number.POSITIVE_INFINITY }).on("line", (line) => {
    const shown = onLine === undefined ? line : onLine(line);
    if (shown !== undefined) said.push(...shown.split("\n"));
    if (said.length > 200) said.splice(0, said.length - 200);
  });
  let failed: unknown;
  child.on("error", (error) => {
    failed = error;
  });
  child.on("close", (code) => {
    const last = said.map((line) => printable(line, 400).trim()).filter((line) => line !== "");
    const error = last
      .findLast((line) => line.startsWith("error:"))
      ?.slice("error:".length)
      .trim();
    // What Nix warned of is why, where its error only says that it gave up.
    const warning = last
      .findLast((line) => line.startsWith("warning:"))
      ?.slice("warning:".length)
      .trim();
    const words = [error, warning].filter((text) => text !== undefined && text !== "").join("; ");
    resolve({ exitCode: code ?? (failed === undefined ? 128 : 127), stdout, said: failed === undefined ? words : messageOf(failed) });
  });
  return promise;
}
