/** PATH with the guard in front. */
import type { Environment } from "../../contract/environment.ts";
import { optionalTools } from "../../shim/fast-path/names.ts";
import { findRealTool } from "../../shim/tool.ts";
import { shimDirectory } from "../package.ts";

/** The shim's directories that belong on this PATH: the base, and of the optional tools those that are there. */
export function guardDirectories(env: Environment): readonly string[] {
  const there = optionalTools.filter((tool) => findRealTool(tool, env).file !== undefined);
  return [shimDirectory(), ...there.map((tool) => shimDirectory(tool))];
}

/** The guard first, once; every other shim's directory leaves PATH, and what is left keeps its order and empty entries. */
export function guardedPath(env: Environment): string {
  const directories = guardDirectories(env).join(":");
  return env["PATH"] === undefined ? directories : `${directories}:${findRealTool("bazel", env).path}`;
}
