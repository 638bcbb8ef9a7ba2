/** One HTTP/1.1 connection that a probe dialled and keeps warm, and bounded exchanges on it. */
import type { Socket } from "node:net";
import { Client, errors } from "undici";
import type { Rung } from "../../contract/candidate.ts";
import { isTls } from "../../contract/endpoint.ts";
import { refused } from "./authority.ts";
import type { Deadline } from "./deadline.ts";
import { alertOn } from "./dial.ts";
import { ProbeFault } from "./fault.ts";
import { authorizationAt, type Place, underScheme } from "./place.ts";
import { quoted } from "./quoted.ts";
import { step } from "./reason.ts";

/** A longer answer is no cache's: bytes. */
export const largestBody = 64 * 1024;
const largestHeaders = 16 * 1024;
/** A warm connection outlives the renewals of the lease, which come every 15 s: milliseconds. */
const keepAliveMs = 120_000;

export interface Answer {
  readonly status: number;
  readonly location: string | undefined;
  readonly body: string;
}

/** Gives a connected socket, past TLS where the place has it. */
export type Dial = (place: Place, deadline: Deadline) => Promise<Socket>;

export class HttpConnection {
  readonly place: Place;
  readonly #dial: Dial;
  #open: { readonly socket: Socket; readonly client: Client } | undefined;

  /** @param dial makes the connection, at the first exchange and wherever the server closed the last one after its answer */
  constructor(place: Place, dial: Dial) {
    this.place = place;
    this.#dial = dial;
  }

  /** Whether the next exchange needs no dialling. */
  get warm(): boolean {
    const open = this.#open;
    return open !== undefined && !open.socket.destroyed && open.socket.readable && open.socket.writable;
  }

  /**
   * One request and its whole answer.
   * @param rung the rung that silence, or an answer that is not HTTP, stands for
   * @param as whether what is kept for the place is sent
   * @throws ProbeFault; after one the connection is not to be used again
   */
  async exchange(
    method: "GET" | "HEAD",
    path: string,
    rung: Rung,
    deadline: Deadline,
    as: "the user" | "anybody" = "the user",
  ): Promise<Answer> {
    const { place } = this;
    const client = await this.#client(deadline);
    const response = await step(rung, place, deadline, async (signal) => {
      try {
        // `reset: false`: undici would close the connection after each HEAD.
        const authorization = as === "the user" ? authorizationAt(place) : undefined;
        const headers = { "user-agent": "gloriousflywheel", accept: "*/*", ...(authorization === undefined ? {} : { authorization }) };
        return await client.request({ method, path, signal, reset: false, headers });
      } catch (error) {
        throw this.#alert ?? notHttp(rung, place, error) ?? error;
      }
    });
    const body = await step("capabilities", place, deadline, async () => {
      const chunks: Buffer[] = [];
      let size = 0;
      for await (const chunk of response.body as AsyncIterable<Buffer>) {
        size += chunk.length;
        if (size > largestBody)
          throw new ProbeFault("capabilities", `${place.shown} answers with more than ${largestBody / 1024} KiB: it is not a cache`);
        chunks.push(chunk);
      }
      return Buffer.concat(chunks).toString("utf8");
    });
    const location = response.headers["location"];
    return { status: response.statusCode, location: Array.isArray(location) ? location[0] : location, body };
  }

  async close(): Promise<void> {
    const open = this.#open;
    this.#open = undefined;
    open?.socket.destroy();
    await open?.client.destroy();
  }

  get #alert(): ProbeFault | undefined {
    return this.#open === undefined ? undefined : alertOn(this.#open.socket, this.place);
  }

  async #client(deadline: Deadline): Promise<Client> {
    if (this.#open !== undefined && this.warm) return this.#open.client;
    await this.close();
    const socket = await this.#dial(this.place, deadline);
    const client = clientOn(socket, this.place);
    this.#open = { socket, client };
    return client;
  }
}

/** An undici client for one socket: it never dials. */
function clientOn(socket: Socket, place: Place): Client {
  let handed = false;
  return new Client(new URL(place.endpoint.url).origin, {
    connect: (_options, done) => {
      const answer = handed ? undefined : socket;
      handed = true;
      // Not at once: undici ignores a connection that comes before its own call returned.
      queueMicrotask(() => {
        if (answer !== undefined) done(null, answer);
        else done(Object.assign(new Error("the connection is gone"), { code: "ECONNRESET" }), null);
      });
    },
    pipelining: 1,
    maxHeaderSize: largestHeaders,
    keepAliveTimeout: keepAliveMs,
    keepAliveMaxTimeout: keepAliveMs,
    // The ladder's deadline rules; these would only say it in other words.
    headersTimeout: 0,
    bodyTimeout: 0,
  });
}

function notHttp(rung: Rung, place: Place, error: unknown): ProbeFault | undefined {
  if (error instanceof errors.HeadersOverflowError || errorCode(error) === "HPE_HEADER_OVERFLOW") {
    return new ProbeFault(rung, `${place.shown} answers with more than ${largestHeaders / 1024} KiB of headers: it is not a cache`);
  }
  if (!(error instanceof errors.HTTPParserError)) return undefined;
  const options = { kind: "broken", cause: error } as const;
  const bytes = Buffer.from("data" in error ? String(error.data ?? "") : "", "utf8");
  // An HTTP/2 server opens with a SETTINGS frame: three bytes of length, then type 4 (RFC 9113, 3.4).
  if (bytes[0] === 0 && bytes[1] === 0 && bytes[3] === 4) {
    const next = place.endpoint.kind === "bazel" ? `if it is a gRPC cache, name it ${underScheme(place.endpoint, "grpc")}` : undefined;
    return new ProbeFault(rung, `${place.shown} speaks HTTP/2, not HTTP/1.1`, { ...options, next });
  }
  // A TLS alert record (RFC 8446, 5.1).
  if (bytes[0] === 0x15 && bytes[1] === 3 && !isTls(place.endpoint)) {
    return new ProbeFault(rung, `${place.shown} speaks TLS`, { ...options, next: `try ${place.endpoint.scheme}s://` });
  }
  return new ProbeFault(rung, `${place.shown} answers something that is not HTTP`, options);
}

function errorCode(error: unknown): unknown {
  return error instanceof Error && "code" in error ? error.code : undefined;
}

/** How nginx says over HTTP that it wants a client certificate, or another (its own statuses 496 and 495). */
const certificateWanted = /No required SSL certificate was sent|The SSL certificate error/;

/**
 * What a status means that no cache gives for the request.
 * @param wanted what a cache would have answered, in words
 */
export function refusal(place: Place, answer: Answer, wanted: string): ProbeFault {
  const { shown } = place;
  const { status } = answer;
  if (status === 401) return refused(place, "unknown", "HTTP 401");
  if (status === 403) return refused(place, "forbidden", "HTTP 403");
  const certificate = status === 400 && isTls(place.endpoint) ? certificateWanted.exec(answer.body)?.[0] : undefined;
  if (certificate !== undefined) return refused(place, "unknown", `HTTP 400: ${certificate}`);
  if (status >= 300 && status < 400) {
    const target = answer.location === undefined ? "elsewhere" : `to ${quoted(place, answer.location.replace(/[?#].*$/s, ""), 120)}`;
    return new ProbeFault("capabilities", `${shown} redirects ${target} (HTTP ${status}) instead of answering`, {
      next: "if the cache is there, attach that endpoint",
    });
  }
  if (status >= 500) return new ProbeFault("capabilities", `${shown} has a fault of its own (HTTP ${status})`);
  return new ProbeFault("capabilities", `${shown} answers HTTP ${status} where a cache answers ${wanted}`);
}
