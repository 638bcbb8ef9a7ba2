/** What a helper answers that got no header from the daemon: the fleet's token files for the hosts that the profile owns, or nothing. */
import { existsSync } from "node:fs";
import type { CredentialAnswer } from "../../contract/api.ts";
import { endpointOf } from "../../contract/credential.ts";
import { type Asked, asksAbout } from "../../contract/credential-helper.ts";
import { type Environment, fleetEnvironment } from "../../contract/environment.ts";
import type { FlywheelError } from "../../contract/errors.ts";
import type { Paths } from "../../contract/paths.ts";
import { ambiguousToken, isReapiHost, projectedTokenPath, tokenAnswer, tokenSource } from "../../contract/reapi.ts";
import { readCredentials } from "../../daemon/api/client/credentials/index-file.ts";
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
export function withoutDaemon({ paths, env, profile, asked, absent }: Question): CredentialAnswer | undefined {
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
  const owned = readCredentials(paths).entries.some((entry) => {
    const endpoint = endpointOf(entry);
    return entry.profile === profile && endpoint !== undefined && asksAbout(asked, endpoint);
  });
  if (owned) throw absent;
  return undefined;
}
