/** A place where secrets are kept, each under the name of its login's generation. */
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
