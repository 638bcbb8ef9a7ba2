/** The names that get a script each, the marker of the shim's directory, and the variables that name real tools. */
import { type NixName, nixNames } from "../../contract/nix/commands.ts";

/** The file that marks a directory as a shim's own: the whole directory is taken off the tool's PATH. */
export const markerFile = ".flywheel-shim";

export const bazelNames = ["bazel", "bazelisk"] as const;
export type BazelName = (typeof bazelNames)[number];

export const shimNames = [...bazelNames, ...nixNames] as const;
export type ShimName = BazelName | NixName;

export function isShimName(name: string): name is ShimName {
  return (shimNames as readonly string[]).includes(name);
}

/** The variable that names the real tool where PATH does not lead to it: `GF_REAL_NIX_BUILD` for nix-build. */
export function realToolVariable(name: ShimName): string {
  return `GF_REAL_${name.toUpperCase().replaceAll("-", "_")}`;
}
