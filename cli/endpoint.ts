/** Which endpoint is meant, and what else a secret needs of it. */
import { plaintextFault } from "../contract/credential.ts";
import { type Endpoint, parseEndpoint, type Tool } from "../contract/endpoint.ts";
import { FlywheelError } from "../contract/errors.ts";
import { printable } from "../contract/text.ts";

/**
 * @param command whose help is the next step where nothing better is known
 * @throws FlywheelError `endpoint-invalid`; what may hold a password is not repeated
 */
export function endpointFrom(text: string, kind: Tool, command: "login" | "logout" | "attach"): Endpoint {
  const parsed = parseEndpoint(text, kind);
  if (parsed.ok) return parsed.endpoint;
  const hasUser = /@|%40/i.test(text);
  throw new FlywheelError("endpoint-invalid", `${hasUser ? "the endpoint holds a user or a password" : shown(text)}: ${parsed.message}`, {
    next: hasUser
      ? "leave them out of the URL: flywheel login --basic --user <name> <endpoint>, which asks for the password"
      : /^[\w.-]+(?::\d+)?$/.test(text)
        ? `say how it is reached${command === "attach" ? "" : ", as flywheel status shows it"}: ${schemesOf[kind]} in front of the host`
        : `flywheel ${command} --help`,
  });
}

const schemesOf: Readonly<Record<Tool, string>> = {
  bazel: "grpcs://, grpc://, https:// or http://",
  nix: "https:// or http://",
};

/** @throws FlywheelError `endpoint-invalid` where a secret would be read on the way */
export function refusePlaintext(endpoint: Endpoint): void {
  const fault = plaintextFault(endpoint);
  if (fault === undefined) return;
  throw new FlywheelError("endpoint-invalid", fault, {
    next: `log in to it by ${endpoint.scheme.startsWith("grpc") ? "grpcs" : "https"}, or by its name or address on the tailnet`,
  });
}

/** A token that was typed in the endpoint's place has no scheme. */
function shown(text: string): string {
  return text.includes("://") ? printable(text, 80) : "this is no endpoint";
}
