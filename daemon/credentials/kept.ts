/** What is kept for one endpoint, as far as anybody may use it now, and the login that would renew it. */
import type { Credential, CredentialScheme } from "../../contract/credential.ts";
import type { Login } from "../../contract/login-command.ts";

export type KeptCredential =
  /** `generation` names the login; what was given for one probe alone has neither that nor a time, nor a login of its own. */
  | {
      readonly state: "ready";
      readonly credential: Credential;
      readonly since: string | undefined;
      readonly generation: string;
      readonly login?: Login;
    }
  /** Never sent. Times are ISO 8601. */
  | {
      readonly state: "expired";
      readonly scheme: CredentialScheme;
      readonly login: Login;
      readonly since: string;
      readonly expires: string;
    }
  /** Its secret is where it cannot be read: a keyring that is locked, a file that is gone. */
  | {
      readonly state: "unreadable";
      readonly scheme: CredentialScheme;
      readonly login: Login;
      readonly since: string;
      readonly reason: string;
      readonly next: string | undefined;
    };

/** For one probe alone: nobody has kept it yet. */
export function given(credential: Credential): KeptCredential {
  return { state: "ready", credential, since: undefined, generation: "given" };
}
