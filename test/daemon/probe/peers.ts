/** Real servers on loopback that count who dials them, and candidates that name them. */
import { execFileSync } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer as createHttpServer, type RequestListener } from "node:http";
import { type AddressInfo, createServer, type Server, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createServer as createTlsServer } from "node:tls";
import * as grpc from "@grpc/grpc-js";
import { loadSync } from "@grpc/proto-loader";
import type { Candidate, CandidateSource } from "../../../contract/candidate.ts";
import { parseEndpoint, type Tool } from "../../../contract/endpoint.ts";
import type { ProbeContext } from "../../../daemon/probe/context.ts";

export interface Peer {
  readonly port: number;
  /** TCP connections so far. */
  connections(): number;
  /** The next connection that is made to it. */
  next(): Promise<Socket>;
  /** The sockets that are open now. */
  open(): readonly Socket[];
  close(): Promise<void>;
}

export interface Certificate {
  readonly key: string;
  readonly cert: string;
}

/** Serves each connection with `serve`, over TLS where a certificate is given. */
export async function listen(
  serve: (socket: Socket) => void,
  options: { host?: string; port?: number; tls?: Certificate; alpn?: string } = {},
): Promise<Peer> {
  let count = 0;
  const open = new Set<Socket>();
  const server: Server = createServer();
  const inner =
    options.tls === undefined ? undefined : createTlsServer({ ...options.tls, ALPNProtocols: [options.alpn ?? "http/1.1"] }, serve);
  inner?.on("tlsClientError", () => {});
  server.on("connection", (socket) => {
    count += 1;
    open.add(socket);
    socket.on("error", () => {}).on("close", () => open.delete(socket));
    if (inner === undefined) serve(socket);
    else inner.emit("connection", socket);
  });
  server.listen(options.port ?? 0, options.host ?? "127.0.0.1");
  await once(server, "listening");
  return {
    port: (server.address() as AddressInfo).port,
    connections: () => count,
    next: async () => (await once(server, "connection"))[0] as Socket,
    open: () => [...open],
    close: async () => {
      const closed = once(server, "close");
      server.close();
      for (const socket of open) socket.destroy();
      await closed;
    },
  };
}

/** An HTTP/1.1 server. */
export function listenHttp(handler: RequestListener, options: Parameters<typeof listen>[1] = {}): Promise<Peer> {
  const http = createHttpServer({ keepAliveTimeout: 60_000 }, handler);
  return listen((socket) => http.emit("connection", socket), options);
}

const proto = grpc.loadPackageDefinition(
  loadSync("remote_execution.proto", { includeDirs: [join(import.meta.dirname, "../../../daemon/probe/proto")], enums: String }),
);

type Unary = grpc.handleUnaryCall<Record<string, unknown>, object>;

/** A gRPC server of the Remote Execution API; services without handlers are not implemented. */
export function listenGrpc(
  services: { Capabilities?: { getCapabilities: Unary }; ActionCache?: { getActionResult: Unary } },
  options: Parameters<typeof listen>[1] = {},
): Promise<Peer> {
  const server = new grpc.Server();
  for (const [name, handlers] of Object.entries(services)) server.addService(serviceOf(name), handlers);
  const injector = server.createConnectionInjector(grpc.ServerCredentials.createInsecure());
  return listen((socket) => injector.injectConnection(socket), { alpn: "h2", ...options });
}

function serviceOf(name: string): grpc.ServiceDefinition {
  const path = ["build", "bazel", "remote", "execution", "v2", name];
  const found = path.reduce<unknown>((at, key) => (at as Record<string, unknown>)[key], proto);
  return (found as grpc.ServiceClientConstructor).service;
}

/** Answers a unary call with a message, or with a status. */
export function answer(reply: object | { code: grpc.status; details: string }): Unary {
  return (_call, done) => ("code" in reply ? done(reply as grpc.ServiceError) : done(null, reply));
}

export const healthyGrpc = {
  Capabilities: {
    getCapabilities: answer({
      cacheCapabilities: { digestFunctions: ["SHA1", "SHA256"], actionCacheUpdateCapabilities: { updateEnabled: false } },
    }),
  },
  ActionCache: { getActionResult: answer({ code: grpc.status.NOT_FOUND, details: "no such action" }) },
};

export const healthyHttp: RequestListener = (request, response) => {
  request.resume();
  response.writeHead(404).end("not found");
};

export const byOperator: CandidateSource = { name: "operator", from: "config", localProof: false };

export function byPeer(...pin: readonly string[]): CandidateSource {
  return { name: "peer", node: "cache.example.ts.net", nodeId: "n1", tag: "tag:bazel-cache", pin };
}

export function candidate(url: string, source: CandidateSource = byOperator, kind: Tool = "bazel"): Candidate {
  const parsed = parseEndpoint(url, kind);
  if (!parsed.ok) throw new TypeError(`${url}: ${parsed.message}`);
  return { endpoint: parsed.endpoint, source, aliases: [] };
}

export const proofContext: ProbeContext = { timeoutMs: 5000, localProof: true, tailnet: undefined, nixKeys: [], instanceName: undefined };
/** For peers that never answer: short, since the test waits for all of it. */
export const impatient: ProbeContext = { ...proofContext, timeoutMs: 400 };

/** A self-signed certificate, its own authority. */
export function selfSigned(names: readonly string[]): Certificate {
  const dir = mkdtempSync(join(tmpdir(), "gf-cert-"));
  try {
    const [key, cert] = [join(dir, "key.pem"), join(dir, "cert.pem")];
    const subject = names.map((name) => (/^[0-9.]+$/.test(name) ? `IP:${name}` : `DNS:${name}`)).join(",");
    const request = ["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"];
    const what = ["-subj", "/CN=cache", "-addext", `subjectAltName=${subject}`, "-keyout", key, "-out", cert];
    execFileSync("openssl", [...request, ...what], { stdio: ["ignore", "ignore", "pipe"] });
    return { key: readFileSync(key, "utf8"), cert: readFileSync(cert, "utf8") };
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
}

/** Runs a module's text under this Node in a process of its own. */
export function script(text: string): { file: string; remove: () => void } {
  const dir = mkdtempSync(join(tmpdir(), "gf-probe-"));
  const file = join(dir, "script.ts");
  writeFileSync(file, text);
  return { file, remove: () => rmSync(dir, { recursive: true, force: true }) };
}
