/** The client certificate of a login: PEM files that stay where the user has them. */
import { readBounded } from "../api/client/bounded.ts";
import { reasonOf } from "../api/client/errno.ts";
import { certificateLogin } from "./authority.ts";
import { ProbeFault } from "./fault.ts";
import type { Place } from "./place.ts";

/** A longer file holds no certificate: bytes. */
const largest = 1_048_576;

export interface ClientCertificate {
  readonly cert: Buffer;
  readonly key: Buffer;
}

/**
 * What TLS shows of the user at a place; undefined where that is no client certificate.
 * @throws ProbeFault `authority` where a file cannot be read
 */
export function certificateFor(place: Place): ClientCertificate | undefined {
  const { kept } = place;
  if (kept?.state !== "ready" || kept.credential.scheme !== "mtls") return undefined;
  const { certificate, key } = kept.credential;
  return { cert: read(place, "client certificate", certificate), key: read(place, "client certificate's key", key) };
}

/** OpenSSL's word on a pair that is none. */
export function certificateUnusable(place: Place, error: unknown): ProbeFault {
  return fault(place, `the client certificate kept for ${place.shown} cannot be used (${reasonOf(error)})`, error);
}

function read(place: Place, what: string, file: string): Buffer {
  try {
    return readBounded(file, largest);
  } catch (error) {
    throw fault(place, `the ${what} kept for ${place.shown}, ${file}, cannot be read (${reasonOf(error)})`, error);
  }
}

function fault(place: Place, reason: string, cause: unknown): ProbeFault {
  return new ProbeFault("authority", reason, { next: certificateLogin(place), over: "credential", cause });
}
