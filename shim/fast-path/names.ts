/** The names that get a script each, the directories they stand in, the marker of those, and the variables that name real tools. */
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

/**
 * Tools that a machine may lack. Each one's shims stand in a directory of their own, which goes on PATH only where
 * the tool is: or `command -v nix` would find one on every machine.
 */
export const optionalTools = ["nix", "nixos-rebuild", "darwin-rebuild", "home-manager"] as const satisfies readonly NixName[];
type OptionalTool = (typeof optionalTools)[number];

/** One directory of the shim. They are siblings, and each has the marker. */
export interface ShimFamily {
  readonly directory: string;
  /** The tool that it is for; undefined of the base, which is always on PATH. */
  readonly tool: OptionalTool | undefined;
  readonly names: readonly ShimName[];
}

/** The base first. */
export const shimFamilies: readonly ShimFamily[] = [
  { directory: "shim", tool: undefined, names: bazelNames },
  ...optionalTools.map((tool) => ({ directory: `shim-${tool}`, tool, names: nixNames.filter((name) => optionalToolOf(name) === tool) })),
];

/** Nix's own tools come with nix; the others come alone. */
function optionalToolOf(name: NixName): OptionalTool {
  return optionalTools.find((tool) => tool === name) ?? "nix";
}

/** The name of the directory that holds a name. */
export function familyDirectory(name: ShimName): string {
  return shimFamilies.find(({ names }) => names.includes(name))?.directory ?? "shim";
}

/** The variable that names the real tool where PATH does not lead to it: `GF_REAL_NIX_BUILD` for nix-build. */
export function realToolVariable(name: ShimName): string {
  return `GF_REAL_${name.toUpperCase().replaceAll("-", "_")}`;
}

/** By which `flywheel exec --record` finds its command again: its UUID, for the mark alone; the tool never sees it. */
export const recordVariable = "GF_RECORD";
