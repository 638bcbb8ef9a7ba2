/**
 * Whose word counts, end to end: each stranger is a real listening cache on an address of its own that would
 * pass every probe. While it is not to be trusted nobody connects to it, the state is unattached with a reason
 * that names it, and the build is refused; with the trust given, the same cache is dialled and attached. The
 * stage has local proof on, so that loopback is not the reason.
 */
import { spawnSync } from "node:child_process";
import { once } from "node:events";
import { chownSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer, type Server } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { execa } from "execa";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import type { StatusReport } from "../../contract/api.ts";
import { createHttpCache } from "../fixtures/caches/http-cache.ts";
import { readEvents } from "../fixtures/caches/journal.ts";
import { bazel, daemonOf, expectAttachedTo, expectRefused, statusWhen } from "../fixtures/guarded.ts";
import type { TailnetInWords } from "../fixtures/localapi/state.ts";
import { freePort } from "../fixtures/process.ts";
import { built, makeStage, type Ran, type Stage } from "../fixtures/stage.ts";
import { type RecordingTool, recordingTool } from "../fixtures/tools/recording.ts";

const tag = "tag:bazel-cache";
const asRoot = process.getuid?.() === 0;
const localProof = '[local_proof]\nmode = "port-forward"\nallow_localhost = true\n';

let root: string;
let tool: RecordingTool;
let port: number;
let stage: Stage;
let last = 10;
const closing: (() => Promise<void>)[] = [];

beforeAll(async () => {
  root = mkdtempSync(join(tmpdir(), "gf-tr-"));
  tool = recordingTool(join(root, "tools"));
  port = await freePort();
  stage = await makeStage([tool.directory], { grpcPorts: [], httpPorts: [port] });
  await stage.flywheel(["up"]);
});
afterAll(async () => {
  await stage.dispose();
  for (const close of closing) await close();
  rmSync(root, { recursive: true, force: true });
});
beforeEach(() => tool.forget());

interface Stranger {
  readonly address: string;
  readonly url: string;
  /** How many connections were ever made to it. */
  connections(): number;
}

/** A sound cache on a loopback address that nothing else has. */
async function stranger(): Promise<Stranger> {
  last += 1;
  const address = `127.0.0.${last}`;
  const log = join(root, `${address}.jsonl`);
  const cache = createHttpCache({ dir: join(root, address), readOnly: false, deny: false, log });
  await cache.listen(address, port);
  closing.push(() => cache.close());
  const connections = () => readEvents(log).filter((event) => event.event === "connection").length;
  return { address, url: `http://${address}:${port}`, connections };
}

const build = (env: Record<string, string | undefined> = {}, cwd?: string): Promise<Ran> =>
  bazel(stage, ["build", "//x"], { env, ...(cwd === undefined ? {} : { cwd }) });

/** Settled without a cache, after a proof was asked for once more; the reason holds the words. */
async function expectUnattached(reason: RegExp): Promise<StatusReport> {
  await statusWhen(stage, `unattached, ${reason}`, ({ bazel: { state, unsettled, reason: said } }) => {
    return state === "unattached" && !unsettled && reason.test(said ?? "");
  });
  const up = await stage.flywheel(["up", "--json"]);
  expect(up.exitCode).toBe(3);
  const status = JSON.parse(up.stdout) as StatusReport;
  expect(status).toMatchObject({ profileState: "unattached", mode: "compatibility-local-only", bazel: { endpoint: null } });
  expect(status.bazel.reason).toMatch(reason);
  return status;
}

async function expectTrusted(cache: Stranger): Promise<void> {
  await statusWhen(stage, `attached to ${cache.url}`, (status) => status.bazel.endpoint === cache.url);
  tool.forget();
  expectAttachedTo(await build(), tool, cache.url);
  expect(cache.connections()).toBeGreaterThan(0);
}

interface TailnetCase {
  readonly name: string;
  readonly reason: RegExp;
  readonly hostile: (address: string) => TailnetInWords;
  readonly trusted: (address: string) => TailnetInWords;
}

const tagged = (address: string): TailnetInWords => ({ nodes: [{ name: "bazel-cache", addresses: [address], tags: [tag] }] });

const cases: readonly TailnetCase[] = [
  {
    name: "a shared-in node with the tag",
    reason: /shared-in-cache\..*: it is shared in from another tailnet/,
    hostile: (address) => ({ nodes: [{ name: "shared-in-cache", addresses: [address], tags: [tag], shared: true }] }),
    trusted: tagged,
  },
  {
    name: "a node under another tailnet's suffix with the tag",
    reason: /bazel-cache\.tail6666\.ts\.net: it is shared in from another tailnet/,
    hostile: (address) => ({ nodes: [{ name: "bazel-cache.tail6666.ts.net", addresses: [address], tags: [tag] }] }),
    trusted: tagged,
  },
  {
    name: "a node with the right name and no tag",
    reason: /bazel-cache\..*: it does not carry tag:bazel-cache/,
    hostile: (address) => ({ nodes: [{ name: "bazel-cache", addresses: [address] }] }),
    trusted: tagged,
  },
  {
    name: "a node with the right name and another tag",
    reason: /bazel-cache\..*: it does not carry tag:bazel-cache/,
    hostile: (address) => ({ nodes: [{ name: "bazel-cache", addresses: [address], tags: ["tag:bazel-cache-dev"] }] }),
    trusted: tagged,
  },
  {
    name: "a whois that names another node",
    reason: /Tailscale says that 127\.0\.0\.\d+:\d+ belongs to printer\..*, not to lying-cache\./,
    hostile: (address) => ({
      nodes: [
        { name: "lying-cache", addresses: [address], tags: [tag] },
        { name: "printer", addresses: ["127.0.0.9"] },
      ],
      whois: { [address]: "printer" },
    }),
    trusted: tagged,
  },
  {
    name: "a whois that knows nobody there",
    reason: /nobodys-cache\..*: Tailscale does not say whose address/,
    hostile: (address) => ({ nodes: [{ name: "nobodys-cache", addresses: [address], tags: [tag] }], whois: { [address]: null } }),
    trusted: tagged,
  },
  {
    name: "an expired node with the tag",
    reason: /expired-cache\..*: its key has expired/,
    hostile: (address) => ({ nodes: [{ name: "expired-cache", addresses: [address], tags: [tag], expired: true }] }),
    trusted: tagged,
  },
  {
    name: "a tailnet that the client has left",
    reason: /Tailscale is not running: Stopped/,
    hostile: (address) => ({ ...tagged(address), backendState: "Stopped" }),
    trusted: tagged,
  },
  {
    name: "a service, at an address that is not among its own",
    reason: /127\.0\.0\.8:\d+/,
    hostile: (address) => ({
      nodes: [{ name: "bazel-cache", addresses: [address] }],
      services: { "svc:bazel-cache": { addresses: ["127.0.0.8"], ports: [`tcp:${port}`] } },
    }),
    trusted: (address) => ({ services: { "svc:bazel-cache": { addresses: [address], ports: [`tcp:${port}`] } } }),
  },
  {
    name: "a service of another name",
    reason: /no candidate/,
    hostile: (address) => ({ services: { "svc:bazel-cache-2": { addresses: [address], ports: [`tcp:${port}`] } } }),
    trusted: (address) => ({ services: { "svc:bazel-cache": { addresses: [address], ports: [`tcp:${port}`] } } }),
  },
];

test.each(cases)("$name: never dialled, until it is trusted", async ({ reason, hostile, trusted }) => {
  const cache = await stranger();
  await stage.tailnet(hostile(cache.address));
  await expectUnattached(reason);
  expectRefused(await build(), tool, reason);
  expect(cache.connections()).toBe(0);
  await stage.tailnet(trusted(cache.address));
  await expectTrusted(cache);
});

test.each([
  ["another name and suffix", { name: "hostile.example", suffix: "tail6666.ts.net" }],
  ["the trusted name over another suffix", { suffix: "tail6666.ts.net" }],
  ["another name over the trusted suffix", { name: "hostile.example" }],
])("a hostile tailnet with the same tag, %s: never dialled, until it is trusted", async (_, words) => {
  const cache = await stranger();
  await stage.tailnet({ ...tagged(cache.address), ...words });
  const reason = /this machine is on tailnet \S+ \(\S+\); profile default trusts/;
  const status = await expectUnattached(reason);
  expect(status.tailnet).toMatchObject({ trusted: false, next: "flywheel trust tailnet   (only if it is your organisation's)" });
  const refused = await build();
  expectRefused(refused, tool, reason);
  expect(refused.stderr).toContain("next: flywheel trust tailnet");
  expect((await stage.flywheel(["trust", "tailnet"])).exitCode, "nobody said yes").not.toBe(0);
  await expectUnattached(reason);
  expect(cache.connections()).toBe(0);
  expect((await stage.flywheel(["trust", "tailnet", "--yes"])).exitCode).toBe(0);
  await expectTrusted(cache);
  // Trust taken back is taken back at once.
  expect((await stage.flywheel(["trust", "tailnet", "--revoke", "--yes"])).exitCode).toBe(0);
  await expectUnattached(reason);
});

test("a repository that brings an .env.flywheel.local: never dialled, until that very text is trusted", async () => {
  await stage.tailnet({});
  const cache = await stranger();
  const repository = join(root, "repository");
  mkdirSync(join(repository, ".git"), { recursive: true });
  const file = join(repository, ".env.flywheel.local");
  const text = `export BAZEL_REMOTE_CACHE=${cache.url}\nexport GF_BAZEL_LOCAL_PROOF=port-forward\nexport GF_BAZEL_ALLOW_LOCALHOST_PROOF=true\n`;
  writeFileSync(file, text);
  await expectUnattached(/no candidate/);
  const refused = await build({}, repository);
  expectRefused(refused, tool, /no shared cache is attached/);
  expect(refused.stderr).toContain(`next: flywheel trust file ${file}`);
  expect(cache.connections()).toBe(0);
  expect((await stage.flywheel(["trust", "file", file, "--yes"])).exitCode).toBe(0);
  expectAttachedTo(await build({}, repository), tool, cache.url);
  const dialled = cache.connections();
  expect(dialled).toBeGreaterThan(0);
  // For that workspace alone, and never the shared attachment.
  tool.forget();
  expectRefused(await build(), tool, /no shared cache is attached/);
  // One more line, and it is another text.
  const other = await stranger();
  writeFileSync(file, text.replace(cache.url, other.url));
  expectRefused(await build({}, repository), tool, /no shared cache is attached/);
  expect(other.connections()).toBe(0);
});

describe("a loopback endpoint without both markers", () => {
  const config = (text: string): void => writeFileSync(join(stage.dir, "config/config.toml"), text);
  const bare = { GF_BAZEL_LOCAL_PROOF: undefined, GF_BAZEL_ALLOW_LOCALHOST_PROOF: undefined };
  const halves = [
    bare,
    { ...bare, GF_BAZEL_LOCAL_PROOF: "port-forward" },
    { ...bare, GF_BAZEL_ALLOW_LOCALHOST_PROOF: "true" },
    { GF_BAZEL_LOCAL_PROOF: "yes", GF_BAZEL_ALLOW_LOCALHOST_PROOF: "true" },
  ];

  test.each(["", '[local_proof]\nmode = "port-forward"\n', "[local_proof]\nallow_localhost = true\n"])(
    "in the configuration, on the tailnet, in the environment and attached by hand, with %j: never dialled",
    async (words) => {
      const named = await stranger();
      const forwarded = await stranger();
      const node = await stranger();
      const own = await stranger();
      const proofs = `bazel = ["${forwarded.url}"]\n`;
      const endpoints = `[endpoints]\nbazel = ["${named.url}"]\n`;
      config(`${words || "[local_proof]\n"}${proofs}${endpoints}`);
      await stage.tailnet(tagged(node.address));
      await daemonOf(stage).reload();
      const status = await expectUnattached(/loopback/);
      const subjects = status.rejections.filter((one) => one.kind === "bazel").map((one) => one.subject);
      expect(subjects).toEqual(expect.arrayContaining([named.url, forwarded.url, "bazel-cache.tail0ffee.ts.net"]));
      for (const env of halves) {
        expectRefused(await build(env), tool, /loopback/);
        expectRefused(await build({ ...env, BAZEL_REMOTE_CACHE: own.url }), tool, /BAZEL_REMOTE_CACHE names a loopback endpoint/);
      }
      const attach = await execa(built.flywheel, ["attach", own.url], { env: { ...stage.env, ...bare }, extendEnv: false, reject: false });
      expect(attach.exitCode, attach.stderr).toBe(1);
      expect(attach.stderr).toMatch(/loopback/);
      for (const cache of [named, forwarded, node, own]) expect(cache.connections(), cache.url).toBe(0);
      // Both markers, and each is dialled.
      expectAttachedTo(await build({ BAZEL_REMOTE_CACHE: own.url }), tool, own.url);
      config(`${localProof}${proofs}${endpoints}`);
      await daemonOf(stage).reload();
      await expectTrusted(named);
      const after = await stage.flywheel(["up", "--json"]);
      expect(JSON.parse(after.stdout)).toMatchObject({ profileState: "local-proof" });
      for (const cache of [named, forwarded, node, own]) expect(cache.connections(), cache.url).toBeGreaterThan(0);
      config(localProof);
      await daemonOf(stage).reload();
    },
  );

  test("what the daemon attached as a local proof is not given to a shell that has not asked for one", async () => {
    const cache = await stranger();
    await stage.tailnet({});
    config("");
    await daemonOf(stage).reload();
    expect((await stage.flywheel(["attach", cache.url])).exitCode).toBe(0);
    const dialled = cache.connections();
    tool.forget();
    for (const env of halves) expectRefused(await build(env), tool, /only a local proof is attached/);
    expectAttachedTo(await build(), tool, cache.url);
    expect(cache.connections()).toBe(dialled);
    await stage.flywheel(["detach"]);
    config(localProof);
    await daemonOf(stage).reload();
    await stage.flywheel(["up"]);
  });
});

test("a LocalAPI socket that belongs to somebody else: not even asked", async ({ skip }) => {
  skip(!asRoot, "needs root to give the socket away");
  const cache = await stranger();
  await stage.down();
  await stage.tailnet(tagged(cache.address));
  chownSync(stage.localApi.socket, 65_534, 65_534);
  const asked = stage.localApi.requests().length;
  const up = await stage.flywheel(["up", "--json"]);
  expect(up.exitCode).toBe(3);
  const reason = /the Tailscale socket \S+ belongs to uid 65534, neither to root nor to you/;
  await expectUnattached(reason);
  const refused = await build();
  expectRefused(refused, tool, reason);
  expect(refused.stderr).toContain("unset GF_TAILSCALED_SOCKET");
  expect(stage.localApi.requests()).toHaveLength(asked);
  expect(cache.connections()).toBe(0);
  await stage.down();
  chownSync(stage.localApi.socket, 0, 0);
  await stage.flywheel(["up"]);
  await expectTrusted(cache);
});

/** Whether a daemon can be given an /etc/hosts of its own. */
function hostsFault(): string | undefined {
  if (!asRoot) return "needs root";
  const trial = spawnSync("unshare", ["-m", "true"]);
  return trial.status === 0 ? undefined : "needs unshare(1) and mount namespaces";
}

describe("a name that resolves elsewhere", () => {
  const name = "nix-cache.tail0ffee.ts.net";
  const service = "svc-nix.tail0ffee.ts.net";
  let sinks: readonly { readonly address: string; readonly server: Server; count: number }[];
  let tlsPort: number;

  beforeAll(async () => {
    tlsPort = await freePort();
    sinks = await Promise.all(
      ["127.0.0.200", "127.0.0.201", "127.0.0.202"].map(async (address) => {
        const sink = { address, server: createServer(), count: 0 };
        sink.server.on("connection", (socket) => {
          sink.count += 1;
          socket.on("error", () => {}).end();
        });
        sink.server.listen(tlsPort, address);
        await once(sink.server, "listening");
        closing.push(async () => void sink.server.close());
        return sink;
      }),
    );
  });

  /** A daemon in a mount namespace whose /etc/hosts says where the names are. */
  async function upWithHosts(address: string): Promise<StatusReport> {
    const hosts = join(root, "hosts");
    writeFileSync(hosts, `127.0.0.1 localhost\n${address} ${name} ${service}\n`);
    await stage.down();
    const script = `mount --make-rprivate / && mount --bind '${hosts}' /etc/hosts && exec '${built.flywheel}' up --json`;
    const up = await execa("unshare", ["-m", "sh", "-c", script], { env: { ...stage.env }, extendEnv: false, reject: false, cwd: root });
    expect(up.exitCode, up.stderr).toBe(3);
    return statusWhen(stage, "Nix is settled", (status) => status.nix.state === "unattached" && !status.nix.unsettled);
  }

  test.for([
    {
      of: "node",
      words: { nodes: [{ name: "nix-cache", addresses: ["127.0.0.200"], tags: ["tag:nix-cache"] }] },
      reason: `${name} resolves to 127.0.0.201, which is not an address of node ${name}`,
    },
    {
      of: "service",
      words: { services: { "svc:svc-nix": { addresses: ["127.0.0.200"], ports: ["*"] } } },
      reason: `${service} resolves to 127.0.0.201, which is not an address of the service svc:svc-nix`,
    },
  ])("a $of's TLS endpoint is by name: what the name leads to is never dialled, nor is the $of behind its back", async (row, { skip }) => {
    const fault = hostsFault();
    skip(fault !== undefined, fault);
    const profile = join(stage.dir, "config/profiles/default.toml");
    writeFileSync(
      profile,
      `[tailnet]\nname = "stand-in.example"\nmagic_dns_suffix = "tail0ffee.ts.net"\n[bazel]\ngrpc_ports = []\nhttp_ports = [${port}]\n[nix]\nservice = "svc:svc-nix"\nhttps_ports = [${tlsPort}]\nhttp_ports = []\n`,
    );
    await stage.tailnet(row.words);
    for (const sink of sinks) sink.count = 0;
    const elsewhere = await upWithHosts("127.0.0.201");
    expect(elsewhere.nix).toMatchObject({ rung: "resolve", reason: row.reason });
    await daemonOf(stage).verify("default");
    expect(sinks.map((sink) => sink.count)).toEqual([0, 0, 0]);
    // The same name, leading where the tailnet says that it leads: dialled there.
    const right = await upWithHosts("127.0.0.200");
    expect(right.nix.rung).toBe("handshake");
    expect(sinks[0]?.count).toBeGreaterThan(0);
    expect(sinks.slice(1).map((sink) => sink.count)).toEqual([0, 0]);
  });
});
