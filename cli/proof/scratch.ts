/** Directories of a proof's own, which are gone behind it whatever happened. */
import { execFile } from "node:child_process";
import { mkdtempSync, realpathSync, rmSync } from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";
import { FlywheelError, messageOf } from "../../contract/errors.ts";

/** @throws FlywheelError `state-directory-unusable` */
export function makeScratch(parent: string): string {
  try {
    return realpathSync(mkdtempSync(join(parent, "flywheel-proof-")));
  } catch (error) {
    throw new FlywheelError("state-directory-unusable", `nothing can be written below ${parent}: ${messageOf(error)}`, { cause: error });
  }
}

/** Bazel and Nix take rights away from what they made. */
export async function removeScratch(directory: string): Promise<void> {
  await promisify(execFile)("chmod", ["-R", "u+rwX", directory]).catch(() => {
    // What matters is whether it can be removed.
  });
  rmSync(directory, { recursive: true, force: true, maxRetries: 5 });
}
