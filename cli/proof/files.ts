/** The files that a proof is asked for, and the one of CI that it reads. */
import { accessSync, constants, existsSync, statSync, writeFileSync } from "node:fs";
import { dirname, resolve } from "node:path";
import * as v from "valibot";
import { FlywheelError, messageOf } from "../../contract/errors.ts";
import { type ProofRecord, proofRecordSchema } from "../../contract/proof/record.ts";
import { printable } from "../../contract/text.ts";
import { readBounded } from "../../daemon/api/client/bounded.ts";

const largestRecord = 1_048_576;

/** Said before anything is built, rather than behind it. @throws FlywheelError `usage` */
export function refuseUnwritable(flag: string, file: string, cwd: string): string {
  const path = resolve(cwd, file);
  try {
    if (statSync(path, { throwIfNoEntry: false })?.isDirectory() === true) throw new Error("it is a directory");
    accessSync(existsSync(path) ? path : dirname(path), constants.W_OK);
    return path;
  } catch (error) {
    throw new FlywheelError("usage", `${flag}: ${printable(file, 200)} cannot be written: ${messageOf(error)}`, { cause: error });
  }
}

/** @throws FlywheelError `state-directory-unusable` */
export function writeRecord(path: string, text: string): void {
  try {
    writeFileSync(path, text);
  } catch (error) {
    throw new FlywheelError("state-directory-unusable", `${path} cannot be written: ${messageOf(error)}`, { cause: error });
  }
}

/** @throws FlywheelError `usage` where it is no record of this schema */
export function readRecord(flag: string, file: string, cwd: string): ProofRecord {
  const shown = printable(file, 200);
  const next = "a record is what `flywheel proof --json` prints: see docs/proof.schema.json";
  let raw: unknown;
  try {
    raw = JSON.parse(readBounded(resolve(cwd, file), largestRecord).toString("utf8"));
  } catch (error) {
    throw new FlywheelError("usage", `${flag}: ${shown} cannot be read: ${messageOf(error)}`, { next, cause: error });
  }
  const parsed = v.safeParse(proofRecordSchema, raw);
  if (parsed.success) return parsed.output;
  const [issue] = parsed.issues;
  const where = v.getDotPath(issue) ?? "";
  throw new FlywheelError("usage", `${flag}: ${shown} is no record of a proof: ${printable(`${where}: ${issue.message}`, 200)}`, { next });
}
