/** What a LocalAPI call can fail with. The messages are for people; `kind` and `cause` are for code. */

export abstract class LocalApiError extends Error {
  abstract readonly kind: "access-denied" | "unavailable" | "protocol" | "unsupported";
}

/** The client said 403, or the operating system keeps this user from its socket. */
export class AccessDeniedError extends LocalApiError {
  override readonly name = "AccessDeniedError";
  readonly kind = "access-denied";
}

/** Nobody answered. */
export class UnavailableError extends LocalApiError {
  override readonly name = "UnavailableError";
  readonly kind = "unavailable";
  /** `absent`: no socket or program; `refused`: nobody listens; `timeout`; `closed`: hung up; `not-ready`: 503. */
  readonly why: "absent" | "refused" | "timeout" | "closed" | "not-ready";

  constructor(why: UnavailableError["why"], message: string, options?: ErrorOptions) {
    super(message, options);
    this.why = why;
  }
}

/** What answered is not a LocalAPI, or says more than this module takes in. */
export class ProtocolError extends LocalApiError {
  override readonly name = "ProtocolError";
  readonly kind = "protocol";
}

/** The client is older than the method: 404. */
export class UnsupportedMethodError extends LocalApiError {
  override readonly name = "UnsupportedMethodError";
  readonly kind = "unsupported";
}

/** Turns what undici, the sockets and the timers throw into this module's errors. */
export function localApiError(thrown: unknown, where: string): LocalApiError {
  if (thrown instanceof LocalApiError) return thrown;
  const code = codeOf(thrown);
  const options = { cause: thrown };
  switch (code) {
    case "ENOENT":
    case "ENOTDIR":
    case "ENAMETOOLONG":
      return new UnavailableError("absent", `there is no Tailscale client at ${where}`, options);
    case "ECONNREFUSED":
    case "ENOTSOCK":
      return new UnavailableError("refused", `no Tailscale client listens on ${where}`, options);
    case "EACCES":
    case "EPERM":
      return new AccessDeniedError(`this user may not open ${where}`, options);
    case "UND_ERR_CONNECT_TIMEOUT":
    case "UND_ERR_HEADERS_TIMEOUT":
    case "UND_ERR_BODY_TIMEOUT":
    case "TimeoutError":
      return new UnavailableError("timeout", `the Tailscale client at ${where} does not answer in time`, options);
    case "UND_ERR_SOCKET":
    case "UND_ERR_DESTROYED":
    case "UND_ERR_CLOSED":
    case "ECONNRESET":
    case "EPIPE":
    case "AbortError":
      return new UnavailableError("closed", `the Tailscale client at ${where} hung up`, options);
    default:
      return new ProtocolError(`what answers at ${where} does not speak Tailscale's LocalAPI`, options);
  }
}

function codeOf(thrown: unknown): string {
  if (!(thrown instanceof Error)) return "";
  if ("code" in thrown && typeof thrown.code === "string") return thrown.code;
  return thrown.name;
}
