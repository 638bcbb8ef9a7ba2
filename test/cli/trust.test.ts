import { existsSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { type Home, makeHome } from "./flywheel.ts";

let home: Home;
beforeEach(() => {
  home = makeHome();
});
afterEach(() => home.remove());

const key = `mine:${"A".repeat(43)}=`;
const store = () => JSON.parse(readFileSync(join(home.config, "trust.json"), "utf8"));

describe("file", () => {
  test("shows what it would set, needs a yes, and remembers the content", async () => {
    const file = home.write("ws/.env.flywheel.local", "export BAZEL_REMOTE_CACHE=grpc://c.example:1\nexport PATH=/x\n");
    const cwd = join(home.dir, "ws");
    const asked = await home.flywheel(["trust", "file"], { cwd });
    expect(asked.exitCode).toBe(2);
    expect(asked.stderr).toContain("BAZEL_REMOTE_CACHE=grpc://c.example:1");
    expect(asked.stderr).toContain("line 2 is ignored: PATH");
    expect((await home.flywheel(["trust", "--list"])).stdout).toContain("nothing is trusted");
    expect((await home.flywheel(["trust", "file", "--yes"], { cwd })).exitCode).toBe(0);
    expect(store().files).toMatchObject([{ path: file, sha256: expect.stringMatching(/^[0-9a-f]{64}$/) }]);
    expect(statSync(join(home.config, "trust.json")).mode & 0o777).toBe(0o600);
    expect((await home.flywheel(["trust", "--list"])).stdout).toContain(file);
    expect((await home.flywheel(["trust", "file", "--revoke", "--yes"], { cwd })).exitCode).toBe(0);
    expect(store().files).toEqual([]);
  });

  test("one that would have to be run is never trusted", async () => {
    const file = home.write(".env.flywheel.local", "export A=1\nexport BAZEL_REMOTE_CACHE=$(evil)\n");
    const { exitCode, stderr } = await home.flywheel(["trust", "file", "--yes"]);
    expect(exitCode).toBe(1);
    expect(stderr).toContain(`${file}:2: variables and command substitution are not expanded here`);
  });

  test("one that is not there", async () => {
    const { exitCode, stderr } = await home.flywheel(["trust", "file", "nowhere", "--yes"]);
    expect(exitCode).toBe(1);
    expect(stderr).toContain("nowhere is not there");
  });
});

test("a key, for its profile, once however often", async () => {
  for (const _ of [1, 2]) expect((await home.flywheel(["trust", "key", key, "--yes", "--profile", "p"])).exitCode).toBe(0);
  expect(store().keys).toMatchObject([{ profile: "p", key }]);
  await home.flywheel(["trust", "key", key, "--revoke", "--yes"]);
  expect(store().keys).toHaveLength(1);
  const { stdout } = await home.flywheel(["trust", "key", key, "--revoke", "--yes", "--profile", "p", "--json"]);
  expect(JSON.parse(stdout)).toMatchObject({ schema: 1, v: 1, keys: [] });
});

test("a key with a name longer than what is published takes is refused, and nothing is written", async () => {
  const { exitCode, stderr } = await home.flywheel(["trust", "key", `${"n".repeat(129)}:${"A".repeat(43)}=`, "--yes"]);
  expect(exitCode).toBe(2);
  expect(stderr).toContain("expected a Nix public key");
  expect(existsSync(join(home.config, "trust.json"))).toBe(false);
  const longest = `${"n".repeat(128)}:${"A".repeat(43)}=`;
  expect((await home.flywheel(["trust", "key", longest, "--yes"])).exitCode).toBe(0);
});

test("a key that an earlier version took can still be withdrawn", async () => {
  const long = `${"n".repeat(129)}:${"A".repeat(43)}=`;
  const keys = [{ profile: "default", key: long, at: "2026-01-01T00:00:00Z" }];
  home.write("config/trust.json", JSON.stringify({ v: 1, tailnets: [], files: [], keys }), 0o600);
  expect((await home.flywheel(["trust", "key", long, "--revoke", "--yes"])).exitCode).toBe(0);
  expect(store().keys).toEqual([]);
});

test("what is trusted already, or was never, is said, and nobody is asked", async () => {
  await home.flywheel(["trust", "key", key, "--yes"]);
  const before = store().keys;
  const again = await home.flywheel(["trust", "key", key]);
  expect([again.exitCode, again.stdout]).toEqual([0, "trusted already\n"]);
  expect(store().keys).toEqual(before);
  const never = await home.flywheel(["trust", "key", key, "--revoke", "--profile", "other"]);
  expect([never.exitCode, never.stdout]).toEqual([0, "that was not trusted\n"]);
});

test("a malformed trust.json is named, and never written over", async () => {
  const file = home.write("config/trust.json", "{ mine }", 0o600);
  const { exitCode, stderr } = await home.flywheel(["trust", "key", key, "--yes"]);
  expect(exitCode).toBe(1);
  expect(stderr).toContain(file);
  expect(readFileSync(file, "utf8")).toBe("{ mine }");
});
