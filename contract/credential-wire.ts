/** A credential on its way between two processes of ours, on a pipe that nobody else holds: one JSON object. */
import * as v from "valibot";
import { basicPassword, basicUser, bearerToken, type Credential } from "./credential.ts";
import { FlywheelError } from "./errors.ts";
import { Secret } from "./secret.ts";

const secret = (grammar: RegExp) => v.pipe(v.string(), v.regex(grammar));
const absolute = v.pipe(v.string(), v.startsWith("/"), v.maxLength(4096));

const schema = v.variant("scheme", [
  v.strictObject({ scheme: v.literal("bearer"), token: secret(bearerToken) }),
  v.strictObject({ scheme: v.literal("basic"), user: v.pipe(v.string(), v.regex(basicUser)), password: secret(basicPassword) }),
  v.strictObject({ scheme: v.literal("mtls"), certificate: absolute, key: absolute }),
]);

/** For the pipe alone: it holds the secret. */
export function writeCredential(credential: Credential): Secret {
  switch (credential.scheme) {
    case "bearer":
      return new Secret(JSON.stringify({ scheme: "bearer", token: credential.token.reveal() }));
    case "basic":
      return new Secret(JSON.stringify({ scheme: "basic", user: credential.user, password: credential.password.reveal() }));
    case "mtls": {
      const { scheme, certificate, key } = credential;
      return new Secret(JSON.stringify({ scheme, certificate, key }));
    }
  }
}

/** @throws FlywheelError `usage`, which repeats nothing of the text */
export function readCredential(text: string): Credential {
  let raw: unknown;
  try {
    raw = JSON.parse(text);
  } catch {
    // Its error would quote the text.
  }
  const result = v.safeParse(schema, raw);
  if (!result.success) throw new FlywheelError("usage", "the credential on standard input is malformed");
  const { output } = result;
  switch (output.scheme) {
    case "bearer":
      return { scheme: "bearer", token: new Secret(output.token) };
    case "basic":
      return { scheme: "basic", user: output.user, password: new Secret(output.password) };
    case "mtls":
      return output;
  }
}
