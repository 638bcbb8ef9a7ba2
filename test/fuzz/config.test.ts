/** config.toml and profiles, as anybody might have written them: what is wrong has file and line, what is accepted is sound all the way down. */

import fc from "fast-check";
import { stringify } from "smol-toml";
import { expect, it } from "vitest";
import { injectedFlags } from "../../contract/bazel/injection.ts";
import { type Config, parseConfig, parseProfile } from "../../contract/config.ts";
import { isLoopback, parseEndpoint } from "../../contract/endpoint.ts";
import { FlywheelError } from "../../contract/errors.ts";
import { gloriousflywheel, type Profile } from "../../contract/profile.ts";
import { noTrust } from "../../contract/trust.ts";
import { type Discovery, discover } from "../../daemon/discovery/discover.ts";
import { parseTailnet } from "../../daemon/tailnet/tailnet.ts";
import { TailnetWatcher } from "../../daemon/tailnet/watch.ts";
import { tailnetState } from "../fixtures/localapi/state.ts";
import { fuzz, timeoutFor } from "./fuzz.ts";

const seconds = 3;
const file = "/home/dev/config.toml";

const texts = fc.oneof(
  fc.constantFrom(
    ...[
      "",
      " ",
      "all",
      "enrolled",
      "port-forward",
      "/",
      "/a/../b",
      "/a\u0000b",
      "/run/x.sock",
      "debug",
      "grpc://10.0.0.1:9092",
      "grpc://127.0.0.1:1",
      "http://a/b",
    ],
    ...[
      "grpc://u:p@h",
      "grpc://$HOST:1",
      "--remote_executor=x",
      "grpc://a --x",
      "tag:bazel-cache",
      "tag:x y",
      "svc:bazel-cache",
      "svc:-",
      "main",
      "a/b",
      "../x",
    ],
    ...[
      "main:eaUydxuDu7xBoy5cCo3MdknYAkVyTIASQ7DGuwxa+XA=",
      "x:y",
      "(",
      "(a+)+$",
      "tail0ffee.ts.net",
      "gloriousflywheel",
      "\u001b[31m",
      "\u202e",
      "a\nb",
      "é",
    ],
  ),
  fc.string({ unit: "binary", maxLength: 10 }).filter((text) => text.isWellFormed()),
);
const scalar = fc.oneof(texts, fc.integer(), fc.boolean(), fc.constantFrom(0, 1, 80, 443, 9092, 65_535, 65_536, -1));
const value = fc.oneof(
  { weight: 3, arbitrary: scalar },
  { weight: 2, arbitrary: fc.array(scalar, { maxLength: 4 }) },
  { weight: 1, arbitrary: fc.dictionary(texts, scalar, { maxKeys: 2 }) },
);

/** Tables of the schema's own names, with values that are often of the right kind. */
function document(shape: Readonly<Record<string, Readonly<Record<string, fc.Arbitrary<unknown>>>>>): fc.Arbitrary<string> {
  const tables = Object.entries(shape).map(([name, settings]) => {
    const keys = Object.fromEntries(
      Object.entries(settings).map(([key, good]) => [key, fc.oneof({ weight: 6, arbitrary: good }, { weight: 1, arbitrary: value })]),
    );
    return [name, fc.record(keys, { requiredKeys: [] })] as const;
  });
  const whole = fc.record(Object.fromEntries(tables), { requiredKeys: [] }).map((object) => stringify(object));
  const extra = fc.tuple(texts, value).map(([key, inner]) => stringify({ [key]: inner }));
  const broken = fc
    .tuple(whole, fc.nat(400), fc.oneof(texts, fc.constantFrom("[", "]", "=", '"""', "'''", "\n\n[guard]\n", "#", "\\", "\u0000")))
    .map(([text, at, piece]) => text.slice(0, at) + piece + text.slice(at));
  return fc.oneof(
    { weight: 6, arbitrary: whole },
    { weight: 2, arbitrary: broken },
    { weight: 1, arbitrary: fc.tuple(extra, whole).map((parts) => parts.join("\n")) },
    { weight: 1, arbitrary: fc.string({ unit: "binary", maxLength: 60 }) },
  );
}

const endpoints = fc.array(fc.oneof(texts, fc.constantFrom("grpc://10.0.0.1:9092", "https://cache.example/main")), { maxLength: 3 });
const ports = fc.array(fc.constantFrom(80, 443, 9092), { maxLength: 2 });
const configs = document({
  guard: { scope: fc.constantFrom("all", "enrolled"), workspaces: fc.array(fc.constantFrom("/a", "/b c"), { maxLength: 2 }) },
  local_proof: { mode: fc.constant("port-forward"), allow_localhost: fc.boolean(), bazel: endpoints, nix: endpoints },
  tailnet: { socket: fc.oneof(fc.constantFrom("/nonexistent/tailscaled.sock"), texts) },
  endpoints: { bazel: endpoints, nix: endpoints },
  daemon: { log_level: fc.constantFrom("info", "debug"), idle_exit_minutes: fc.nat(20_000) },
});
const profiles = document({
  tailnet: { name: texts, magic_dns_suffix: fc.constant("tail0ffee.ts.net") },
  bazel: {
    service: fc.constant("svc:b"),
    tag: fc.constant("tag:b"),
    grpc_ports: ports,
    http_ports: ports,
    upload: fc.boolean(),
    instance_name: fc.oneof(fc.constantFrom("spoke-a", "a/b"), texts),
    reapi_hosts: fc.array(fc.oneof(fc.constantFrom("cell*", "*.rbe.svc"), texts), { maxLength: 2 }),
  },
  nix: {
    service: fc.constant("svc:n"),
    tag: fc.constant("tag:n"),
    https_ports: ports,
    http_ports: ports,
    cache: fc.oneof(fc.constantFrom("main", "a.b", "a..b", ".."), texts),
    public_key: texts,
    substituter: texts,
  },
  cluster: { enabled: fc.boolean(), bazel: endpoints, nix: endpoints },
  contract: {
    stale: fc.array(fc.constantFrom("dev", "^x$"), { maxLength: 2 }),
    runner_labels: fc.array(fc.constantFrom("nix$"), { maxLength: 1 }),
  },
});

/** The value, or undefined where it was turned down as it should be. */
function taken<T>(parse: () => T): T | undefined {
  try {
    return parse();
  } catch (error) {
    expect(error).toBeInstanceOf(FlywheelError);
    const { code, message, next } = error as FlywheelError;
    expect(code).toBe("config-invalid");
    expect(message).toMatch(/^\/home\/dev\/config\.toml:[1-9]\d*: ./);
    expect(`${message} ${next}`).not.toMatch(/[\p{Cc}\u2028\u2029\u202a-\u202e\u2066-\u2069]/u);
    return undefined;
  }
}

const tailnet = parseTailnet(
  tailnetState({
    nodes: [
      {
        name: "c",
        id: "n1",
        addresses: ["100.64.0.9"],
        tags: ["tag:b", "tag:n", "tag:bazel-cache", "tag:nix-cache"],
        routes: ["10.0.0.0/8"],
      },
    ],
  }).status,
  { "svc:b": { Name: "svc:b", Addrs: ["100.100.0.1"] }, "svc:n": { Name: "svc:n", Addrs: ["100.100.0.2"] } },
  { via: "/run/tailscaled.sock", systemSocket: true },
);

async function discovered(profile: Profile, config: Config): Promise<Discovery> {
  const trust = { ...noTrust, tailnets: [{ profile: profile.name, name: tailnet.name, magicDnsSuffix: tailnet.magicDnsSuffix, at: "" }] };
  const whois = async () => ({ nodeId: "n1", name: "c.tail0ffee.ts.net" });
  return discover({ profile, config, tailnet, trust, operator: [], whois, resolve: async () => ["10.0.0.9"] });
}

function expectSound({ candidates, rejections }: Discovery, profile: Profile, config: Config): void {
  for (const { endpoint, aliases, source } of candidates) {
    for (const each of [endpoint, ...aliases]) {
      expect(parseEndpoint(each.url, each.kind)).toEqual({ ok: true, endpoint: each });
      if (isLoopback(each.host)) expect(config.localProof.allowed).toBe(true);
    }
    if (endpoint.kind !== "bazel") continue;
    for (const flag of injectedFlags({ endpoint, aliases, upload: profile.bazel.upload, instanceName: profile.bazel.instanceName })) {
      expect(flag).toMatch(/^--[a-z_]+(?:=(?!-)[^\s"'\\#$`%]*)?$/);
    }
    expect(source.name).not.toBe("");
  }
  expect(JSON.stringify(rejections)).not.toMatch(/\\u00[01]|[\u2028\u2029\u202a-\u202e\u2066-\u2069]/);
  if (profile.nix.publicKey !== undefined) expect(profile.nix.publicKey).toMatch(/^[A-Za-z0-9._-]+:[A-Za-z0-9+/]{43}=$/);
}

it("config.toml", timeoutFor(seconds), async () => {
  let accepted = 0;
  await fuzz(
    fc.asyncProperty(configs, async (text) => {
      const config = taken(() => parseConfig(text, file));
      if (config === undefined) return;
      accepted += 1;
      expectSound(await discovered(gloriousflywheel, config), gloriousflywheel, config);
      if (config.tailnet.socket === undefined) return;
      // Whatever path it is: a snapshot with a reason, never a throw.
      const watcher = new TailnetWatcher({ socket: config.tailnet.socket, onChange: () => undefined });
      expect(await watcher.refresh()).toMatchObject({ state: "unreachable", reason: expect.stringMatching(/./) });
      await watcher.close();
    }),
    { seconds, atLeast: 100 },
  );
  expect(accepted).toBeGreaterThan(20);
});

it("a profile", timeoutFor(seconds), async () => {
  const config = parseConfig("", file);
  let accepted = 0;
  await fuzz(
    fc.asyncProperty(profiles, async (text) => {
      const profile = taken(() => parseProfile("own", text, file));
      if (profile === undefined) return;
      accepted += 1;
      expectSound(await discovered(profile, config), profile, config);
    }),
    { seconds, atLeast: 100 },
  );
  expect(accepted).toBeGreaterThan(20);
});
