import type { RequestListener } from "node:http";
import { createServer as createHttp2Server } from "node:http2";
import type { Socket } from "node:net";
import { afterEach, describe, expect, it, vi } from "vitest";
import { Prober } from "../../../daemon/probe/prober.ts";
import { nginx, startNginx } from "../../fixtures/nginx/nginx.ts";
import { candidate, healthyHttp, impatient, listen, listenHttp, type Peer, proofContext } from "./peers.ts";

const cleanup: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const close of cleanup.splice(0).reverse()) await close();
});

function prober(): Prober {
  const made = new Prober();
  cleanup.push(() => made.close());
  return made;
}

async function peer(starting: Promise<Peer>): Promise<Peer> {
  const started = await starting;
  cleanup.push(() => started.close());
  return started;
}

describe("a Bazel HTTP cache", () => {
  it("passes, asked for the empty blob and an action that cannot exist, beneath the endpoint's path", async () => {
    const asked: string[] = [];
    const cache = await peer(
      listenHttp((request, response) => {
        asked.push(`${request.method} ${request.url} ${request.headers.host}`);
        healthyHttp(request, response);
      }),
    );
    const result = await prober().probe(candidate(`http://127.0.0.1:${cache.port}/team/a`), proofContext);
    expect(result).toMatchObject({ ok: true, address: "127.0.0.1", facts: {} });
    expect(result.ok && result.latencyMs).toBeGreaterThan(0);
    expect(asked).toEqual([
      `HEAD /team/a/cas/e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855 127.0.0.1:${cache.port}`,
      expect.stringMatching(new RegExp(`^GET /team/a/ac/[0-9a-f]{64} 127\\.0\\.0\\.1:${cache.port}$`)),
    ]);
  });

  it("passes on IPv6 loopback", async () => {
    const cache = await peer(listenHttp(healthyHttp, { host: "::1" }));
    expect(await prober().probe(candidate(`http://[::1]:${cache.port}`), proofContext)).toMatchObject({ ok: true, address: "::1" });
  });

  it.skipIf(!nginx().available)("passes when it is nginx with DAV", async () => {
    const found = nginx();
    if (!found.available) throw new Error(found.reason);
    const server = await startNginx(found.path);
    cleanup.push(() => server.stop());
    expect(await prober().probe(candidate(server.url), proofContext)).toMatchObject({ ok: true });
    // nginx answers before it logs.
    await vi.waitFor(() => expect(server.requests().map((line) => line.split(" ")[0])).toEqual(["HEAD", "GET"]));
  });

  it("passes where the server closes the connection after each answer", async () => {
    const cache = await peer(listenHttp((_request, response) => response.writeHead(404, { connection: "close" }).end()));
    expect(await prober().probe(candidate(`http://127.0.0.1:${cache.port}`), proofContext)).toMatchObject({ ok: true });
    expect(cache.connections()).toBe(2);
  });

  const status =
    (code: number, headers: Record<string, string> = {}): RequestListener =>
    (_request, response) =>
      response.writeHead(code, headers).end("<html>");
  const answers: readonly [string, RequestListener, string, RegExp][] = [
    ["401", status(401), "authority", /asks for a credential, and none is kept for it \(HTTP 401\)/],
    ["403", status(403), "authority", /refuses this machine \(HTTP 403\)/],
    [
      "a redirect",
      status(302, { location: "https://login.example/?token=secret" }),
      "capabilities",
      /redirects to https:\/\/login\.example\/ \(HTTP 302\)/,
    ],
    ["500", status(500), "capabilities", /a fault of its own \(HTTP 500\)/],
    ["400", status(400), "capabilities", /HTTP 400 where a cache answers 200 or 404/],
    ["200 for everything", status(200), "capabilities", /it is a web site, not a cache/],
    [
      "403 for actions only",
      (request, response) => status(request.method === "HEAD" ? 200 : 403)(request, response),
      "authority",
      /HTTP 403/,
    ],
  ];
  it.each(answers)("that answers %s fails", async (_name, handler, rung, reason) => {
    const cache = await peer(listenHttp(handler));
    const result = await prober().probe(candidate(`http://127.0.0.1:${cache.port}`), proofContext);
    expect(result).toMatchObject({ ok: false, rung, reason: expect.stringMatching(reason) });
    expect(JSON.stringify(result)).not.toContain("secret");
  });
});

describe("what is no HTTP cache", () => {
  it("nothing listens", async () => {
    const gone = await listenHttp(healthyHttp);
    await gone.close();
    expect(await prober().probe(candidate(`http://127.0.0.1:${gone.port}`), proofContext)).toMatchObject({
      ok: false,
      rung: "connect",
      reason: `nothing listens on 127.0.0.1:${gone.port} (connection refused)`,
    });
  });

  const head = "HTTP/1.1 404 Not Found\r\n";
  const every20ms = (socket: Socket, text: string): void => {
    const timer = setInterval(() => socket.write(text), 20);
    socket.on("close", () => clearInterval(timer));
  };
  const afterRequest =
    (text: string): ((socket: Socket) => void) =>
    (socket) =>
      socket.once("data", () => socket.write(text));
  const servers: readonly [string, (socket: Socket) => void, string, RegExp][] = [
    ["says nothing", () => {}, "handshake", /accepted the connection and did not answer within \d{3} ms/],
    ["answers garbage", afterRequest("\u0001\u0002\u001b[31mnonsense\r\n\r\n"), "handshake", /something that is not HTTP/],
    ["hangs up", (socket) => socket.once("data", () => socket.end()), "handshake", /closed the connection without a whole answer/],
    ["trickles its headers", (socket) => every20ms(socket, "x"), "handshake", /something that is not HTTP|did not answer/],
    [
      "trickles good headers",
      (socket) =>
        socket.once("data", () => {
          socket.write(head);
          every20ms(socket, "A: b\r\n");
        }),
      "handshake",
      /did not answer within|KiB of headers/,
    ],
    [
      "sends endless headers",
      (socket) =>
        socket.once("data", () => {
          socket.write(head);
          socket.write("A: b\r\n".repeat(20_000));
        }),
      "handshake",
      /more than 16 KiB of headers/,
    ],
    [
      "trickles its body",
      (socket) =>
        socket.on("data", (data) => {
          socket.write(`${head}Content-Length: ${String(data).startsWith("HEAD") ? 0 : 9999}\r\n\r\n`);
          if (!String(data).startsWith("HEAD")) every20ms(socket, "x");
        }),
      "capabilities",
      /began to answer and did not finish within \d{3} ms/,
    ],
    [
      "sends an endless body",
      (socket) =>
        socket.on("data", (data) => {
          socket.write(`${head}Content-Length: ${String(data).startsWith("HEAD") ? 0 : 99_999_999}\r\n\r\n`);
          if (!String(data).startsWith("HEAD")) socket.write("x".repeat(200_000));
        }),
      "capabilities",
      /more than 64 KiB/,
    ],
    ["speaks TLS", (socket) => socket.once("data", () => socket.end(Buffer.from([0x15, 3, 1, 0, 2, 2, 70]))), "handshake", /speaks TLS/],
  ];
  it.each(servers)("one that %s fails in time, and its connection is released", async (_name, serve, rung, reason) => {
    const server = await peer(listen(serve));
    const connected = server.next();
    const began = performance.now();
    const probing = prober().probe(candidate(`http://127.0.0.1:${server.port}`), impatient);
    const socket = await connected;
    const closed = new Promise((resolve) => socket.once("close", resolve));
    const result = await probing;
    socket.resume();
    expect(result).toMatchObject({ ok: false, rung, reason: expect.stringMatching(reason) });
    expect(performance.now() - began).toBeLessThan(3000);
    // biome-ignore lint/suspicious/noControlCharactersInRegex: none may be left
    expect(JSON.stringify(result)).not.toMatch(/[\u0000-\u001f]/);
    await closed;
  });

  it("an HTTP/2 server is named as one", async () => {
    const http2 = createHttp2Server();
    const server = await peer(listen((socket) => http2.emit("connection", socket)));
    expect(await prober().probe(candidate(`http://127.0.0.1:${server.port}`), proofContext)).toMatchObject({
      ok: false,
      rung: "handshake",
      reason: `127.0.0.1:${server.port} speaks HTTP/2, not HTTP/1.1`,
      next: `if it is a gRPC cache, name it grpc://127.0.0.1:${server.port}`,
    });
  });
});
