/**
 * A client of Tailscale's LocalAPI over its Unix socket. It imports nothing of the project around it.
 *
 * tailscaled takes Host `local-tailscaled.sock` and turns down every request with an Origin or Referer
 * (ipn/localapi/localapi.go); undici's dispatcher sends neither, and no proxy stands between.
 */
import { type Dispatcher, Pool } from "undici";
import { AccessDeniedError, localApiError, ProtocolError, UnavailableError, UnsupportedMethodError } from "./errors.ts";
import { lines } from "./lines.ts";
import type { Notify, PingResult, PingType, Services, Status, WhoIsResponse } from "./types.ts";

export interface LocalApiOptions {
  readonly socketPath: string;
  /** For connecting, for the headers, and between two pieces of a body: milliseconds. A whole answer may take four times as long. */
  readonly timeoutMs?: number;
  /** Bytes. 10,000 peers are some 15 MiB. */
  readonly largestBody?: number;
  /** Bytes of one message of the watch bus. */
  readonly longestMessage?: number;
}

const newline = 0x0a;

/** Every method throws a LocalApiError and nothing else. The maturities are those of Tailscale's own client/local. */
export class LocalApiClient {
  readonly socketPath: string;
  readonly #pool: Pool;
  readonly #timeoutMs: number;
  readonly #largestBody: number;
  readonly #longestMessage: number;

  constructor(options: LocalApiOptions) {
    this.socketPath = options.socketPath;
    this.#timeoutMs = options.timeoutMs ?? 5000;
    this.#largestBody = options.largestBody ?? 64 * 1024 * 1024;
    this.#longestMessage = options.longestMessage ?? 4 * 1024 * 1024;
    this.#pool = new Pool("http://local-tailscaled.sock", {
      socketPath: options.socketPath,
      connections: 8,
      connect: { timeout: this.#timeoutMs },
      headersTimeout: this.#timeoutMs,
      bodyTimeout: this.#timeoutMs,
    });
  }

  /** GET status. Stable. */
  async status(options: { readonly peers: boolean } = { peers: true }): Promise<Status> {
    return this.#object<Status>("GET", `status${options.peers ? "" : "?peers=false"}`);
  }

  /** GET services: the Tailscale Services that this node may reach. Since 1.98, unannotated: assume that it may change. */
  async services(): Promise<Services> {
    return this.#object<Services>("GET", "services");
  }

  /**
   * GET whois. Stable.
   * @param address an IP address, or `ip:port`, `[ip]:port`
   * @returns undefined where it is no address of this tailnet
   */
  async whois(address: string): Promise<WhoIsResponse | undefined> {
    try {
      return await this.#object<WhoIsResponse>("GET", `whois?addr=${encodeURIComponent(address)}`);
    } catch (error) {
      // 404 says "no match for IP:port": the method itself is older than any client in use.
      if (error instanceof UnsupportedMethodError) return undefined;
      throw error;
    }
  }

  /** POST ping. Stable. `Err` of the result says why nobody answered; the LocalAPI itself waits some seconds for that. */
  async ping(ip: string, type: PingType): Promise<PingResult> {
    return this.#object<PingResult>("POST", `ping?ip=${encodeURIComponent(ip)}&type=${type}`);
  }

  /**
   * GET watch-ipn-bus: one parsed message at a time, until the client hangs up or `signal` aborts (then
   * it ends without an error). Unstable: the messages change between versions, so take them as a doorbell.
   * @param mask a sum of `notifyWatch`
   */
  async *watchIpnBus(mask: number, signal: AbortSignal): AsyncGenerator<Notify, void, undefined> {
    try {
      for await (const line of lines(await this.#bus(mask, signal), this.#longestMessage)) {
        if (line.trim() !== "") yield parseObject<Notify>(line, "watch-ipn-bus");
      }
    } catch (error) {
      if (signal.aborted) return;
      throw localApiError(error, this.socketPath);
    }
  }

  /**
   * The same bus as a doorbell alone: one turn whenever a message, or several, ended. Nothing of them is read or
   * kept, since a client of 1.97 or older sends its whole netmap: of 10,000 peers that is some 15 MiB a change.
   */
  async *rings(mask: number, signal: AbortSignal): AsyncGenerator<void, void, undefined> {
    try {
      let unfinished = 0;
      for await (const chunk of (await this.#bus(mask, signal)) as AsyncIterable<Buffer>) {
        const last = chunk.lastIndexOf(newline);
        unfinished = last === -1 ? unfinished + chunk.length : chunk.length - last - 1;
        // No netmap is longer: such a message will never end, and nothing behind it would be heard.
        if (unfinished > this.#largestBody)
          throw new ProtocolError(`a message of the Tailscale client is longer than ${this.#largestBody} bytes`);
        if (last !== -1) yield;
      }
    } catch (error) {
      if (signal.aborted) return;
      throw localApiError(error, this.socketPath);
    }
  }

  /** Ends every connection at once. */
  async close(): Promise<void> {
    await this.#pool.destroy();
  }

  async #bus(mask: number, signal: AbortSignal): Promise<Dispatcher.ResponseData["body"]> {
    const path = `/localapi/v0/watch-ipn-bus?mask=${mask}`;
    const { body, statusCode } = await this.#pool.request({ method: "GET", path, signal, bodyTimeout: 0 });
    if (statusCode !== 200) throw refusal("watch-ipn-bus", statusCode, (await this.#read(body)).toString("utf8"));
    return body;
  }

  async #object<T extends object>(method: "GET" | "POST", call: string): Promise<T> {
    try {
      const { body, statusCode } = await this.#pool.request({
        method,
        path: `/localapi/v0/${call}`,
        signal: AbortSignal.timeout(4 * this.#timeoutMs),
      });
      const text = (await this.#read(body)).toString("utf8");
      if (statusCode !== 200) throw refusal(call, statusCode, text);
      return parseObject<T>(text, call);
    } catch (error) {
      throw localApiError(error, this.socketPath);
    }
  }

  async #read(body: Dispatcher.ResponseData["body"]): Promise<Buffer> {
    const chunks: Buffer[] = [];
    let length = 0;
    // Leaving the loop destroys the body, and its connection with it.
    for await (const chunk of body as AsyncIterable<Buffer>) {
      length += chunk.length;
      if (length > this.#largestBody) throw new ProtocolError(`the Tailscale client's answer is longer than ${this.#largestBody} bytes`);
      chunks.push(chunk);
    }
    return Buffer.concat(chunks, length);
  }
}

function refusal(call: string, statusCode: number, text: string): Error {
  const method = call.replace(/\?.*/, "");
  const said = text.replaceAll(/\s+/g, " ").trim().slice(0, 200);
  switch (statusCode) {
    case 403:
      return new AccessDeniedError(`the Tailscale client does not let this user ask for ${method}: ${said}`);
    case 404:
      return new UnsupportedMethodError(`the Tailscale client does not know ${method}`);
    case 503:
      return new UnavailableError("not-ready", `the Tailscale client is not ready to answer ${method}: ${said}`);
    default:
      return new ProtocolError(`the Tailscale client answered ${method} with status ${statusCode}: ${said}`);
  }
}

function parseObject<T extends object>(text: string, call: string): T {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw new ProtocolError(`the Tailscale client's answer to ${call.replace(/\?.*/, "")} is not JSON`, { cause: error });
  }
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    throw new ProtocolError(`the Tailscale client's answer to ${call.replace(/\?.*/, "")} is not a JSON object`);
  }
  return value as T;
}
