/** The rung `authority`, as far as credentials go: what a cache that says no means by it, with what is kept for it in mind. */
import type { CredentialScheme } from "../../contract/credential.ts";
import { loginCommand } from "../../contract/login-command.ts";
import { span } from "../../contract/words.ts";
import { ProbeFault } from "./fault.ts";
import type { Place } from "./place.ts";

/** `unknown`: it wants to know who asks (HTTP 401, UNAUTHENTICATED). `forbidden`: it knows, and says no (HTTP 403, PERMISSION_DENIED). */
export type No = "unknown" | "forbidden";

const askOperator = "ask its operator for read access";

/** @param answer the cache's own word, for brackets: `HTTP 401` */
export function refused(place: Place, no: No, answer: string): ProbeFault {
  const { shown, kept } = place;
  const login = loginAt(place);
  switch (kept?.state) {
    case undefined:
      return no === "unknown"
        ? fault(`${shown} asks for a credential, and none is kept for it (${answer})`, login)
        : fault(`${shown} refuses this machine (${answer})`, `${askOperator}, or if you have a credential: ${login}`);
    case "expired":
      return fault(
        `${shown} asks for a credential, and the ${named(kept.scheme)} kept for it expired ${ago(kept.expires)} (${answer})`,
        login,
      );
    case "unreadable":
      return fault(
        `${shown} asks for a credential, and the ${named(kept.scheme)} kept for it cannot be read: ${kept.reason} (${answer})`,
        kept.next ?? login,
      );
    case "ready": {
      const what = `the ${named(kept.credential.scheme)} ${kept.since === undefined ? "given" : `kept since ${kept.since.slice(0, 10)}`}`;
      return no === "unknown"
        ? fault(`${shown} refuses ${what} (${answer})`, login)
        : fault(`${shown} knows ${what}, which may not read there (${answer})`, askOperator);
    }
  }
}

/** What to type for a credential of this place: the login that was made for it again, with all that was said then. */
export function loginAt({ endpoint, profile, kept }: Place): string {
  const how = kept?.state === "ready" ? kept.credential : undefined;
  return loginCommand(kept?.login ?? { profile, kind: endpoint.kind, endpoint: endpoint.url, how });
}

/** What to type for a client certificate of this place. */
export function certificateLogin(place: Place): string {
  const { endpoint, profile } = place;
  return loginCommand({ profile, kind: endpoint.kind, endpoint: endpoint.url, how: { scheme: "mtls" } });
}

export function named(scheme: CredentialScheme): string {
  switch (scheme) {
    case "bearer":
      return "bearer token";
    case "basic":
      return "password";
    case "mtls":
      return "client certificate";
  }
}

/** `3 h ago` */
function ago(iso: string): string {
  return `${span((Date.now() - Date.parse(iso)) / 1000)} ago`;
}

function fault(reason: string, next: string): ProbeFault {
  return new ProbeFault("authority", reason, { next, over: "credential" });
}

/**
 * TLS alerts by which a server says that it wants another client certificate, or one at all (RFC 8446, 6.2), at the end of
 * the codes that Node makes of OpenSSL's words. TLS 1.3 sends them after the client's handshake is over: the first read finds them.
 */
const certificateAlert =
  /_ALERT_(CERTIFICATE_(?:REQUIRED|REVOKED|EXPIRED|UNKNOWN)|BAD_CERTIFICATE|UNSUPPORTED_CERTIFICATE|UNKNOWN_CA|ACCESS_DENIED)$/;
/** Up to TLS 1.2 it may mean that, and much else: it counts only where a certificate was shown. */
const handshakeAlert = /_ALERT_(HANDSHAKE_FAILURE)$/;

/** What such an alert means; undefined for any other error. */
export function certificateRefused(place: Place, code: string | undefined): ProbeFault | undefined {
  const { kept } = place;
  const sent = kept?.state === "ready" && kept.credential.scheme === "mtls";
  const alert = certificateAlert.exec(code ?? "")?.[1] ?? (sent ? handshakeAlert.exec(code ?? "")?.[1] : undefined);
  if (alert === undefined) return undefined;
  const words = alert.toLowerCase().replaceAll("_", " ");
  if (sent || kept?.state === "expired" || kept?.state === "unreadable") return refused(place, "unknown", `TLS alert: ${words}`);
  const other = kept === undefined ? "none is kept for it" : `what is kept for it is a ${named(kept.credential.scheme)}`;
  const next = certificateLogin(place);
  return fault(`${place.shown} asks for a client certificate, and ${other} (TLS alert: ${words})`, next);
}
