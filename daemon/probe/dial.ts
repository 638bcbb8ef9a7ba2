/** The rungs `connect` and `handshake`, as far as the kernel and TLS go: a socket to the very address, no proxy, no name resolved. */
import { once } from "node:events";
import { connect, type Socket } from "node:net";
import { connect as connectTls, createSecureContext, getCACertificates, type SecureContext } from "node:tls";
import { isAddress, isTls, type Tool } from "../../contract/endpoint.ts";
import { certificateRefused } from "./authority.ts";
import { type ClientCertificate, certificateFor, certificateUnusable } from "./certificate.ts";
import type { Deadline } from "./deadline.ts";
import type { ProbeFault } from "./fault.ts";
import type { Place } from "./place.ts";
import { codeOf, step, tlsFailure } from "./reason.ts";

/**
 * Whom TLS believes: Bazel brings its own authorities (its JDK's, the same Mozilla list as Node's);
 * Nix takes the machine's, so there the machine's own are believed as well.
 */
export class Authorities {
  readonly #extra: readonly string[];
  readonly #contexts = new Map<Tool, SecureContext>();

  /** @param extra certificates in PEM that are believed besides */
  constructor(extra: readonly string[]) {
    this.#extra = extra;
  }

  /**
   * A client certificate is read anew each time, since whoever renews it does so in its place.
   * @throws ProbeFault `authority` where that cannot be read or used
   */
  contextFor(place: Place): SecureContext {
    const { kind } = place.endpoint;
    const own = certificateFor(place);
    const known = own === undefined ? this.#contexts.get(kind) : undefined;
    if (known !== undefined) return known;
    const context = this.#make(place, own);
    if (own === undefined) this.#contexts.set(kind, context);
    return context;
  }

  #make(place: Place, own: ClientCertificate | undefined): SecureContext {
    const system = place.endpoint.kind === "nix" ? getCACertificates("system") : [];
    const ca = [...getCACertificates("default"), ...system, ...this.#extra];
    try {
      return createSecureContext({ ca, minVersion: "TLSv1.2", ...own });
    } catch (error) {
      if (own === undefined) throw error;
      throw certificateUnusable(place, error);
    }
  }
}

/**
 * @param protocol what TLS offers by ALPN
 * @returns a connected socket, past its TLS handshake where the endpoint has TLS; the caller's to close
 * @throws ProbeFault `route`, `connect` or `handshake`
 */
export async function dial(place: Place, deadline: Deadline, authorities: Authorities, protocol: "http/1.1" | "h2"): Promise<Socket> {
  const socket = connect({ host: place.address, port: place.endpoint.port, noDelay: true, autoSelectFamily: false });
  // Errors reach whoever waits on the socket; one that comes between two waits must not end the process.
  socket.on("error", ignore);
  try {
    await step("connect", place, deadline, (signal) => once(socket, "connect", { signal }));
    if (!isTls(place.endpoint)) return socket;
    return await step("handshake", place, deadline, (signal) => secure(socket, place, authorities, protocol, signal));
  } catch (error) {
    socket.destroy();
    throw error;
  }
}

async function secure(plain: Socket, place: Place, authorities: Authorities, protocol: string, signal: AbortSignal): Promise<Socket> {
  const { host } = place.endpoint;
  const socket = connectTls({
    socket: plain,
    host,
    // SNI takes names only; an address is checked against the certificate as `host`.
    ...(isAddress(host) ? {} : { servername: host }),
    ALPNProtocols: [protocol],
    secureContext: authorities.contextFor(place),
  });
  socket.on("error", (error) => {
    if (!alerts.has(socket)) alerts.set(socket, error);
  });
  try {
    await once(socket, "secureConnect", { signal });
    return socket;
  } catch (error) {
    socket.destroy();
    if (signal.aborted) throw error;
    throw tlsFailure(place, error);
  }
}

/** What TLS said first on a socket. */
const alerts = new WeakMap<Socket, Error>();

/**
 * What the server said by an alert about the certificate that it was shown, or was not. Whoever reads from the socket may
 * see no more of it than an end.
 */
export function alertOn(socket: Socket, place: Place): ProbeFault | undefined {
  return certificateRefused(place, codeOf(alerts.get(socket)));
}

function ignore(): void {}
