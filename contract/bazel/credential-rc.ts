/** The rc from which a Bazel that knows no credential helper (before 6.3) takes a credential. */
import { authorizationOf, type Credential } from "../credential.ts";
import type { Endpoint } from "../endpoint.ts";
import { FlywheelError } from "../errors.ts";

/**
 * The endpoint and its header in one file, so that no other endpoint can get the header. Over HTTP Bazel heeds
 * `--remote_header` alone (tried on 2.1.0 and 4.2.3: `--remote_cache_header` is passed over in silence); over gRPC the
 * narrower one does, save that 2.1.0 asks for the capabilities without any (4.2.3 with it), so that a cache which asks who
 * asks that lets it in over HTTP alone. The header's value has a space and no character that an rc takes for more inside quotes.
 * @throws FlywheelError `credentials-unusable` where there is no header: a client certificate goes by flags
 */
export function bazelrcText(endpoint: Endpoint, credential: Credential): string {
  const authorization = authorizationOf(credential, "bazel");
  if (authorization === undefined) {
    throw new FlywheelError("credentials-unusable", `what is kept for ${endpoint.url} is a client certificate, which needs no rc file`);
  }
  const flag = endpoint.scheme.startsWith("grpc") ? "remote_cache_header" : "remote_header";
  return `build --remote_cache=${endpoint.url}\nbuild "--${flag}=Authorization=${authorization.reveal()}"\n`;
}
