/** A typed client of Tailscale's LocalAPI. */
export { LocalApiClient, type LocalApiOptions } from "./client.ts";
export { commandFiles, TailscaleCommand } from "./command.ts";
export { AccessDeniedError, LocalApiError, ProtocolError, UnavailableError, UnsupportedMethodError } from "./errors.ts";
export { systemSocket } from "./sockets.ts";
export * from "./types.ts";
