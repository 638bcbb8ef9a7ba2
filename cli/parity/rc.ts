/** The rc files of a repository, and those that Bazel reads on this machine beside them. */
import { join, relative, sep } from "node:path";
import type { Tree } from "../../contract/ci/model.ts";
import type { RcLine } from "../../contract/ci/rc.ts";
import { rcLines, readSmall, usualRcFiles } from "../bazelrc.ts";

export interface RcFiles {
  /** Of the repository alone, by paths from its root; an import that leads out of it is not followed. */
  readonly repository: readonly RcLine[];
  /** All of them, as Bazel reads them here. */
  readonly here: readonly RcLine[];
}

export function readRcFiles(root: string, tree: Tree, home: string): RcFiles {
  const inside = (file: string): string | undefined => {
    const path = relative(root, file);
    return path === "" || path.startsWith("..") ? undefined : path.split(sep).join("/");
  };
  const read = (file: string): string | undefined => {
    const path = inside(file);
    return path === undefined ? undefined : tree.read(path);
  };
  const own = new Set(usualRcFiles(root, home));
  const readHere = (file: string): string | undefined => (inside(file) === undefined && own.has(file) ? readSmall(file) : read(file));
  const repository = [...rcLines(root, [join(root, ".bazelrc")], read)].map((line) => ({ ...line, file: inside(line.file) ?? line.file }));
  return { repository, here: [...rcLines(root, [...own], readHere)].map((line) => ({ ...line, file: inside(line.file) ?? line.file })) };
}
