/** Bazel's rc files, line by line with what they import. Read lightly: quoting is not followed. */
import { dirname, isAbsolute, join } from "node:path";
import type { RcLine } from "../contract/ci/rc.ts";
import { readBounded } from "../daemon/api/client/bounded.ts";

/** A larger rc file is not looked at: bytes. */
const largest = 1_048_576;
/** More files than these are not looked at, so that imports may not run in circles. */
const mostFiles = 32;

/** The rc files that Bazel reads by itself, in its order: the system's (Debian's place too), the workspace's, the user's. */
export function usualRcFiles(root: string, home: string): readonly string[] {
  return ["/etc/bazel.bazelrc", "/etc/bazel/bazelrc", join(root, ".bazelrc"), join(home, ".bazelrc")];
}

/**
 * @param root the Bazel workspace, for `%workspace%`
 * @param files in Bazel's order; one that is not there has no lines
 * @param read of a file by its path; undefined where there is none, or none that should be read
 */
export function* rcLines(root: string, files: readonly string[], read = readSmall): Generator<RcLine> {
  let left = mostFiles;
  function* look(file: string): Generator<RcLine> {
    left -= 1;
    const text = left < 0 ? undefined : read(file);
    if (text === undefined) return;
    let line = 1;
    // A backslash at a line's end goes on in the next.
    for (const each of text.split(/(?<!\\)\r?\n/)) {
      const [command = "", ...words] = each
        .replaceAll(/\\\r?\n/g, " ")
        // A dot without `s` stops at a line separator: the rest would be looked through again from each mark.
        .replace(/(?:^|\s)#.*$/s, "")
        .trim()
        .split(/\s+/);
      if ((command === "import" || command === "try-import") && words[0] !== undefined) yield* look(resolved(words[0], root, file));
      const [section = "", config] = command.split(":");
      if (section !== "") yield { file, line, section, config, words };
      line += each.split("\n").length;
    }
  }
  for (const file of files) yield* look(file);
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
