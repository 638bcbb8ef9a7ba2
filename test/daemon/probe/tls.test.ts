import { afterEach, beforeAll, describe, expect, it } from "vitest";
import { Prober } from "../../../daemon/probe/prober.ts";
import {
  byOperator,
  byPeer,
  type Certificate,
  candidate,
  healthyGrpc,
  healthyHttp,
  listen,
  listenGrpc,
  listenHttp,
  type Peer,
  proofContext,
  selfSigned,
} from "./peers.ts";

const cleanup: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const close of cleanup.splice(0).reverse()) await close();
});

let certificate: Certificate;
beforeAll(() => {
  certificate = selfSigned(["cache.example.ts.net", "127.0.0.1"]);
});

function prober(options: { trusting: boolean }): Prober {
  const made = new Prober({ lookup: async () => ["127.0.0.1"], authorities: options.trusting ? [certificate.cert] : [] });
  cleanup.push(() => made.close());
  return made;
}

async function peer(starting: Promise<Peer>): Promise<Peer> {
  const started = await starting;
  cleanup.push(() => started.close());
  return started;
}

describe("TLS", () => {
  it("reaches a pinned address under its name, which is what the server and its certificate are asked for", async () => {
    const hosts: (string | undefined)[] = [];
    const http = await peer(
      listenHttp(
        (request, response) => {
          hosts.push(request.headers.host);
          healthyHttp(request, response);
        },
        { tls: certificate },
      ),
    );
    const grpc = await peer(listenGrpc(healthyGrpc, { tls: certificate }));
    const trusting = prober({ trusting: true });
    for (const url of [`https://cache.example.ts.net:${http.port}`, `grpcs://cache.example.ts.net:${grpc.port}`]) {
      expect(await trusting.probe(candidate(url, byPeer("127.0.0.1")), proofContext)).toMatchObject({ ok: true, address: "127.0.0.1" });
    }
    expect(hosts).toEqual([`cache.example.ts.net:${http.port}`, `cache.example.ts.net:${http.port}`]);
  });

  it("reaches an address that the certificate names", async () => {
    const http = await peer(listenHttp(healthyHttp, { tls: certificate }));
    const grpc = await peer(listenGrpc(healthyGrpc, { tls: certificate }));
    const trusting = prober({ trusting: true });
    expect(await trusting.probe(candidate(`https://127.0.0.1:${http.port}`), proofContext)).toMatchObject({ ok: true });
    expect(await trusting.probe(candidate(`grpcs://127.0.0.1:${grpc.port}`), proofContext)).toMatchObject({ ok: true });
  });

  it.each(["https", "grpcs"])("refuses a self-signed certificate over %s", async (scheme) => {
    const server = await peer(listen(() => {}, { tls: certificate, alpn: scheme === "grpcs" ? "h2" : "http/1.1" }));
    expect(
      await prober({ trusting: false }).probe(candidate(`${scheme}://cache.example.ts.net:${server.port}`), proofContext),
    ).toMatchObject({
      ok: false,
      rung: "handshake",
      reason: `cache.example.ts.net:${server.port} (127.0.0.1) shows a self-signed TLS certificate, which the tools would refuse`,
    });
  });

  it("refuses a certificate of another name", async () => {
    const server = await peer(listenHttp(healthyHttp, { tls: certificate }));
    const result = await prober({ trusting: true }).probe(
      candidate(`https://other.example:${server.port}/main`, byOperator, "nix"),
      proofContext,
    );
    expect(result).toMatchObject({ ok: false, rung: "handshake", reason: expect.stringContaining("of another name than other.example") });
  });

  it.each(["https", "grpcs"])("is not there on a plain port, over %s", async (scheme) => {
    const server = await peer(listenHttp(healthyHttp));
    expect(
      await prober({ trusting: true }).probe(candidate(`${scheme}://cache.example.ts.net:${server.port}`), proofContext),
    ).toMatchObject({
      ok: false,
      rung: "handshake",
      reason: expect.stringContaining("does not speak TLS"),
    });
  });

  it("is there where a plain gRPC cache was looked for", async () => {
    const server = await peer(listen((socket) => socket.once("data", () => socket.end(Buffer.from([0x15, 3, 1, 0, 2, 2, 70])))));
    expect(await prober({ trusting: true }).probe(candidate(`grpc://cache.example.ts.net:${server.port}`), proofContext)).toMatchObject({
      ok: false,
      rung: "handshake",
      reason: expect.stringContaining("speaks TLS"),
      next: "try grpcs://",
    });
  });
});
