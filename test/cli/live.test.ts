/** The commands that speak with a daemon, built, against a real one: a tailnet stand-in and an embedded cache. */
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type RunningCache, startCache } from "../fixtures/caches/start.ts";
import { makeStage, type Stage } from "../fixtures/stage.ts";

let cache: RunningCache;
let stage: Stage;
beforeAll(async () => {
  cache = await startCache({ kind: "grpc" });
  stage = await makeStage([], { grpcPorts: [cache.port], httpPorts: [] });
});
afterAll(async () => {
  await stage.dispose();
  await cache.dispose();
});

const status = async () => JSON.parse((await stage.flywheel(["status", "--json"])).stdout);
const withCache = { nodes: [{ name: "cache", addresses: ["127.0.0.1"], tags: ["tag:bazel-cache"] }] };

test("up without a cache: 3, why, and what next; the daemon runs", async () => {
  const { exitCode, stdout } = await stage.flywheel(["up"]);
  expect(exitCode).toBe(3);
  expect(stdout).toMatch(/bazel +unattached +\S/);
  expect(stdout).toMatch(/not attached after \d+\.\d\d s/);
  expect(await status()).toMatchObject({ profileState: "unattached", daemon: { pid: expect.any(Number) } });
});

describe("with a cache on the tailnet", () => {
  beforeAll(async () => {
    await stage.down();
    await stage.tailnet(withCache);
  });

  test("up starts the daemon and attaches, and says how long it took", async () => {
    const { exitCode, stdout, stderr } = await stage.flywheel(["up"]);
    expect([exitCode, stderr]).toEqual([0, ""]);
    expect(stdout).toContain(`attached  grpc://127.0.0.1:${cache.port}`);
    expect(stdout).toContain("local proof: the cache is on this machine");
    expect(stdout).toMatch(/attached in \d+\.\d\d s/);
  });

  test("status tells endpoint, node, latency and proof, in a few lines", async () => {
    const { exitCode, stdout } = await stage.flywheel(["status"]);
    expect(exitCode).toBe(0);
    expect(stdout).toMatch(/cache\.tail0ffee\.ts\.net, source peer, [\d.]+ ms, proved \d+ s ago/);
    expect(stdout).toMatch(/tailnet +stand-in\.example \(Running, trusted/);
    expect(stdout.split("\n").length).toBeLessThanOrEqual(16);
    expect(await status()).toMatchObject({
      mode: "shared-cache-backed",
      profileState: "local-proof",
      bazel: { state: "attached", health: "healthy" },
    });
  });

  test("env applied passes the contract's --strict", async () => {
    const { set } = JSON.parse((await stage.flywheel(["env", "--json"])).stdout);
    expect(set).toMatchObject({ BAZEL_REMOTE_CACHE: `grpc://127.0.0.1:${cache.port}`, GF_BAZEL_REMOTE_UPLOAD: "false" });
    const { exitCode, stdout } = await stage.flywheel(["contract", "--strict"], { env: set });
    expect(stdout.trimEnd().split("\n").at(-1)).toBe("Status: shared-cache-backed");
    expect(exitCode).toBe(0);
  });

  test("detach holds until up", async () => {
    expect((await stage.flywheel(["detach"])).exitCode).toBe(0);
    expect((await stage.flywheel(["status"])).exitCode).toBe(3);
    expect(await status()).toMatchObject({ detached: true, profileState: "unattached" });
    expect((await stage.flywheel(["up"])).exitCode).toBe(0);
    expect(await status()).toMatchObject({ detached: false });
  });
});

describe("up reads the configuration again", () => {
  const file = () => join(stage.dir, "config/config.toml");
  let before: string;
  beforeAll(() => {
    before = readFileSync(file(), "utf8");
  });
  afterAll(async () => {
    writeFileSync(file(), before);
    await stage.flywheel(["up"]);
  });

  test("what is no endpoint is named, also while another is attached", async () => {
    writeFileSync(file(), `${before}[endpoints]\nbazel = ["ftp://x"]\n`);
    const { exitCode, stdout } = await stage.flywheel(["up"]);
    expect(exitCode).toBe(0);
    expect(stdout).toContain("not ftp://x: the scheme must be one of grpc, grpcs, http, https");
  });

  test("a mistake is said with its line, and costs no attachment", async () => {
    writeFileSync(file(), `${before}nonsense\n`);
    const { exitCode, stderr } = await stage.flywheel(["up"]);
    expect(exitCode).toBe(1);
    expect(stderr).toContain(`${file()}:4: `);
    expect(await status()).toMatchObject({ bazel: { state: "attached" } });
    const { checks } = JSON.parse((await stage.flywheel(["doctor", "--json"])).stdout);
    expect(checks).toContainEqual(expect.objectContaining({ id: "daemon-fault", next: "flywheel up" }));
  });

  test("trust is kept and said also while the daemon cannot read its configuration", async () => {
    const key = `mine:${"A".repeat(43)}=`;
    writeFileSync(file(), `${before}nonsense\n`);
    const { exitCode, stdout, stderr } = await stage.flywheel(["trust", "key", key, "--yes"]);
    expect([exitCode, stdout]).toEqual([0, "trusted"]);
    expect(stderr).toContain(`the daemon did not read it again: ${file()}:4: `);
    expect((await stage.flywheel(["trust", "--list"])).stdout).toContain(key);
    writeFileSync(file(), before);
    expect(await stage.flywheel(["trust", "key", key, "--revoke", "--yes"])).toMatchObject({ exitCode: 0, stdout: "trusted no more" });
  });

  test("where nothing is attached, each endpoint that failed says why", async () => {
    writeFileSync(file(), `${before}[endpoints]\nbazel = ["grpc://127.0.0.2:${cache.port}", "grpc://127.0.0.3:${cache.port}"]\n`);
    await stage.tailnet({});
    const { exitCode, stdout } = await stage.flywheel(["up"]);
    expect(exitCode).toBe(3);
    expect(stdout).toContain("; 1 more failed too");
    const named = /connect: nothing listens on 127\.0\.0\.([23])/.exec(stdout)?.[1];
    expect(stdout).toMatch(new RegExp(`also grpc://127\\.0\\.0\\.${named === "2" ? "3" : "2"}:\\d+: connect: nothing listens`));
    await stage.tailnet(withCache);
  });
});

describe("attach", () => {
  test("an endpoint that proves itself", async () => {
    const { exitCode, stdout } = await stage.flywheel(["attach", `grpc://127.0.0.1:${cache.port}`]);
    expect([exitCode, stdout]).toEqual([0, expect.stringMatching(/^grpc:\/\/127\.0\.0\.1:\d+ proved itself in [\d.]+ ms\n?$/)]);
  });

  test("loopback without the markers is turned down", async () => {
    const none = { GF_BAZEL_LOCAL_PROOF: "", GF_BAZEL_ALLOW_LOCALHOST_PROOF: "" };
    const { exitCode, stdout } = await stage.flywheel(["attach", `grpc://127.0.0.2:${cache.port}`], { env: none });
    expect(exitCode).toBe(1);
    expect(stdout).toContain("is kept, but not attached");
    expect(stdout).toContain("next: flywheel detach && flywheel up");
    expect((await stage.flywheel(["detach"])).stdout).toContain("what `flywheel attach` kept for it is forgotten");
    await stage.flywheel(["up"]);
    expect((await status()).candidates.filter((one: { source: string }) => one.source === "operator")).toEqual([]);
  });

  test("one that is dead: what to do about it is what status says", async () => {
    const dead = `grpc://127.0.0.9:${cache.port}`;
    const { exitCode, stdout } = await stage.flywheel(["attach", dead]);
    expect([exitCode, stdout]).toEqual([1, expect.stringContaining("next: see that the cache runs, and that no firewall")]);
    const known = (await status()).candidates.find((one: { endpoint: string }) => one.endpoint === dead);
    expect(stdout).toContain(`next: ${known.next}`);
    expect(JSON.parse((await stage.flywheel(["attach", dead, "--json"])).stdout)).toMatchObject({ schema: 1, ok: false, endpoint: dead });
    await stage.flywheel(["detach"]);
    await stage.flywheel(["up"]);
  });

  test("a host without a scheme is told which there are", async () => {
    const { exitCode, stderr } = await stage.flywheel(["attach", "cache.example.org:9092"]);
    expect([exitCode, stderr]).toEqual([1, expect.stringContaining("grpcs://, grpc://, https:// or http:// in front of the host")]);
    const nix = await stage.flywheel(["attach", "--kind", "nix", "cache.example.org"]);
    expect(nix.stderr).toMatch(/: https:\/\/ or http:\/\/ in front of the host/);
  });

  test("no endpoint", async () => {
    const { exitCode, stdout } = await stage.flywheel(["attach", "grpc://$(id):1", "--json"]);
    expect(exitCode).toBe(1);
    expect(JSON.parse(stdout)).toMatchObject({ error: { code: "endpoint-invalid" } });
  });
});

test("trust tailnet shows the one this machine is on, and needs a yes", async () => {
  const asked = await stage.flywheel(["trust", "tailnet"]);
  expect(asked.exitCode).toBe(2);
  expect(asked.stderr).toContain("stand-in.example");
  expect(asked.stderr).toContain("not the system's own socket");
  expect((await stage.flywheel(["trust", "tailnet", "--yes"])).exitCode).toBe(0);
  const { stdout } = await stage.flywheel(["trust", "--list", "--json"]);
  expect(JSON.parse(stdout).tailnets).toMatchObject([{ profile: "default", name: "stand-in.example", magicDnsSuffix: "tail0ffee.ts.net" }]);
});

test("logs are there, and readable", async () => {
  const { exitCode, stdout } = await stage.flywheel(["logs"]);
  expect(exitCode).toBe(0);
  expect(stdout).toMatch(/^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d info/m);
});

test("a daemon that is stopped is not called absent, and the way past it is named", async () => {
  const { daemon } = await status();
  process.kill(daemon.pid, "SIGSTOP");
  try {
    const down = await stage.flywheel(["down"]);
    expect(down).toMatchObject({ exitCode: 1, stdout: "" });
    expect(down.stderr).toContain("the daemon does not answer");
    expect(down.stderr).toContain(`next: kill -CONT ${daemon.pid}   (or: kill ${daemon.pid})`);
    const { stdout, stderr } = await stage.flywheel(["status"]);
    expect(stderr).toBe("");
    expect(stdout).toContain("tailnet  the daemon does not answer, so nothing is known");
    expect(stdout).not.toContain("no daemon is running");
  } finally {
    process.kill(daemon.pid, "SIGCONT");
  }
});

test("up beside down ends attached or unattached, never by finding nobody", { timeout: 60_000 }, async () => {
  for (let round = 0; round < 4; round += 1) {
    const [first, , second] = await Promise.all([stage.flywheel(["up"]), stage.flywheel(["down"]), stage.flywheel(["up"])]);
    for (const { exitCode, stderr } of [first, second]) expect([exitCode === 0 || exitCode === 3, stderr]).toEqual([true, ""]);
  }
});

test("down stops it, and is fine where none runs", async () => {
  await stage.down();
  expect(await stage.flywheel(["down"])).toEqual({ exitCode: 0, stdout: "no daemon was running", stderr: "" });
  expect(await status()).toMatchObject({ daemon: null, profileState: "unattached" });
});
