/** A credential in a reader's words, and whether it is time to think of the next one. */
import type { CredentialReport } from "./api.ts";
import { span } from "./words.ts";

/** However long a token lives, this is early enough: milliseconds. */
const week = 7 * 86_400_000;

/**
 * `bearer, expires in 3 d; not needed: it answers anybody`
 * @returns `worry` from a week before it expires, or a tenth of its life where that is less, and from then on
 */
export function credentialWords(
  { scheme, since, expires, needed }: CredentialReport,
  now: Date,
): { readonly text: string; readonly worry: boolean } {
  const anybody = needed === "no" ? "; not needed: it answers anybody" : "";
  const end = expires === null ? Number.NaN : Date.parse(expires);
  if (Number.isNaN(end)) return { text: `${scheme}${anybody}`, worry: false };
  const left = end - now.getTime();
  const life = end - Date.parse(since);
  const early = Number.isNaN(life) ? week : Math.min(week, life / 10);
  const expiry = left <= 0 ? `expired ${span(-left / 1000)} ago` : `expires in ${span(left / 1000)}`;
  return { text: `${scheme}, ${expiry}${anybody}`, worry: left <= early };
}
