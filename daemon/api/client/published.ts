/** Reading what the daemon published, with the distrust that sh has for it too. */
import { closeSync, constants, fstatSync, lstatSync, openSync, readSync, type Stats } from "node:fs";
import { dirname } from "node:path";
import type { Tool } from "../../../contract/endpoint.ts";
import { attachmentPath, type Paths } from "../../../contract/paths.ts";
import { type Clock, largestPublished, leaseFault, type Published, parsePublished } from "../../../contract/published.ts";
import { inspectRuntimeDirectory } from "./directory.ts";
import { isErrno, reasonOf } from "./errno.ts";

export type PublishedReading =
  /** Its lease runs: it may be believed. */
  | { readonly state: "live"; readonly published: Published }
  /** Well-formed, but its lease does not hold now. */
  | { readonly state: "stale"; readonly published: Published; readonly fault: string }
  /** Somebody else could have written it, or it is not what the daemon writes. */
  | { readonly state: "unbelievable"; readonly fault: string }
  | { readonly state: "absent" };

/**
 * Reads one attachment file.
 * @param now the clock to judge the lease by (readClock())
 * @returns what may be made of it; never throws
 */
export function readPublished(paths: Paths, profile: string, kind: Tool, now: Clock): PublishedReading {
  const runtime = inspectRuntimeDirectory(paths.runtime);
  if (!runtime.ok) return runtime.fault === "absent" ? { state: "absent" } : { state: "unbelievable", fault: runtime.message };
  const file = attachmentPath(paths, profile, kind);
  let text: string;
  try {
    for (const directory of [dirname(dirname(file)), dirname(file)]) {
      const fault = ownershipFault(lstatSync(directory), "directory");
      if (fault !== undefined) return { state: "unbelievable", fault: `${directory} ${fault}` };
    }
    const opened = openSync(file, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
    try {
      const stats = fstatSync(opened);
      const fault = ownershipFault(stats, "file");
      if (fault !== undefined) return { state: "unbelievable", fault: `${file} ${fault}` };
      if (stats.size > largestPublished) return { state: "unbelievable", fault: `${file} is too long` };
      const buffer = Buffer.alloc(largestPublished + 1);
      text = buffer.toString("utf8", 0, readSync(opened, buffer));
    } finally {
      closeSync(opened);
    }
  } catch (error) {
    if (isErrno(error) && error.code === "ENOENT") return { state: "absent" };
    if (isErrno(error) && error.code === "ELOOP") return { state: "unbelievable", fault: `${file} is a symbolic link` };
    return { state: "unbelievable", fault: `${file} cannot be read (${reasonOf(error)})` };
  }
  const parsed = parsePublished(text);
  if (!parsed.ok) return { state: "unbelievable", fault: `${file}: ${parsed.fault}` };
  const { published } = parsed;
  if (published.kind !== kind || published.profile !== profile) {
    return { state: "unbelievable", fault: `${file} speaks of another kind or profile` };
  }
  const fault = leaseFault(published, now);
  return fault === undefined ? { state: "live", published } : { state: "stale", published, fault };
}

function ownershipFault(stats: Stats, expected: "directory" | "file"): string | undefined {
  if (stats.isSymbolicLink()) return "is a symbolic link";
  if (expected === "directory" ? !stats.isDirectory() : !stats.isFile()) return `is no ${expected}`;
  if (stats.uid !== process.geteuid?.()) return `belongs to another user (uid ${stats.uid})`;
  return (stats.mode & 0o022) === 0 ? undefined : "can be written by other users";
}
