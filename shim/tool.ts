/** Finds the real tool and gives PATH back, by the same rules as the fast path: for `explain`, `shim path --real` and tests. */
import { accessSync, constants, existsSync, realpathSync, statSync } from "node:fs";
import { dirname, join } from "node:path";
import type { Environment } from "../contract/environment.ts";
import { FlywheelError } from "../contract/errors.ts";
import { printable } from "../contract/text.ts";
import { markerFile, realToolVariable, type ShimName } from "./fast-path/names.ts";

/** For a name that no shim guards; 127 in every command that takes a tool. */
export function noShim(name: string): FlywheelError {
  return new FlywheelError("tool-not-found", `there is no shim for ${printable(name, 60)}`, {
    next: "name the tool alone, as in: bazel build //…",
  });
}

export interface RealTool {
  /** What would be run; undefined where there is none. */
  readonly file: string | undefined;
  /** The PATH that the tool is given: ours less every shim's directory, order and empty entries kept. */
  readonly path: string;
}

export function findRealTool(name: ShimName, env: Environment): RealTool {
  const kept = (env["PATH"] ?? "").split(":").filter((directory) => !existsSync(join(directory || ".", markerFile)));
  const chosen = env[realToolVariable(name)];
  if (chosen !== undefined && chosen !== "")
    return { file: chosen.startsWith("/") && isProgram(chosen) && !isShim(chosen) ? chosen : undefined, path: kept.join(":") };
  const candidates = kept.map((directory) => `${directory || "."}/${name}`);
  return { file: candidates.find((file) => isProgram(file) && !isShim(file)), path: kept.join(":") };
}

/** Whether it is a file that may be run. */
export function isProgram(file: string): boolean {
  try {
    accessSync(file, constants.X_OK);
    return statSync(file).isFile();
  } catch {
    return false;
  }
}

/** Whether a file is a shim, also through a link. */
function isShim(file: string): boolean {
  return existsSync(join(dirname(file), markerFile)) || existsSync(join(dirname(realpathSync(file)), markerFile));
}
