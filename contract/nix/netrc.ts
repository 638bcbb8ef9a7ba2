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
  const login = loginOf(credential);
  // Some versions of curl take a quote for the beginning of a quoted word, all take `#` for a comment's.
  if (Object.values(login).some((word) => /^["#]/.test(word))) throw cannot("a netrc takes no secret that begins with a quote or #");
  const words = Object.entries(login).map(([key, word]) => `${key} ${word}\n`);
  return `machine ${host}\n${words.join("")}${own === "" ? "" : `\n${own}`}`;
}

function loginOf(credential: Credential): Readonly<Record<string, string>> {
  switch (credential.scheme) {
    case "bearer":
      // Attic's way: a password without a user (its client's nix_netrc.rs).
      return { password: credential.token.reveal() };
    case "basic":
      return { login: credential.user, password: credential.password.reveal() };
    case "mtls":
      throw cannot("Nix takes no client certificate for a cache");
  }
}

function cannot(message: string): FlywheelError {
  return new FlywheelError("credentials-unusable", message, { next: "flywheel login --kind nix <endpoint> with a token or a password" });
}
