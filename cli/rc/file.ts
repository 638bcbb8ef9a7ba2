/** A shell's start file: where it is; and an edit of a user's file that can be shown first. */
import { mkdirSync, realpathSync, unlinkSync } from "node:fs";
import { dirname } from "node:path";
import type { Environment } from "../../contract/environment.ts";
import { FlywheelError, messageOf } from "../../contract/errors.ts";
import { visible } from "../../contract/text.ts";
import { readBounded } from "../../daemon/api/client/bounded.ts";
import type { RcShell } from "./block.ts";

/** A start file larger than this is none: bytes. */
const largestRc = 16 * 1_048_576;

export interface Edit {
  /** The file itself, symbolic links followed. */
  readonly file: string;
  /** latin1; undefined where there is no file. */
  readonly before: string | undefined;
  readonly after: string | undefined;
}

/** Where the shell reads its start file from, by the shell's own rules. */
export function rcFile(shell: RcShell, env: Environment, home: string): string {
  const base = env["HOME"] || home;
  switch (shell) {
    case "bash":
      return `${base}/.bashrc`;
    case "zsh":
      return `${env["ZDOTDIR"] || base}/.zshrc`;
    case "fish":
      return `${env["XDG_CONFIG_HOME"] || `${base}/.config`}/fish/config.fish`;
  }
}

/** @throws FlywheelError `state-directory-unusable` where the file is there but cannot be read */
export function planEdit(path: string, change: (content: string | undefined) => string | undefined): Edit {
  try {
    const file = realpathSync(path);
    const before = readBounded(file, largestRc).toString("latin1");
    return { file, before, after: change(before) };
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "ENOENT")
      return { file: path, before: undefined, after: change(undefined) };
    throw new FlywheelError("state-directory-unusable", `${path} cannot be read: ${messageOf(error)}`, { cause: error });
  }
}

/** Replaces the file in one step; its owner stays, and its mode unless another is given. */
export async function applyEdit(edit: Edit, options: { readonly mode?: number } = {}): Promise<void> {
  if (edit.after === edit.before) return;
  try {
    if (edit.after === undefined) {
      unlinkSync(edit.file);
      return;
    }
    const { default: writeFileAtomic } = await import("write-file-atomic");
    mkdirSync(dirname(edit.file), { recursive: true });
    await writeFileAtomic(edit.file, Buffer.from(edit.after, "latin1"), options);
  } catch (error) {
    throw new FlywheelError("state-directory-unusable", `${edit.file} cannot be changed: ${messageOf(error)}`, { cause: error });
  }
}

/**
 * The lines that an edit adds and removes, as a unified diff names them; an edit only ever adds or removes one run of lines.
 * To be looked at: what a terminal would act on is made visible.
 */
export function diff(edit: Edit): string {
  const before = lines(edit.before);
  const after = lines(edit.after);
  let start = 0;
  while (start < before.length && start < after.length && before[start] === after[start]) start += 1;
  let end = 0;
  while (end < Math.min(before.length, after.length) - start && before.at(-1 - end) === after.at(-1 - end)) end += 1;
  const removed = before.slice(start, before.length - end);
  const added = after.slice(start, after.length - end);
  return [
    `--- ${edit.before === undefined ? "/dev/null" : edit.file}`,
    `+++ ${edit.after === undefined ? "/dev/null" : edit.file}`,
    `@@ -${removed.length === 0 ? start : start + 1},${removed.length} +${added.length === 0 ? start : start + 1},${added.length} @@`,
    ...removed.map((line) => `-${line}`),
    ...added.map((line) => `+${line}`),
  ]
    .map(visible)
    .join("\n");
}

function lines(content: string | undefined): string[] {
  if (content === undefined || content === "") return [];
  const text = Buffer.from(content, "latin1").toString("utf8");
  return (text.endsWith("\n") ? text.slice(0, -1) : text).split("\n");
}
