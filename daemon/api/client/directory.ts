/** The runtime directory: what is published there is believed, so nobody else may be able to write to it. */
import { lstatSync, mkdirSync, type Stats } from "node:fs";
import { FlywheelError } from "../../../contract/errors.ts";
import { typed } from "../../../contract/quote.ts";
import { isErrno, reasonOf } from "./errno.ts";

export type DirectoryFault = "absent" | "symlink" | "not-directory" | "owner" | "mode";

export type DirectoryResult =
  | { readonly ok: true }
  | { readonly ok: false; readonly fault: DirectoryFault; readonly message: string; readonly next: string };

/**
 * Whether a directory is the user's own: a real directory (no symbolic link), owned by the effective
 * user, closed to group and others (the XDG Base Directory Specification's rule for XDG_RUNTIME_DIR).
 */
export function inspectRuntimeDirectory(path: string): DirectoryResult {
  let stats: Stats;
  try {
    stats = lstatSync(path);
  } catch (error) {
    return { ok: false, fault: "absent", message: `there is no directory ${path} (${reasonOf(error)})`, next: "flywheel up" };
  }
  if (stats.isSymbolicLink()) {
    return { ok: false, fault: "symlink", message: `${path} is a symbolic link`, next: `remove ${path}, or set GF_RUNTIME_DIR` };
  }
  if (!stats.isDirectory()) {
    return { ok: false, fault: "not-directory", message: `${path} is not a directory`, next: `remove ${path}, or set GF_RUNTIME_DIR` };
  }
  if (stats.uid !== process.geteuid?.()) {
    return { ok: false, fault: "owner", message: `${path} belongs to another user (uid ${stats.uid})`, next: "set GF_RUNTIME_DIR" };
  }
  const mode = stats.mode & 0o777;
  if ((mode & 0o077) !== 0) {
    return {
      ok: false,
      fault: "mode",
      message: `${path} is open to other users (mode 0${mode.toString(8)})`,
      next: `chmod 700 ${typed(path)}`,
    };
  }
  return { ok: true };
}

/**
 * Creates the directory (0700, parents too) where it is absent, and refuses one that is not safe.
 * @throws FlywheelError `runtime-directory-unsafe`
 */
export function ensureRuntimeDirectory(path: string): void {
  try {
    mkdirSync(path, { recursive: true, mode: 0o700 });
  } catch (error) {
    // EEXIST: something that is no directory stands there; the inspection below says what.
    if (!isErrno(error) || error.code !== "EEXIST") {
      throw new FlywheelError("runtime-directory-unsafe", `the runtime directory ${path} cannot be created (${reasonOf(error)})`, {
        next: "set GF_RUNTIME_DIR to a directory of your own",
        cause: error,
      });
    }
  }
  const result = inspectRuntimeDirectory(path);
  if (!result.ok) throw unsafe(result);
}

/** The error of a directory that may not be used. */
export function unsafe(result: Extract<DirectoryResult, { ok: false }>): FlywheelError {
  return new FlywheelError("runtime-directory-unsafe", `the runtime directory is not safe: ${result.message}`, { next: result.next });
}
