/**
 * Bazel's credential helpers: how one is named to Bazel, and the protocol between the two. A helper is called with `get`,
 * reads `{"uri":"https://host:port/…"}` and answers `{"headers":{…},"expires":"…"}` (bazelbuild/proposals
 * 2022-06-07-bazel-credential-helpers; EngFlow's credential-helper-spec, which added `expires`).
 */
import type { CredentialAnswer } from "./api.ts";
import { defaultPort, type Endpoint } from "./endpoint.ts";
import { FlywheelError } from "./errors.ts";

/** An absolute path in plain characters: it ends up in shells, flags and rc files. */
export const plainPath: RegExp = /^\/[A-Za-z0-9._/+@,=:-]{1,1024}$/;

/** What Bazel takes as a pattern of hosts (CredentialHelperProvider): no single label, no IPv6 address. */
const bazelPattern = /^(?:\*|[-a-zA-Z0-9]+)(?:\.[-a-zA-Z0-9]+)+$/;

/** Where URL reads a host out of less, as browsers must, Java's URI reads none or another one: `http:\\\\host`, `http:host`, tabs. */
const plainUri = /^[a-z][a-z0-9+.-]*:\/\/[!-[\]-~]+$/i;

/** One question is never longer: bytes. */
export const longestQuestion = 65_536;

/** The option that names a helper for a host, or for every host where Bazel's pattern cannot say this one. */
export function helperFlag(path: string, host: string): string {
  return bazelPattern.test(host) ? `--credential_helper=${host}=${path}` : `--credential_helper=${path}`;
}

/**
 * The lines of BAZEL_CREDENTIAL_HELPER (the fleet's contract, "Auth"): `/path` or `scope=/path`, one a line.
 * @returns undefined where one of them is neither
 */
export function helperLines(text: string): readonly string[] | undefined {
  const lines = text.replace(/\n$/, "").split("\n");
  const right = lines.every((line) => {
    const { scope, path = "" } = /^(?:(?<scope>[^/=]+)=)?(?<path>.*)$/.exec(line)?.groups ?? {};
    return plainPath.test(path) && (scope === undefined || bazelPattern.test(scope));
  });
  return right ? lines : undefined;
}

/**
 * Whether one of these helpers is asked for a host, as Bazel chooses (CredentialHelperProvider): `*.` stands for the domain
 * itself and all below it, and one without a scope for every host.
 * @param lines of helperLines
 */
export function coversHost(lines: readonly string[], host: string): boolean {
  return lines.some((line) => {
    const scope = /^([^/=]+)=/.exec(line)?.[1]?.toLowerCase();
    if (scope === undefined || scope === host) return true;
    return scope.startsWith("*.") && `.${host}`.endsWith(scope.slice(1));
  });
}

/** What Bazel asks about: gRPC's URIs are https whatever the channel is, and a port that is https' own may be left out. */
export interface Asked {
  readonly scheme: "http" | "https";
  /** Lower case; an IPv6 address without its brackets. */
  readonly host: string;
  readonly port: number;
  /** Whether the URI names no port, so that `port` is its scheme's. */
  readonly portless: boolean;
  /** Of HTTP the one that --remote_cache names (AbstractHttpHandler), of gRPC the service. */
  readonly path: string;
}

/** @returns undefined where it is no http or https URI of a host */
export function askedOf(uri: string): Asked | undefined {
  const url = plainUri.test(uri) ? URL.parse(uri) : null;
  if (url === null || (url.protocol !== "https:" && url.protocol !== "http:") || url.hostname === "") return undefined;
  const scheme = url.protocol === "https:" ? "https" : "http";
  const host = url.hostname.replace(/^\[|\]$/g, "");
  // URL leaves the scheme's own port out whether it was written or not.
  const portless = !/^[^/]*:\/\/[^/]*:\d+(?:[/?#]|$)/.test(uri);
  return { scheme, host, port: url.port === "" ? defaultPort[scheme] : Number(url.port), portless, path: url.pathname };
}

/**
 * Reads the question.
 * @returns what it asks about, and the URI as it was written
 * @throws FlywheelError `protocol` where it is not what the protocol says; the text is not said again
 */
export function readQuestion(text: string): { readonly uri: string; readonly asked: Asked } {
  let question: unknown;
  try {
    question = JSON.parse(text);
  } catch {
    throw malformed("what came on standard input is not JSON");
  }
  const uri = typeof question === "object" && question !== null && "uri" in question ? question.uri : undefined;
  const asked = typeof uri === "string" && uri.length <= 8192 ? askedOf(uri) : undefined;
  if (typeof uri !== "string" || asked === undefined) throw malformed('what came on standard input names no "uri"');
  return { uri, asked };
}

function malformed(what: string): FlywheelError {
  return new FlywheelError("protocol", what, { next: 'write {"uri":"https://<host>"}, as Bazel does' });
}

/** Whether what is asked about is this endpoint: a gRPC one comes as https, so the scheme says nothing. */
export function asksAbout(asked: Asked, endpoint: Pick<Endpoint, "scheme" | "host" | "port">): boolean {
  if (endpoint.host !== asked.host) return false;
  // Of `grpc://host` Bazel asks as `https://host`: the authority that it dials, which has no port (CallCredentials.RequestInfo).
  return endpoint.port === asked.port || (asked.portless && endpoint.port === defaultPort[endpoint.scheme]);
}

/** The answer's one line. A time that nobody knows is left out. */
export function answerText({ headers, expires }: CredentialAnswer): string {
  return `${JSON.stringify({ headers, ...(expires === null ? {} : { expires }) })}\n`;
}
