/** Logins in words. */
import type { CredentialEntry } from "../../contract/credential.ts";
import { expiryWords } from "../../contract/credential-words.ts";
import { printable } from "../../contract/text.ts";
import { localTime, table } from "../../contract/words.ts";

/** When a login ends; nothing is known where the token does not tell. */
export function entryExpiry({ expires }: Pick<CredentialEntry, "expires">, now: Date): string {
  const end = expires === null ? Number.NaN : Date.parse(expires);
  return Number.isNaN(end) ? "not known" : expiryWords(end, now);
}

export function storeOf({ how }: CredentialEntry): "keyring" | "file" | null {
  return how.scheme === "mtls" ? null : how.store;
}

/** What `--json` says of one: the index has no secret, and the generation is nobody's business. */
export function entryReport(entry: CredentialEntry): object {
  const { profile, kind, endpoint, how, at, expires, legacyHeader } = entry;
  return {
    profile,
    kind,
    endpoint,
    scheme: how.scheme,
    user: how.scheme === "basic" ? how.user : null,
    certificate: how.scheme === "mtls" ? how.certificate : null,
    key: how.scheme === "mtls" ? how.key : null,
    store: storeOf(entry),
    since: at,
    expires,
    legacyHeader,
  };
}

export function loginTable(entries: readonly CredentialEntry[], now: Date): string {
  const rows = entries.map((entry) => [
    printable(entry.endpoint, 512),
    entry.kind,
    entry.profile,
    schemeWords(entry),
    storeOf(entry) ?? "its own files",
    localTime(entry.at),
    entryExpiry(entry, now),
  ]);
  return table([["endpoint", "kind", "profile", "scheme", "store", "since", "expires"], ...rows]);
}

function schemeWords({ how, legacyHeader }: CredentialEntry): string {
  const scheme = how.scheme === "basic" ? `basic (${printable(how.user, 64)})` : how.scheme;
  return legacyHeader ? `${scheme}, also as a header` : scheme;
}
