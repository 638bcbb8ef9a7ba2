/** What a helper answers that got no header from the daemon: the fleet's token for the hosts that the profile owns; without a daemon what is kept in a file. */
import { existsSync } from "node:fs";
import type { CredentialAnswer } from "../../contract/api.ts";
import { authorizationOf, endpointOf, hasExpired } from "../../contract/credential.ts";
import { type Asked, asksAbout } from "../../contract/credential-helper.ts";
import { type Environment, fleetEnvironment } from "../../contract/environment.ts";
import { FlywheelError } from "../../contract/errors.ts";
import { loginCommand } from "../../contract/login-command.ts";
import type { Paths } from "../../contract/paths.ts";
import { ambiguousToken, isReapiHost, projectedTokenPath, tokenAnswer, tokenSource } from "../../contract/reapi.ts";
import { readCredentials } from "../../daemon/api/client/credentials/index-file.ts";
import { credentialOf } from "../../daemon/api/client/credentials/open.ts";
import { loadProfile } from "../../daemon/api/client/settings.ts";
import { nameOf, readToken } from "../../shim/credentials/token.ts";

export interface Question {
  readonly paths: Paths;
  readonly env: Environment;
  readonly profile: string;
  readonly asked: Asked;
  /** Why the daemon could not be asked; undefined where it knows of no credential. */
  readonly absent: FlywheelError | undefined;
}

/**
 * @returns undefined for a host that nobody owns
 * @throws FlywheelError where there is a credential that cannot be had: a build without it would look like one with a dead cache
 */
export async function withoutDaemon({ paths, env, profile, asked, absent }: Question): Promise<CredentialAnswer | undefined> {
  const source = tokenSource(fleetEnvironment(env), existsSync(projectedTokenPath));
  // Of gRPC Bazel asks as https whatever the channel is; what it asks as http is a download, or an HTTP cache.
  if (source.kind !== "none" && asked.scheme === "https" && isReapiHost(loadProfile(paths, profile), asked.host)) {
    switch (source.kind) {
      case "ambiguous":
        throw ambiguousToken();
      case "inline":
      case "file":
        return tokenAnswer(readToken(source, env), nameOf(source), new Date());
    }
  }
  if (absent === undefined) return undefined;
  const owners = readCredentials(paths).entries.filter((entry) => {
    const endpoint = endpointOf(entry);
    return entry.profile === profile && entry.kind === "bazel" && endpoint !== undefined && asksAbout(asked, endpoint);
  });
  if (owners.length === 0) return undefined;
  // A runner has no daemon: a file can be read here as well. A keyring could ask somebody who is not there.
  const [owner] = owners;
  const inFile = owner !== undefined && owners.length === 1 && owner.how.scheme !== "mtls" && owner.how.store === "file";
  if (!inFile) throw absent;
  if (hasExpired(owner, new Date())) {
    throw new FlywheelError("credentials-unusable", `the credential of ${owner.endpoint} expired at ${owner.expires}`, {
      next: loginCommand(owner),
    });
  }
  const authorization = authorizationOf(await credentialOf(paths, owner), "bazel");
  return { headers: authorization === undefined ? {} : { Authorization: [authorization.reveal()] }, expires: owner.expires };
}
