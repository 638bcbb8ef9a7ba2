/**
 * The marked block in a shell's start file. Text in, text out: what is put in can be taken out again
 * so that every byte is as it was. Files are handled as latin1, so bytes of any encoding survive.
 */
import { fishQuoted, posixQuoted } from "../shell/quote.ts";

export const rcShells = ["bash", "zsh", "fish"] as const;
export type RcShell = (typeof rcShells)[number];

const opening = "# >>> gloriousflywheel >>>";
const closing = "# <<< gloriousflywheel <<<";
const block = /# >>> gloriousflywheel >>>\n[\s\S]*?\n# <<< gloriousflywheel <<<\n/;

/** The block that puts a directory first on PATH, once. */
export function pathBlock(shell: RcShell, directory: string): string {
  const body = shell === "fish" ? fishBody(directory) : posixBody(directory);
  const text = [
    opening,
    "# Puts the guard in front of bazel. `flywheel shim uninstall` takes these lines out again.",
    ...body,
    closing,
    "",
  ].join("\n");
  return Buffer.from(text, "utf8").toString("latin1");
}

function posixBody(directory: string): string[] {
  const quoted = posixQuoted(directory);
  return [`case "$PATH:" in`, `${quoted}:*) ;;`, `*) export PATH=${quoted}:"$PATH" ;;`, "esac"];
}

function fishBody(directory: string): string[] {
  const quoted = fishQuoted(directory);
  return [`if test "$PATH[1]" != ${quoted}`, `    set -gx PATH ${quoted} $PATH`, "end"];
}

/**
 * @param content the file, undefined where there is none
 * @returns the file with the block at its end, or in the place of an older one
 */
export function withBlock(content: string | undefined, text: string): string {
  if (content === undefined) return text;
  // A function, since `$` in a replacement text has a meaning.
  if (block.test(content)) return content.replace(block, () => text);
  // The newline before it is the block's own, whether or not the file ended with one.
  return `${content}\n${text}`;
}

/** @returns the file as it was before the block; undefined where the file was made for it */
export function withoutBlock(content: string): string | undefined {
  const at = content.search(block);
  if (at === -1) return content;
  const rest = content.slice(at).replace(block, "");
  if (at === 0) return rest === "" ? undefined : rest;
  const before = content.slice(0, at);
  return `${before.endsWith("\n") ? before.slice(0, -1) : before}${rest}`;
}
