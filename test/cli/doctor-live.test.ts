/** `flywheel doctor`, built, with a real daemon: a tailnet stand-in and embedded caches. */
import { once } from "node:events";
import { execa } from "execa";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { checkAttachments, checkTailnet } from "../../cli/doctor/attachment.ts";
import { checkVersions } from "../../cli/doctor/daemon.ts";
import type { Facts } from "../../cli/doctor/facts.ts";
import { checkRejections } from "../../cli/doctor/ladders.ts";
import type { Check, DoctorReport } from "../../cli/doctor/report.ts";
import type { StatusReport } from "../../contract/api.ts";
import { policyAdvice } from "../../contract/policy.ts";
import { gloriousflywheel, resolveProfile } from "../../contract/profile.ts";
import { type RunningCache, startCache } from "../fixtures/caches/start.ts";
import { statusWhen } from "../fixtures/guarded.ts";
import { makeStage, type Stage } from "../fixtures/stage.ts";

let cache: RunningCache;
let stage: Stage;
const tagged = (name: string, address: string) => ({ name, addresses: [address], tags: ["tag:bazel-cache"] });
const whole = () => ({
  nodes: [tagged("cache", "127.0.0.1"), tagged("dead", "127.0.0.9"), { name: "bazel-cache-b", addresses: ["100.64.0.3"] }],
  health: ["a client of \u001b[31mTailscale complains"],
});
beforeAll(async () => {
  cache = await startCache({ kind: "grpc" });
  stage = await makeStage([], { grpcPorts: [cache.port], httpPorts: [], tailnet: whole() });
  await stage.flywheel(["up"]);
  await statusWhen(
    stage,
    "both candidates probed",
    ({ candidates }) => candidates.length === 2 && candidates.every((one) => one.health !== "unknown"),
  );
});
afterAll(async () => {
  await stage.dispose();
  await cache.dispose();
});

async function doctor(...args: string[]): Promise<DoctorReport> {
  const { stdout, stderr } = await stage.flywheel(["doctor", "--json", ...args]);
  expect(stderr).toBe("");
  return JSON.parse(stdout);
}

const find = (checks: readonly Check[], id: string): readonly Check[] => checks.filter((check) => check.id === id);

describe("attached", () => {
  test("nothing failed: 0, and every line fits", async () => {
    const { exitCode, stdout } = await stage.flywheel(["doctor"]);
    expect(exitCode, stdout).toBe(0);
    expect(stdout).toContain(`ok    bazel is attached to grpc://127.0.0.1:${cache.port}\n        source peer, cache.tail0ffee.ts.net, `);
    expect(stdout).toMatch(
      /passed: resolve, route; failed: connect; not reached: handshake,\n {8}capabilities, authority\n {8}connect: nothing listens/,
    );
    expect(stdout).toMatch(/turned down\n {2}warn {2}bazel peer bazel-cache-b\.tail0ffee\.ts\.net\n/);
    expect(stdout.trimEnd().split("\n").at(-1)).toMatch(/^nothing is broken, \d+ warnings$/);
    expect(Math.max(...stdout.split("\n").map((line) => line.length))).toBeLessThanOrEqual(80);
  });

  test("the ladders, the attached one first", async () => {
    const { ok, ladders, policy, checks } = await doctor();
    expect([ok, policy]).toEqual([true, null]);
    expect(ladders.map(({ endpoint, attached, why }) => [endpoint, attached, why === null])).toEqual([
      [`grpc://127.0.0.1:${cache.port}`, true, true],
      [`grpc://127.0.0.9:${cache.port}`, false, false],
    ]);
    expect(ladders[1]).toMatchObject({
      health: "down",
      reason: expect.stringContaining("nothing listens"),
      source: "peer",
      node: "dead.tail0ffee.ts.net",
    });
    expect(find(checks, "tailnet-health")[0]?.what).toBe("a client of Tailscale complains");
  });

  test("--policy prints the lines all the same", async () => {
    expect((await doctor("--policy")).policy?.kinds).toEqual(["bazel", "nix"]);
  });

  test("a shell that names another cache", async () => {
    const { stdout } = await stage.flywheel(["doctor", "--json"], { env: { BAZEL_REMOTE_CACHE: "grpc://10.0.0.9:9092" } });
    const [check] = find(JSON.parse(stdout).checks, "other-cache");
    expect(check).toMatchObject({ state: "warn", what: "BAZEL_REMOTE_CACHE names grpc://<redacted>:9092, which is not what is attached" });
    const same = await stage.flywheel(["doctor", "--json"], { env: { BAZEL_REMOTE_CACHE: `grpc://cache.tail0ffee.ts.net:${cache.port}` } });
    expect(find(JSON.parse(same.stdout).checks, "other-cache")).toEqual([]);
  });

  test("a relayed path, an old proof, and a daemon of another version are said", async () => {
    const status: StatusReport = JSON.parse((await stage.flywheel(["status", "--json"])).stdout);
    const relayed: StatusReport = { ...status, bazel: { ...status.bazel, path: { via: "derp", region: "fra" }, proofAgeS: 90 } };
    const checks = checkAttachments(relayed);
    expect(find(checks, "path")[0]).toMatchObject({ state: "warn", what: "the path to it is relayed through DERP region fra" });
    expect(find(checks, "bazel")[0]?.what).toContain("but its proof is old");
    const { daemon } = status;
    if (daemon === null) throw new Error("the daemon does not run");
    const facts = { status: { ok: true, value: { ...status, daemon: { ...daemon, version: "0.0.9" } } } } as Facts;
    expect(find(checkVersions(facts), "version-skew")[0]).toMatchObject({ state: "warn", next: "flywheel down && flywheel up" });
  });

  test("without Tailscale one check says so, and the others only refer to it", async () => {
    const status: StatusReport = JSON.parse((await stage.flywheel(["status", "--json"])).stdout);
    const reason = "there is no Tailscale client at /nowhere";
    const next = "install and start Tailscale";
    const turnedDown = (["bazel", "nix"] as const).map((kind) => ({ kind, source: "peer", subject: "tailnet", reason, next }) as const);
    const elsewhere = turnedDown.map((one) => ({ ...one, subject: "a-node", reason: "its key has expired" }));
    const without: StatusReport = {
      ...status,
      bazel: { ...status.bazel, state: "unattached", rung: null, reason: `no candidate: ${reason}`, next },
      tailnet: { ...status.tailnet, name: null, backendState: null, trusted: false, reason, next },
      rejections: [...turnedDown, ...elsewhere],
    };
    const checks = [...checkTailnet(without), ...checkAttachments(without), ...checkRejections(without)];
    expect(JSON.stringify(checks).split(reason)).toHaveLength(2);
    expect(find(checks, "bazel")[0]).toMatchObject({ reason: expect.stringContaining("the tailnet's reason above"), next: null });
    expect(find(checks, "rejection").map(({ what }) => what)).toEqual(["bazel and nix peer a-node"]);
  });

  test("detached on purpose is no failure", async () => {
    await stage.flywheel(["detach"]);
    const { ok, checks, policy } = await doctor();
    expect([ok, policy]).toEqual([true, null]);
    expect(find(checks, "bazel")[0]).toMatchObject({ state: "warn", next: "flywheel up" });
    await stage.flywheel(["up"]);
  });
});

describe("where discovery finds nothing", () => {
  beforeAll(async () => {
    await stage.tailnet({ nodes: [{ name: "bazel-cache-b", addresses: ["100.64.0.3"] }] });
    await statusWhen(
      stage,
      "nothing is found",
      ({ candidates, bazel }) => candidates.length === 0 && bazel.state === "unattached" && !bazel.unsettled,
    );
  });

  test("1, why, since when, and what an operator would add, by the profile's own words", async () => {
    const { exitCode, stdout } = await stage.flywheel(["doctor"]);
    expect(exitCode).toBe(1);
    expect(stdout).toMatch(/fail {2}bazel is not attached\n {8}.*no candidate: /);
    expect(stdout).toMatch(/since \d{4}-\d\d-\d\d/);
    expect(stdout).toContain(`"ip": ["tcp:${cache.port}"]},`);
    expect(stdout).toContain("headscale nodes tag -i <id of the cache's node> -t tag:bazel-cache");
    expect(Math.max(...stdout.split("\n").map((line) => line.length))).toBeLessThanOrEqual(80);
  });

  test("not on a tailnet that is not trusted: there the next step is another", async () => {
    await stage.tailnet({ name: "hotel.example", suffix: "tailb0b0.ts.net" });
    await statusWhen(stage, "another tailnet", ({ tailnet }) => tailnet.name === "hotel.example");
    const { policy, checks } = await doctor();
    expect(policy).toBeNull();
    expect(find(checks, "tailnet-trust")[0]).toMatchObject({
      state: "fail",
      next: "flywheel trust tailnet   (only if it is your organisation's)",
    });
  });
});

test("a daemon that hangs is not called absent", async () => {
  const { daemon }: StatusReport = JSON.parse((await stage.flywheel(["status", "--json"])).stdout);
  const pid = daemon?.pid ?? 0;
  process.kill(pid, "SIGSTOP");
  try {
    const [check] = find((await doctor()).checks, "daemon");
    expect(check).toMatchObject({ state: "fail", what: "the daemon does not answer", next: expect.stringContaining("kill -CONT") });
  } finally {
    process.kill(pid, "SIGCONT");
  }
});

test("something else that answers on the socket is said, and the rest goes on", async () => {
  await stage.down();
  const server = execa(
    process.execPath,
    [
      "-e",
      `require("http").createServer((q, a) => a.end("{}")).listen(process.argv[1], () => console.log("ready"))`,
      `${stage.dir}/run/daemon.sock`,
    ],
    { reject: false },
  );
  await once(server.stdout, "data");
  try {
    const { ok, checks } = await doctor();
    expect(ok).toBe(false);
    expect(find(checks, "daemon")[0]).toMatchObject({
      state: "fail",
      what: "the daemon cannot be asked",
      reason: expect.stringContaining("another version of the API"),
    });
    expect(find(checks, "config")).toHaveLength(1);
  } finally {
    server.kill();
    await server;
  }
});

describe("the policy", () => {
  test("is made of the profile's own tags, ports and Services, and parses as HuJSON", () => {
    const profile = resolveProfile("acme", {
      bazel: { tag: "tag:acme-cas", service: "svc:acme-cas", grpc_ports: [8980], http_ports: [8980] },
      cluster: { enabled: true },
    });
    const { tailscale, headscale } = policyAdvice(profile, ["bazel"]);
    // HuJSON is JSON with comments and trailing commas.
    const parsed = (policy: string) => JSON.parse(`{${policy.replaceAll(/^\s*\/\/.*$/gm, "")}}`.replaceAll(/,(\s*[\]}])/g, "$1"));
    expect(parsed(tailscale.policy)).toEqual({
      tagOwners: { "tag:acme-cas": ["autogroup:admin"] },
      grants: [
        { src: ["autogroup:member"], dst: ["tag:acme-cas"], ip: ["tcp:8980"] },
        { src: ["autogroup:member"], dst: ["svc:acme-cas"], ip: ["tcp:8980"] },
      ],
      autoApprovers: { services: { "svc:acme-cas": ["tag:acme-cas"] } },
    });
    expect(tailscale.policy).toContain("autoApprovers.routes");
    expect(parsed(headscale.policy)).toEqual({
      tagOwners: { "tag:acme-cas": ["you@"] },
      acls: [{ action: "accept", proto: "tcp", src: ["autogroup:member"], dst: ["tag:acme-cas:8980"] }],
    });
    expect(headscale.policy).not.toContain("svc:");
    expect(policyAdvice(gloriousflywheel, ["bazel", "nix"]).tailscale.commands).toContain(
      "sudo tailscale up --advertise-tags=tag:nix-cache",
    );
  });
});
