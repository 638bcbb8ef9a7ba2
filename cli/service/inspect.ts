/** The service's files as they are: whose, up to date or not, and whether what they start is still there. */
import { existsSync, lstatSync } from "node:fs";
import { type Edit, planEdit } from "../rc/file.ts";
import { judge, type UnitState } from "./mark.ts";

export interface Unit {
  readonly file: string;
  readonly state: UnitState;
  /** What writes it, and what removes it. */
  readonly write: Edit;
  readonly remove: Edit;
}

/** @param text what this flywheel would write there */
export function inspect(file: string, text: string): Unit {
  const wanted = Buffer.from(text, "utf8").toString("latin1");
  // A link to elsewhere is a package manager's own (Home Manager's, say), whatever it says.
  const link = lstatSync(file, { throwIfNoEntry: false })?.isSymbolicLink() === true;
  const write = planEdit(file, () => wanted);
  const state = link ? "foreign" : judge(utf8(write.before), text);
  return { file, state, write, remove: { ...write, after: undefined } };
}

/** A program that the unit starts and that is not there any more (a node or a flywheel that was removed); undefined where none is missed. */
export function missingProgram({ write }: Unit): string | undefined {
  return programs(utf8(write.before) ?? "").find((path) => !existsSync(path));
}

/** The absolute paths among the words of a unit's ExecStart or an agent's ProgramArguments: node, and its script. */
function programs(text: string): readonly string[] {
  const start = /^ExecStart=(.*)$/m.exec(text)?.[1];
  const words =
    start === undefined
      ? [...(/<key>ProgramArguments<\/key>\s*<array>([\s\S]*?)<\/array>/.exec(text)?.[1] ?? "").matchAll(/<string>(.*?)<\/string>/g)].map(
          ([, word = ""]) => word.replaceAll("&lt;", "<").replaceAll("&gt;", ">").replaceAll("&amp;", "&"),
        )
      : [...start.matchAll(/"((?:[^"\\]|\\.)*)"|\S+/g)].map(([all, inner]) =>
          (inner ?? all)
            .replaceAll(/\\(.)/g, "$1")
            .replaceAll("%%", "%")
            .replaceAll("$$", () => "$"),
        );
  return words.filter((word) => word.startsWith("/"));
}

function utf8(latin1: string | undefined): string | undefined {
  return latin1 === undefined ? undefined : Buffer.from(latin1, "latin1").toString("utf8");
}
