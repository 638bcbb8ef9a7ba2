/** The fleet's REAPI token, read from where the environment names it. */
import type { Environment } from "../../contract/environment.ts";
import { FlywheelError } from "../../contract/errors.ts";
import { largestTokenFile, type TokenSource } from "../../contract/reapi.ts";
import { readBounded } from "../../daemon/api/client/bounded.ts";
import { reasonOf } from "../../daemon/api/client/errno.ts";

export type NamedToken = Extract<TokenSource, { kind: "inline" | "file" }>;

/** Where it comes from, for messages. */
export function nameOf(source: NamedToken): string {
  return source.kind === "inline" ? source.variable : source.path;
}

/**
 * @returns the text as it stands there: whether it is a token, contract/reapi.ts says
 * @throws FlywheelError `credentials-unusable` where the file cannot be read
 */
export function readToken(source: NamedToken, env: Environment): string {
  if (source.kind === "inline") return env[source.variable] ?? "";
  const { path } = source;
  try {
    return readBounded(path, largestTokenFile).toString("utf8");
  } catch (error) {
    throw new FlywheelError("credentials-unusable", `the token file ${path} cannot be read: ${reasonOf(error)}`, {
      next: "put the token there, or unset GF_REAPI_CREDENTIAL_HELPER_TOKEN_FILE",
      cause: error,
    });
  }
}
