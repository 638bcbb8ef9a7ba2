/** What a helper answers that got no header from the daemon: the fleet's token files for the hosts that the profile owns, or nothing. */
import { existsSync } from "node:fs";
import type { CredentialAnswer } from "../../contract/api.ts";
import { endpointOf } from "../../contract/credential.ts";
import { type Asked, asksAbout } from "../../contract/credential-helper.ts";
import { type Environment, fleetEnvironment } from "../../contract/environment.ts";
import { FlywheelError } from "../../contract/errors.ts";
import type { Paths } from "../../contract/paths.ts";
import { ambiguousToken, isReapiHost, largestTokenFile, projectedTokenPath, tokenAnswer, tokenSource } from "../../contract/reapi.ts";
import { readBounded } from "../../daemon/api/client/bounded.ts";
import { readCredentials } from "../../daemon/api/client/credentials/index-file.ts";
import { reasonOf } from "../../daemon/api/client/directory.ts";
import { loadProfile } from "../../daemon/api/client/settings.ts";

export interface Question {
  readonly paths: Paths;
  readonly env: Environment;
  readonly asked: Asked;
  /** Why the daemon could not be asked; undefined where it knows of no credential. */
  readonly absent: FlywheelError | undefined;
}

/**
 * @returns undefined for a host that nobody owns
 * @throws FlywheelError where there is a credential that cannot be had: a build without it would look like one with a dead cache
 */
export function withoutDaemon({ paths, env, asked, absent }: Question): CredentialAnswer | undefined {
  const source = tokenSource(fleetEnvironment(env), existsSync(projectedTokenPath));
  if (source.kind !== "none" && isReapiHost(loadProfile(paths, env["GF_PROFILE"] || "default"), asked.host)) {
    switch (source.kind) {
      case "ambiguous":
        throw ambiguousToken();
      case "inline":
        return tokenAnswer(env[source.variable] ?? "", source.variable, new Date());
      case "file":
        return tokenAnswer(readToken(source.path), source.path, new Date());
    }
  }
  if (absent === undefined) return undefined;
  const owned = readCredentials(paths).entries.some((entry) => {
    const endpoint = endpointOf(entry);
    return endpoint !== undefined && asksAbout(asked, endpoint);
  });
  if (owned) throw absent;
  return undefined;
}

function readToken(path: string): string {
  try {
    return readBounded(path, largestTokenFile).toString("utf8");
  } catch (error) {
    throw new FlywheelError("credentials-unusable", `the token file ${path} cannot be read: ${reasonOf(error)}`, {
      next: "put the token there, or unset GF_REAPI_CREDENTIAL_HELPER_TOKEN_FILE",
      cause: error,
    });
  }
}
