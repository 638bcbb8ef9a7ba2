/**
 * Whether a workspace's rc files ask for a strict action environment. Read lightly: Bazel's own quoting, `--config` and
 * platform sections are not followed, so the answer is `not-seen` where it is not plain.
 */
import { dirname, isAbsolute, join } from "node:path";
import { readBounded } from "../../daemon/api/client/bounded.ts";

export type StrictEnvironment =
  | { readonly seen: "on" | "off"; readonly file: string; readonly line: number }
  /** `config`: only under this `--config`. */
  | { readonly seen: "not-seen"; readonly config: string | undefined };

/** A larger rc file is not looked at: bytes. */
const largest = 1_048_576;
/** More files than these are not looked at, so that imports may not run in circles. */
const mostFiles = 32;

/** What `bazel build` takes its options from: its own section and those for every command (Bazel's "Write bazelrc configuration files"). */
const sections = new Set(["build", "common", "always"]);

/**
 * @param root the Bazel workspace, for `%workspace%`
 * @param files the rc files in Bazel's order: the system's, the workspace's, the user's
 */
export function strictEnvironment(root: string, files: readonly string[]): StrictEnvironment {
  let found: StrictEnvironment = { seen: "not-seen", config: undefined };
  let left = mostFiles;
  const look = (file: string): void => {
    left -= 1;
    const text = left < 0 ? undefined : readSmall(file);
    if (text === undefined) return;
    let line = 1;
    // A backslash at a line's end goes on in the next; the line that is named is the one it begins on.
    for (const each of text.split(/(?<!\\)\r?\n/)) {
      const words = each
        .replaceAll(/\\\r?\n/g, " ")
        .replace(/(?:^|\s)#.*$/, "")
        .trim()
        .split(/\s+/);
      const [command = "", ...rest] = words;
      if ((command === "import" || command === "try-import") && rest[0] !== undefined) look(resolved(rest[0], root, file));
      const [section = "", config] = command.split(":");
      if (sections.has(section)) {
        for (const word of rest) {
          const value = strictFlag(word);
          if (value === undefined) continue;
          if (config === undefined) found = { seen: value ? "on" : "off", file, line };
          else if (value && found.seen === "not-seen") found = { seen: "not-seen", config };
        }
      }
      line += each.split("\n").length;
    }
  };
  for (const file of files) look(file);
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

function resolved(path: string, root: string, from: string): string {
  const file = path.replaceAll(/^["']|["']$/g, "").replace("%workspace%", root);
  return isAbsolute(file) ? file : join(dirname(from), file);
}

/** @returns undefined where there is no such file, or none that should be read */
export function readSmall(file: string): string | undefined {
  try {
    return readBounded(file, largest).toString("utf8");
  } catch {
    return undefined;
  }
}
