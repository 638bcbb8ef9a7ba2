/** What a source hands to discovery, and the pieces of URL that the sources share. */
import type { Candidate, Rejection } from "../../contract/candidate.ts";
import { type Endpoint, parseEndpoint, type Tool } from "../../contract/endpoint.ts";
import type { Port } from "../../contract/ports.ts";
import { mostAliases } from "../../contract/published.ts";

export interface Finding {
  readonly candidates: readonly Candidate[];
  readonly rejections: readonly Rejection[];
}

/** At most so many of a kind, however many the tailnet offers; what is left out is counted in a rejection. */
export const mostFound = { candidates: 64, rejections: 256 } as const;

/** The endpoint at a host, or undefined where the host is none. A scheme's own port is not written. */
function endpointAt(kind: Tool, host: string, at: Port): Endpoint | undefined {
  const shownHost = host.includes(":") ? `[${host}]` : host;
  const own = (at.scheme === "http" && at.port === 80) || (at.scheme === "https" && at.port === 443);
  const result = parseEndpoint(`${at.scheme}://${shownHost}${own ? "" : `:${at.port}`}${at.path}`, kind);
  return result.ok ? result.endpoint : undefined;
}

/**
 * Names and addresses under which one port is offered, as an endpoint and its aliases. TLS is by name
 * (the certificate is), and has no other spelling; plaintext is by address, since Bazel resolves a name
 * itself, later, elsewhere.
 * @param name a MagicDNS name
 * @param addresses at least one, the one to dial first
 */
export function spellings(
  kind: Tool,
  name: string,
  addresses: readonly string[],
  at: Port,
): { readonly endpoint: Endpoint; readonly aliases: readonly Endpoint[] } | undefined {
  const [address, ...others] = addresses;
  if (address === undefined) return undefined;
  const tls = at.scheme === "https" || at.scheme === "grpcs";
  const endpoint = endpointAt(kind, tls ? name : address, at);
  if (endpoint === undefined) return undefined;
  if (tls) return { endpoint, aliases: [] };
  const hosts = [name, name.split(".")[0] ?? name, ...others];
  const aliases = hosts.flatMap((host) => endpointAt(kind, host, at) ?? []);
  return { endpoint, aliases: unique(aliases.filter((alias) => alias.url !== endpoint.url)).slice(0, mostAliases) };
}

export function unique(endpoints: readonly Endpoint[]): readonly Endpoint[] {
  return [...new Map(endpoints.map((endpoint) => [endpoint.url, endpoint])).values()];
}

/** Whether a MagicDNS name can stand in a URL. */
export function isHostName(name: string): boolean {
  return parseEndpoint(`http://${name}`, "nix").ok;
}
