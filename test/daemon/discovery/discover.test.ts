import { createSocket, type Socket } from "node:dgram";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import type { Candidate, Rejection } from "../../../contract/candidate.ts";
import { type Config, parseConfig } from "../../../contract/config.ts";
import type { Tool } from "../../../contract/endpoint.ts";
import { localProofNext } from "../../../contract/local-proof.ts";
import type { OperatorEndpoint } from "../../../contract/operator.ts";
import { gloriousflywheel, type Profile } from "../../../contract/profile.ts";
import { noTrust, type TrustStore } from "../../../contract/trust.ts";
import { tailscaleResolver } from "../../../daemon/discovery/cluster.ts";
import { type Discovery, type DiscoveryInput, discover } from "../../../daemon/discovery/discover.ts";
import { judgeOperatorEndpoint } from "../../../daemon/discovery/operator.ts";
import { TailnetWatcher } from "../../../daemon/tailnet/watch.ts";
import { type LocalApi, standInTailnet, startLocalApi, type TailnetInWords, tailnetState } from "../../fixtures/localapi/state.ts";

const profile: Profile = {
  ...gloriousflywheel,
  name: "default",
  tailnet: { name: standInTailnet.name, magicDnsSuffix: standInTailnet.suffix },
  nix: { ...gloriousflywheel.nix, substituter: undefined },
};
const config: Config = parseConfig("", "config.toml");
const localProof: Config = { ...config, localProof: { allowed: true, bazel: [], nix: [] } };

let dir: string;
let standIn: LocalApi;
let watcher: TailnetWatcher;

beforeEach(async () => {
  dir = mkdtempSync(join(tmpdir(), "gf-di-"));
  standIn = await startLocalApi(dir, tailnetState());
  watcher = new TailnetWatcher({ socket: standIn.socket, onChange: () => undefined });
});

afterEach(async () => {
  await watcher.close();
  await standIn.stop();
  rmSync(dir, { recursive: true, force: true });
});

/** Discovers on a tailnet told in words, as the real stand-in, client and watcher give it. */
async function on(words: TailnetInWords, input: Partial<DiscoveryInput> = {}): Promise<Discovery> {
  await standIn.set(tailnetState(words));
  const tailnet = await watcher.refresh();
  return discover({ profile, config, trust: noTrust, operator: [], whois: (address) => watcher.whois(address), ...input, tailnet });
}

const urls = (candidates: readonly Candidate[], kind: Tool = "bazel") =>
  candidates.filter((candidate) => candidate.endpoint.kind === kind).map((candidate) => candidate.endpoint.url);
const about = (rejections: readonly Rejection[], kind: Tool = "bazel") => rejections.filter((rejection) => rejection.kind === kind);

const bazelCache = { name: "cache", addresses: ["fd7a:115c:a1e0::5", "100.64.0.5"], tags: ["tag:bazel-cache"], id: "nCache" };
const nixCache = { name: "attic", addresses: ["100.64.0.6"], tags: ["tag:nix-cache"] };

describe("peers", () => {
  it("with the tag are candidates: plaintext by address with the other spellings as aliases, TLS by name", async () => {
    const { candidates, rejections, trusted } = await on({ nodes: [bazelCache, nixCache] });
    expect(trusted).toBe(true);
    expect(rejections).toEqual([]);
    expect(urls(candidates)).toEqual(["grpc://100.64.0.5:9092", "http://100.64.0.5:8080"]);
    expect(candidates[0]?.aliases.map((alias) => alias.url)).toEqual([
      "grpc://cache.tail0ffee.ts.net:9092",
      "grpc://cache:9092",
      "grpc://[fd7a:115c:a1e0::5]:9092",
    ]);
    expect(candidates[0]?.source).toEqual({
      name: "peer",
      node: "cache.tail0ffee.ts.net",
      nodeId: "nCache",
      tag: "tag:bazel-cache",
      pin: ["100.64.0.5", "fd7a:115c:a1e0::5"],
    });
    expect(urls(candidates, "nix")).toEqual([
      "https://attic.tail0ffee.ts.net/main",
      "http://100.64.0.6/main",
      "http://100.64.0.6:8080/main",
    ]);
    expect(candidates.find((one) => one.endpoint.scheme === "https")).toMatchObject({ aliases: [], source: { pin: ["100.64.0.6"] } });
  });

  it("are asked of whois with each address and port", async () => {
    await on({ nodes: [bazelCache] });
    const asked = standIn.requests().filter((line) => line.includes("whois"));
    expect(asked.map(decodeURIComponent).sort()).toEqual([
      "GET /localapi/v0/whois?addr=100.64.0.5:8080",
      "GET /localapi/v0/whois?addr=100.64.0.5:9092",
    ]);
  });

  it("with the right name and no tag are none, and are named once", async () => {
    const { candidates, rejections } = await on({
      nodes: [
        { name: "bazel-cache", addresses: ["100.64.0.5"] },
        { name: "bazel-cache-2", addresses: ["100.64.0.7"], tags: ["tag:server"] },
        { name: "printer", addresses: ["100.64.0.8"] },
        nixCache,
      ],
    });
    expect(urls(candidates)).toEqual([]);
    expect(about(rejections).map((one) => one.subject)).toEqual(["bazel-cache.tail0ffee.ts.net", "bazel-cache-2.tail0ffee.ts.net"].sort());
    expect(about(rejections)[0]).toMatchObject({ source: "peer", reason: expect.stringContaining("does not carry tag:bazel-cache") });
    expect(about(rejections, "nix")).toEqual([]);
  });

  it.each([
    ["shared in by a sharee", { shared: true }, "shared in"],
    ["of another suffix", { name: "cache.tailbad.ts.net" }, "shared in"],
    ["expired", { expired: true }, "expired"],
    ["with a name that is no host", { name: "ca che$(id).tail0ffee.ts.net" }, "no valid host"],
    ["without an address", { addresses: [] }, "no address"],
    ["on loopback", { addresses: ["127.0.0.5", "::1"] }, "loopback"],
  ])("%s are none, though they carry the tag", async (_, words, reason) => {
    const { candidates, rejections } = await on({ nodes: [{ ...bazelCache, ...words }] });
    expect(candidates).toEqual([]);
    expect(about(rejections)).toEqual([expect.objectContaining({ reason: expect.stringContaining(reason) })]);
    expect(standIn.requests().filter((line) => line.includes("whois"))).toEqual([]);
  });

  it("on loopback are candidates under local proof", async () => {
    const { candidates } = await on({ nodes: [{ ...bazelCache, addresses: ["127.0.0.5"] }] }, { config: localProof });
    expect(urls(candidates)).toEqual(["grpc://127.0.0.5:9092", "http://127.0.0.5:8080"]);
  });

  it("that whois contradicts are none, port by port", async () => {
    const { candidates, rejections } = await on({
      nodes: [bazelCache, { name: "evil", addresses: ["100.64.0.66"] }],
      whois: { "100.64.0.5:9092": "evil" },
    });
    expect(urls(candidates)).toEqual(["http://100.64.0.5:8080"]);
    expect(about(rejections)).toEqual([
      expect.objectContaining({
        subject: "cache.tail0ffee.ts.net",
        reason: "Tailscale says that 100.64.0.5:9092 belongs to evil.tail0ffee.ts.net, not to cache.tail0ffee.ts.net",
      }),
    ]);
  });

  it("that whois does not know are none", async () => {
    const { candidates, rejections } = await on({ nodes: [bazelCache], whois: { "100.64.0.5": null } });
    expect(candidates).toEqual([]);
    expect(about(rejections).map((one) => one.reason)).toEqual(
      [9092, 8080].map((port) => `Tailscale does not say whose address 100.64.0.5:${port} is`),
    );
  });

  it("are bounded, those that are online first, and what is left out is counted", async () => {
    const nodes = Array.from({ length: 300 }, (_, i) => ({
      ...bazelCache,
      name: `c${i}`,
      id: `n${i}`,
      addresses: [`100.64.1.${i % 256}`, `fd7a::${i + 1}`],
      offline: i < 299,
    }));
    const { candidates, rejections } = await on({ nodes });
    expect(candidates.length).toBeLessThanOrEqual(64);
    expect(rejections.length).toBeLessThanOrEqual(256);
    expect(rejections.map((one) => one.reason)).toContainEqual(expect.stringMatching(/^236 more nodes carry it/));
    expect(candidates[0]?.source).toMatchObject({ node: "c299.tail0ffee.ts.net" });
  });
});

describe("the tailnet", () => {
  it("that is not the profile's offers nothing, whatever its tags", async () => {
    const hostile: TailnetInWords = {
      name: "evil.example",
      suffix: "tailbad.ts.net",
      nodes: [bazelCache, nixCache],
      services: { "svc:bazel-cache": { addresses: ["100.64.0.5"], ports: ["tcp:9092"] } },
    };
    const { candidates, rejections, trusted } = await on(hostile);
    expect(trusted).toBe(false);
    expect(candidates).toEqual([]);
    expect(rejections).toHaveLength(2);
    expect(rejections[0]).toMatchObject({
      source: "peer",
      subject: "evil.example",
      next: "flywheel trust tailnet   (only if it is your organisation's)",
    });
    expect(standIn.requests().filter((line) => line.includes("whois"))).toEqual([]);
    const trust: TrustStore = {
      ...noTrust,
      tailnets: [{ profile: "default", name: "evil.example", magicDnsSuffix: "tailbad.ts.net", at: "" }],
    };
    expect(urls((await on(hostile, { trust })).candidates)).toContain("grpc://100.64.0.5:9092");
  });

  it("that is stopped offers nothing", async () => {
    const { candidates, rejections } = await on({ nodes: [bazelCache], backendState: "Stopped" });
    expect(candidates).toEqual([]);
    expect(about(rejections)).toEqual([expect.objectContaining({ reason: "Tailscale is not running: Stopped", next: "tailscale up" })]);
  });

  it("that cannot be read leaves the operator's word standing", async () => {
    const operator: OperatorEndpoint[] = [
      { profile: "default", kind: "bazel", endpoint: "grpc://10.0.0.1:9092", localProof: false, at: "" },
    ];
    const { candidates, rejections, trusted } = await on({ fault: "403" }, { operator });
    expect(trusted).toBe(false);
    expect(urls(candidates)).toEqual(["grpc://10.0.0.1:9092"]);
    expect(about(rejections)).toHaveLength(1);
  });
});

describe("Services", () => {
  const services = (addresses: readonly string[], ports: readonly string[], name = "svc:bazel-cache"): TailnetInWords => ({
    services: { [name]: { addresses, ports } },
  });

  it("are candidates at their own addresses, which are the pin", async () => {
    const { candidates } = await on({
      services: {
        "svc:bazel-cache": { addresses: ["100.100.1.1", "fd7a::9"], ports: ["tcp:9092", "tcp:443"] },
        "svc:nix-cache": { addresses: ["100.100.1.2"], ports: ["tcp:443"] },
        "svc:other": { addresses: ["100.100.1.3"], ports: ["tcp:9092"] },
      },
    });
    expect(candidates).toMatchObject([
      {
        endpoint: { url: "grpc://100.100.1.1:9092" },
        source: { name: "service", service: "svc:bazel-cache", pin: ["100.100.1.1", "fd7a::9"] },
      },
      { endpoint: { url: "https://nix-cache.tail0ffee.ts.net/main" }, source: { pin: ["100.100.1.2"] } },
    ]);
    expect(candidates[0]?.aliases.map((alias) => alias.url)).toContain("grpc://bazel-cache.tail0ffee.ts.net:9092");
  });

  it("keep the profile's order, and rank before peers", async () => {
    const { candidates } = await on({ nodes: [bazelCache], ...services(["100.100.1.1"], ["tcp:1-65535"]) });
    expect(urls(candidates)).toEqual([
      "grpc://100.100.1.1:9092",
      "http://100.100.1.1:8080",
      "grpc://100.64.0.5:9092",
      "http://100.64.0.5:8080",
    ]);
  });

  it("without ports follow the convention", async () => {
    expect(urls((await on(services(["100.100.1.1"], []))).candidates)).toEqual(["grpc://100.100.1.1:9092", "http://100.100.1.1:8080"]);
  });

  it.each([
    ["another port", ["100.100.1.1"], ["tcp:443"], "it offers 443, and profile default looks on 9092, 8080"],
    ["no address", [], ["tcp:9092"], "no address"],
    ["an address that is none", ["cache.example"], ["tcp:9092"], "no address"],
    ["loopback", ["127.0.0.1"], ["tcp:9092"], "loopback"],
  ])("with %s are none", async (_, addresses, ports, reason) => {
    const { candidates, rejections } = await on(services(addresses, ports));
    expect(candidates).toEqual([]);
    expect(about(rejections)).toEqual([
      expect.objectContaining({ source: "service", subject: "svc:bazel-cache", reason: expect.stringContaining(reason) }),
    ]);
  });

  it("that the client does not tell of are no matter", async () => {
    expect(await on({ services: null })).toEqual({ candidates: [], rejections: [], trusted: true });
  });
});

describe("the operator", () => {
  const attach = (endpoint: string, entry: Partial<OperatorEndpoint> = {}): OperatorEndpoint => ({
    profile: "default",
    kind: "bazel",
    endpoint,
    localProof: false,
    at: "",
    ...entry,
  });

  it("names endpoints by attach, config and the profile's substituter, as they are written", async () => {
    const { candidates } = await on(
      {},
      {
        profile: { ...profile, nix: { ...profile.nix, substituter: "https://nix-cache.tinyland.dev/main" } },
        config: { ...config, endpoints: { bazel: ["grpcs://cache.example"], nix: [] } },
        operator: [
          attach("grpc://cache.lan:9092"),
          attach("grpc://other:9092", { profile: "other" }),
          attach("http://n/main", { kind: "nix" }),
        ],
      },
    );
    expect(candidates.map(({ endpoint, source }) => [endpoint.url, source.name === "operator" && source.from])).toEqual([
      ["grpc://cache.lan:9092", "attach"],
      ["grpcs://cache.example", "config"],
      ["http://n/main", "attach"],
      ["https://nix-cache.tinyland.dev/main", "config"],
    ]);
  });

  it("names for one organisation what no other gets: config's are the default profile's, a profile's are its own", async () => {
    const named: Config = {
      ...localProof,
      endpoints: { bazel: ["grpcs://fleet.example"], nix: ["https://fleet.example/main"] },
      localProof: { allowed: true, bazel: ["grpc://127.0.0.1:19092"], nix: [] },
    };
    const own = { bazel: ["grpcs://lab.example"], nix: ["https://lab.example/physics"] };
    const lab = await on({}, { profile: { ...profile, name: "lab", endpoints: own }, config: named });
    expect(lab.candidates.map(({ endpoint }) => endpoint.url)).toEqual(["grpcs://lab.example", "https://lab.example/physics"]);
    const fleet = await on({}, { config: named });
    expect(urls(fleet.candidates)).toEqual(["grpcs://fleet.example", "grpc://127.0.0.1:19092"]);
  });

  it.each([
    ["grpc://user:secret@cache:9092", "credentials"],
    ["grpc://${HOST}:9092", "placeholder"],
    ["grpc://$HOST:9092", "placeholder"],
    ["ftp://cache", "scheme"],
    ["grpc://:9092", "no host"],
    ["grpc://cache $(id)", "placeholder"],
    ["http://attic.dev-cluster.example", "stale pattern attic"],
    ["grpc://fuzzy-dev.ts.net:9092", "no longer exists"],
    ["grpc://FUZZY-DEV.ts.net:9092", "no longer exists"],
    ["grpc://LOCALHOST:9092", "loopback"],
    ["grpc://127.8.8.8:9092", "loopback"],
    ["grpc://[::1]:9092", "loopback"],
    ["grpc://[::ffff:127.0.0.1]:9092", "loopback"],
    [`grpc://${"a".repeat(10_000)}`, "longer than"],
  ])("is told what is wrong with %s", (text, reason) => {
    const judged = judgeOperatorEndpoint(text, "bazel", { from: "environment", localProof: false, profile });
    expect(judged).toMatchObject({ ok: false, rejection: { reason: expect.stringContaining(reason) } });
    expect(JSON.stringify(judged)).not.toContain("secret");
    expect(JSON.stringify(judged).length).toBeLessThan(1000);
  });

  it("may use loopback with the endpoint's own markers, or the config's", async () => {
    const own = await on({}, { operator: [attach("grpc://localhost:9092", { localProof: true })] });
    expect(own.candidates).toMatchObject([{ source: { name: "operator", from: "attach", localProof: true } }]);
    const configured = await on({}, { config: { ...localProof, endpoints: { bazel: ["grpc://localhost:9092"], nix: [] } } });
    expect(configured.candidates).toMatchObject([{ source: { name: "operator", from: "config", localProof: true } }]);
    const neither = await on({}, { operator: [attach("grpc://localhost:9092")] });
    expect(neither).toMatchObject({
      candidates: [],
      rejections: [{ source: "operator", next: localProofNext }],
    });
  });

  it("and a peer at one URL are one candidate, the operator's, with the peer's aliases", async () => {
    const { candidates } = await on({ nodes: [bazelCache] }, { operator: [attach("grpc://100.64.0.5:9092")] });
    expect(urls(candidates)).toEqual(["grpc://100.64.0.5:9092", "http://100.64.0.5:8080"]);
    expect(candidates[0]).toMatchObject({
      source: { name: "operator" },
      aliases: expect.arrayContaining([expect.objectContaining({ url: "grpc://cache:9092" })]),
    });
  });
});

describe("a local proof", () => {
  const forwarded = (allowed: boolean, bazel: readonly string[]): Config => ({ ...config, localProof: { allowed, bazel, nix: [] } });

  it("stands on loopback, by both words in the configuration", async () => {
    const { candidates } = await on({}, { config: forwarded(true, ["grpc://127.0.0.1:9092"]) });
    expect(candidates).toMatchObject([{ endpoint: { url: "grpc://127.0.0.1:9092" }, source: { name: "local-proof", from: "config" } }]);
  });

  it.each([
    [false, "grpc://127.0.0.1:9092", "not allowed"],
    [true, "grpc://10.0.0.1:9092", "is on loopback, and this is not"],
    [true, "nonsense", "scheme"],
  ])("allowed %s, %s: none", async (allowed, endpoint, reason) => {
    const { candidates, rejections } = await on({}, { config: forwarded(allowed, [endpoint]) });
    expect(candidates).toEqual([]);
    expect(rejections).toEqual([expect.objectContaining({ source: "local-proof", reason: expect.stringContaining(reason) })]);
  });
});

describe("the cluster", () => {
  const router = { name: "router", addresses: ["100.64.0.9"], tags: ["tag:bazel-cache"], routes: ["10.42.0.0/16"] };
  const inCluster: Profile = {
    ...profile,
    bazel: { ...profile.bazel, grpcPorts: [], httpPorts: [] },
    cluster: { enabled: true, bazel: ["grpc://bazel-cache.nix-cache.svc.cluster.local:9092"], nix: [] },
  };
  let dns: Socket;
  let server: string;
  let zone: Record<string, readonly string[]>;
  let queries: string[];

  beforeAll(async () => {
    dns = createSocket("udp4");
    dns.on("message", (query, from) => dns.send(dnsAnswer(query), from.port, from.address));
    dns.bind(0, "127.0.0.1");
    await once(dns, "listening");
    server = `127.0.0.1:${dns.address().port}`;
    return () => dns.close();
  });

  beforeEach(() => {
    zone = { "bazel-cache.nix-cache.svc.cluster.local": ["10.42.0.7"] };
    queries = [];
  });

  /** The least of RFC 1035 that answers an A question from the zone, and NXDOMAIN to all else. */
  function dnsAnswer(query: Buffer): Buffer {
    const labels: string[] = [];
    let at = 12;
    for (let length = query[at] ?? 0; length > 0; length = query[at] ?? 0) {
      labels.push(query.toString("latin1", at + 1, at + 1 + length));
      at += 1 + length;
    }
    const name = labels.join(".").toLowerCase();
    const type = query.readUInt16BE(at + 1);
    queries.push(name);
    const found = zone[name];
    const records = type === 1 ? (found ?? []) : [];
    const header = Buffer.from(query.subarray(0, 12));
    header.writeUInt16BE(found === undefined ? 0x8183 : 0x8180, 2);
    header.writeUInt16BE(1, 4);
    header.writeUInt16BE(records.length, 6);
    header.writeUInt32BE(0, 8);
    const answers = records.map((ip) => Buffer.from([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, ...ip.split(".").map(Number)]));
    return Buffer.concat([header, query.subarray(12, at + 5), ...answers]);
  }

  const within = (words: TailnetInWords, cluster: Partial<Profile["cluster"]> = {}) =>
    on(words, { profile: { ...inCluster, cluster: { ...inCluster.cluster, ...cluster } }, resolve: tailscaleResolver(server) });

  it("is off unless the profile turns it on", async () => {
    const { candidates, rejections } = await within({ nodes: [router] }, { enabled: false });
    expect([candidates, rejections, queries]).toEqual([[], [], []]);
  });

  it("is reached by the address that Tailscale's resolver gives, under a tagged node's route", async () => {
    const { candidates } = await within({ nodes: [router] });
    expect(candidates).toMatchObject([
      {
        endpoint: { url: "grpc://10.42.0.7:9092" },
        source: { name: "cluster", route: "10.42.0.0/16", node: "router.tail0ffee.ts.net", pin: ["10.42.0.7"] },
        aliases: [{ url: "grpc://bazel-cache.nix-cache.svc.cluster.local:9092" }],
      },
    ]);
  });

  it("pins the covered addresses alone", async () => {
    zone = { "bazel-cache.nix-cache.svc.cluster.local": ["203.0.113.9", "10.42.0.7"] };
    expect((await within({ nodes: [router] })).candidates).toMatchObject([
      { endpoint: { host: "10.42.0.7" }, source: { pin: ["10.42.0.7"] } },
    ]);
  });

  it.each([
    ["a node without the tag", { tags: ["tag:router"] }, "no node with tag:bazel-cache routes"],
    ["a node shared in", { shared: true }, "no node with tag:bazel-cache routes"],
    ["a default route", { routes: ["0.0.0.0/0"] }, "which no route of a node with tag:bazel-cache covers"],
    ["another subnet", { routes: ["10.43.0.0/16"] }, "resolves to 10.42.0.7, which no route"],
  ])("is not reached over %s", async (_, words, reason) => {
    const { candidates, rejections } = await within({ nodes: [{ ...router, ...words }] });
    expect(candidates).toEqual([]);
    expect(about(rejections).map((one) => one.reason)).toContainEqual(expect.stringContaining(reason));
  });

  it("is not reached by a name that the resolver does not know", async () => {
    zone = {};
    const { candidates, rejections } = await within({ nodes: [router] });
    expect(candidates).toEqual([]);
    expect(about(rejections)).toEqual([
      expect.objectContaining({ source: "cluster", reason: expect.stringContaining("does not know bazel-cache.nix-cache") }),
    ]);
  });

  it("is not reached at a name that resolves to loopback", async () => {
    zone = { "bazel-cache.nix-cache.svc.cluster.local": ["127.0.0.1"] };
    expect((await within({ nodes: [{ ...router, routes: ["127.0.0.0/8"] }] })).candidates).toEqual([]);
  });
});

it("turns 10,000 nodes that look like a cache into a bounded answer", async () => {
  const nodes = Array.from({ length: 10_000 }, (_, i) => ({
    name: `cache-${i}`,
    addresses: [`100.${64 + (i >> 16)}.${(i >> 8) & 255}.${i & 255}`],
  }));
  const { candidates, rejections } = await on({ nodes: [...nodes, bazelCache] });
  expect(urls(candidates)).toEqual(["grpc://100.64.0.5:9092", "http://100.64.0.5:8080"]);
  expect(about(rejections)).toHaveLength(256);
  expect(about(rejections).at(-1)?.reason).toBe("9745 more rejections were left out");
});
