/** The whole of the daemon as a process, on a stand-in tailnet with real caches on loopback addresses. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { logPath } from "../../../contract/paths.ts";
import { lease } from "../../../contract/published.ts";
import { runningDirectory, runningVersion } from "../../../contract/running.ts";
import { readClock } from "../../../daemon/api/client/clock.ts";
import { readPublished } from "../../../daemon/api/client/published.ts";
import { type RunningCache, startCache } from "../../fixtures/caches/start.ts";
import { type LocalApi, startLocalApi, type TailnetInWords, tailnetState } from "../../fixtures/localapi/state.ts";
import { gone, type Home, makeHome } from "../home.ts";

let home: Home;
let localApi: LocalApi;
let first: RunningCache;
let second: RunningCache;

const tag = "tag:bazel-cache";
const near = { name: "near", addresses: ["127.0.0.2"], tags: [tag] };
const far = { name: "far", addresses: ["127.0.0.3"], tags: [tag] };

beforeEach(async () => {
  home = makeHome();
  first = await startCache({ kind: "grpc", host: near.addresses[0] ?? "" });
  second = await startCache({ kind: "http", host: far.addresses[0] ?? "" });
  localApi = await startLocalApi(home.dir, tailnetState());
  const ports = `grpc_ports = [${first.port}]\nhttp_ports = [${second.port}]\n`;
  home.configure("profiles/default.toml", `[tailnet]\nname = "stand-in.example"\n[bazel]\n${ports}`);
});
afterEach(async () => {
  await Promise.all([localApi.stop(), first.dispose(), second.dispose()]);
  await home[Symbol.asyncDispose]();
});

const tailnet = (words: TailnetInWords): Promise<void> => localApi.set(tailnetState(words));
const logged = (): string => readFileSync(logPath(home.paths), "utf8");
const bazelFile = () => readPublished(home.paths, "default", "bazel", readClock());

test("unattached with a reason, attached when a cache appears, failed over when it dies, and back to none", async () => {
  await home.started();
  const none = await home.until((status) => !status.bazel.unsettled);
  expect(none).toMatchObject({ mode: "compatibility-local-only", profileState: "unattached", tailnet: { trusted: true } });
  expect(none.bazel.reason).toMatch(/no candidate/);
  expect(bazelFile()).toMatchObject({ state: "live", published: { state: "unattached", endpoint: undefined } });

  await tailnet({ nodes: [near, far] });
  const attached = await home.until((status) => status.bazel.state === "attached");
  expect(attached).toMatchObject({
    mode: "shared-cache-backed",
    profileState: "local-proof",
    bazel: { endpoint: first.url, source: "peer", node: "near.tail0ffee.ts.net", health: "healthy", reason: null, upload: false },
  });
  expect(attached.bazel.aliases).toContain(`grpc://near.tail0ffee.ts.net:${first.port}`);
  expect(bazelFile()).toMatchObject({ state: "live", published: { state: "local-proof", endpoint: { url: first.url }, upload: false } });

  await first.kill();
  const failedOver = await home.client.verify("default");
  expect(failedOver.bazel).toMatchObject({ state: "attached", endpoint: second.url });
  expect(logged()).toContain(`default bazel: left ${first.url}: connect: nothing listens on ${near.addresses[0]}:${first.port}`);
  expect(failedOver.candidates.find((one) => one.endpoint === first.url)).toMatchObject({
    health: "down",
    rung: "connect",
    next: expect.stringContaining("the tailnet's policy"),
    attached: false,
  });
  expect(bazelFile()).toMatchObject({ state: "live", published: { endpoint: { url: second.url } } });

  // What was attached, proof by proof: the first cache's, its failure and the confirmation of that, then the second's.
  expect(attached.bazel.trail).toEqual([expect.any(Number)]);
  const { trail } = failedOver.bazel;
  expect(trail.slice(0, attached.bazel.trail.length)).toEqual(attached.bazel.trail);
  expect(trail.slice(-3)).toEqual([null, null, expect.any(Number)]);

  await second.kill();
  const lost = await home.client.verify("default");
  expect(lost.bazel).toMatchObject({ state: "unattached", rung: "connect", unsettled: false });
  expect(lost.bazel.reason).toContain(`${far.addresses[0]}:${second.port}`);
  expect(bazelFile()).toMatchObject({ state: "live", published: { state: "unattached" } });

  await second.restart();
  expect((await home.client.verify("default")).bazel.endpoint).toBe(second.url);
});

test("a cache that dies is failed over from when its connection breaks, long before the renewal", async () => {
  await tailnet({ nodes: [near, far] });
  await home.started();
  await home.until((status) => status.bazel.endpoint === first.url);
  const died = performance.now();
  await first.kill();
  await home.until((status) => status.bazel.endpoint === second.url);
  expect(performance.now() - died).toBeLessThan(lease.renewEvery * 500);
});

test("a cache that hangs is failed over from as well, and not taken back before it has been steady for a while", async () => {
  await tailnet({ nodes: [near, far] });
  await home.started();
  await home.until((status) => status.bazel.endpoint === first.url);
  process.kill(first.pid, "SIGSTOP");
  const failedOver = await home.client.verify("default").finally(() => process.kill(first.pid, "SIGCONT"));
  expect(failedOver.bazel).toMatchObject({ state: "attached", endpoint: second.url });
  expect(failedOver.candidates.find((one) => one.endpoint === first.url)).toMatchObject({ health: "down" });
  await home.client.reload();
  await home.until((status) => status.candidates.find((one) => one.endpoint === first.url)?.health === "degraded");
  await home.client.reload();
  const back = await home.until((status) => status.candidates.find((one) => one.endpoint === first.url)?.health === "healthy");
  expect(back.bazel.endpoint).toBe(second.url);
  expect(back.candidates.find((one) => one.endpoint === first.url)).toMatchObject({
    standby: true,
    why: expect.stringMatching(/^recovering: it failed lately, and must pass for another \d+ s$/),
  });
});

test("a node that leaves the tailnet takes its attachment with it; a proof renews the lease", async () => {
  await tailnet({ nodes: [near] });
  await home.started();
  const before = await home.until((status) => status.bazel.state === "attached");
  const renewed = await home.client.verify("default");
  expect(Date.parse(renewed.bazel.verifiedAt ?? "")).toBeGreaterThan(Date.parse(before.bazel.verifiedAt ?? ""));
  const asked = first.requests().length;
  expect(asked).toBeGreaterThanOrEqual(2);
  await tailnet({ nodes: [] });
  const left = await home.until(({ bazel }) => bazel.state === "unattached" && !bazel.unsettled);
  expect(bazelFile()).not.toMatchObject({ published: { state: "local-proof" } });
  // When there last was one is still known, and no round of probes is blamed in the log.
  expect(left.bazel.verifiedAt).toBe(renewed.bazel.verifiedAt);
  expect(readFileSync(logPath(home.paths), "utf8")).not.toContain("still running");
});

test("whoever asks a daemon that has just begun is told of its tailnet too", async () => {
  await tailnet({ nodes: [near] });
  await home.started();
  expect((await home.client.verify("default")).bazel).toMatchObject({ state: "attached", endpoint: first.url });
});

test("eight who verify at once cost no more probes than a few, on one warm connection", async () => {
  await tailnet({ nodes: [near] });
  await home.started();
  await home.until((status) => status.bazel.state === "attached");
  const before = { requests: first.requests().length, connections: first.connections() };
  const answers = await Promise.all(Array.from({ length: 8 }, () => home.client.verify("default")));
  expect(answers.every((status) => status.bazel.state === "attached")).toBe(true);
  // A probe is two requests, and a round of the daemon's own may fall in between: three probes at most, not eight.
  expect(first.requests().length - before.requests).toBeLessThanOrEqual(6);
  expect(first.connections()).toBe(before.connections);
});

test("attach is probed and kept over a restart; detach holds over a restart until up", async () => {
  let pid = await home.started();
  const restart = async (): Promise<void> => {
    await home.client.stop();
    await gone(pid);
    pid = await home.started();
  };
  const request = { profile: "default", kind: "bazel", localProof: true } as const;
  expect(await home.client.attach({ ...request, endpoint: second.url })).toMatchObject({ ok: true, endpoint: second.url });
  expect((await home.client.status("default")).bazel).toMatchObject({ state: "attached", source: "operator", endpoint: second.url });
  await restart();
  await home.until((status) => status.bazel.endpoint === second.url);

  const detached = await home.client.detach("default");
  expect(detached).toMatchObject({ detached: true, bazel: { state: "unattached", next: "flywheel up" } });
  expect(bazelFile()).toMatchObject({ published: { state: "unattached" } });
  const asked = second.requests().length;
  await restart();
  await tailnet({ nodes: [near] });
  expect(await home.client.verify("default")).toMatchObject({ detached: true, bazel: { state: "unattached" } });
  expect(second.requests().length).toBe(asked);
  expect(first.connections()).toBe(0);

  expect(await home.client.up("default")).toMatchObject({ detached: false, bazel: { state: "attached", endpoint: first.url } });
});

test("attach turns down what the rules forbid, without dialling, and reports an endpoint that does not answer", async () => {
  home.configure("config.toml", `[tailnet]\nsocket = "${localApi.socket}"\n`);
  await home.started();
  const request = { profile: "default", kind: "bazel", localProof: false } as const;
  for (const endpoint of [first.url, "grpc://user@host:1", "grpc://$(id):1", "x".repeat(4_000), ""]) {
    await expect(home.client.attach({ ...request, endpoint })).rejects.toMatchObject({ code: "endpoint-invalid" });
  }
  expect(first.connections()).toBe(0);
  expect((await home.client.status("default")).candidates).toEqual([]);
  await first.kill();
  expect(await home.client.attach({ ...request, endpoint: first.url, localProof: true })).toMatchObject({ ok: false, rung: "connect" });
});

test("probe judges for one invocation only: never attached, remembered for a moment", async () => {
  await home.started();
  await home.until((status) => !status.bazel.unsettled);
  const request = { profile: "default", kind: "bazel", endpoint: first.url, localProof: true } as const;
  expect(await home.client.probe(request)).toMatchObject({ ok: true, endpoint: first.url });
  const asked = first.requests().length;
  expect(await home.client.probe(request)).toMatchObject({ ok: true });
  expect(first.requests().length).toBe(asked);
  expect(await home.client.probe({ ...request, endpoint: "grpc://no host" })).toMatchObject({ ok: false, rung: "resolve" });
  expect(await home.client.status("default")).toMatchObject({ bazel: { state: "unattached" }, candidates: [] });
});

test("a configuration that was broken is told in the log with what holds instead", async () => {
  await home.started();
  home.configure("config.toml", "nonsense");
  await expect(home.client.reload()).rejects.toMatchObject({ code: "config-invalid" });
  expect(logged()).toMatch(/"msg":"the old configuration holds: [^"]*config\.toml:1/);
});

test("a command that ended before its cache did has lost nothing", async () => {
  await home.started();
  await tailnet({ nodes: [near] });
  await home.until((status) => status.bazel.state === "attached");
  const tool = spawn("/bin/cat", { stdio: ["pipe", "ignore", "ignore"] });
  const ended = once(tool, "exit");
  const mark = `${runningVersion}\ntool bazel\ncommand build\nprofile default\nendpoint ${first.url}\nrecord none\nboot none`;
  writeFileSync(
    join(home.paths.runtime, runningDirectory, String(tool.pid)),
    `${mark}\nstarted ${readClock().seconds}\ndirectory ${home.dir}\n`,
  );
  await home.until((status) => status.running.length === 1);
  tool.stdin.end();
  await ended;
  await first.kill();
  await home.client.verify("default");
  const { recent } = await home.until((status) => status.recent.length === 1);
  expect(recent).toMatchObject([{ command: "build", endpoint: first.url, lost: null }]);
  expect(logged()).not.toContain("lost mid-build");
});

test("escapes of today stand in the status", async () => {
  mkdirSync(join(home.paths.state, "journal"), { recursive: true });
  const entry = {
    v: 1,
    at: new Date().toISOString(),
    kind: "escape",
    tool: "bazel",
    command: "build",
    workspace: "/w",
    profile: "default",
  };
  writeFileSync(join(home.paths.state, "journal/spool.jsonl"), `${JSON.stringify({ ...entry, reason: "no\u001b[2J cache" })}\nbroken\n`);
  await home.started();
  const { escapes } = await home.client.status("default");
  expect(escapes).toEqual({ today: 1, last: { at: entry.at, reason: "no cache", command: "bazel build" } });
});
