/** What a Tailscale client may answer, through the real client over a real socket, the watcher and discovery. */
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { createServer, type Server } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { afterAll, beforeAll, expect, it } from "vitest";
import { injectedFlags } from "../../contract/bazel/injection.ts";
import { type Config, parseConfig } from "../../contract/config.ts";
import { isAddress, isLoopback, parseEndpoint } from "../../contract/endpoint.ts";
import { gloriousflywheel, type Profile } from "../../contract/profile.ts";
import { noTrust } from "../../contract/trust.ts";
import { type Discovery, discover } from "../../daemon/discovery/discover.ts";
import { mostFound } from "../../daemon/discovery/finding.ts";
import { LocalApiClient, LocalApiError } from "../../daemon/tailnet/localapi/index.ts";
import { TailnetWatcher } from "../../daemon/tailnet/watch.ts";
import { standInTailnet, tailnetState } from "../fixtures/localapi/state.ts";
import { fuzz, timeoutFor } from "./fuzz.ts";

const seconds = 6;

interface Answer {
  readonly status: number;
  readonly body: string | Buffer;
}

/** By the method's name; what is not there is a 404. */
let answers: Readonly<Record<string, Answer>> = {};
let server: Server;
let dir: string;
let client: LocalApiClient;
let watcher: TailnetWatcher;

beforeAll(async () => {
  dir = mkdtempSync(join(tmpdir(), "gf-fz-"));
  const socket = join(dir, "tailscaled.sock");
  server = createServer((request, response) => {
    const method = /^\/localapi\/v0\/([a-z-]+)/.exec(request.url ?? "")?.[1] ?? "";
    const answer = answers[method];
    response.writeHead(answer?.status ?? 404);
    response.end(answer?.body);
  }).listen(socket);
  await once(server, "listening");
  client = new LocalApiClient({ socketPath: socket, timeoutMs: 2000 });
  watcher = new TailnetWatcher({ socket, onChange: () => undefined, timeoutMs: 2000 });
});
afterAll(async () => {
  await Promise.all([client.close(), watcher.close()]);
  server.closeAllConnections();
  server.close();
  rmSync(dir, { recursive: true, force: true });
});

const profile: Profile = {
  ...gloriousflywheel,
  tailnet: { name: standInTailnet.name, magicDnsSuffix: undefined },
  cluster: { enabled: true, bazel: ["grpc://10.0.0.9:9092"], nix: ["http://10.0.0.9/main"] },
  nix: { ...gloriousflywheel.nix, substituter: undefined },
};
const config: Config = parseConfig("", "config.toml");

const nasty = fc.oneof(
  fc.constantFrom(
    ...[
      "",
      ".",
      "..",
      "a..b",
      "-a",
      "--remote_executor=x",
      "a b",
      "a\nb",
      "\u001b[31mred",
      "\u001b]0;x\u0007",
      "\u202eabc",
      "\u2028",
      "é",
      "\0",
    ],
    ...[
      "$(touch pwned)",
      "`id`",
      "%workspace%",
      "${HOME}",
      "a".repeat(70),
      `${"a.".repeat(200)}a`,
      "127.0.0.1",
      "localhost",
      "::1",
      "0.0.0.0",
      "0x7f.1",
    ],
    ...[
      "100.64.0.9",
      "fd7a:115c:a1e0::9",
      "FD7A:115C:A1E0::9",
      "::ffff:127.0.0.1",
      "100.64.0.9/32",
      "10.0.0.0/8",
      "10.0.0.0/-1",
      "0.0.0.0/0",
      "::/0",
    ],
    ...[
      "tag:bazel-cache",
      "tag:nix-cache",
      "svc:bazel-cache",
      "__proto__",
      "constructor",
      "tcp:9092",
      "tcp:*",
      "tcp:1-0",
      "udp:9092",
      "Running",
    ],
    ...[`cache.${standInTailnet.suffix}.`, standInTailnet.suffix, standInTailnet.name, `.${standInTailnet.suffix}.`, "nCache"],
  ),
  fc.string({ unit: "binary", maxLength: 8 }),
);
const anything = fc.oneof(
  { weight: 4, arbitrary: nasty },
  { weight: 2, arbitrary: fc.array(nasty, { maxLength: 3 }) },
  { weight: 1, arbitrary: fc.jsonValue() },
);

/** A real answer with some of its values, however deep, replaced. */
function mutated(real: unknown): fc.Arbitrary<unknown> {
  const walk = (value: unknown): fc.Arbitrary<unknown> => {
    const kept = Array.isArray(value)
      ? fc.tuple(...value.map(walk))
      : typeof value === "object" && value !== null
        ? fc
            .tuple(...Object.entries(value).map(([key, inner]) => fc.tuple(often(fc.constant(key), nasty), walk(inner))))
            .map((entries) => Object.fromEntries(entries))
        : fc.constant(value);
    return often(kept, anything);
  };
  return walk(real);
}

function often<T>(usual: fc.Arbitrary<T>, odd: fc.Arbitrary<T>): fc.Arbitrary<T>;
function often(usual: fc.Arbitrary<unknown>, odd: fc.Arbitrary<unknown>): fc.Arbitrary<unknown> {
  return fc.oneof({ weight: 24, arbitrary: usual }, { weight: 1, arbitrary: odd });
}

const real = tailnetState({
  nodes: [
    { name: "cache", id: "nCache", addresses: ["100.64.0.9", "fd7a:115c:a1e0::9"], tags: ["tag:bazel-cache"], routes: ["10.0.0.0/8"] },
    { name: "attic", addresses: ["100.64.0.10"], tags: ["tag:nix-cache"] },
    { name: "printer", addresses: ["100.64.0.11"] },
  ],
  services: { "svc:bazel-cache": { addresses: ["100.100.0.1"], ports: ["tcp:9092"] } },
});
const whoIs = { Node: { StableID: "nCache", Name: `cache.${standInTailnet.suffix}.` } };
const ping = { IP: "100.64.0.9", LatencySeconds: 0.004, Endpoint: "100.64.0.9:41641", PeerRelay: "", DERPRegionCode: "fra" };
const notify = { Version: "1.98", State: 6, Health: { Warnings: {} } };

function answer(shape: unknown): fc.Arbitrary<Answer> {
  const json = mutated(shape).map((value): Answer => ({ status: 200, body: JSON.stringify(value) ?? "" }));
  return fc.oneof(
    { weight: 30, arbitrary: json },
    // JSON that is cut or has bytes of another kind in it.
    {
      weight: 1,
      arbitrary: fc
        .tuple(json, fc.nat(3000), fc.uint8Array({ maxLength: 4 }))
        .map(([{ body }, at, bytes]): Answer => ({ status: 200, body: Buffer.concat([Buffer.from(body).subarray(0, at), bytes]) })),
    },
    {
      weight: 1,
      arbitrary: fc.tuple(fc.constantFrom(200, 400, 403, 404, 500, 503), nasty).map(([status, body]): Answer => ({ status, body })),
    },
  );
}
const localApi = fc.record({
  status: answer(real.status),
  services: answer(real.services),
  whois: answer(whoIs),
  ping: answer(ping),
  "watch-ipn-bus": answer(notify),
});

it("gives nothing but its own errors, nothing unprintable, and no endpoint that is not valid", timeoutFor(seconds), async () => {
  const reached = { known: 0, candidates: 0, failed: 0 };
  await fuzz(
    fc.asyncProperty(localApi, async (next) => {
      answers = next;
      const stop = new AbortController();
      const bus = async (): Promise<void> => {
        for await (const message of client.watchIpnBus(1, stop.signal)) expect(message).toBeTypeOf("object");
      };
      const direct = await Promise.allSettled([
        client.status(),
        client.services(),
        client.whois("100.64.0.9:1"),
        client.ping("100.64.0.9", "disco"),
        bus(),
      ]);
      for (const one of direct) {
        if (one.status === "fulfilled") continue;
        reached.failed += 1;
        expect(one.reason).toBeInstanceOf(LocalApiError);
      }
      const tailnet = await watcher.refresh();
      const asked: string[] = [];
      const whois = (address: string) => {
        asked.push(address);
        return watcher.whois(address);
      };
      const found = await discover({ profile, config, tailnet, trust: noTrust, operator: [], whois, resolve: async () => ["10.0.0.9"] });
      if (tailnet.state === "known") reached.known += 1;
      if (found.candidates.length > 0) reached.candidates += 1;
      expectPrintable({ tailnet, found, pinged: await watcher.ping("100.64.0.9"), who: await watcher.whois("100.64.0.9:9092") });
      expectSound(found);
      // Each node on each of the profile's ports, and no more.
      expect(asked.length).toBeLessThanOrEqual(5 * 2 * mostFound.candidates);
    }),
    { seconds, atLeast: 100 },
  );
  for (const count of Object.values(reached)) expect(count, JSON.stringify(reached)).toBeGreaterThan(20);
});

function expectSound({ candidates, rejections }: Discovery): void {
  for (const kind of ["bazel", "nix"] as const) {
    expect(candidates.filter((one) => one.endpoint.kind === kind).length).toBeLessThanOrEqual(mostFound.candidates);
    expect(rejections.filter((one) => one.kind === kind).length).toBeLessThanOrEqual(mostFound.rejections);
  }
  for (const { endpoint, aliases, source } of candidates) {
    for (const each of [endpoint, ...aliases]) expect(parseEndpoint(each.url, each.kind)).toEqual({ ok: true, endpoint: each });
    for (const flag of injectedFlags({ endpoint, aliases, upload: false, instanceName: undefined })) {
      expect(flag).toMatch(/^--[a-z_]+(?:=(?!-)[^\s"'\\#$`]*)?$/);
    }
    if ("pin" in source) for (const address of source.pin) expect(isAddress(address) && !isLoopback(address), address).toBe(true);
  }
}

function expectPrintable(value: unknown): void {
  const text = JSON.stringify(value, (_, inner: unknown) =>
    typeof inner === "string" ? inner.replaceAll(/[\p{Cc}\u2028\u2029\u200e\u200f\u202a-\u202e\u2066-\u2069]/gu, "UNPRINTABLE") : inner,
  );
  expect(text).not.toContain("UNPRINTABLE");
}
