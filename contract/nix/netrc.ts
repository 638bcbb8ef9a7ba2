/** The netrc from which Nix takes a credential (netrc-file of nix.conf; curl's reading of it). */
import type { Credential } from "../credential.ts";
import type { Endpoint } from "../endpoint.ts";
import { FlywheelError } from "../errors.ts";

/**
 * The text: ours first, since curl takes the first line that names a machine; then what Nix would have read without us,
 * so that the user's other caches keep their passwords.
 * @param own the content of the file that netrc-file names now; empty where there is none
 * @throws FlywheelError `credentials-unusable` where a netrc cannot say it
 */
export function netrcText({ host }: Endpoint, credential: Credential, own: string): string {
  return `machine ${host}\n${linesOf(credential)}${own === "" ? "" : `\n${own}`}`;
}

/** One word's bound in a netrc: curl (7.88) reads lines of 4095 characters at most, the keyword among them. */
export const longestWord = 4000;

/** Why a netrc cannot carry a user, a token or a password, in words that follow its name; undefined where it can. */
export function netrcFault(word: string): string | undefined {
  // Some versions of curl take a quote for the beginning of a quoted word, all take `#` for a comment's.
  if (/^["#]/.test(word)) return "begins with a quote or #, which to a netrc begins something else";
  return word.length > longestWord ? `has ${word.length} characters, and a netrc's lines hold ${longestWord} of them` : undefined;
}

function linesOf(credential: Credential): string {
  switch (credential.scheme) {
    case "bearer":
      // Attic's way: a password without a user. Said outright, since curl before 8.12 forgets a password that stands alone
      // once another machine follows, and before 7.85 wherever it stands.
      return `login ""\n${line("password", "token", credential.token.reveal())}`;
    case "basic":
      return `${line("login", "user", credential.user)}${line("password", "password", credential.password.reveal())}`;
    case "mtls":
      throw cannot("Nix takes no client certificate for a cache");
  }
}

function line(keyword: string, name: string, word: string): string {
  const fault = netrcFault(word);
  if (fault !== undefined) throw cannot(`a netrc takes no such ${name}: it ${fault}`);
  return `${keyword} ${word}\n`;
}

function cannot(message: string): FlywheelError {
  return new FlywheelError("credentials-unusable", message, { next: "flywheel login --kind nix <endpoint> with a token or a password" });
}
