/** trust.json: read by whoever decides, changed only by `flywheel trust`. */
import { mkdirSync, readFileSync } from "node:fs";
import * as v from "valibot";
import { FlywheelError } from "../../../contract/errors.ts";
import type { Paths } from "../../../contract/paths.ts";
import { noTrust, type TrustStore, trustSchema } from "../../../contract/trust.ts";
import { isErrno, reasonOf } from "./directory.ts";

function trustPath(paths: Paths): string {
  return `${paths.config}/trust.json`;
}

/**
 * What the user trusts; nothing where there is no file.
 * @throws FlywheelError `config-invalid` where the file is there but is not what `flywheel trust` writes
 */
export function readTrust(paths: Paths): TrustStore {
  const file = trustPath(paths);
  let raw: unknown;
  try {
    raw = JSON.parse(readFileSync(file, "utf8"));
  } catch (error) {
    if (isErrno(error) && error.code === "ENOENT") return noTrust;
    throw invalid(file, error instanceof SyntaxError ? "it is not JSON" : reasonOf(error), error);
  }
  const result = v.safeParse(trustSchema, raw);
  if (!result.success) throw invalid(file, `at ${v.getDotPath(result.issues[0]) ?? "its top"}: ${result.issues[0].message}`);
  return result.output;
}

/**
 * Changes what the user trusts: reads, applies, replaces the file in one step (0600).
 * @param change gives the new content; it sees the present one
 * @returns what is written now
 * @throws FlywheelError `config-invalid`: a malformed file is never overwritten, and one that cannot be written says so
 */
export async function changeTrust(paths: Paths, change: (trust: TrustStore) => TrustStore): Promise<TrustStore> {
  const file = trustPath(paths);
  const changed = change(readTrust(paths));
  const { default: writeFileAtomic } = await import("write-file-atomic");
  try {
    mkdirSync(paths.config, { recursive: true, mode: 0o700 });
    await writeFileAtomic(file, `${JSON.stringify(changed, undefined, 2)}\n`, { mode: 0o600 });
  } catch (error) {
    throw new FlywheelError("config-invalid", `${file} cannot be written (${reasonOf(error)})`, { cause: error });
  }
  return changed;
}

function invalid(file: string, reason: string, cause?: unknown): FlywheelError {
  return new FlywheelError("config-invalid", `${file} cannot be used: ${reason}`, {
    next: `mend or remove ${file}, then say again what you trust`,
    cause,
  });
}
