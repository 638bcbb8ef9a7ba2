/** A daemon that is logged in to the cache that the fleet runs, bazel-remote, with a user and a password. */
import { readFileSync } from "node:fs";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import type { StatusReport } from "../../../contract/api.ts";
import { attachmentPath, logPath } from "../../../contract/paths.ts";
import { bazelRemote, type RunningBazelRemote, startBazelRemote } from "../../fixtures/bazel-remote/bazel-remote.ts";
import { type Home, makeHome } from "../home.ts";
import { login, logout } from "./login.ts";

const peer = await bazelRemote();
const program = peer.available ? peer.path : "";
const users = { ann: "a-password-of-hers" };

let home: Home;
const cleanup: RunningBazelRemote[] = [];
beforeEach(() => {
  home = makeHome();
});
afterEach(async () => {
  await home[Symbol.asyncDispose]();
  for (const cache of cleanup.splice(0)) await cache.stop();
});

async function cacheOf(options: Parameters<typeof startBazelRemote>[1]): Promise<RunningBazelRemote> {
  const cache = await startBazelRemote(program, options);
  cleanup.push(cache);
  return cache;
}

const attach = (endpoint: string) => home.client.attach({ profile: "default", kind: "bazel", endpoint, localProof: true });
const attached = ({ bazel }: StatusReport): boolean => bazel.state === "attached";
const published = (): string => readFileSync(attachmentPath(home.paths, "default", "bazel"), "utf8");

describe.skipIf(!peer.available).each(["grpc", "http"] as const)("over %s", (protocol) => {
  const urlOf = (cache: RunningBazelRemote): string => (protocol === "grpc" ? cache.grpcUrl : cache.httpUrl);

  test("it asks, is refused with the wrong password, and gets in with the right one", async () => {
    const url = urlOf(await cacheOf({ users }));
    await home.started();
    expect(await attach(url)).toMatchObject({
      ok: false,
      rung: "authority",
      reason: expect.stringContaining("asks for a credential, and none is kept for it"),
      next: `flywheel login ${url}`,
    });

    await login(home.paths, { endpoint: url, how: { user: "ann", password: "not-hers" } });
    await home.client.reload();
    const wrong = await home.until(({ bazel }) => bazel.reason?.includes("refuses") === true);
    expect(wrong.bazel).toMatchObject({
      rung: "authority",
      reason: expect.stringContaining("refuses the password kept since 2026-11-20"),
      next: `flywheel login ${url} --basic --user ann`,
    });

    const right = await login(home.paths, { endpoint: url, how: { user: "ann", password: users.ann } });
    await home.client.reload();
    const status = await home.until(({ bazel }) => bazel.credential?.needed === "yes");
    expect(status.bazel).toMatchObject({
      state: "attached",
      // It was well all the time.
      health: "healthy",
      credential: {
        scheme: "basic",
        since: "2026-11-20T08:00:00Z",
        expires: null,
        needed: "yes",
        next: `flywheel login ${url} --basic --user ann`,
      },
    });
    expect(published()).toContain("\nslow true\n");

    await logout(home.paths, right);
    await home.client.reload();
    expect((await home.until((report) => !attached(report) && !report.bazel.unsettled)).bazel.reason).toContain("none is kept for it");
    const told = `${JSON.stringify(await home.client.status("default"))}${readFileSync(logPath(home.paths), "utf8")}`;
    expect(told).not.toMatch(/a-password-of-hers|not-hers|YW5u/);
  });

  test("where everybody may read, neither the right password nor a wrong one is needed, and status says so", async () => {
    const url = urlOf(await cacheOf({ users, readsForAll: true }));
    await login(home.paths, { endpoint: url, how: { user: "ann", password: users.ann } });
    await home.started();
    await attach(url);
    const status = await home.until(({ bazel }) => bazel.credential?.needed === "no");
    expect(status.bazel.state).toBe("attached");

    await login(home.paths, { endpoint: url, how: { user: "ann", password: "not-hers" } });
    await home.client.reload();
    // bazel-remote does not even look at it there: so nobody is told that it is right.
    const ignored = await home.until(({ bazel }) => bazel.credential?.needed === "no");
    expect(ignored.bazel).toMatchObject({ state: "attached", credential: { scheme: "basic" } });
  });

  test("a dead cache is dead, whatever is kept for it", async () => {
    const cache = await cacheOf({ users });
    const url = urlOf(cache);
    await login(home.paths, { endpoint: url, how: { user: "ann", password: "not-hers" } });
    await cache.stop();
    await home.started();
    const report = await attach(url);
    expect(report).toMatchObject({ ok: false, rung: "connect" });
    expect(JSON.stringify(report)).not.toMatch(/login|password|credential/);
  });

  test("one that has expired is not sent, and its cache says what is missing", async () => {
    const url = urlOf(await cacheOf({ users }));
    const expires = new Date(Date.now() - 3 * 3_600_000 - 1000).toISOString();
    await login(home.paths, { endpoint: url, how: { user: "ann", password: users.ann }, expires });
    await home.started();
    expect(await attach(url)).toMatchObject({
      ok: false,
      rung: "authority",
      reason: expect.stringContaining("the password kept for it expired 3 h ago"),
      next: `flywheel login ${url} --basic --user ann`,
    });
  });
});
