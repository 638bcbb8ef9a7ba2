/**
 * The marked block in a shell's start file. Text in, text out: what is put in can be taken out again
 * so that every byte is as it was. Files are handled as latin1, so bytes of any encoding survive.
 */

import { posixQuoted } from "../../contract/quote.ts";
import { markerFile, optionalTools } from "../../shim/fast-path/names.ts";
import { fishQuoted } from "../shell/quote.ts";

export const rcShells = ["bash", "zsh", "fish"] as const;
export type RcShell = (typeof rcShells)[number];

const opening = "# >>> gloriousflywheel >>>";
const closing = "# <<< gloriousflywheel <<<";
const block = new RegExp(`${opening}\\n[\\s\\S]*?\\n${closing}\\n`);

/**
 * The block that puts the shim first on PATH, once: its base and, each time that it is read, the directory of each
 * tool that is there. What shims a shell above put on PATH is taken off before that is asked, or they would be found.
 */
export function pathBlock(shell: RcShell, base: string): string {
  const body = shell === "fish" ? fishBody(fishQuoted(base)) : posixBody(posixQuoted(base));
  const text = [
    opening,
    "# Puts the guard in front of bazel, and of Nix where it is. `flywheel shim uninstall` takes these lines out again.",
    ...body,
    closing,
    "",
  ].join("\n");
  return Buffer.from(text, "utf8").toString("latin1");
}

/** As nix/modules/shim.nix. */
function posixBody(base: string): string[] {
  return [
    `_gf_shims=${base} _gf_path= _gf_rest=$PATH:`,
    'while [ -n "$_gf_rest" ]; do',
    `  if [ ! -e "\${_gf_rest%%:*}/${markerFile}" ]; then _gf_path=$_gf_path:\${_gf_rest%%:*}; fi`,
    "  _gf_rest=${_gf_rest#*:}",
    "done",
    "PATH=${_gf_path#:}",
    `for _gf_tool in ${optionalTools.join(" ")}; do`,
    `  if command -v "$_gf_tool" >/dev/null; then _gf_shims=$_gf_shims:${base}-$_gf_tool; fi`,
    "done",
    'export PATH="$_gf_shims:$PATH"',
    "unset _gf_shims _gf_path _gf_rest _gf_tool",
  ];
}

/** As nix/modules/shim.nix. */
function fishBody(base: string): string[] {
  return [
    `set -l _gf_shims ${base}`,
    "set -l _gf_path",
    "for _gf_dir in $PATH",
    `    test -e $_gf_dir/${markerFile}; or set -a _gf_path $_gf_dir`,
    "end",
    "set -gx PATH $_gf_path",
    `for _gf_tool in ${optionalTools.join(" ")}`,
    `    command -q $_gf_tool; and set -a _gf_shims ${base}-$_gf_tool`,
    "end",
    "set -gx PATH $_gf_shims $PATH",
  ];
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
