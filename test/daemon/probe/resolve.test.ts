import { networkInterfaces } from "node:os";
import { afterEach, describe, expect, it } from "vitest";
import type { CandidateSource } from "../../../contract/candidate.ts";
import { parseEndpoint } from "../../../contract/endpoint.ts";
import { Secret } from "../../../contract/secret.ts";
import { given } from "../../../daemon/credentials/kept.ts";
import type { ProbeContext } from "../../../daemon/probe/context.ts";
import { placeOf } from "../../../daemon/probe/place.ts";
import { Prober } from "../../../daemon/probe/prober.ts";
import { canonical } from "../../../daemon/probe/resolve.ts";
import { checkRoute } from "../../../daemon/probe/route.ts";
import { byOperator, byPeer, candidate, healthyHttp, impatient, listenHttp, type Peer, proofContext } from "./peers.ts";

const cleanup: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const close of cleanup.splice(0).reverse()) await close();
});

const noProof: ProbeContext = { ...proofContext, localProof: false };

/** A resolver of which each name gives these addresses. */
function prober(...addresses: readonly string[]): Prober {
  const made = addresses.length === 0 ? new Prober() : new Prober({ lookup: async () => addresses });
  cleanup.push(() => made.close());
  return made;
}

async function cacheOn(host: string, port = 0): Promise<Peer> {
  const started = await listenHttp(healthyHttp, { host, port });
  cleanup.push(() => started.close());
  return started;
}

describe("a credential for a name of the tailnet", () => {
  const kept = given({ scheme: "bearer", token: new Secret("t") });
  const at = (url: string, addresses: readonly string[], context: ProbeContext = { ...noProof, kept }) =>
    prober(...addresses).probe(candidate(url, byOperator), context);

  it("is sent in plain text only to an address of the tailnet", async () => {
    for (const addresses of [["198.51.100.7"], ["100.64.0.5", "198.51.100.7"]]) {
      expect(await at("http://cache.tail0ffee.ts.net", addresses)).toMatchObject({
        ...{ ok: false, rung: "resolve" },
        reason: expect.stringContaining("198.51.100.7 here, which is not on the tailnet"),
      });
    }
  });
});

describe("a credential for a Service of one's own cluster", () => {
  const context: ProbeContext = { ...impatient, kept: given({ scheme: "bearer", token: new Secret("t") }), tailnet: undefined };
  // 192.0.2.0/24 is nobody's (RFC 5737): as far as this goes, a connection is tried.
  const at = (more: Partial<ProbeContext>) =>
    prober("192.0.2.9").probe(candidate("grpc://gf-reapi-cell.gf-rbe.svc.cluster.local:8980", byOperator), { ...context, ...more });

  it("may go there in plain text, as the fleet's own cells have it; from anywhere else it does not", async () => {
    expect(await at({ ownCluster: true })).toMatchObject({ ok: false, rung: "connect" });
    expect(await at({})).toMatchObject({ ok: false, rung: "resolve", reason: expect.stringContaining("plain text") });
  });
});

describe("pinned candidates", () => {
  it("are dialled at their pinned address", async () => {
    const cache = await cacheOn("127.0.0.2");
    expect(await prober().probe(candidate(`http://127.0.0.2:${cache.port}`, byPeer("127.0.0.2")), proofContext)).toMatchObject({
      ok: true,
    });
  });

  const pinned: readonly [string, CandidateSource, string][] = [
    ["a node", byPeer("127.0.0.3", "fd7a:115c:a1e0::1"), "node cache.example.ts.net"],
    ["a service", { name: "service", service: "svc:bazel-cache", pin: ["127.0.0.3"] }, "the service svc:bazel-cache"],
    [
      "a route",
      { name: "cluster", node: "gate.example.ts.net", route: "10.0.0.0/8", pin: ["127.0.0.3"] },
      "what node gate.example.ts.net routes",
    ],
  ];
  it.each(pinned)("of %s whose name resolves elsewhere are never dialled", async (_name, source, owner) => {
    const elsewhere = await cacheOn("127.0.0.2");
    const rightful = await cacheOn("127.0.0.3", elsewhere.port);
    const name = `cache.example.ts.net:${elsewhere.port}`;
    for (const addresses of [["127.0.0.2"], ["127.0.0.3", "127.0.0.2"]]) {
      for (const scheme of ["http", "https", "grpc", "grpcs"]) {
        expect(await prober(...addresses).probe(candidate(`${scheme}://${name}`, source), proofContext)).toMatchObject({
          ok: false,
          rung: "resolve",
          reason: `cache.example.ts.net resolves to 127.0.0.2, which is not an address of ${owner}`,
        });
      }
    }
    expect(elsewhere.connections() + rightful.connections()).toBe(0);
  });

  it("whose own address is not pinned are never dialled", async () => {
    const cache = await cacheOn("127.0.0.2");
    const result = await prober().probe(candidate(`http://127.0.0.2:${cache.port}`, byPeer("127.0.0.3")), proofContext);
    expect(result).toMatchObject({ ok: false, rung: "resolve", reason: "127.0.0.2 is not an address of node cache.example.ts.net" });
    expect(cache.connections()).toBe(0);
  });
});

describe("loopback", () => {
  it.each(["127.0.0.1", "localhost", "LOCALHOST", "[::1]", "[::ffff:127.0.0.1]"])(
    "at %s is not dialled without local proof",
    async (host) => {
      const cache = await cacheOn("127.0.0.1");
      const result = await prober().probe(candidate(`http://${host}:${cache.port}`), noProof);
      expect(result).toMatchObject({
        ok: false,
        rung: "resolve",
        reason: expect.stringContaining("loopback counts only as a local proof"),
      });
      expect(cache.connections()).toBe(0);
    },
  );

  it("is not dialled through a name either", async () => {
    const cache = await cacheOn("127.0.0.1");
    for (const addresses of [["127.0.0.1"], ["192.0.2.1", "127.0.0.1"], ["::ffff:127.0.0.1"]]) {
      const result = await prober(...addresses).probe(candidate(`http://cache.example:${cache.port}`), noProof);
      expect(result).toMatchObject({
        ok: false,
        rung: "resolve",
        reason: expect.stringContaining("cache.example resolves to 127.0.0.1, this machine itself"),
      });
    }
    expect(cache.connections()).toBe(0);
  });

  it("is dialled for an operator who said so", async () => {
    const cache = await cacheOn("127.0.0.1");
    const source: CandidateSource = { ...byOperator, name: "operator", from: "attach", localProof: true };
    expect(await prober().probe(candidate(`http://127.0.0.1:${cache.port}`, source), noProof)).toMatchObject({ ok: true });
  });
});

describe("names", () => {
  it("of the operating system are resolved", async () => {
    const cache = await cacheOn("127.0.0.1");
    expect(await prober().probe(candidate(`http://localhost:${cache.port}`), proofContext)).toMatchObject({
      ok: true,
      address: "127.0.0.1",
    });
  });

  it("that do not exist fail, and say so", async () => {
    const missing = new Prober({ lookup: () => Promise.reject(Object.assign(new Error("getaddrinfo"), { code: "ENOTFOUND" })) });
    cleanup.push(() => missing.close());
    expect(await missing.probe(candidate("http://cache.invalid:1"), proofContext)).toMatchObject({
      ok: false,
      rung: "resolve",
      reason: "the name cache.invalid has no address here",
    });
  });

  it("whose resolver hangs fail in time", async () => {
    const hanging = new Prober({ lookup: () => new Promise(() => {}) });
    cleanup.push(() => hanging.close());
    expect(await hanging.probe(candidate("http://cache.example:1"), impatient)).toMatchObject({
      ok: false,
      rung: "resolve",
      reason: "the name cache.example did not resolve within 400 ms",
    });
  });

  it("with a dead first address are reached at the next", async () => {
    const cache = await cacheOn("127.0.0.3");
    expect(await prober("127.0.0.2", "127.0.0.3").probe(candidate(`http://cache.example:${cache.port}`), proofContext)).toMatchObject({
      ok: true,
      address: "127.0.0.3",
    });
  });

  it.each([
    ["::FFFF:127.0.0.1", "127.0.0.1"],
    ["FD7A:115C:A1E0:0:0:0:0:1", "fd7a:115c:a1e0::1"],
    ["100.64.0.5", "100.64.0.5"],
  ])("%s is spelt %s", (address, spelt) => expect(canonical(address)).toBe(spelt));
});

describe("the route", () => {
  it("of a userspace tailnet leads nowhere", async () => {
    const result = await prober().probe(candidate("grpc://100.64.0.5:9092", byPeer("100.64.0.5")), {
      ...proofContext,
      tailnet: { running: true, tun: false, addresses: ["100.64.0.1"] },
    });
    expect(result).toMatchObject({ ok: false, rung: "route", reason: expect.stringContaining("userspace networking") });
  });

  const own = Object.values(networkInterfaces())
    .flat()
    .find((entry) => entry?.family === "IPv4" && !entry.internal)?.address;
  it.skipIf(own === undefined)("must begin at this node's tailnet address", async () => {
    if (own === undefined) throw new Error("this machine has loopback only");
    const gone = await listenHttp(healthyHttp);
    await gone.close();
    const peer = candidate(`http://${own}:${gone.port}`, byPeer(own));
    const tailnet = (addresses: readonly string[]): ProbeContext => ({ ...proofContext, tailnet: { running: true, tun: true, addresses } });
    expect(await prober().probe(peer, tailnet(["100.64.0.1"]))).toMatchObject({
      ok: false,
      rung: "route",
      reason: `this machine would reach ${own} from ${own}, which is not its tailnet address: not through the tailnet`,
    });
    expect(await prober().probe(peer, tailnet(["100.64.0.1", own]))).toMatchObject({ ok: false, rung: "connect" });
    expect(await prober().probe(candidate(`http://${own}:${gone.port}`), tailnet(["100.64.0.1"]))).toMatchObject({
      ok: false,
      rung: "connect",
    });
  });

  describe("of a secret without TLS", () => {
    const kept = given({ scheme: "bearer", token: new Secret("t") });
    const onTailnet = { running: true, tun: true, addresses: ["100.64.0.1"] } as const;
    const at = (url: string, tailnet: ProbeContext["tailnet"]) =>
      prober("100.64.0.5").probe(candidate(url), { ...impatient, kept, tailnet });
    const urls = ["http://100.64.0.5:1", "grpc://100.64.0.5:1", "http://cache.tail0ffee.ts.net:1"];

    it.each(urls)("needs a tailnet that runs, whoever named it: %s", async (url) => {
      for (const tailnet of [undefined, { ...onTailnet, running: false }]) {
        expect(await at(url, tailnet)).toMatchObject({
          ...{ ok: false, rung: "route" },
          reason: "no Tailscale client says that this machine is on a tailnet now: the credential would go to 100.64.0.5 in plain text",
          next: expect.stringMatching(/tailscale up .*TLS/),
        });
      }
      expect(await at(url, { ...onTailnet, tun: false })).toMatchObject({
        ...{ ok: false, rung: "route", reason: expect.stringContaining("userspace networking") },
      });
    });

    it.skipIf(own === undefined)("begins at this node's tailnet address", async () => {
      const parsed = parseEndpoint(`http://${own}:1`, "bazel");
      if (!parsed.ok || own === undefined) throw new Error("this machine has loopback only");
      const place = placeOf(parsed.endpoint, own, { kept });
      const check = (addresses: readonly string[], to = place) =>
        checkRoute(to, byOperator, { ...proofContext, tailnet: { ...onTailnet, addresses } }, AbortSignal.timeout(5000));
      for (const addresses of [["100.64.0.1"], []]) {
        await expect(check(addresses)).rejects.toMatchObject({
          ...{ rung: "route", message: expect.stringContaining("plain text") },
        });
      }
      await check(["100.64.0.1", own]);
      // With nothing to send, or over TLS, what an operator named may be anywhere.
      await check([], placeOf(parsed.endpoint, own));
      const tls = parseEndpoint(`https://${own}:1`, "bazel");
      if (tls.ok) await check([], placeOf(tls.endpoint, own, { kept }));
    });
  });
});
