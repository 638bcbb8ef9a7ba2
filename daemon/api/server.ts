/** The API's socket: HTTP, one process's own user on both ends, and nothing that is sent to it can stop it. */
import { once } from "node:events";
import { chmodSync, lstatSync, renameSync, rmSync } from "node:fs";
import { createServer, type IncomingMessage, type Server, type ServerResponse, STATUS_CODES } from "node:http";
import type { Socket } from "node:net";
import { dirname } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import {
  type ApiFault,
  type AttachRequest,
  apiVersion,
  apiVersionHeader,
  type CredentialAnswer,
  type CredentialRequest,
  type GenerationAnswer,
  type GenerationRequest,
  type Hello,
  type ProbeReport,
  type ProbeRequest,
  type StatusReport,
  type StopRequest,
} from "../../contract/api.ts";
import { type ErrorCode, FlywheelError, messageOf } from "../../contract/errors.ts";
import { longestSocketPath } from "../../contract/paths.ts";
import { profileName } from "../../contract/published.ts";
import { printable } from "../../contract/text.ts";
import { inspectRuntimeDirectory } from "./client/directory.ts";
import { isErrno, reasonOf } from "./client/errno.ts";
import {
  attachRequest,
  checkRequest,
  credentialRequest,
  emptyRequest,
  generationRequest,
  probeRequest,
  profileRequest,
  stopRequest,
} from "./requests.ts";

const most = {
  /** Of a request's body: bytes. */
  body: 65_536,
  /** Bazel runs a credential helper for each host of a build at once, hundreds in a large one. */
  connections: 256,
  /** Watchers among them, so that somebody can always ask. */
  watchers: 16,
  /** What a watcher may leave unread: bytes. */
  unread: 1_048_576,
} as const;

/** Milliseconds. */
const timing = {
  /** An empty line goes to each watcher so often, so that it can tell silence from death. */
  heartbeat: 15_000,
  /** Whoever does not send a whole request within these is dropped, at most one look late. */
  headers: 5_000,
  request: 10_000,
  look: 5_000,
  /** At the end: what an answer on its way out gets. Below what the daemon's end may take (daemon/run.ts). */
  drain: 1_500,
  /** How long a daemon that cannot start waits for the questions of those who are connected already. */
  regret: 1_000,
} as const;

/** What the API does: thrown FlywheelErrors become ApiFaults. */
export interface ApiHandlers {
  hello(): Hello;
  status(profile: string): StatusReport;
  /** The status, once what just ended is in it, or has had its time. */
  recorded(profile: string): Promise<StatusReport>;
  /** Calls the listener now and after each change. @returns what ends that */
  watch(profile: string, listener: (status: StatusReport) => void): () => void;
  verify(profile: string): Promise<StatusReport>;
  attach(request: AttachRequest): Promise<ProbeReport>;
  detach(profile: string): Promise<StatusReport>;
  up(profile: string): Promise<StatusReport>;
  probe(request: ProbeRequest): Promise<ProbeReport>;
  credential(request: CredentialRequest): Promise<CredentialAnswer>;
  generation(request: GenerationRequest): Promise<GenerationAnswer>;
  reload(): void;
  stop(): void;
  /** A defect: to be logged. */
  onDefect(thrown: unknown): void;
}

export interface ApiServer {
  /** Whether the file at the socket's path is still the socket that is served here. */
  ownsSocket(): boolean;
  /** Milliseconds since anybody asked anything, or watched; 0 while somebody does. */
  readonly idleMs: number;
  /** Hears nobody new, ends the watches, lets answers out, and removes the socket where it was made here. */
  close(): Promise<void>;
}

/** Where the API is to be had: a socket to be made at that path, or one that a service manager listens on for us (sd_listen_fds(3)). */
export interface SocketPlace {
  readonly path: string;
  readonly handed: number | undefined;
}

/**
 * Listens on a socket (0600), in place of one that a dead daemon left. The caller holds the lock.
 * @throws FlywheelError `runtime-directory-unsafe` where that cannot be done
 */
export async function serve(place: SocketPlace, handlers: ApiHandlers): Promise<ApiServer> {
  const server = makeServer((thrown) => handlers.onDefect(thrown));
  const watching = new Watching();
  const open = new Set<ServerResponse>();
  let lastUse = performance.now();
  server.on("request", (request, response) => {
    open.add(response);
    response.once("close", () => {
      open.delete(response);
      lastUse = performance.now();
    });
    void answer(request, response, handlers, { watching, socket: place.path });
  });
  const inode = await listen(server, place);
  const ownsSocket = (): boolean => inode !== undefined && lstatSync(place.path, { throwIfNoEntry: false })?.ino === inode;
  return {
    ownsSocket,
    get idleMs() {
      return open.size > 0 ? 0 : performance.now() - lastUse;
    },
    close: async () => {
      // Another's, like the one that systemd listens on, stays: whoever asks next starts the next daemon.
      if (place.handed === undefined && ownsSocket()) rmSync(place.path, { force: true });
      const closed = once(server, "close");
      server.close();
      watching.end();
      // What has not asked anything yet gets no answer any more; what has, gets it.
      await Promise.race([Promise.all([...open].map((response) => once(response, "close"))), delay(timing.drain)]);
      server.closeAllConnections();
      await closed;
    },
  };
}

/**
 * Tells whoever waits on a handed socket why there is no daemon: without an answer they would wait in vain.
 * @param error what the start failed with
 * @returns once they have their answers, so that the next question finds what was mended meanwhile; the socket stays its manager's
 */
export async function regret(handed: number, error: unknown): Promise<void> {
  const server = makeServer(() => {});
  const { promise, resolve } = Promise.withResolvers<void>();
  const timer = setTimeout(resolve, timing.regret);
  let open = 0;
  server.on("connection", (connection) => {
    open += 1;
    connection.once("close", () => {
      open -= 1;
      if (open === 0) resolve();
    });
  });
  server.on("request", (_request, response) => {
    response.setHeader(apiVersionHeader, String(apiVersion));
    response.on("error", () => response.destroy());
    const { status, fault } = faultOf(error);
    sendJson(response, status, fault);
  });
  server.listen({ fd: handed });
  await promise;
  clearTimeout(timer);
  server.close();
  server.closeAllConnections();
}

/** With every bound that HTTP itself needs; nothing that is sent to it throws. */
function makeServer(onDefect: (thrown: unknown) => void): Server {
  const server = createServer({
    maxHeaderSize: 16_384,
    headersTimeout: timing.headers,
    requestTimeout: timing.request,
    connectionsCheckingInterval: timing.look,
    keepAliveTimeout: 1_000,
  });
  server.maxConnections = most.connections;
  // One question a connection: what is sent behind it is not even looked at.
  server.maxRequestsPerSocket = 1;
  server.on("clientError", (error, connection) => refuseMalformed(error, connection as Socket));
  // CONNECT, which Node does not take for a request.
  // It is no request any more, so nobody reads it to its end: without the destroy it would stay open for ever.
  server.on("connect", (_request, connection) =>
    connection.on("error", () => connection.destroy()).end(malformed(405), () => connection.destroy()),
  );
  // Too many open files, say: whoever connects next may have more luck. What goes wrong before it listens is listen()'s to say.
  server.on("error", (error) => {
    if (server.listening) onDefect(error);
  });
  return server;
}

/** What HTTP's parser turns down never becomes a request: said in HTTP's own words, before the end. */
function refuseMalformed(error: Error, connection: Socket): void {
  if (!connection.writable) {
    connection.destroy();
    return;
  }
  const code = isErrno(error) ? error.code : undefined;
  const status = code === "HPE_HEADER_OVERFLOW" ? 431 : code === "ERR_HTTP_REQUEST_TIMEOUT" ? 408 : 400;
  connection.end(malformed(status), () => connection.destroy());
}

function malformed(status: 400 | 405 | 408 | 431): string {
  const fault: ApiFault = { error: { code: "usage", message: "the request is malformed", next: null } };
  const text = `${JSON.stringify(fault)}\n`;
  const head = [`HTTP/1.1 ${status} ${STATUS_CODES[status]}`, `${apiVersionHeader}: ${apiVersion}`, "content-type: application/json"];
  return `${[...head, `content-length: ${Buffer.byteLength(text)}`, "connection: close"].join("\r\n")}\r\n\r\n${text}`;
}

/** @returns the inode of the socket's file; undefined where a handed one has none at that path any more */
async function listen(server: Server, { path, handed }: SocketPlace): Promise<number | undefined> {
  if (handed !== undefined) {
    try {
      server.listen({ fd: handed });
      await once(server, "listening");
    } catch (error) {
      throw new FlywheelError("runtime-directory-unsafe", `descriptor ${handed} is no socket to listen on (${reasonOf(error)})`, {
        cause: error,
      });
    }
    const stats = lstatSync(path, { throwIfNoEntry: false });
    return stats?.isSocket() === true ? stats.ino : undefined;
  }
  if (Buffer.byteLength(path) > longestSocketPath) {
    throw new FlywheelError("runtime-directory-unsafe", `the path ${path} is too long for a socket (${longestSocketPath} bytes)`, {
      next: "set GF_RUNTIME_DIR to a shorter one",
    });
  }
  // Bound under another name and moved there: a stale socket is replaced in one step, and Node, which
  // removes the name that it bound when it closes, cannot remove a successor's.
  const bound = `${dirname(path)}/.${process.pid}`;
  try {
    rmSync(bound, { force: true });
    server.listen(bound);
    await once(server, "listening");
    chmodSync(bound, 0o600);
    const { ino } = lstatSync(bound);
    renameSync(bound, path);
    return ino;
  } catch (error) {
    server.close();
    throw new FlywheelError("runtime-directory-unsafe", `the socket ${path} cannot be made (${reasonOf(error)})`, {
      next: "make the runtime directory writable, or set GF_RUNTIME_DIR",
      cause: error,
    });
  }
}

async function answer(
  request: IncomingMessage,
  response: ServerResponse,
  handlers: ApiHandlers,
  { watching, socket }: { readonly watching: Watching; readonly socket: string },
): Promise<void> {
  response.setHeader(apiVersionHeader, String(apiVersion));
  response.on("error", () => response.destroy());
  try {
    requirePrivacy(socket);
    const url = parseUrl(request.url ?? "");
    if (url.pathname === "/v1/watch" && request.method === "GET") {
      // Nobody would read it, and behind what is unread the end of the connection is not seen.
      if (hasBody(request)) throw new Refusal(400, "a watch takes no body");
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

function hasBody({ headers }: IncomingMessage): boolean {
  return headers["transfer-encoding"] !== undefined || Number(headers["content-length"] ?? 0) !== 0;
}

async function route(request: IncomingMessage, url: URL, handlers: ApiHandlers): Promise<unknown> {
  const body = async (): Promise<unknown> => parseBody(await readBody(request));
  switch (`${request.method} ${url.pathname}`) {
    case "GET /v1/hello":
      return handlers.hello();
    case "GET /v1/status":
      return url.searchParams.has("recorded") ? handlers.recorded(profileOf(url)) : handlers.status(profileOf(url));
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
    case "POST /v1/credential":
      return handlers.credential(checkRequest(credentialRequest, await body()));
    case "POST /v1/generation":
      return handlers.generation(checkRequest(generationRequest, await body()));
    case "POST /v1/reload":
      checkRequest(emptyRequest, await body());
      handlers.reload();
      return {};
    case "POST /v1/stop":
      // Asked of another one, which this one replaced: the asker finds that out by itself.
      if (isMeant(checkRequest(stopRequest, await body()))) handlers.stop();
      return {};
    default:
      throw new Refusal(404, "the API knows no such request");
  }
}

function isMeant({ pid }: StopRequest): boolean {
  return pid === undefined || pid === process.pid;
}

/**
 * Node cannot ask who is at the other end (SO_PEERCRED). What keeps others out is the 0700 directory and the
 * 0600 socket in it, so an answer is given only while both are so: opened later, by whomever, they open nothing.
 */
function requirePrivacy(socket: string): void {
  const directory = inspectRuntimeDirectory(dirname(socket));
  if (!directory.ok && directory.fault !== "absent") throw new Refusal(403, `the runtime directory is not safe: ${directory.message}`);
  const stats = lstatSync(socket, { throwIfNoEntry: false });
  if (stats !== undefined && (stats.mode & 0o077) !== 0) throw new Refusal(403, `${socket} is open to other users`);
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
    const beat = setInterval(() => write("\n"), timing.heartbeat);
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
