import { authorizationOf } from "../../contract/credential.ts";
import { type Endpoint, isLoopback, isTls } from "../../contract/endpoint.ts";
import type { KeptCredential } from "../credentials/kept.ts";
import type { ProbeContext } from "./context.ts";

/** Where one climb goes, an endpoint at the one address that is dialled for it, and what is kept for it. */
export interface Place {
  readonly endpoint: Endpoint;
  readonly address: string;
  /** As messages name it: `100.64.0.5:9092`, or `cache.example:443 (100.64.0.5)`. */
  readonly shown: string;
  /** Absent where the user is not logged in there. */
  readonly kept?: KeptCredential | undefined;
  /** Whose probe it is, for what to type; the default one where absent. */
  readonly profile?: string | undefined;
}

export function placeOf(endpoint: Endpoint, address: string, user: Pick<Place, "kept" | "profile"> = {}): Place {
  const host = endpoint.host.includes(":") ? `[${endpoint.host}]` : endpoint.host;
  const shown = `${host}:${endpoint.port}`;
  const { kept, profile } = user;
  return { kept, profile, endpoint, address, shown: endpoint.host === address ? shown : `${shown} (${address})` };
}

/** The key of what is kept warm for a place: a connection never serves two logins. */
export function keyOf(place: Place): string {
  return `${place.endpoint.kind} ${place.endpoint.url} ${place.address} ${loginOf(place) ?? "anonymous"}`;
}

/** The login that is used at a place; undefined where nothing is sent. */
export function loginOf({ kept }: Place): string | undefined {
  return kept?.state === "ready" ? kept.generation : undefined;
}

/** The Authorization header of every request at a place; undefined where there is none. */
export function authorizationAt({ kept, endpoint }: Place): string | undefined {
  return kept?.state === "ready" ? authorizationOf(kept.credential, endpoint.kind)?.reveal() : undefined;
}

/** Whether what is kept would leave this machine for whoever is on the way to read. A client certificate goes with TLS alone. */
export function sentInPlainText(endpoint: Endpoint, { kept, ownCluster }: Pick<ProbeContext, "kept" | "ownCluster">): boolean {
  const secret = kept?.state === "ready" && kept.credential.scheme !== "mtls";
  return secret && ownCluster !== true && !isTls(endpoint) && !isLoopback(endpoint.host);
}

/** The same host and port under another scheme. */
export function underScheme(endpoint: Endpoint, plain: "grpc" | "http"): string {
  const host = endpoint.host.includes(":") ? `[${endpoint.host}]` : endpoint.host;
  return `${plain}${isTls(endpoint) ? "s" : ""}://${host}:${endpoint.port}`;
}
