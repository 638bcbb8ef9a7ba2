/** A REAPI cache over gRPC. Loaded on the first gRPC candidate only: grpc-js costs the daemon memory. */
import { randomBytes } from "node:crypto";
import type { Socket } from "node:net";
import { fileURLToPath } from "node:url";
import * as grpc from "@grpc/grpc-js";
import { loadSync, type MethodDefinition } from "@grpc/proto-loader";
import * as v from "valibot";
import type { CacheFacts } from "../../contract/candidate.ts";
import { isAddress, isTls } from "../../contract/endpoint.ts";
import { messageOf } from "../../contract/errors.ts";
import { printable } from "../../contract/text.ts";
import { refused } from "./authority.ts";
import type { Deadline } from "./deadline.ts";
import { type Authorities, alertOn, dial } from "./dial.ts";
import { largestBody } from "./exchange.ts";
import { ProbeFault } from "./fault.ts";
import type { Judgement } from "./judgement.ts";
import { authorizationAt, type Place, underScheme } from "./place.ts";
import { type Greeting, greet } from "./preface.ts";
import { quoted } from "./quoted.ts";
import { step } from "./reason.ts";

const reapi = "build.bazel.remote.execution.v2";
const definitions = loadSync("remote_execution.proto", {
  includeDirs: [fileURLToPath(new URL("./proto", import.meta.url))],
  enums: String,
  longs: String,
});
const getCapabilities = method("Capabilities", "GetCapabilities");
const getActionResult = method("ActionCache", "GetActionResult");

const serverCapabilities = v.object({
  cacheCapabilities: v.nullish(
    v.object({
      /** A digest function that our .proto does not know comes as its number. */
      digestFunctions: v.optional(v.array(v.union([v.string(), v.number()])), []),
      /** Absent where the server does not say; update_enabled itself is proto3's false when left out of a message that is there. */
      actionCacheUpdateCapabilities: v.nullish(v.object({ updateEnabled: v.optional(v.boolean(), false) })),
    }),
  ),
  executionCapabilities: v.nullish(v.unknown()),
});

export class GrpcConnection {
  readonly place: Place;
  readonly #client: grpc.Client;
  #closed = false;

  private constructor(place: Place, client: grpc.Client) {
    this.place = place;
    this.#client = client;
  }

  /**
   * Climbs `connect` and `handshake` on a socket of its own, so that each names its reason, then opens the channel.
   * @param onLost called at most once, when the server ends the connection or it breaks
   * @throws ProbeFault
   */
  static async open(place: Place, deadline: Deadline, authorities: Authorities, onLost: () => void): Promise<GrpcConnection> {
    await introduce(place, deadline, authorities);
    const connection = new GrpcConnection(place, channelTo(place, authorities));
    try {
      await connection.#ready(deadline);
      connection.#client.getChannel().watchConnectivityState(grpc.connectivityState.READY, Number.POSITIVE_INFINITY, () => {
        if (!connection.#closed) onLost();
      });
      return connection;
    } catch (error) {
      await connection.close();
      throw error;
    }
  }

  /** Whether the channel still has its connection. */
  get warm(): boolean {
    return this.#client.getChannel().getConnectivityState(false) === grpc.connectivityState.READY;
  }

  /**
   * Asks for the capabilities, then for an action that cannot exist: that proves that this machine may read.
   * @param instanceName the REAPI instance; empty is the unnamed one
   * @throws ProbeFault
   */
  async judge(instanceName: string, deadline: Deadline): Promise<Judgement> {
    const { place } = this;
    const began = performance.now();
    const answer = await this.#ask("capabilities", getCapabilities, { instanceName }, deadline);
    const latencyMs = performance.now() - began;
    if (!answer.ok) throw refusal(place, answer.error, instanceName);
    const facts = cacheFacts(place, answer.message);
    const actionDigest = { hash: randomBytes(32).toString("hex"), sizeBytes: "1" };
    const action = await this.#ask("authority", getActionResult, { instanceName, actionDigest }, deadline);
    if (action.ok) {
      throw new ProbeFault("capabilities", `${place.shown} has a result for an action that cannot exist: it is no cache to believe`);
    }
    if (action.error.code !== grpc.status.NOT_FOUND) throw refusal(place, action.error, instanceName);
    return { latencyMs, facts };
  }

  async close(): Promise<void> {
    this.#closed = true;
    this.#client.close();
  }

  #ready(deadline: Deadline): Promise<void> {
    return step("handshake", this.place, deadline, (signal) => {
      const { promise, resolve, reject } = Promise.withResolvers<void>();
      // Closing the client is what ends the wait early; the far deadline never comes.
      const abort = (): void => reject(signal.reason);
      signal.addEventListener("abort", abort, { once: true });
      this.#client.waitForReady(Date.now() + 60_000, (error) => {
        signal.removeEventListener("abort", abort);
        if (error === undefined) resolve();
        else reject(error);
      });
      return promise;
    });
  }

  #ask(rung: "capabilities" | "authority", definition: Method, request: object, deadline: Deadline): Promise<Reply> {
    return step(rung, this.place, deadline, (signal) => {
      const { promise, resolve, reject } = Promise.withResolvers<Reply>();
      const call = this.#client.makeUnaryRequest(
        definition.path,
        definition.requestSerialize,
        definition.responseDeserialize,
        request,
        metadataAt(this.place),
        (error, message) => {
          signal.removeEventListener("abort", abort);
          if (signal.aborted) reject(signal.reason);
          else if (error !== null) resolve({ ok: false, error });
          else resolve({ ok: true, message });
        },
      );
      const abort = (): void => call.cancel();
      signal.addEventListener("abort", abort, { once: true });
      return promise;
    });
  }
}

/** With every call, as the tool sends it. */
function metadataAt(place: Place): grpc.Metadata {
  const metadata = new grpc.Metadata();
  const authorization = authorizationAt(place);
  if (authorization !== undefined) metadata.set("authorization", authorization);
  return metadata;
}

type Method = MethodDefinition<object, object>;
type Reply = { readonly ok: true; readonly message: unknown } | { readonly ok: false; readonly error: grpc.ServiceError };

function method(service: string, name: string): Method {
  const definition = definitions[`${reapi}.${service}`];
  const found = definition === undefined || "format" in definition ? undefined : definition[name];
  if (found === undefined) throw new TypeError(`remote_execution.proto has no ${service}.${name}`);
  return found;
}

function channelTo(place: Place, authorities: Authorities): grpc.Client {
  const { endpoint, address } = place;
  const host = endpoint.host.includes(":") ? `[${endpoint.host}]` : endpoint.host;
  const target = address.includes(":") ? `ipv6:[${address}]:${endpoint.port}` : `ipv4:${address}:${endpoint.port}`;
  const credentials = isTls(endpoint)
    ? grpc.credentials.createFromSecureContext(authorities.contextFor(place))
    : grpc.credentials.createInsecure();
  return new grpc.Client(target, credentials, {
    "grpc.default_authority": `${host}:${endpoint.port}`,
    ...(isTls(endpoint) && !isAddress(endpoint.host) ? { "grpc.ssl_target_name_override": endpoint.host } : {}),
    "grpc.primary_user_agent": "gloriousflywheel",
    // As the tool will dial: no proxy from the environment, no service config from DNS, no second thoughts.
    "grpc.enable_http_proxy": 0,
    "grpc.enable_retries": 0,
    "grpc.service_config_disable_resolution": 1,
    // Closing the client closes its connection.
    "grpc.use_local_subchannel_pool": 1,
    "grpc.max_receive_message_length": largestBody,
    "grpc.max_metadata_size": 16 * 1024,
    // The renewals of the lease, every 15 s, keep it warm; a ping of our own only while one hangs. gRPC
    // servers in Go close a connection that pings more often than every 5 min without a call.
    "grpc.keepalive_time_ms": 20_000,
    "grpc.keepalive_timeout_ms": 5_000,
    "grpc.keepalive_permit_without_calls": 0,
  });
}

/** A first connection that is dialled, greeted and closed: it tells a silent, a foreign and a wrong server apart. */
async function introduce(place: Place, deadline: Deadline, authorities: Authorities): Promise<void> {
  const socket = await dial(place, deadline, authorities, "h2");
  try {
    const greeting = await greeted(socket, place, deadline);
    const fault = (what: string, next?: string) => new ProbeFault("handshake", `${place.shown} ${what}`, { next, kind: "broken" });
    switch (greeting) {
      case "http2":
        return;
      case "http1":
        throw fault("speaks HTTP/1.1, not gRPC", `if it is an HTTP cache, name it ${underScheme(place.endpoint, "http")}`);
      case "tls":
        throw fault("speaks TLS", `try ${place.endpoint.scheme}s://`);
      case "closed":
        throw fault("closed the connection without an answer: it does not speak gRPC here");
      case "other":
        throw fault("answers something that is not gRPC");
    }
  } finally {
    socket.destroy();
  }
}

async function greeted(socket: Socket, place: Place, deadline: Deadline): Promise<Greeting> {
  let greeting: Greeting;
  try {
    greeting = await step("handshake", place, deadline, (signal) => greet(socket, signal));
  } catch (error) {
    throw alertOn(socket, place) ?? error;
  }
  const alert = greeting === "closed" ? alertOn(socket, place) : undefined;
  if (alert !== undefined) throw alert;
  return greeting;
}

function cacheFacts(place: Place, message: unknown): CacheFacts {
  const parsed = v.safeParse(serverCapabilities, message);
  if (!parsed.success)
    throw new ProbeFault("capabilities", `${place.shown} describes itself in a way that no Remote Execution API server does`);
  const { cacheCapabilities: cache, executionCapabilities: execution } = parsed.output;
  if (cache === undefined || cache === null) {
    const what = execution === undefined || execution === null ? "offers no cache" : "offers remote execution and no cache";
    throw new ProbeFault("capabilities", `${place.shown} ${what}`);
  }
  const digestFunctions = cache.digestFunctions.slice(0, 16).map((name) => printable(String(name), 40));
  if (!digestFunctions.includes("SHA256")) {
    const offered = digestFunctions.length === 0 ? "none" : digestFunctions.join(", ");
    throw new ProbeFault("capabilities", `${place.shown} does not know SHA256, Bazel's digest function (it offers: ${offered})`);
  }
  const update = cache.actionCacheUpdateCapabilities;
  return update === undefined || update === null ? { digestFunctions } : { digestFunctions, updateEnabled: update.updateEnabled };
}

/** A gRPC status in the user's words. */
function refusal(place: Place, error: grpc.ServiceError, instanceName: string): ProbeFault {
  const { shown } = place;
  const name = grpc.status[error.code] ?? String(error.code);
  const details = quoted(place, error.details || messageOf(error), 160);
  switch (error.code) {
    case grpc.status.UNAUTHENTICATED:
      return refused(place, "unknown", `UNAUTHENTICATED: ${details}`);
    case grpc.status.PERMISSION_DENIED:
      return refused(place, "forbidden", `PERMISSION_DENIED: ${details}`);
    case grpc.status.UNIMPLEMENTED:
      return new ProbeFault("capabilities", `${shown} answers gRPC but is no Remote Execution API cache (UNIMPLEMENTED)`);
    case grpc.status.NOT_FOUND:
    case grpc.status.INVALID_ARGUMENT: {
      const instance = instanceName === "" ? "the unnamed instance" : `the instance ${printable(instanceName, 80)}`;
      return new ProbeFault("capabilities", `${shown} does not serve ${instance} (${name}: ${details})`);
    }
    case grpc.status.RESOURCE_EXHAUSTED:
      return new ProbeFault("capabilities", `${shown} has no room or answers too much (RESOURCE_EXHAUSTED: ${details})`);
    case grpc.status.UNAVAILABLE:
    case grpc.status.DEADLINE_EXCEEDED:
    case grpc.status.CANCELLED:
      return new ProbeFault("capabilities", `${shown} broke off its answer (${name}: ${details})`, { kind: "broken" });
    default:
      return new ProbeFault("capabilities", `${shown} answers with an error (${name}: ${details})`);
  }
}
