/**
 * What Bazel would have taken from the user's netrc without us. A helper's answer, an empty one too, keeps Bazel from asking
 * any further (CredentialHelperCredentials): a private archive on a cache's own host would lose its password.
 */
import { join } from "node:path";
import type { CredentialAnswer } from "../../contract/api.ts";
import { authorizationOf } from "../../contract/credential.ts";
import type { Asked } from "../../contract/credential-helper.ts";
import type { Environment } from "../../contract/environment.ts";
import { netrcLogin } from "../../contract/netrc.ts";
import { readBounded } from "../../daemon/api/client/bounded.ts";

/** A longer one is a mistake: bytes. */
const largest = 1_048_576;

/** @returns undefined where there is none, where it cannot be read, and where it does not know the host */
export function ownNetrc({ host }: Asked, env: Environment, home: string): CredentialAnswer | undefined {
  const found = netrcLogin(textOf(env["NETRC"] || join(home, ".netrc")), host);
  if (found === undefined) return undefined;
  const authorization = authorizationOf({ scheme: "basic", user: found.login, password: found.password }, "bazel");
  return authorization === undefined ? undefined : { headers: { Authorization: [authorization.reveal()] }, expires: null };
}

function textOf(file: string): string {
  try {
    return readBounded(file, largest).toString("utf8");
  } catch {
    return "";
  }
}
