/** Error codes of the kernel, TLS and HTTP, in the user's words. */
import type { Rung } from "../../contract/candidate.ts";
import { messageOf } from "../../contract/errors.ts";
import { printable } from "../../contract/text.ts";
import { certificateLogin, certificateRefused } from "./authority.ts";
import type { Deadline } from "./deadline.ts";
import { ProbeFault } from "./fault.ts";
import type { Place } from "./place.ts";
import { quoted } from "./quoted.ts";

/** `2 s`, `0.9 s`, `150 ms` */
export function shownMs(ms: number): string {
  return ms < 500 ? `${Math.round(ms)} ms` : `${Number((ms / 1000).toFixed(1))} s`;
}

/** The `code` of a Node error, or of the one beneath it. */
export function codeOf(error: unknown): string | undefined {
  if (!(error instanceof Error)) return undefined;
  if ("code" in error && typeof error.code === "string") return error.code;
  return codeOf(error.cause);
}

/** What silence means at a rung, when the deadline ended it. */
export function silence(rung: Rung, place: Place, afterMs: number): ProbeFault {
  const time = shownMs(afterMs);
  const kind = "broken";
  switch (rung) {
    case "resolve":
      return new ProbeFault(rung, `the name ${place.endpoint.host} did not resolve within ${time}`, { kind });
    case "route":
    case "connect":
      return new ProbeFault("connect", `${place.shown} did not accept a connection within ${time}`, {
        kind,
        next: `check that the network lets this machine reach port ${place.endpoint.port} of ${place.endpoint.host}`,
      });
    case "handshake":
      return new ProbeFault(rung, `${place.shown} accepted the connection and did not answer within ${time}`, { kind });
    case "capabilities":
    case "authority":
      return new ProbeFault(rung, `${place.shown} began to answer and did not finish within ${time}`, { kind });
  }
}

/** What an error means at a rung. */
export function failure(rung: Rung, place: Place, error: unknown): ProbeFault {
  const code = codeOf(error);
  const unwelcome = certificateRefused(place, code);
  if (unwelcome !== undefined) return unwelcome;
  const options = { kind: "broken", cause: error } as const;
  switch (code) {
    case "ECONNREFUSED":
      return new ProbeFault("connect", `nothing listens on ${place.shown} (connection refused)`, options);
    case "ENETUNREACH":
    case "EHOSTUNREACH":
    case "EADDRNOTAVAIL":
    case "ENETDOWN":
    case "EHOSTDOWN":
      return new ProbeFault("route", `this machine has no route to ${place.address} (${code})`, options);
    case "EACCES":
    case "EPERM":
      return new ProbeFault("connect", `this machine may not connect to ${place.shown} (${code}): a firewall forbids it`, options);
    case "ETIMEDOUT":
      return new ProbeFault("connect", `${place.shown} did not accept a connection (the kernel gave up)`, options);
    case "ECONNRESET":
    case "EPIPE":
    case "UND_ERR_SOCKET":
      return new ProbeFault(rung, `${place.shown} closed the connection without a whole answer`, options);
    default:
      return new ProbeFault(rung, `${place.shown}: ${quoted(place, messageOf(error), 200)}`, options);
  }
}

/** What an error means during the TLS handshake. */
export function tlsFailure(place: Place, error: unknown): ProbeFault {
  const code = codeOf(error) ?? "";
  const unwelcome = certificateRefused(place, code);
  if (unwelcome !== undefined) return unwelcome;
  const fault = (what: string, next?: string) =>
    new ProbeFault("handshake", `${place.shown} ${what}`, { kind: "broken", cause: error, next });
  switch (code) {
    case "DEPTH_ZERO_SELF_SIGNED_CERT":
    case "SELF_SIGNED_CERT_IN_CHAIN":
      return fault(
        "shows a self-signed TLS certificate, which the tools would refuse",
        "give the cache a certificate of a known authority",
      );
    case "UNABLE_TO_VERIFY_LEAF_SIGNATURE":
    case "UNABLE_TO_GET_ISSUER_CERT":
    case "UNABLE_TO_GET_ISSUER_CERT_LOCALLY":
      return fault(
        "shows a TLS certificate of an authority that this machine does not know",
        "give the cache a certificate of a known authority",
      );
    case "CERT_HAS_EXPIRED":
      return fault("shows a TLS certificate that has expired", "renew the cache's certificate");
    case "CERT_NOT_YET_VALID":
      return fault("shows a TLS certificate that is not valid yet", "check this machine's clock");
    case "ERR_TLS_CERT_ALTNAME_INVALID":
      return fault(`shows a TLS certificate of another name than ${place.endpoint.host}`, "attach it by the name of its certificate");
    case "ERR_SSL_WRONG_VERSION_NUMBER":
    case "ERR_SSL_PACKET_LENGTH_TOO_LONG":
    case "EPROTO":
      return fault("does not speak TLS", `try ${place.endpoint.scheme.slice(0, -1)}:// if the cache is plain`);
    case "ECONNRESET":
      return fault("closed the connection during the TLS handshake");
    default:
      return fault(
        `refused the TLS handshake (${printable(code || messageOf(error), 120)})`,
        // Up to TLS 1.2 that may be all that a server says to whoever shows no client certificate.
        code.endsWith("_ALERT_HANDSHAKE_FAILURE") ? `if it asks for a client certificate: ${certificateLogin(place)}` : undefined,
      );
  }
}

/**
 * Takes one step at a rung. Whatever goes wrong in it comes out as a ProbeFault that names the rung:
 * this is the one place where errors become words.
 */
export async function step<T>(rung: Rung, place: Place, deadline: Deadline, work: (signal: AbortSignal) => Promise<T>): Promise<T> {
  try {
    deadline.signal.throwIfAborted();
    return await work(deadline.signal);
  } catch (error) {
    if (error instanceof ProbeFault) throw error;
    const ended = deadline.ended;
    switch (ended.state) {
      case "expired":
        throw silence(rung, place, ended.afterMs);
      case "called-off":
        throw new ProbeFault(rung, "the probe was called off", { kind: "broken" });
      case "running":
        throw failure(rung, place, error);
    }
  }
}
