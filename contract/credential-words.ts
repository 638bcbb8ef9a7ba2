/** A credential in a reader's words, and whether it is time to think of the next one. */
import type { CredentialReport } from "./api.ts";
import { span } from "./words.ts";

/** However long a token lives, this is early enough: milliseconds. */
const week = 7 * 86_400_000;

/**
 * `expires in 3 d`, `expired 2 h ago`.
 * What is left is rounded down, here and by `span`: nobody is promised time that there is not.
 * @param end milliseconds since the epoch
 */
export function expiryWords(end: number, now: Date): string {
  const left = (end - now.getTime()) / 1000;
  return left <= 0 ? `expired ${span(-left)} ago` : `expires in ${span(Math.floor(left))}`;
}

/**
 * `bearer, expires in 3 d; not needed: it answers anybody`
 * @returns `worry` from a week before it expires, or a tenth of its life where that is less, and from then on
 */
export function credentialWords(
  { scheme, since, expires, needed }: Omit<CredentialReport, "next">,
  now: Date,
): { readonly text: string; readonly worry: boolean } {
  const anybody = needed === "no" ? "; not needed: it answers anybody" : "";
  const end = expires === null ? Number.NaN : Date.parse(expires);
  if (Number.isNaN(end)) return { text: `${scheme}${anybody}`, worry: false };
  const left = end - now.getTime();
  const life = end - Date.parse(since);
  const early = Number.isNaN(life) ? week : Math.min(week, life / 10);
  return { text: `${scheme}, ${expiryWords(end, now)}${anybody}`, worry: left <= early };
}
