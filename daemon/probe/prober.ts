/** The probe ladder: resolve → route → connect → handshake → capabilities → authority. */
import type { Candidate, ProbeResult } from "../../contract/candidate.ts";
import type { Endpoint } from "../../contract/endpoint.ts";
import { messageOf } from "../../contract/errors.ts";
import { type Connection, Connections } from "./connections.ts";
import type { ProbeContext } from "./context.ts";
import { Deadline } from "./deadline.ts";
import { Authorities, dial } from "./dial.ts";
import { HttpConnection } from "./exchange.ts";
import { ProbeFault } from "./fault.ts";
import type { GrpcConnection } from "./grpc.ts";
import { judgeHttpCache } from "./http.ts";
import type { Judgement } from "./judgement.ts";
import { judgeNixCache } from "./nix.ts";
import { loginOf, type Place, placeOf } from "./place.ts";
import { step } from "./reason.ts";
import { type Lookup, resolveCandidate, systemLookup } from "./resolve.ts";
import { checkRoute } from "./route.ts";

export { defaultTimeoutMs, type ProbeContext } from "./context.ts";

export interface ProberOptions {
  /** How names are resolved; the operating system's resolver unless said otherwise. */
  readonly lookup?: Lookup;
  /** Certificates in PEM that TLS believes besides the usual authorities. */
  readonly authorities?: readonly string[];
  /** A warm gRPC connection ended, and not by us. An HTTP server may close an idle one whenever it likes: that is no news. */
  readonly onLost?: (endpoint: Endpoint) => void;
}

/** How one protocol opens a connection and judges what answers on it. */
interface Protocol<C extends Connection> {
  readonly kept: Connections<C>;
  open(place: Place, deadline: Deadline): Promise<C>;
  judge(connection: C, deadline: Deadline): Promise<Judgement>;
}

/** A warm connection that fell silent (say, over a sleep) may use up this share of the time; a new one has the rest. */
const warmShare = 0.5;

export class Prober {
  readonly #lookup: Lookup;
  readonly #authorities: Authorities;
  readonly #onLost: (endpoint: Endpoint) => void;
  readonly #http = new Connections<HttpConnection>();
  readonly #grpc = new Connections<GrpcConnection>();
  readonly #closing = new AbortController();
  readonly #running = new Set<Promise<ProbeResult>>();

  constructor(options: ProberOptions = {}) {
    this.#lookup = options.lookup ?? systemLookup;
    this.#authorities = new Authorities(options.authorities ?? []);
    this.#onLost = options.onLost ?? (() => undefined);
  }

  /**
   * Climbs the ladder for one candidate. Never throws, and ends within context.timeoutMs.
   * @param signal calls the probe off and closes its connection
   */
  async probe(candidate: Candidate, context: ProbeContext, signal?: AbortSignal): Promise<ProbeResult> {
    const running = this.#probe(candidate, context, signal);
    this.#running.add(running);
    try {
      return await running;
    } finally {
      this.#running.delete(running);
    }
  }

  /** Closes the warm connections of all other endpoints, and of all other logins. */
  retain(endpoints: readonly Endpoint[], logins: readonly string[]): void {
    const urls = new Set(endpoints.map(({ kind, url }) => `${kind} ${url}`));
    const wanted = (place: Place): boolean => {
      const login = loginOf(place);
      return urls.has(`${place.endpoint.kind} ${place.endpoint.url}`) && (login === undefined || logins.includes(login));
    };
    void Promise.all([this.#http.retain(wanted), this.#grpc.retain(wanted)]);
  }

  /** Calls off what is running and closes every connection. */
  async close(): Promise<void> {
    this.#closing.abort();
    await Promise.all(this.#running);
    await Promise.all([this.#http.retain(() => false), this.#grpc.retain(() => false)]);
  }

  async #probe(candidate: Candidate, context: ProbeContext, signal: AbortSignal | undefined): Promise<ProbeResult> {
    const stop = signal === undefined ? this.#closing.signal : AbortSignal.any([signal, this.#closing.signal]);
    const deadline = new Deadline(context.timeoutMs, stop);
    try {
      return { ok: true, ...(await this.#climb(candidate, context, deadline)) };
    } catch (error) {
      const fault = error instanceof ProbeFault ? error : new ProbeFault("capabilities", `the probe itself failed: ${messageOf(error)}`);
      const { rung, message: reason, next, over } = fault;
      return { ok: false, rung, reason, ...(next !== undefined && { next }), ...(over !== undefined && { over }) };
    } finally {
      deadline.stop();
    }
  }

  async #climb(candidate: Candidate, context: ProbeContext, deadline: Deadline): Promise<Judgement & { address: string }> {
    const { endpoint } = candidate;
    const addresses = await step("resolve", placeOf(endpoint, endpoint.host), deadline, (signal) =>
      resolveCandidate(candidate, context, this.#lookup, signal),
    );
    const isWarm = (place: Place): boolean => this.#http.has(place) || this.#grpc.has(place);
    const places = addresses.map((address) => placeOf(endpoint, address, context)).sort((a, b) => Number(isWarm(b)) - Number(isWarm(a)));
    let first: ProbeFault | undefined;
    for (const [index, place] of places.entries()) {
      const share = deadline.share(1 / (places.length - index));
      try {
        await step("route", place, share, (signal) => checkRoute(place, candidate.source, context, signal));
        return { ...(await this.#judge(place, candidate, context, share)), address: place.address };
      } catch (error) {
        if (!(error instanceof ProbeFault)) throw error;
        first ??= error;
        // As the tools do: another address is tried where this one cannot be reached, not where it answers badly.
        if (error.rung !== "route" && error.rung !== "connect") throw error;
      } finally {
        share.stop();
      }
    }
    throw first ?? new ProbeFault("resolve", `${endpoint.host} has no address`);
  }

  async #judge(place: Place, candidate: Candidate, context: ProbeContext, deadline: Deadline): Promise<Judgement> {
    switch (place.endpoint.scheme) {
      case "grpc":
      case "grpcs":
        return await onConnection(place, deadline, await this.#grpcProtocol(context));
      case "http":
      case "https":
        return await onConnection(place, deadline, this.#httpProtocol(candidate, context));
    }
  }

  #httpProtocol(candidate: Candidate, context: ProbeContext): Protocol<HttpConnection> {
    return {
      kept: this.#http,
      open: async (place) => new HttpConnection(place, (to, deadline) => dial(to, deadline, this.#authorities, "http/1.1")),
      judge: (connection, deadline) =>
        candidate.endpoint.kind === "nix" ? judgeNixCache(connection, candidate, context, deadline) : judgeHttpCache(connection, deadline),
    };
  }

  async #grpcProtocol(context: ProbeContext): Promise<Protocol<GrpcConnection>> {
    const { GrpcConnection } = await import("./grpc.ts");
    return {
      kept: this.#grpc,
      open: (place, deadline) => GrpcConnection.open(place, deadline, this.#authorities, () => this.#onLost(place.endpoint)),
      judge: (connection, deadline) => connection.judge(context.instanceName ?? "", deadline),
    };
  }
}

/** Judges on the warm connection where there is one, and on a new one where that broke. A failed proof keeps none. */
async function onConnection<C extends Connection>(place: Place, deadline: Deadline, protocol: Protocol<C>): Promise<Judgement> {
  const warm = await protocol.kept.get(place);
  if (warm !== undefined) {
    const share = deadline.share(warmShare);
    try {
      return await protocol.judge(warm, share);
    } catch (error) {
      await protocol.kept.drop(warm);
      if (!(error instanceof ProbeFault) || error.kind === "answered" || deadline.ended.state !== "running") throw error;
    } finally {
      share.stop();
    }
  }
  const connection = await protocol.open(place, deadline);
  try {
    const judgement = await protocol.judge(connection, deadline);
    await protocol.kept.keep(connection);
    return judgement;
  } catch (error) {
    await connection.close();
    throw error;
  }
}
