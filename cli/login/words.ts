/** Logins in words. */
import type { CredentialEntry } from "../../contract/credential.ts";
import { printable } from "../../contract/text.ts";
import { localTime, span, table } from "../../contract/words.ts";

/** `expires in 3 d`, `expired 2 h ago`; nothing is known where the token does not tell. */
export function expiryWords({ expires }: Pick<CredentialEntry, "expires">, now: Date): string {
  if (expires === null) return "not known";
  const seconds = (Date.parse(expires) - now.getTime()) / 1000;
  if (Number.isNaN(seconds)) return "not known";
  return seconds <= 0 ? `expired ${span(-seconds)} ago` : `expires in ${span(seconds)}`;
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
    expiryWords(entry, now),
  ]);
  return table([["endpoint", "kind", "profile", "scheme", "store", "since", "expires"], ...rows]);
}

function schemeWords({ how, legacyHeader }: CredentialEntry): string {
  const scheme = how.scheme === "basic" ? `basic (${printable(how.user, 64)})` : how.scheme;
  return legacyHeader ? `${scheme}, also as a header` : scheme;
}
