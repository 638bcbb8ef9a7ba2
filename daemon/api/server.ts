/** The API's socket: HTTP, one process's own user on both ends, and nothing that is sent to it can stop it. */
import { once } from "node:events";
import { chmodSync, lstatSync, renameSync, rmSync } from "node:fs";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import { dirname } from "node:path";
import {
  type ApiFault,
  type AttachRequest,
  apiVersion,
  apiVersionHeader,
  type Hello,
  type ProbeReport,
  type ProbeRequest,
  type StatusReport,
} from "../../contract/api.ts";
import { type ErrorCode, FlywheelError, messageOf } from "../../contract/errors.ts";
import { profileName } from "../../contract/published.ts";
import { printable } from "../../contract/text.ts";
import { reasonOf } from "./client/directory.ts";
import { attachRequest, checkRequest, emptyRequest, probeRequest, profileRequest } from "./requests.ts";

const most = {
  /** Of a request's body: bytes. */
  body: 65_536,
  connections: 32,
  /** Watchers among them, so that somebody can always ask. */
  watchers: 16,
  /** What a watcher may leave unread: bytes. */
  unread: 1_048_576,
} as const;

/** An empty line goes to each watcher so often, so that it can tell silence from death: milliseconds. */
const heartbeat = 15_000;

/** sun_path of macOS, the shorter of the two, without its last NUL: bytes. */
const longestSocketPath = 103;

/** What the API does: thrown FlywheelErrors become ApiFaults. */
export interface ApiHandlers {
  hello(): Hello;
  status(profile: string): StatusReport;
  /** Calls the listener now and after each change. @returns what ends that */
  watch(profile: string, listener: (status: StatusReport) => void): () => void;
  verify(profile: string): Promise<StatusReport>;
  attach(request: AttachRequest): Promise<ProbeReport>;
  detach(profile: string): Promise<StatusReport>;
  up(profile: string): Promise<StatusReport>;
  probe(request: ProbeRequest): Promise<ProbeReport>;
  reload(): void;
  stop(): void;
  /** A defect: to be logged. */
  onDefect(thrown: unknown): void;
}

export interface ApiServer {
  /** Whether the socket's file is still the one that was made here. */
  ownsSocket(): boolean;
  /** Removes the socket where it is still its own, and ends every connection. */
  close(): Promise<void>;
}

/**
 * Listens on a socket (0600), in place of one that a dead daemon left. The caller holds the lock.
 * @throws FlywheelError `runtime-directory-unsafe` where that cannot be done
 */
export async function serve(socket: string, handlers: ApiHandlers): Promise<ApiServer> {
  if (Buffer.byteLength(socket) > longestSocketPath) {
    throw new FlywheelError("runtime-directory-unsafe", `the path ${socket} is too long for a socket (${longestSocketPath} bytes)`, {
      next: "set GF_RUNTIME_DIR to a shorter one",
    });
  }
  const server = createServer({ maxHeaderSize: 16_384, headersTimeout: 5_000, requestTimeout: 10_000, keepAliveTimeout: 1_000 });
  server.maxConnections = most.connections;
  const watching = new Watching();
  server.on("request", (request, response) => void answer(request, response, handlers, watching));
  server.on("clientError", (_error, connection) => connection.destroy());
  const inode = await listen(server, socket);
  const ownsSocket = (): boolean => lstatSync(socket, { throwIfNoEntry: false })?.ino === inode;
  return {
    ownsSocket,
    close: async () => {
      if (ownsSocket()) rmSync(socket, { force: true });
      watching.end();
      const closed = once(server, "close");
      server.close();
      server.closeIdleConnections();
      // An answer on its way out gets this long.
      const timer = setTimeout(() => server.closeAllConnections(), 500);
      await closed;
      clearTimeout(timer);
    },
  };
}

/** @returns the socket's inode */
async function listen(server: Server, socket: string): Promise<number> {
  // Bound under another name and moved there: a stale socket is replaced in one step, and Node, which
  // removes the name that it bound when it closes, cannot remove a successor's.
  const bound = `${dirname(socket)}/.${process.pid}`;
  try {
    rmSync(bound, { force: true });
    server.listen(bound);
    await once(server, "listening");
    chmodSync(bound, 0o600);
    const { ino } = lstatSync(bound);
    renameSync(bound, socket);
    return ino;
  } catch (error) {
    server.close();
    throw new FlywheelError("runtime-directory-unsafe", `the socket ${socket} cannot be made (${reasonOf(error)})`, {
      next: "make the runtime directory writable, or set GF_RUNTIME_DIR",
      cause: error,
    });
  }
}

async function answer(request: IncomingMessage, response: ServerResponse, handlers: ApiHandlers, watching: Watching): Promise<void> {
  response.setHeader(apiVersionHeader, String(apiVersion));
  response.on("error", () => response.destroy());
  try {
    const url = parseUrl(request.url ?? "");
    if (url.pathname === "/v1/watch" && request.method === "GET") {
      watching.add(response, (listener) => handlers.watch(profileOf(url), listener));
      return;
    }
    const result = await route(request, url, handlers);
    sendJson(response, 200, result);
  } catch (thrown) {
    const { status, fault } = faultOf(thrown);
    if (status === 500) handlers.onDefect(thrown);
    if (response.headersSent) response.destroy();
    else sendJson(response, status, fault);
  }
}

async function route(request: IncomingMessage, url: URL, handlers: ApiHandlers): Promise<unknown> {
  const body = async (): Promise<unknown> => parseBody(await readBody(request));
  switch (`${request.method} ${url.pathname}`) {
    case "GET /v1/hello":
      return handlers.hello();
    case "GET /v1/status":
      return handlers.status(profileOf(url));
    case "POST /v1/verify":
      return handlers.verify(checkRequest(profileRequest, await body()).profile);
    case "POST /v1/attach":
      return handlers.attach(checkRequest(attachRequest, await body()));
    case "POST /v1/detach":
      return handlers.detach(checkRequest(profileRequest, await body()).profile);
    case "POST /v1/up":
      return handlers.up(checkRequest(profileRequest, await body()).profile);
    case "POST /v1/probe":
      return handlers.probe(checkRequest(probeRequest, await body()));
    case "POST /v1/reload":
      checkRequest(emptyRequest, await body());
      handlers.reload();
      return {};
    case "POST /v1/stop":
      checkRequest(emptyRequest, await body());
      handlers.stop();
      return {};
    default:
      throw new Refusal(404, "the API knows no such request");
  }
}

/** Says no with a status of HTTP's own. */
class Refusal extends Error {
  readonly status: number;

  constructor(status: number, message: string) {
    super(message);
    this.status = status;
  }
}

function parseUrl(text: string): URL {
  const url = text.startsWith("/") && text.length <= 4096 ? URL.parse(`http://daemon${text}`) : null;
  if (url === null) throw new Refusal(400, "the request's target is malformed");
  return url;
}

function profileOf(url: URL): string {
  const name = url.searchParams.get("profile") ?? "default";
  if (!profileName.test(name)) throw new Refusal(400, "profile: expected a profile name");
  return name;
}

async function readBody(request: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  let length = 0;
  try {
    for await (const chunk of request as AsyncIterable<Buffer>) {
      length += chunk.length;
      if (length > most.body) break;
      chunks.push(chunk);
    }
  } catch {
    throw new Refusal(400, "the request was cut off");
  }
  if (length > most.body) throw new Refusal(413, `the request is longer than ${most.body} bytes`);
  return Buffer.concat(chunks).toString("utf8");
}

function parseBody(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    throw new Refusal(400, "the request is not JSON");
  }
}

function sendJson(response: ServerResponse, status: number, value: unknown): void {
  if (response.destroyed) return;
  const text = `${JSON.stringify(value)}\n`;
  // One question a connection: what is left of a refused body is not read.
  response.writeHead(status, { "content-type": "application/json", "content-length": Buffer.byteLength(text), connection: "close" });
  response.end(text);
}

function faultOf(thrown: unknown): { status: number; fault: ApiFault } {
  if (thrown instanceof Refusal) {
    return { status: thrown.status, fault: { error: { code: "usage", message: thrown.message, next: null } } };
  }
  if (thrown instanceof FlywheelError) {
    const { code, message, next } = thrown;
    return { status: statusOf(code), fault: { error: { code, message: printable(message, 2000), next: next ?? null } } };
  }
  return { status: 500, fault: { error: { code: "internal", message: printable(messageOf(thrown)), next: "flywheel logs" } } };
}

function statusOf(code: ErrorCode): number {
  switch (code) {
    case "usage":
      return 400;
    // The profile that was asked for, or what a reload found.
    case "config-invalid":
      return 404;
    case "internal":
      return 500;
    case "state-directory-unusable":
      return 507;
    default:
      return 422;
  }
}

/** The open watches: each gets every status as a line of JSON, and is dropped when it does not read them. */
class Watching {
  readonly #open = new Set<ServerResponse>();

  add(response: ServerResponse, subscribe: (listener: (status: StatusReport) => void) => () => void): void {
    if (this.#open.size >= most.watchers) throw new Refusal(503, `${most.watchers} watch already`);
    const write = (line: string): void => {
      if (response.destroyed) return;
      if (!response.headersSent) response.writeHead(200, { "content-type": "application/x-ndjson", connection: "close" });
      response.write(line);
      if (response.writableLength > most.unread) response.destroy();
    };
    const end = subscribe((status) => write(`${JSON.stringify(status)}\n`));
    this.#open.add(response);
    const beat = setInterval(() => write("\n"), heartbeat);
    response.once("close", () => {
      clearInterval(beat);
      this.#open.delete(response);
      end();
    });
  }

  end(): void {
    for (const response of this.#open) response.end();
  }
}
