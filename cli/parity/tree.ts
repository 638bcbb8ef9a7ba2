/** A repository's files, read as a stranger's: bounded, never through a link that leads out of it, and nothing is run. */
import { readdirSync, realpathSync } from "node:fs";
import { join, relative, sep } from "node:path";
import type { Tree } from "../../contract/ci/model.ts";
import { readBounded } from "../../daemon/api/client/bounded.ts";

/** A larger file is not looked at: bytes. */
const largest = 524_288;
/** All that is read together: bytes. */
const largestTogether = 33_554_432;
/** Files and directories that are looked at; those nearest to the root come first. */
const mostEntries = 20_000;
const deepest = 12;

/** Directories that hold others' files, or what was built. */
const passedOver = new Set([
  ".git",
  ".hg",
  ".jj",
  ".direnv",
  ".cache",
  "node_modules",
  "target",
  "dist",
  "vendor",
  "result",
  "third_party",
]);

/** @param root absolute, links resolved */
export function repositoryTree(root: string): Tree {
  const { files, cut } = listed(root);
  const known = new Set(files);
  const contents = new Map<string, string | undefined>();
  let left = largestTogether;
  const load = (file: string): string | undefined => {
    if (!known.has(file) || left <= 0) return undefined;
    const path = insidePath(root, file);
    if (path === undefined) return undefined;
    try {
      const content = readBounded(path, Math.min(largest, left));
      left -= content.length;
      return content.toString("utf8").replace(/^\uFEFF/, "");
    } catch {
      // Too large, gone meanwhile, no file, or not ours to read.
      return undefined;
    }
  };
  return {
    files,
    cut,
    read: (file) => {
      if (!contents.has(file)) contents.set(file, load(file));
      return contents.get(file);
    },
  };
}

/** Where a file really lies; undefined where a link leads out of the repository. */
function insidePath(root: string, file: string): string | undefined {
  try {
    const path = realpathSync(join(root, file));
    return path.startsWith(root === sep ? sep : `${root}${sep}`) ? path : undefined;
  } catch {
    return undefined;
  }
}

/** Breadth first: what describes a CI stands near the root. Directories that are links are not entered. */
function listed(root: string): { readonly files: readonly string[]; readonly cut: boolean } {
  const files: string[] = [];
  let level = [root];
  let seen = 0;
  for (let depth = 0; depth < deepest && level.length > 0; depth += 1) {
    const below: string[] = [];
    for (const directory of level) {
      for (const each of entriesOf(directory)) {
        seen += 1;
        if (seen > mostEntries) return { files: files.toSorted(), cut: true };
        const path = join(directory, each.name);
        if (each.isDirectory()) {
          if (!passedOver.has(each.name) && !each.name.startsWith("bazel-")) below.push(path);
        } else if (each.isFile() || each.isSymbolicLink()) files.push(relative(root, path).split(sep).join("/"));
      }
    }
    level = below;
  }
  return { files: files.toSorted(), cut: level.length > 0 };
}

function entriesOf(directory: string) {
  try {
    return readdirSync(directory, { withFileTypes: true }).toSorted((a, b) => (a.name < b.name ? -1 : 1));
  } catch {
    // Not ours to read.
    return [];
  }
}
