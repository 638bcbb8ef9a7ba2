/**
 * The fast path: one POSIX sh script for each guarded name, generated from contract/'s tables. It starts no
 * Node and, where there is /proc, forks nothing. It runs what it knows to be light, attaches what it knows
 * to be attachable, and hands everything else to the slow path (`flywheel guard`), whose plan it carries out:
 * so the tool always gets the very bytes of argv and environment that sh got.
 *
 * Rules of the house: every variable is `_gf_…` and never exported; no value read from a file or the
 * environment is used before `case` has matched it; no arithmetic on such a value (bash as sh executes a
 * command substitution inside one); explicit character lists, since ranges follow the locale.
 */
import { isNixName } from "../contract/nix/commands.ts";
import { bazelFastPath } from "./fast-path/bazel.ts";
import type { ShimName } from "./fast-path/names.ts";
import { nixFastPath } from "./fast-path/nix.ts";

/** The whole text of the script for one name. */
export function fastPath(name: ShimName): string {
  return isNixName(name) ? nixFastPath(name) : bazelFastPath(name);
}
