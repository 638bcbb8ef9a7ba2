import { type Endpoint, isTls } from "../../contract/endpoint.ts";

/** Where one climb goes: an endpoint, at the one address that is dialled for it. */
export interface Place {
  readonly endpoint: Endpoint;
  readonly address: string;
  /** As messages name it: `100.64.0.5:9092`, or `cache.example:443 (100.64.0.5)`. */
  readonly shown: string;
}

export function placeOf(endpoint: Endpoint, address: string): Place {
  const host = endpoint.host.includes(":") ? `[${endpoint.host}]` : endpoint.host;
  const shown = `${host}:${endpoint.port}`;
  return { endpoint, address, shown: endpoint.host === address ? shown : `${shown} (${address})` };
}

/** The key of what is kept warm for a place. */
export function keyOf(place: Place): string {
  return `${place.endpoint.kind} ${place.endpoint.url} ${place.address}`;
}

/** The same host and port under another scheme. */
export function underScheme(endpoint: Endpoint, plain: "grpc" | "http"): string {
  const host = endpoint.host.includes(":") ? `[${endpoint.host}]` : endpoint.host;
  return `${plain}${isTls(endpoint) ? "s" : ""}://${host}:${endpoint.port}`;
}
