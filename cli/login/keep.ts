/** Keeps a login, and forgets one. */
import { chmodSync, readdirSync, rmSync } from "node:fs";
import { dirname, join } from "node:path";
import { type CredentialEntry, type CredentialIndex, endpointOf, type SecretStore } from "../../contract/credential.ts";
import { sameEndpoint } from "../../contract/endpoint.ts";
import { type ErrorCode, FlywheelError } from "../../contract/errors.ts";
import { loginCommand } from "../../contract/login-command.ts";
import { generationPath, type Paths, secretPath } from "../../contract/paths.ts";
import { typed } from "../../contract/quote.ts";
import type { Secret } from "../../contract/secret.ts";
import { printable } from "../../contract/text.ts";
import { removeStray } from "../../daemon/api/client/credentials/files.ts";
import { changeCredentials, readCredentials } from "../../daemon/api/client/credentials/index-file.ts";
import { vaultOf } from "../../daemon/api/client/credentials/open.ts";
import type { Vault } from "../../daemon/api/client/credentials/vault.ts";
import { inspectRuntimeDirectory } from "../../daemon/api/client/directory.ts";
import { isErrno, reasonOf } from "../../daemon/api/client/errno.ts";

/**
 * Writes the secret, then the index, then removes the secret that nobody needs any more: whoever reads meanwhile finds
 * either login whole.
 * @param secret undefined for a certificate, whose files stay where they are
 * @param chosen where secrets go from now on; undefined: as before
 * @returns what of an earlier login could not be removed, in words
 * @throws FlywheelError where it cannot be kept: then all is as it was
 */
export async function keep(
  paths: Paths,
  entry: CredentialEntry,
  { secret, chosen }: { readonly secret: Secret | undefined; readonly chosen: SecretStore | undefined },
): Promise<readonly string[]> {
  const vault = entry.how.scheme === "mtls" ? undefined : await vaultOf(paths, entry.how.store);
  if (vault !== undefined && secret !== undefined) await write(vault, entry, secret);
  let replaced: readonly CredentialEntry[] = [];
  try {
    await changeCredentials(paths, (index) => {
      replaced = index.entries.filter((one) => isSameLogin(one, entry));
      const others = index.entries.filter((one) => !replaced.includes(one));
      return { ...index, store: chosen ?? index.store, entries: [...others, entry] };
    });
  } catch (error) {
    await vault?.remove(entry.generation).catch(() => {
      // The first error is the one to tell.
    });
    throw error;
  }
  tidy(paths);
  return (await Promise.all(replaced.map((one) => removeSecret(paths, one)))).filter((left) => left !== undefined);
}

/**
 * Removes entries from the index, then their secrets.
 * @returns what could not be removed, in words
 * @throws FlywheelError `credentials-unusable` where the index cannot be changed: then all is as it was
 */
export async function forget(paths: Paths, entries: readonly CredentialEntry[]): Promise<readonly string[]> {
  const gone = new Set(entries.map(({ generation }) => generation));
  const without = (index: CredentialIndex): CredentialIndex => ({
    ...index,
    entries: index.entries.filter(({ generation }) => !gone.has(generation)),
  });
  await changeCredentials(paths, without);
  tidy(paths);
  return (await Promise.all(entries.map((entry) => removeSecret(paths, entry)))).filter((left) => left !== undefined);
}

/** What cannot be tidied now is found the next time. */
function tidy(paths: Paths): void {
  try {
    removeStray(paths, readCredentials(paths));
  } catch {
    // The login itself is whole.
  }
}

/**
 * What tools read from files, of these logins: at once, since the 24 h are for builds that go on, and these are over.
 * @returns what could not be removed, in words
 */
export function removeGenerations(paths: Paths, entries: readonly CredentialEntry[]): readonly string[] {
  const parent = dirname(generationPath(paths, "x"));
  // With what a daemon that was killed had begun, and nobody can tell for whom.
  const begins = [...entries.map(({ generation }) => `${generation}-`), ".new-"];
  let names: readonly string[];
  try {
    names = readdirSync(parent).filter((name) => begins.some((each) => name.startsWith(each)));
  } catch (error) {
    if (isErrno(error) && (error.code === "ENOENT" || error.code === "ENOTDIR")) return [];
    return [stillIn(parent, `it cannot be read (${reasonOf(error)})`, `chmod 700 ${typed(parent)}, then flywheel up, which removes it`)];
  }
  if (names.length === 0) return [];
  // In one that others may write to, what has our names could be anything.
  const found = inspectRuntimeDirectory(parent);
  if (!found.ok) {
    // Only what is there: to zsh a pattern without a match is an error.
    const there = begins.filter((each) => names.some((name) => name.startsWith(each)));
    const doomed = there.map((each) => `${typed(parent)}/${each}*`).join(" ");
    return [stillIn(parent, found.message, `look, then ${found.fault === "owner" ? "sudo " : ""}rm -rf ${doomed}`)];
  }
  const left: string[] = [];
  for (const name of names) {
    const directory = join(parent, name);
    try {
      chmodSync(directory, 0o700);
      rmSync(directory, { recursive: true, force: true });
    } catch {
      left.push(`${directory} could not be removed: remove it yourself`);
    }
  }
  return left;
}

function stillIn(parent: string, reason: string, next: string): string {
  return `the secret that tools were given to read is still in ${printable(parent, 4096)}: ${reason} (next: ${next})`;
}

/** The one that is there may be locked by now: what is left is told, with where it lies. */
async function removeSecret(paths: Paths, { how, generation, endpoint }: CredentialEntry): Promise<string | undefined> {
  if (how.scheme === "mtls") return undefined;
  try {
    await (await vaultOf(paths, how.store)).remove(generation);
    return undefined;
  } catch (error) {
    if (!(error instanceof FlywheelError)) throw error;
    const place = how.store === "file" ? secretPath(paths, generation) : `the keyring (service gloriousflywheel, user ${generation})`;
    const next = how.store === "file" ? "" : ` (next: where it is open: ${clearing(generation)})`;
    return `the secret of ${endpoint} is still in ${place}: ${error.message}${next}`;
  }
}

/** The system's own command: the login is forgotten by then, and flywheel knows of no such secret any more. */
function clearing(generation: string): string {
  return process.platform === "darwin"
    ? `security delete-generic-password -s gloriousflywheel -a ${generation}`
    : `secret-tool clear service gloriousflywheel username ${generation}`;
}

/** Where the keyring cannot be had, the whole of what to type instead. */
async function write(vault: Vault, entry: CredentialEntry, secret: Secret): Promise<void> {
  try {
    await vault.write(entry.generation, secret);
  } catch (error) {
    const first = error instanceof FlywheelError ? instead(error.code) : undefined;
    if (!(error instanceof FlywheelError) || first === undefined) throw error;
    throw new FlywheelError(error.code, `nothing was kept: ${error.message}`, {
      next: `${first} secrets in files of yours (0600), from now on: ${loginCommand(entry)} --store file`,
      cause: error,
    });
  }
}

function instead(code: ErrorCode): string | undefined {
  switch (code) {
    case "keyring-missing":
      return "without a desktop, keep";
    case "keyring-locked":
      return "unlock it and log in again, or keep";
    case "keyring-denied":
      return "allow it in the keyring, or keep";
    default:
      return undefined;
  }
}

function isSameLogin(a: CredentialEntry, b: CredentialEntry): boolean {
  const [one, other] = [endpointOf(a), endpointOf(b)];
  return a.profile === b.profile && one !== undefined && other !== undefined && sameEndpoint(one, other);
}
