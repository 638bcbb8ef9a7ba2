/**
 * Whether a workspace's rc files ask for a strict action environment. `--config` and platform sections are not followed,
 * so the answer is `not-seen` where it is not plain.
 */
import { rcLines } from "../bazelrc.ts";

export type StrictEnvironment =
  | { readonly seen: "on" | "off"; readonly file: string; readonly line: number }
  /** `config`: only under this `--config`. */
  | { readonly seen: "not-seen"; readonly config: string | undefined };

/** What `bazel build` takes its options from: its own section and those for every command (Bazel's "Write bazelrc configuration files"). */
const sections = new Set(["build", "common", "always"]);

/**
 * @param root the Bazel workspace, for `%workspace%`
 * @param files the rc files in Bazel's order: the system's, the workspace's, the user's
 */
export function strictEnvironment(root: string, files: readonly string[]): StrictEnvironment {
  let found: StrictEnvironment = { seen: "not-seen", config: undefined };
  for (const { file, line, section, config, words } of rcLines(root, files)) {
    if (!sections.has(section)) continue;
    for (const word of words) {
      const value = strictFlag(word);
      if (value === undefined) continue;
      if (config === undefined) found = { seen: value ? "on" : "off", file, line };
      else if (value && found.seen === "not-seen") found = { seen: "not-seen", config };
    }
  }
  return found;
}

/** A boolean flag in the spellings that Bazel takes; undefined for any other word. */
function strictFlag(word: string): boolean | undefined {
  const match = /^--(no)?(?:incompatible|experimental)_strict_action_env(?:=(.*))?$/.exec(word);
  if (match === null) return undefined;
  const [, no, value] = match;
  if (value === undefined) return no === undefined;
  if (/^(?:1|t|true|y|yes)$/i.test(value)) return true;
  return /^(?:0|f|false|n|no)$/i.test(value) ? false : undefined;
}
