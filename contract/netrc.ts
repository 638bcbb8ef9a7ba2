/** What a netrc says of a host, as Bazel and curl read it (GNU inetutils' manual, "The .netrc file"). */
import { Secret } from "./secret.ts";

export interface NetrcLogin {
  readonly login: string;
  readonly password: Secret;
}

/**
 * @param text the file's content
 * @param host lower case, without brackets
 * @returns the first `machine` of that name, or `default` where it stands before one; undefined for none with a password
 */
export function netrcLogin(text: string, host: string): NetrcLogin | undefined {
  const words = wordsOf(text);
  for (let at = 0; at < words.length; ) {
    const kind = words[at];
    const meant = kind === "default" || (kind === "machine" && words[at + 1]?.toLowerCase() === host);
    at += kind === "machine" ? 2 : 1;
    const said = new Map<string, string>();
    for (; at < words.length && words[at] !== "machine" && words[at] !== "default"; at += 2) said.set(words[at] ?? "", words[at + 1] ?? "");
    const password = said.get("password");
    if (meant) return password === undefined ? undefined : { login: said.get("login") ?? "", password: new Secret(password) };
  }
  return undefined;
}

/** Without comments, and without macros, which go on to the next empty line. */
function wordsOf(text: string): readonly string[] {
  return text
    .replaceAll(/^[^\S\n]*macdef[^\n]*\n(?:[^\n]*\S[^\n]*\n?)*/gm, "")
    .replaceAll(/(^|\s)#[^\n]*/gm, "$1")
    .split(/\s+/)
    .filter((word) => word !== "");
}
