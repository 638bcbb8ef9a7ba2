/**
 * The fleet's REAPI cells, which ask for a token that the environment names (the fleet's contract, "Auth"). Whoever runs
 * there has it; nothing is logged in to.
 */
import type { CredentialAnswer } from "./api.ts";
import { matchesGlob } from "./ci/glob.ts";
import { bearerToken, expiryOf } from "./credential.ts";
import type { FleetEnvironment } from "./environment.ts";
import { FlywheelError } from "./errors.ts";
import type { Profile } from "./profile.ts";
import { Secret } from "./secret.ts";

/** Where the fleet's pods find a REAPI token that nobody named (the BLOG copy's fallback). */
export const projectedTokenPath = "/var/run/secrets/tokens/gf-reapi-cell-token";

/** No token file is longer: bytes. */
export const largestTokenFile = 65_536;

/** A token ends this long before it does, so that no request is under way with one that has: milliseconds (the fleet's helper). */
const margin = 60_000;

/** Label by label: `*` stops at a dot, so that no pattern reaches into a domain of somebody else's. */
export function isReapiHost({ bazel }: Pick<Profile, "bazel">, host: string): boolean {
  const labels = host.split(".");
  return bazel.reapiHosts.some((pattern) => {
    const wanted = pattern.split(".");
    return wanted.length === labels.length && wanted.every((part, at) => matchesGlob(part, labels[at] ?? ""));
  });
}

export type TokenSource =
  | { readonly kind: "none" }
  /** Named twice. */
  | { readonly kind: "ambiguous" }
  | { readonly kind: "inline"; readonly variable: string }
  | { readonly kind: "file"; readonly path: string };

/** @param projected whether the projected token's file exists */
export function tokenSource({ tokenFile, inlineToken }: FleetEnvironment, projected: boolean): TokenSource {
  if (tokenFile !== undefined && inlineToken !== undefined) return { kind: "ambiguous" };
  if (tokenFile !== undefined) return { kind: "file", path: tokenFile };
  if (inlineToken !== undefined) return { kind: "inline", variable: "GF_REAPI_CREDENTIAL_HELPER_TOKEN" };
  return projected ? { kind: "file", path: projectedTokenPath } : { kind: "none" };
}

export function ambiguousToken(): FlywheelError {
  return new FlywheelError("credentials-unusable", "a REAPI token is given twice: inline and by file", {
    next: "unset GF_REAPI_CREDENTIAL_HELPER_TOKEN, keep the file",
  });
}

/**
 * The token, and until when it may be sent.
 * @param from where it came from, for messages
 * @throws FlywheelError `credentials-unusable` where it is no bearer token, or has ended
 */
export function tokenOf(text: string, from: string, now: Date): { readonly token: Secret; readonly until: Date | undefined } {
  const token = new Secret(text.trim());
  if (!bearerToken.test(token.reveal())) {
    throw new FlywheelError("credentials-unusable", `${from} holds no bearer token (RFC 6750)`, { next: `put a token into ${from}` });
  }
  const end = expiryOf(token);
  if (end === undefined) return { token, until: undefined };
  const until = new Date(end.getTime() - margin);
  if (until <= now) {
    throw new FlywheelError("credentials-unusable", `the token of ${from} ended, or ends within a minute (${end.toISOString()})`, {
      next: `renew ${from}`,
    });
  }
  return { token, until };
}

/** What a helper answers with a token. @throws FlywheelError as tokenOf does */
export function tokenAnswer(text: string, from: string, now: Date): CredentialAnswer {
  const { token, until } = tokenOf(text, from, now);
  return { headers: { Authorization: [`Bearer ${token.reveal()}`] }, expires: until?.toISOString() ?? null };
}
