/** A script whose first line names nix or nix-shell as its interpreter: Nix takes its options from the script. */
import { closeSync, openSync, readSync, statSync } from "node:fs";
import { resolve } from "node:path";
import { isScriptCall } from "../../contract/nix/command-line.ts";
import type { NixName } from "../../contract/nix/commands.ts";

/** As far as the lines reach that can hold options: bytes. */
const longestHead = 65_536;

/** @returns the beginning of the file that the first word names, where it begins with `#!`; undefined otherwise */
export function readScript(tool: NixName, args: readonly string[], cwd: string): string | undefined {
  if (!isScriptCall(tool, args)) return undefined;
  const path = resolve(cwd, args[0] ?? "");
  try {
    if (!statSync(path).isFile()) return undefined;
    const file = openSync(path, "r");
    try {
      const buffer = Buffer.alloc(longestHead);
      const text = buffer.toString("utf8", 0, readSync(file, buffer));
      return text.startsWith("#!") ? text : undefined;
    } finally {
      closeSync(file);
    }
  } catch {
    // No such file, or none that Nix could read either.
    return undefined;
  }
}
