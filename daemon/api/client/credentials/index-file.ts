/** credentials.json: who has which credential. Read by the daemon, the guard and `flywheel status`; changed only by login and logout. */
import { mkdirSync } from "node:fs";
import * as v from "valibot";
import { type CredentialIndex, credentialsSchema, noCredentials } from "../../../../contract/credential.ts";
import { FlywheelError } from "../../../../contract/errors.ts";
import { credentialsPath, type Paths } from "../../../../contract/paths.ts";
import { printable } from "../../../../contract/text.ts";
import { readBounded } from "../bounded.ts";
import { isErrno, reasonOf } from "../directory.ts";

/** One larger than this is a mistake: bytes. */
const largestIndex = 1_048_576;

/**
 * What the user is logged in to; nothing where there is no file.
 * @throws FlywheelError `credentials-unusable` where the file is there but is not what `flywheel login` writes
 */
export function readCredentials(paths: Paths): CredentialIndex {
  const file = credentialsPath(paths);
  let raw: unknown;
  try {
    raw = JSON.parse(readBounded(file, largestIndex).toString("utf8"));
  } catch (error) {
    if (isErrno(error) && error.code === "ENOENT") return noCredentials;
    throw unusable(file, error instanceof SyntaxError ? "it is not JSON" : reasonOf(error), error);
  }
  const result = v.safeParse(credentialsSchema, raw);
  if (result.success) return result.output;
  throw unusable(file, printable(result.issues[0].message, 160), undefined);
}

/**
 * Reads, applies, replaces the file in one step (0600).
 * @throws FlywheelError `credentials-unusable`: a malformed file is never overwritten, and one that cannot be written says so
 */
export async function changeCredentials(paths: Paths, change: (index: CredentialIndex) => CredentialIndex): Promise<CredentialIndex> {
  const file = credentialsPath(paths);
  const changed = change(readCredentials(paths));
  const { default: writeFileAtomic } = await import("write-file-atomic");
  try {
    mkdirSync(paths.state, { recursive: true, mode: 0o700 });
    await writeFileAtomic(file, `${JSON.stringify(changed, undefined, 2)}\n`, { mode: 0o600 });
  } catch (error) {
    throw unusable(file, `it cannot be written (${reasonOf(error)})`, error);
  }
  return changed;
}

function unusable(file: string, reason: string, cause: unknown): FlywheelError {
  return new FlywheelError("credentials-unusable", `${file} cannot be used: ${reason}`, {
    next: `mend or remove ${file}, then log in again`,
    cause,
  });
}
