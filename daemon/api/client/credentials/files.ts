/** Secrets in files: 0600, in a directory of 0700, both the user's own, or they are not used. */
import { lstatSync, mkdirSync, readdirSync, rmSync } from "node:fs";
import { dirname, join } from "node:path";
import writeFileAtomic from "write-file-atomic";
import type { CredentialIndex } from "../../../../contract/credential.ts";
import { FlywheelError } from "../../../../contract/errors.ts";
import { type Paths, secretPath } from "../../../../contract/paths.ts";
import { typed } from "../../../../contract/quote.ts";
import { Secret } from "../../../../contract/secret.ts";
import { readBounded } from "../bounded.ts";
import { type DirectoryFault, inspectRuntimeDirectory } from "../directory.ts";
import { isErrno, reasonOf } from "../errno.ts";
import type { Vault } from "./vault.ts";

/** A longer one is no secret: bytes. */
const largestSecret = 65_536;

export function fileVault(paths: Paths): Vault {
  const directory = dirname(secretPath(paths, "x"));
  return {
    async read(generation) {
      const file = secretPath(paths, generation);
      try {
        const stats = lstatSync(file);
        if (!stats.isFile()) throw new Error("it is no file");
        checkOwn(directory);
        if (stats.uid !== process.geteuid?.()) throw new Error(`it belongs to another user (uid ${stats.uid})`);
        const mode = stats.mode & 0o777;
        if ((mode & 0o077) !== 0) throw unusable(file, `others may read it (mode 0${mode.toString(8)})`, `chmod 600 ${typed(file)}`);
        return new Secret(readBounded(file, largestSecret).toString("utf8"));
      } catch (error) {
        if (isErrno(error) && error.code === "ENOENT") return undefined;
        throw error instanceof FlywheelError ? error : unusable(file, reasonOf(error), "flywheel login <endpoint>", error);
      }
    },
    async write(generation, secret) {
      const file = secretPath(paths, generation);
      try {
        mkdirSync(directory, { recursive: true, mode: 0o700 });
        checkOwn(directory);
        await writeFileAtomic(file, secret.reveal(), { mode: 0o600 });
      } catch (error) {
        throw error instanceof FlywheelError
          ? error
          : unusable(file, reasonOf(error), "set GF_STATE_DIR to a directory of your own", error);
      }
    },
    async remove(generation) {
      const file = secretPath(paths, generation);
      try {
        rmSync(file);
        return true;
      } catch (error) {
        if (isErrno(error) && error.code === "ENOENT") return false;
        throw unusable(file, reasonOf(error), `remove ${file}`, error);
      }
    },
  };
}

/** A login that is under way writes its secret, and a moment later the index: milliseconds. */
const underWay = 60_000;

/** Removes what a login that was killed half-way left: secrets that no entry of the index names. */
export function removeStray(paths: Paths, { entries }: CredentialIndex): void {
  const directory = dirname(secretPath(paths, "x"));
  if (!inspectRuntimeDirectory(directory).ok) return;
  const named = new Set(entries.map(({ generation }) => generation));
  for (const name of readdirSync(directory)) {
    const written = lstatSync(join(directory, name), { throwIfNoEntry: false })?.mtimeMs ?? Date.now();
    // Ours are a generation's name, and while they are being written that with more behind it.
    if (named.has(name) || !/^[0-9a-f]{32}(?:\.|$)/.test(name) || Date.now() - written < underWay) continue;
    rmSync(join(directory, name), { force: true });
  }
}

/** Whoever may write to the directory could put another secret in its place. */
function checkOwn(directory: string): void {
  const result = inspectRuntimeDirectory(directory);
  if (result.ok || result.fault === "absent") return;
  throw unusable(directory, result.message, mending(directory, result.fault));
}

/** Only an own directory's mode is its user's to change; chmod would go through a link, to where it points. */
function mending(directory: string, fault: Exclude<DirectoryFault, "absent">): string {
  const another = "set GF_STATE_DIR to a directory of your own";
  switch (fault) {
    case "mode":
      return `chmod 700 ${typed(directory)}`;
    case "owner":
      return another;
    case "symlink":
    case "not-directory":
      return `rm ${typed(directory)}, or ${another}`;
  }
}

function unusable(path: string, reason: string, next: string, cause?: unknown): FlywheelError {
  return new FlywheelError("credentials-unusable", `${path} cannot be used: ${reason}`, { next, cause });
}
