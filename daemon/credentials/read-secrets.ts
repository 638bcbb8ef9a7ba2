/** `flywheeld secrets`: reads secrets for the daemon and ends. The keyring's native part, and whatever it asks of the user, live here alone. */
import type { CredentialEntry } from "../../contract/credential.ts";
import { readCredential, writeCredential } from "../../contract/credential-wire.ts";
import { FlywheelError, messageOf } from "../../contract/errors.ts";
import { loginCommand } from "../../contract/login-command.ts";
import type { Paths } from "../../contract/paths.ts";
import { readCredentials } from "../api/client/credentials/index-file.ts";
import { credentialOf } from "../api/client/credentials/open.ts";
import type { ReadSecret } from "./child.ts";

/**
 * @param generations of the logins whose secrets are wanted
 * @param tell called with each, as soon as it is known
 */
export async function readSecrets(paths: Paths, generations: readonly string[], tell: (secret: ReadSecret) => void): Promise<void> {
  const { entries } = readCredentials(paths);
  /** A keyring that would not be opened for one is not asked for the next: each asking may open a dialog. */
  let closed: FlywheelError | undefined;
  for (const generation of generations) {
    const entry = entries.find((one) => one.generation === generation);
    if (entry === undefined) continue;
    const inKeyring = entry.how.scheme !== "mtls" && entry.how.store === "keyring";
    const fault = inKeyring ? closed : undefined;
    const read = fault === undefined ? await attempt(paths, entry) : { fault };
    if ("fault" in read) {
      const { code, message, next } = read.fault;
      if (inKeyring && code.startsWith("keyring-")) closed = read.fault;
      // The keyring is nobody's in particular; who reads it has to log in to this one.
      tell({
        generation,
        ok: false,
        reason: message,
        next: next === undefined ? null : next.replace("flywheel login <endpoint>", () => loginCommand(entry)),
      });
    } else tell({ generation, ok: true, credential: read.text });
  }
}

const changed = "it is not as flywheel login kept it: empty, damaged, or changed by another program";

/** Whether whoever reads it from the pipe takes it: there its fault could not be told. */
function isWhole(text: string): boolean {
  try {
    readCredential(text);
    return true;
  } catch {
    return false;
  }
}

async function attempt(paths: Paths, entry: CredentialEntry): Promise<{ readonly text: string } | { readonly fault: FlywheelError }> {
  try {
    const text = writeCredential(await credentialOf(paths, entry)).reveal();
    return isWhole(text) ? { text } : { fault: new FlywheelError("credentials-unusable", changed, { next: loginCommand(entry) }) };
  } catch (error) {
    return { fault: error instanceof FlywheelError ? error : new FlywheelError("internal", messageOf(error), { cause: error }) };
  }
}
