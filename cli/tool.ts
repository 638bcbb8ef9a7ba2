/** Handing the process over to a guarded tool. */
import { join } from "node:path";
import type { Environment } from "../contract/environment.ts";
import { FlywheelError } from "../contract/errors.ts";
import { isShimName } from "../shim/fast-path/names.ts";
import { noShim } from "../shim/tool.ts";
import { shimDirectory } from "./package.ts";

/**
 * The shim of a tool.
 * @throws FlywheelError `tool-not-found`
 */
export function shimOf(tool: string): string {
  if (!isShimName(tool)) throw noShim(tool);
  return join(shimDirectory(tool), tool);
}

/**
 * Node decodes argv as UTF-8 and cannot give back what was not: such a word would reach the tool changed.
 * @throws FlywheelError `usage`
 */
export function refuseBrokenWords(args: readonly string[], otherWay: string): void {
  const broken = args.findIndex((word) => word.includes("\ufffd"));
  if (broken === -1) return;
  throw new FlywheelError("usage", `argument ${broken + 1} of the tool is not UTF-8 and would reach it changed`, { next: otherWay });
}

/** Replaces this process with a program: nothing of ours stays behind as its parent. Never returns. */
export function replaceProcess(file: string, args: readonly string[], env: Environment): never {
  // Node ignores these two, and an ignored signal stays so across exec: the last listener's end restores the default.
  for (const signal of ["SIGPIPE", "SIGXFSZ"] as const) {
    const nothing = (): void => {};
    process.on(signal, nothing);
    process.off(signal, nothing);
  }
  if (process.execve === undefined)
    throw new FlywheelError("internal", "this Node cannot replace its process", { next: "use Node.js 22.19 or newer" });
  return process.execve(file, [file, ...args], environmentOf(env));
}

/** What a program is given: the launcher took NODE_OPTIONS for itself, and the user's programs get it back. */
export function environmentOf(env: Environment): Record<string, string> {
  const { GF_SAVED_NODE_OPTIONS: saved, ...rest } = env;
  const all = saved === undefined ? rest : { ...rest, NODE_OPTIONS: saved };
  return Object.fromEntries(Object.entries(all).filter((entry): entry is [string, string] => entry[1] !== undefined));
}
