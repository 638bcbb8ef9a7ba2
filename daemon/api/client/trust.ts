/** trust.json: read by whoever decides, changed only by `flywheel trust`. */
import { mkdirSync } from "node:fs";
import * as v from "valibot";
import { FlywheelError, messageOf } from "../../../contract/errors.ts";
import { lineInJson } from "../../../contract/json-line.ts";
import type { Paths } from "../../../contract/paths.ts";
import { printable } from "../../../contract/text.ts";
import { noTrust, type TrustStore, trustSchema } from "../../../contract/trust.ts";
import { readBounded } from "./bounded.ts";
import { isErrno, reasonOf } from "./errno.ts";

/** One larger than this is a mistake: bytes. */
const largestTrust = 1_048_576;

function trustPath(paths: Paths): string {
  return `${paths.config}/trust.json`;
}

/**
 * What the user trusts; nothing where there is no file.
 * @throws FlywheelError `config-invalid` where the file is there but is not what `flywheel trust` writes
 */
export function readTrust(paths: Paths): TrustStore {
  const file = trustPath(paths);
  let text: string;
  try {
    text = readBounded(file, largestTrust).toString("utf8");
  } catch (error) {
    if (isErrno(error) && error.code === "ENOENT") return noTrust;
    throw invalid(`${file} cannot be read (${reasonOf(error)})`, file, error);
  }
  let raw: unknown;
  try {
    raw = JSON.parse(text);
  } catch (error) {
    throw invalid(`${file}:${lineInJson(text, [])}: this is not JSON: ${printable(messageOf(error), 120)}`, file, error);
  }
  const result = v.safeParse(trustSchema, raw);
  if (result.success) return result.output;
  const [issue] = result.issues;
  const path = (issue.path ?? []).map((item) => (typeof item.key === "number" ? item.key : String(item.key)));
  throw invalid(`${file}:${lineInJson(text, path)}: ${printable(path.join(".") || "its top", 80)}: ${printable(issue.message, 160)}`, file);
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

function invalid(message: string, file: string, cause?: unknown): FlywheelError {
  return new FlywheelError("config-invalid", message, { next: `mend or remove ${file}, then say again what you trust`, cause });
}
