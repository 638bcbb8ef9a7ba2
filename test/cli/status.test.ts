import { chmodSync } from "node:fs";
import { afterEach, beforeEach, expect, test } from "vitest";
import { parseEndpoint } from "../../contract/endpoint.ts";
import { type Published, serializePublished } from "../../contract/published.ts";
import { readClock } from "../../daemon/api/client/clock.ts";
import { type Home, makeHome } from "./flywheel.ts";

let home: Home;
beforeEach(() => {
  home = makeHome();
});
afterEach(() => home.remove());

/** Writes an attachment as the daemon does, proved that long ago. */
function publish(ageS: number, over: Partial<Published> = {}): void {
  const now = readClock();
  const parsed = parseEndpoint("grpc://100.64.0.5:9092", "bazel");
  if (!parsed.ok) throw new Error(parsed.message);
  const text = serializePublished({
    kind: "bazel",
    profile: "default",
    state: "shared-cache-backed",
    mode: "shared-cache-backed",
    endpoint: parsed.endpoint,
    aliases: [],
    verified: now.seconds - ageS,
    validUntil: now.seconds - ageS + 45,
    clock: now.source,
    bootId: now.bootId,
    pid: 1,
    upload: false,
    slow: false,
    reason: "",
    ...over,
  });
  home.write("run/attachment/default/bazel", text, 0o600);
}

test("no daemon, nothing published: unattached, 3, and what next", async () => {
  const { exitCode, stdout, stderr } = await home.flywheel(["status"]);
  expect([exitCode, stderr]).toEqual([3, ""]);
  expect(stdout).toMatch(/bazel +unattached +no daemon is running\n +next +flywheel up/);
  expect(stdout.trimEnd().split("\n").length).toBeLessThanOrEqual(15);
  const json = JSON.parse((await home.flywheel(["status", "--json"])).stdout);
  expect(json).toMatchObject({
    schema: 1,
    mode: "compatibility-local-only",
    profileState: "unattached",
    daemon: null,
    candidates: [],
    escapes: { today: 0, last: null },
  });
});

test("a configuration that the guard cannot read: said, although attached, with what mends it", async () => {
  publish(5);
  expect(JSON.parse((await home.flywheel(["status", "--json"])).stdout)).toMatchObject({ configuration: null });
  home.write("config/config.toml", "[guard]\ngarbage\n");
  const { exitCode, stdout } = await home.flywheel(["status"]);
  expect(exitCode).toBe(0);
  expect(stdout).toMatch(/config +heavy commands are refused until it is mended\n +\S+config\.toml:2: .*\n +next +mend line 2 of /);
  const json = JSON.parse((await home.flywheel(["status", "--json"])).stdout);
  expect(json).toMatchObject({ bazel: { state: "attached" }, configuration: { fault: expect.stringContaining("config.toml:2: ") } });
  expect((await home.flywheel(["status"], { env: { GF_PROFILE: "none" } })).stdout).toContain("refused until it is mended");
});

test("no daemon, a lease that still runs: attached, and how long that holds", async () => {
  publish(5);
  const { exitCode, stdout } = await home.flywheel(["status"]);
  expect(exitCode).toBe(0);
  expect(stdout).toMatch(/bazel +attached +grpc:\/\/100\.64\.0\.5:9092/);
  expect(stdout).toMatch(/proved \d+ s ago/);
  expect(stdout).toMatch(/no daemon is running, so this ends in \d+ s; to keep it: flywheel up\n/);
});

test("a lease that is over is not believed", async () => {
  publish(100);
  const { exitCode, stdout } = await home.flywheel(["status"]);
  expect(exitCode).toBe(3);
  expect(stdout).toMatch(/its lease ended 5\d s ago/);
});

test("a runtime directory that others may write to is not believed", async () => {
  publish(5);
  chmodSync(home.runtime, 0o777);
  const { exitCode, stdout, stderr } = await home.flywheel(["status"]);
  expect(exitCode).not.toBe(0);
  expect(`${stdout}${stderr}`).toMatch(/0?777|writ|others|mode/);
});

test("bare flywheel is status", async () => {
  const bare = await home.flywheel([]);
  expect(bare).toEqual(await home.flywheel(["status"]));
});

test("another profile has its own attachment", async () => {
  publish(5);
  home.write("config/profiles/other.toml", "");
  expect((await home.flywheel(["status"], { env: { GF_PROFILE: "other" } })).exitCode).toBe(3);
  expect((await home.flywheel(["--profile", "default", "status"], { env: { GF_PROFILE: "other" } })).exitCode).toBe(0);
});

test("escapes of today are counted, and their words made harmless", async () => {
  const entry = { v: 1, kind: "escape", tool: "bazel", command: "build", workspace: "/w", profile: "default" };
  const lines = [
    { ...entry, at: "2001-01-01T00:00:00.000Z", reason: "long ago" },
    { ...entry, at: new Date().toISOString(), reason: "\u001b[2Jcleared" },
  ];
  home.write("state/journal/spool.jsonl", lines.map((line) => `${JSON.stringify(line)}\n`).join(""), 0o600);
  const { stdout } = await home.flywheel(["status"]);
  expect(stdout).toMatch(/escapes +1 today, the last .*: bazel build \(cleared\)/);
  expect(stdout).not.toContain("\u001b");
});
