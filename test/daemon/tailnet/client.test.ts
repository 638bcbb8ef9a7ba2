import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer, type Server, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import {
  AccessDeniedError,
  LocalApiClient,
  type LocalApiOptions,
  ProtocolError,
  UnavailableError,
  UnsupportedMethodError,
} from "../../../daemon/tailnet/localapi/index.ts";
import { type LocalApi, startLocalApi, tailnetState } from "../../fixtures/localapi/state.ts";

let dir: string;
let client: LocalApiClient | undefined;
let standIn: LocalApi | undefined;
let raw: Server | undefined;
let sockets: Socket[];

beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), "gf-la-"));
  sockets = [];
});

afterEach(async () => {
  await client?.close();
  await standIn?.stop();
  for (const socket of sockets) socket.destroy();
  raw?.close();
  client = standIn = raw = undefined;
  rmSync(dir, { recursive: true, force: true });
});

function open(socketPath: string, options: Omit<LocalApiOptions, "socketPath"> = {}): LocalApiClient {
  client = new LocalApiClient({ socketPath, timeoutMs: 1000, ...options });
  return client;
}

/** A listener that answers each request's bytes as it is told. */
async function listen(answer: (socket: Socket, request: string) => void): Promise<string> {
  const path = join(dir, "raw.sock");
  raw = createServer((socket) => {
    sockets.push(socket);
    socket.on("error", () => undefined).on("data", (bytes) => answer(socket, bytes.toString()));
  });
  raw.listen(path);
  await once(raw, "listening");
  return path;
}

const http = (status: string, body: string) => `HTTP/1.1 ${status}\r\ncontent-length: ${Buffer.byteLength(body)}\r\n\r\n${body}`;

describe("against a LocalAPI", () => {
  const words = {
    nodes: [{ name: "cache", addresses: ["127.0.0.2", "fd7a:115c:a1e0::2"], tags: ["tag:bazel-cache"] }],
    services: { "svc:bazel-cache": { addresses: ["127.0.0.9"], ports: ["tcp:9092"] } },
  };

  beforeEach(async () => {
    standIn = await startLocalApi(dir, tailnetState(words));
    open(standIn.socket);
  });

  it("reads the status, with and without peers", async () => {
    const status = await client?.status();
    expect(status?.BackendState).toBe("Running");
    expect(Object.values(status?.Peer ?? {}).map((peer) => peer.DNSName)).toEqual(["cache.tail0ffee.ts.net."]);
    expect((await client?.status({ peers: false }))?.Peer).toBeUndefined();
    expect(standIn?.requests()).toEqual(["GET /localapi/v0/status", "GET /localapi/v0/status?peers=false"]);
  });

  it("reads services, and says when the client is too old for them", async () => {
    expect(await client?.services()).toEqual({ "svc:bazel-cache": { Name: "svc:bazel-cache", Addrs: ["127.0.0.9"], Ports: ["tcp:9092"] } });
    await standIn?.set(tailnetState({ ...words, services: null }));
    await expect(client?.services()).rejects.toThrow(UnsupportedMethodError);
  });

  it("asks whois by address and port, of both families", async () => {
    const id = "ncachetail0ffeetsnetCNTRL";
    expect((await client?.whois("127.0.0.2:9092"))?.Node?.StableID).toBe(id);
    expect((await client?.whois("[fd7a:115c:a1e0::2]:9092"))?.Node?.StableID).toBe(id);
    expect(await client?.whois("127.0.0.77:9092")).toBeUndefined();
  });

  it("pings", async () => {
    expect(await client?.ping("127.0.0.2", "disco")).toMatchObject({ LatencySeconds: 0.0042 });
    expect(await client?.ping("127.0.0.77", "disco")).toMatchObject({ Err: "no matching peer" });
  });

  it("hears the bus, and ends quietly when told to", async () => {
    const stop = new AbortController();
    const heard: string[][] = [];
    for await (const message of client?.watchIpnBus(4096 + 2 + 128, stop.signal) ?? []) {
      heard.push(Object.keys(message));
      if (heard.length === 1) await standIn?.set(tailnetState());
      else stop.abort();
    }
    expect(heard).toEqual([
      ["Version", "SessionID", "State"],
      ["Version", "PeersChanged"],
    ]);
  });

  it("says that the bus was cut when the client dies", async () => {
    const hear = async () => {
      for await (const _ of client?.watchIpnBus(2, new AbortController().signal) ?? []) await standIn?.kill();
    };
    await expect(hear()).rejects.toMatchObject({ kind: "unavailable", why: "closed" });
  });

  it("is refused with AccessDeniedError on 403", async () => {
    await standIn?.set(tailnetState({ fault: "403" }));
    await expect(client?.status()).rejects.toThrow(AccessDeniedError);
    await expect(client?.watchIpnBus(2, new AbortController().signal).next()).rejects.toThrow(AccessDeniedError);
  });

  it("gives up on a client that hangs", async () => {
    await standIn?.set(tailnetState({ fault: "hang" }));
    await expect(client?.status()).rejects.toMatchObject({ kind: "unavailable", why: "timeout" });
  });

  it("calls garbage garbage", async () => {
    await standIn?.set(tailnetState({ fault: "garbage" }));
    await expect(client?.status()).rejects.toThrow(ProtocolError);
  });

  it("takes in no more than it said", async () => {
    await standIn?.set(tailnetState({ fault: "endless" }));
    const small = new LocalApiClient({ socketPath: standIn?.socket ?? "", largestBody: 1_000_000 });
    await expect(small.status()).rejects.toThrow("longer than 1000000 bytes");
    await small.close();
  });
});

describe("against sockets that misbehave", () => {
  it("sends the Host that tailscaled wants, and neither Origin nor Referer", async () => {
    let seen = "";
    const path = await listen((socket, request) => {
      seen = request;
      socket.end(http("200 OK", "{}"));
    });
    await open(path).status();
    expect(seen).toMatch(/^GET \/localapi\/v0\/status HTTP\/1\.1\r\nhost: local-tailscaled\.sock\r\n/i);
    expect(seen).not.toMatch(/origin|referer/i);
  });

  it("tells absence from a socket that nobody listens on", async () => {
    await expect(open(join(dir, "nothing.sock")).status()).rejects.toMatchObject({ kind: "unavailable", why: "absent" });
    await client?.close();
    writeFileSync(join(dir, "file.sock"), "");
    await expect(open(join(dir, "file.sock")).status()).rejects.toMatchObject({ kind: "unavailable", why: "refused" });
  });

  it.each([
    ["no JSON", http("200 OK", "<html>hello</html>"), ProtocolError],
    ["a JSON array", http("200 OK", "[]"), ProtocolError],
    ["JSON null", http("200 OK", "null"), ProtocolError],
    ["status 500", http("500 Oops", "it broke"), ProtocolError],
    ["status 503", http("503 Wait", "no netmap"), UnavailableError],
    ["status 404", http("404 Not Found", "404 page not found"), UnsupportedMethodError],
    ["nothing", "", UnavailableError],
    ["half an answer", "HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{", UnavailableError],
    ["endless headers", `HTTP/1.1 200 OK\r\nx: ${"y".repeat(200_000)}\r\n\r\n`, ProtocolError],
  ])("answers with %s", async (_, bytes, error) => {
    const path = await listen((socket) => socket.end(bytes));
    await expect(open(path).status()).rejects.toThrow(error);
  });

  it("bounds a message of the bus, and reads one that comes in pieces", async () => {
    const head = "HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n";
    const path = await listen((socket) => {
      socket.write(`${head}{"Version":"a`);
      setImmediate(() => socket.write(`b"}\n\n{"Version":"c"}\n${"x".repeat(3000)}`));
    });
    const heard: unknown[] = [];
    const hear = async () => {
      for await (const message of open(path, { longestMessage: 2000 }).watchIpnBus(2, new AbortController().signal))
        heard.push(message["Version"]);
    };
    await expect(hear()).rejects.toThrow("longer than 2000 bytes");
    expect(heard).toEqual(["ab", "c"]);
  });
});
