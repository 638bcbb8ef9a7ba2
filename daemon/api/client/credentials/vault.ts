/** Where secrets are kept, each under the name of its login's generation. */
import type { Credential, CredentialEntry, SecretStore } from "../../../../contract/credential.ts";
import { FlywheelError } from "../../../../contract/errors.ts";
import { loginCommand } from "../../../../contract/login-command.ts";
import type { Paths } from "../../../../contract/paths.ts";
import type { Secret } from "../../../../contract/secret.ts";

/**
 * Every method throws FlywheelError: `keyring-missing`, `keyring-locked` or `keyring-denied` where the system's keyring
 * cannot be used, `credentials-unusable` where a file cannot.
 */
export interface Vault {
  /** undefined: it is there and holds no such secret. */
  read(generation: string): Promise<Secret | undefined>;
  write(generation: string, secret: Secret): Promise<void>;
  /** @returns whether there was one */
  remove(generation: string): Promise<boolean>;
}

/** The keyring's native part is loaded only where it is meant. */
export async function vaultOf(paths: Paths, store: SecretStore): Promise<Vault> {
  switch (store) {
    case "keyring": {
      const { keyringVault } = await import("./keyring.ts");
      return keyringVault();
    }
    case "file": {
      const { fileVault } = await import("./files.ts");
      return fileVault(paths);
    }
  }
}

/**
 * The credential of an entry, its secret read from where it is kept.
 * @throws FlywheelError as Vault does; `credentials-unusable` where the secret is gone
 */
export async function credentialOf(paths: Paths, entry: CredentialEntry): Promise<Credential> {
  const { how, generation, endpoint } = entry;
  if (how.scheme === "mtls") return how;
  const secret = await (await vaultOf(paths, how.store)).read(generation);
  if (secret === undefined) {
    throw new FlywheelError("credentials-unusable", `the ${how.store} no longer holds the secret of ${endpoint}`, {
      next: loginCommand(entry),
    });
  }
  return how.scheme === "bearer" ? { scheme: "bearer", token: secret } : { scheme: "basic", user: how.user, password: secret };
}
