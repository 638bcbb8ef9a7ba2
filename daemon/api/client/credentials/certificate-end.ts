/** When a login's client certificate ends. Its file stays where the user has it, and whoever renews it does so there. */
import { X509Certificate } from "node:crypto";
import type { CredentialEntry } from "../../../../contract/credential.ts";
import { readBounded } from "../bounded.ts";

/** A chain of certificates is shorter: bytes. */
const largest = 262_144;

/**
 * The entry as it is today: with the end of the certificate that lies there now, which may be another than at the login.
 * One that cannot be read keeps what the login wrote; who uses the file says what is wrong with it.
 */
export function asOfToday<Entry extends Pick<CredentialEntry, "how" | "expires">>(entry: Entry): Entry {
  if (entry.how.scheme !== "mtls") return entry;
  const end = endOf(entry.how.certificate);
  return end === undefined || end === entry.expires ? entry : { ...entry, expires: end };
}

/** ISO 8601; undefined where there is no certificate that can be read. */
function endOf(file: string): string | undefined {
  try {
    return new X509Certificate(readBounded(file, largest)).validToDate.toISOString();
  } catch {
    return undefined;
  }
}
