/** The rc files of a repository, and those that Bazel reads on this machine beside them. */
import { dirname, join, relative, sep } from "node:path";
import type { Tree } from "../../contract/ci/model.ts";
import type { RcLine } from "../../contract/ci/rc.ts";
import { rcLines, readSmall, usualRcFiles } from "../bazelrc.ts";

export interface RcFiles {
  /** Of the repository alone, by paths from its root; an import that leads out of it is not followed. */
  readonly repository: readonly RcLine[];
  /** Of the workspaces within it, which have rc files of their own. */
  readonly nested: readonly RcLine[];
  /** All of them, as Bazel reads them here. */
  readonly here: readonly RcLine[];
}

/** What makes a directory a workspace of Bazel's. */
const boundary = /(?:^|\/)(?:MODULE\.bazel|REPO\.bazel|WORKSPACE(?:\.bazel)?)$/;
/** No more of them are looked at. */
const mostNested = 50;

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
  const named = (lines: Iterable<RcLine>): readonly RcLine[] =>
    [...lines].map((line) => ({ ...line, file: inside(line.file) ?? line.file }));
  const workspaces = new Set(tree.files.filter((file) => boundary.test(file)).map((file) => dirname(join(root, file))));
  workspaces.delete(root);
  return {
    repository: named(rcLines(root, [join(root, ".bazelrc")], read)),
    nested: [...workspaces].slice(0, mostNested).flatMap((workspace) => named(rcLines(workspace, [join(workspace, ".bazelrc")], read))),
    here: named(rcLines(root, [...own], readHere)),
  };
}
