/**
 * Bazel's credential helpers: how one is named to Bazel, and the protocol between the two. A helper is called with `get`,
 * reads `{"uri":"https://host:port/…"}` and answers `{"headers":{…},"expires":"…"}` (bazelbuild/proposals
 * 2022-06-07-bazel-credential-helpers; EngFlow's credential-helper-spec, which added `expires`).
 */
import type { CredentialAnswer } from "./api.ts";
import type { Endpoint } from "./endpoint.ts";
import { FlywheelError } from "./errors.ts";

/** An absolute path in plain characters: it ends up in shells, flags and rc files. */
export const plainPath: RegExp = /^\/[A-Za-z0-9._/+@,=:-]{1,1024}$/;

/** What Bazel takes as a pattern of hosts (CredentialHelperProvider): no single label, no IPv6 address. */
const bazelPattern = /^(?:\*|[-a-zA-Z0-9]+)(?:\.[-a-zA-Z0-9]+)+$/;

/** Where URL reads a host out of less, as browsers must, Java's URI reads none or another one: `http:\\\\host`, `http:host`, tabs. */
export const plainUri: RegExp = /^[a-z][a-z0-9+.-]*:\/\/[!-[\]-~]+$/i;

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

export interface Asked {
  /** Lower case; an IPv6 address without its brackets. */
  readonly host: string;
  readonly port: number;
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
  if (typeof uri !== "string" || uri.length > 8192 || !plainUri.test(uri) || !URL.canParse(uri))
    throw malformed('what came on standard input names no "uri"');
  const { protocol, hostname, port } = new URL(uri);
  if (hostname === "") throw malformed("the URI has no host");
  const host = hostname.replace(/^\[|\]$/g, "").toLowerCase();
  // A name is put in lower case only for schemes that URL knows.
  return { uri, asked: { host, port: port === "" ? (protocol === "http:" ? 80 : 443) : Number(port) } };
}

function malformed(what: string): FlywheelError {
  return new FlywheelError("protocol", what, { next: 'write {"uri":"https://<host>"}, as Bazel does' });
}

/** Whether what is asked about is this endpoint: a gRPC one comes as https, so the scheme says nothing. */
export function asksAbout({ host, port }: Asked, endpoint: Endpoint): boolean {
  return endpoint.host === host && endpoint.port === port;
}

/** The answer's one line. A time that nobody knows is left out. */
export function answerText({ headers, expires }: CredentialAnswer): string {
  return `${JSON.stringify({ headers, ...(expires === null ? {} : { expires }) })}\n`;
}
