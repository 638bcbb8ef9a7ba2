/** What a cache says in its own words, as a message may repeat it: some repeat what they were sent. */
import { authorizationOf, type Credential } from "../../contract/credential.ts";
import type { Tool } from "../../contract/endpoint.ts";
import { printable } from "../../contract/text.ts";
import type { Place } from "./place.ts";

/**
 * @param text of the cache at this place
 * @param limit characters
 * @returns it in one printable line, without the secret that is kept for the place, in whatever form it goes there
 */
export function quoted({ kept, endpoint }: Pick<Place, "kept" | "endpoint">, text: string, limit: number): string {
  // What a terminal would act on goes first, since it may stand within the secret; the end is cut off last, since it may cut it in two.
  const clean = printable(text, text.length);
  const forms = kept?.state === "ready" ? formsOf(kept.credential, endpoint.kind) : [];
  return printable(
    forms.reduce((rest, form) => rest.replaceAll(form, "<redacted>"), clean),
    limit,
  );
}

/** Longest first: one may be part of another. */
function formsOf(credential: Credential, tool: Tool): readonly string[] {
  if (credential.scheme === "mtls") return [];
  const secret = (credential.scheme === "bearer" ? credential.token : credential.password).reveal();
  // Behind its scheme: base64 of user and password, with its padding or without, in either alphabet.
  const sent = (authorizationOf(credential, tool)?.reveal() ?? "").replace(/^\w+ /, "");
  const bare = sent.replace(/=+$/, "");
  const forms = [secret, encodeURIComponent(secret), sent, bare, bare.replaceAll("+", "-").replaceAll("/", "_")];
  return [...new Set(forms)].filter((form) => form !== "").sort((a, b) => b.length - a.length);
}
