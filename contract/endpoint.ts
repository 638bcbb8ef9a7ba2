/**
 * An endpoint: one URL of one cache, valid by construction. Its text reaches sh, Bazel flags and
 * NIX_CONFIG, so the grammar is far stricter than a URL's: no userinfo, query, fragment, escapes,
 * quotes or spaces, and an explicit host. sh matches the same grammar (shim/fast-path).
 */
export type Tool = "bazel" | "nix";

export const bazelSchemes = ["grpc", "grpcs", "http", "https"] as const;
const nixSchemes = ["http", "https"] as const;
export type Scheme = (typeof bazelSchemes)[number];

declare const valid: unique symbol;

export interface Endpoint {
  readonly [valid]: true;
  readonly kind: Tool;
  readonly scheme: Scheme;
  /** Lower case; an IPv6 address without its brackets. */
  readonly host: string;
  /** Always set: the scheme's own port where the URL names none. */
  readonly port: number;
  /** Empty, or begins with `/` and does not end with one. */
  readonly path: string;
  /** The canonical URL: what is published, compared and handed to the tools. */
  readonly url: string;
}

export type EndpointFault =
  | "empty"
  | "too-long"
  | "scheme"
  | "no-host"
  | "userinfo"
  | "placeholder"
  | "host"
  | "port"
  | "path"
  | "character";

export type EndpointResult = { ok: true; endpoint: Endpoint } | { ok: false; fault: EndpointFault; message: string };

const longest = 512;
/** The port of a URL that names none. */
export const defaultPort: Readonly<Record<Scheme, number>> = { grpc: 80, grpcs: 443, http: 80, https: 443 };

function fail(fault: EndpointFault, message: string): EndpointResult {
  return { ok: false, fault, message };
}

/**
 * Parses and canonicalises one endpoint.
 * @param text the URL as somebody wrote it
 * @param kind what it is an endpoint of: Bazel takes grpc, grpcs, http, https; Nix http and https
 * @returns the endpoint, or which rule of the grammar the text breaks; never throws
 */
export function parseEndpoint(text: string, kind: Tool): EndpointResult {
  if (text === "") return fail("empty", "the endpoint is empty");
  if (text.length > longest) return fail("too-long", `the endpoint is longer than ${longest} characters`);
  if (holdsPlaceholder(text)) return fail("placeholder", "the endpoint holds a placeholder that nothing expanded");
  if (/[^A-Za-z0-9.:/_@[\]~-]/.test(text)) return fail("character", "the endpoint holds a character that no endpoint needs");
  const match = /^([A-Za-z][A-Za-z0-9+.-]*):\/\/([^/]*)(\/.*)?$/.exec(text);
  const schemes: readonly string[] = kind === "bazel" ? bazelSchemes : nixSchemes;
  const scheme = match?.[1]?.toLowerCase() ?? "";
  if (match === null || !schemes.includes(scheme)) return fail("scheme", `the scheme must be one of ${schemes.join(", ")}`);
  const authority = match[2] ?? "";
  if (authority.includes("@")) return fail("userinfo", "credentials do not belong in an endpoint");
  if (authority === "" || authority.startsWith(":")) return fail("no-host", "the endpoint has no host");
  const split = /^(?:\[([0-9A-Fa-f:.]+)\]|([^:[\]]+))(?::(\d+))?$/.exec(authority);
  if (split === null) return fail("host", "the host is not a name or an address");
  const host = (split[1] ?? split[2] ?? "").toLowerCase();
  if (split[1] === undefined ? !validName(host) : !validIpv6(host)) return fail("host", "the host is not a name or an address");
  const port = split[3] === undefined ? defaultPort[scheme as Scheme] : Number(split[3]);
  if (port < 1 || port > 65_535 || (split[3]?.length ?? 0) > 5) return fail("port", "the port must be 1 to 65535");
  const path = (match[3] ?? "").replace(/\/+$/, "");
  if (/\/\/|\/\.{1,2}(?:\/|$)|@|[[\]]/.test(path)) return fail("path", "the path must be plain");
  if (path !== "" && scheme.startsWith("grpc")) return fail("path", "a gRPC endpoint has no path");
  const shownHost = split[1] === undefined ? host : `[${canonicalIpv6(host)}]`;
  const shownPort = split[3] === undefined ? "" : `:${port}`;
  const endpoint = {
    kind,
    scheme: scheme as Scheme,
    host: split[1] === undefined ? host : canonicalIpv6(host),
    port,
    path,
    url: `${scheme}://${shownHost}${shownPort}${path}`,
  };
  return { ok: true, endpoint: endpoint as Endpoint };
}

/** Whether a text still holds a variable, or Bazel's `%workspace%`: what expands neither takes it as it stands. */
export function holdsPlaceholder(text: string): boolean {
  return /[{}]|\$[A-Za-z_(]|%workspace%/.test(text);
}

/** Whether two endpoints are one: scheme, host, port (explicit or not) and path agree. */
export function sameEndpoint(a: Endpoint, b: Endpoint): boolean {
  return a.kind === b.kind && a.scheme === b.scheme && a.host === b.host && a.port === b.port && a.path === b.path;
}

export function isTls(endpoint: Endpoint): boolean {
  return endpoint.scheme === "grpcs" || endpoint.scheme === "https";
}

const hostsFileNames = new Set([
  ...["localhost", "localhost.localdomain", "ip6-localhost", "ip6-loopback"],
  ...["localhost4", "localhost4.localdomain4", "localhost6", "localhost6.localdomain6"],
]);

/** What somebody wrote as an endpoint, without the credentials that may stand in it: for messages. */
export function withoutCredentials(text: string): string {
  return text.replace(/\/\/[^/]*@/, "//…@");
}

/** `grpc://<redacted>:9092`: enough to recognise, nothing to leak (bazel-cache-contract.sh's habit). */
export function redacted(endpoint: Endpoint): string {
  return `${endpoint.scheme}://<redacted>:${endpoint.port}`;
}

/**
 * localhost, 127/8, ::1, the unspecified addresses, their IPv4-mapped spellings, and the names that the hosts
 * files of Debian and Fedora give them.
 */
export function isLoopback(host: string): boolean {
  const name = host
    .toLowerCase()
    .replace(/^\[|\]$/g, "")
    .replace(/\.$/, "");
  if (hostsFileNames.has(name) || name.endsWith(".localhost")) return true;
  if (/^127(?:\.\d{1,3}){0,3}$/.test(name) || /^0(?:\.0){0,3}$/.test(name)) return true;
  if (!name.includes(":")) return false;
  const canonical = canonicalIpv6(name);
  if (canonical === "::1" || canonical === "::") return true;
  // IPv4-mapped, as URL prints it: ::ffff:7f00:1 is 127.0.0.1
  return /^::ffff:(?:7f[0-9a-f]{2}:[0-9a-f]{1,4}|0:0)$/.test(canonical);
}

/** Whether the text is a dotted-quad or IPv6 address rather than a name. */
/**
 * Whether a host is how a pod names a Service of its own cluster: `name`, `name.namespace.svc`, `name.namespace.svc.cluster.local`
 * (Kubernetes, "DNS for Services and Pods").
 */
export function isClusterService(host: string): boolean {
  return /^[a-z0-9-]+(?:\.[a-z0-9-]+\.svc(?:\.cluster\.local)?)?$/.test(host) && !isLoopback(host);
}

export function isAddress(host: string): boolean {
  return validIpv4(host) || validIpv6(host);
}

function validIpv4(host: string): boolean {
  const parts = host.split(".");
  return parts.length === 4 && parts.every((part) => /^(?:0|[1-9]\d{0,2})$/.test(part) && Number(part) < 256);
}

function validIpv6(host: string): boolean {
  return host.includes(":") && URL.canParse(`http://[${host}]/`);
}

function canonicalIpv6(host: string): string {
  return URL.canParse(`http://[${host}]/`) ? new URL(`http://[${host}]/`).hostname.slice(1, -1) : host;
}

/**
 * RFC 1123 labels, a last dot allowed. A host that ends in a number is a proper dotted quad or nothing, since
 * resolvers read the rest as addresses too: 127.1, 0x7f.1 and 127.0.0x1 are all 127.0.0.1 (inet_aton; the rule
 * is the WHATWG URL Standard's "ends in a number").
 */
function validName(host: string): boolean {
  if (/(?:^|\.)(?:\d+|0x[0-9a-f]*)\.?$/.test(host)) return validIpv4(host);
  const name = host.replace(/\.$/, "");
  return name.length <= 253 && name.split(".").every((label) => /^[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?$/.test(label));
}
