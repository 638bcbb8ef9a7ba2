/** credentials.json: who has which credential. Read by the daemon, the guard and `flywheel status`; changed only by login and logout. */
import { mkdirSync, statSync } from "node:fs";
import * as v from "valibot";
import { type CredentialIndex, credentialsSchema, noCredentials } from "../../../../contract/credential.ts";
import { FlywheelError, messageOf } from "../../../../contract/errors.ts";
import { credentialsPath, type Paths } from "../../../../contract/paths.ts";
import { typed } from "../../../../contract/quote.ts";
import { printable } from "../../../../contract/text.ts";
import { readBounded } from "../bounded.ts";
import { isErrno, reasonOf } from "../errno.ts";
import { asOfToday } from "./certificate-end.ts";

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
    const text = readBounded(file, largestIndex).toString("utf8");
    for (const path of [paths.state, file]) checkOwn(path);
    raw = JSON.parse(text);
  } catch (error) {
    if (error instanceof FlywheelError) throw error;
    if (isErrno(error) && error.code === "ENOENT") return noCredentials;
    throw unusable(file, error instanceof SyntaxError ? "it is not JSON" : reasonOf(error), error);
  }
  const result = v.safeParse(credentialsSchema, raw);
  if (result.success) return { ...result.output, entries: result.output.entries.map(asOfToday) };
  throw unusable(file, printable(result.issues[0].message, 160), undefined);
}

/** Another one whenever the file was written or replaced since; its content is not looked at. */
export function credentialsStamp(paths: Paths): string {
  try {
    const { dev, ino, size, ctimeNs } = statSync(credentialsPath(paths), { bigint: true });
    return [dev, ino, size, ctimeNs].join(":");
  } catch (error) {
    return reasonOf(error);
  }
}

/** How long one who changes the index waits for another who does: milliseconds. It takes a few. */
const patience = 5_000;

/**
 * Reads, applies, replaces the file in one step (0600), one after the other: of two at once none is lost.
 * @throws FlywheelError `credentials-unusable`: a malformed file is never overwritten, and one that cannot be written says so
 */
export async function changeCredentials(paths: Paths, change: (index: CredentialIndex) => CredentialIndex): Promise<CredentialIndex> {
  const file = credentialsPath(paths);
  const [{ default: writeFileAtomic }, { DatabaseSync }] = await Promise.all([import("write-file-atomic"), import("node:sqlite")]);
  let lock: InstanceType<typeof DatabaseSync> | undefined;
  try {
    mkdirSync(paths.state, { recursive: true, mode: 0o700 });
    checkOwn(paths.state);
    // SQLite's own lock, as the daemon's (daemon/lock.ts): the kernel releases it with the process. Nothing is ever written to it.
    lock = new DatabaseSync(`${paths.state}/credentials.lock`, { timeout: patience });
    lock.exec("PRAGMA journal_mode = MEMORY; PRAGMA locking_mode = EXCLUSIVE; BEGIN EXCLUSIVE");
    const changed = change(readCredentials(paths));
    await writeFileAtomic(file, `${JSON.stringify(changed, undefined, 2)}\n`, { mode: 0o600 });
    return changed;
  } catch (error) {
    if (error instanceof FlywheelError) throw error;
    // SQLite says it in words alone.
    const reason = isErrno(error) && error.code !== "ERR_SQLITE_ERROR" ? reasonOf(error) : messageOf(error);
    throw unusable(file, `it cannot be written (${reason})`, error);
  } finally {
    lock?.close();
  }
}

/**
 * The index says where secrets go: whoever else may write it could send them elsewhere.
 * @throws FlywheelError `credentials-unusable`
 */
function checkOwn(path: string): void {
  const { uid, mode } = statSync(path);
  const own = uid === process.geteuid?.();
  if (own && (mode & 0o022) === 0) return;
  const why = own ? `others may write it (mode 0${(mode & 0o777).toString(8)})` : `it belongs to another user (uid ${uid})`;
  throw new FlywheelError("credentials-unusable", `${path} cannot be used: ${why}`, {
    next: own
      ? `chmod go-w ${typed(path)}, and see with flywheel login that all in it is yours`
      : "set GF_STATE_DIR to a directory of your own",
  });
}

function unusable(file: string, reason: string, cause: unknown): FlywheelError {
  return new FlywheelError("credentials-unusable", `${file} cannot be used: ${reason}`, {
    next: `mend or remove ${file}, then log in again`,
    cause,
  });
}
