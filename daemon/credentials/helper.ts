/** What a credential helper answers for a URI: which login it belongs to, if to any. Pure. */
import type { CredentialAnswer } from "../../contract/api.ts";
import type { Candidate } from "../../contract/candidate.ts";
import { authorizationOf, type CredentialEntry, endpointOf } from "../../contract/credential.ts";
import { type Asked, asksAbout } from "../../contract/credential-helper.ts";
import type { Endpoint, Scheme } from "../../contract/endpoint.ts";
import { FlywheelError } from "../../contract/errors.ts";
import { loginCommand } from "../../contract/login-command.ts";
import { span } from "../../contract/words.ts";
import type { KeptCredential } from "./kept.ts";

/** Under which scheme Bazel asks for an endpoint. */
const askedAs: Record<Scheme, Asked["scheme"]> = { grpc: "https", grpcs: "https", https: "https", http: "http" };

/**
 * Whether the URI is of this login: of its endpoint, or of a candidate's that is the same cache by discovery's own word.
 * @returns how long the path is that they share, since one host may serve several caches; undefined where it is of another
 */
export function reach(asked: Asked, entry: CredentialEntry, candidates: readonly Candidate[]): number | undefined {
  const own = endpointOf(entry);
  if (own === undefined || own.kind !== "bazel") return undefined;
  const paths = [own, ...candidates.flatMap(spellingsOf)]
    .filter((spelling) => askedAs[spelling.scheme] === asked.scheme && asksAbout(asked, spelling))
    .filter(({ path }) => asked.path === path || asked.path.startsWith(`${path}/`));
  return paths.length === 0 ? undefined : Math.max(...paths.map(({ path }) => path.length));
}

/** The endpoint, its aliases, and the addresses that discovery fixed for it. */
function spellingsOf({ endpoint, aliases, source }: Candidate): readonly Pick<Endpoint, "scheme" | "host" | "port" | "path">[] {
  const { scheme, port, path } = endpoint;
  const pinned = "pin" in source ? source.pin.map((host) => ({ scheme, host, port, path })) : [];
  return [endpoint, ...aliases, ...pinned];
}

/** @throws FlywheelError `credentials-unusable` where it has expired or cannot be read */
export function helperAnswer(entry: CredentialEntry, kept: KeptCredential): CredentialAnswer {
  switch (kept.state) {
    case "ready": {
      const authorization = authorizationOf(kept.credential, "bazel");
      const headers: CredentialAnswer["headers"] = authorization === undefined ? {} : { Authorization: [authorization.reveal()] };
      return { headers, expires: entry.expires };
    }
    case "expired":
    case "unreadable":
      throw unusable(entry, kept);
  }
}

/** Why what is kept cannot be used now. */
export function unusable(entry: CredentialEntry, kept: Exclude<KeptCredential, { state: "ready" }>): FlywheelError {
  const { endpoint } = entry;
  const login = loginCommand(entry);
  switch (kept.state) {
    case "expired": {
      const ago = span((Date.now() - Date.parse(kept.expires)) / 1000);
      return new FlywheelError("credentials-unusable", `the credential of ${endpoint} expired ${ago} ago`, { next: login });
    }
    case "unreadable":
      return new FlywheelError("credentials-unusable", `the credential of ${endpoint} cannot be read: ${kept.reason}`, {
        next: kept.next ?? login,
      });
  }
}
