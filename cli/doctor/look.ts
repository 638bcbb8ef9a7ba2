/** What stands at a path and what we may do there. Nothing throws: whatever stands there is a finding. */
import { accessSync, constants, lstatSync, type Stats, statSync } from "node:fs";
import { dirname } from "node:path";
import { reasonOf } from "../../daemon/api/client/errno.ts";

export type Look =
  | { readonly state: "there"; readonly stats: Stats }
  /** The reason is a system error's code. */
  | { readonly state: "absent"; readonly reason: string }
  | { readonly state: "unknown"; readonly reason: string };

/** Links are followed. */
export function look(path: string): Look {
  try {
    return { state: "there", stats: statSync(path) };
  } catch (error) {
    const reason = reasonOf(error);
    return { state: reason === "ENOENT" ? "absent" : "unknown", reason };
  }
}

/** Whether files can be made in a directory. */
export function writable(directory: string): boolean {
  try {
    accessSync(directory, constants.W_OK | constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

/** The path, or the nearest of its parents that can be seen to be there. */
export function nearest(path: string): string {
  for (let at = path; ; at = dirname(at)) {
    if (at === dirname(at) || isThere(at)) return at;
  }
}

function isThere(path: string): boolean {
  try {
    return lstatSync(path, { throwIfNoEntry: false }) !== undefined;
  } catch {
    return false;
  }
}
