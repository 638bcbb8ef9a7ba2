/**
 * The guard and the daemon together, for an unprivileged user of a real nix-daemon: what is attached is substituted on
 * the terms that were published, and what Nix would ignore is refused with the truth.
 */
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { makeNixCache, type NixCache } from "../daemon/nix/cache.ts";
import { type Companion, startCompanion } from "../daemon/nix/companion.ts";
import { cannotRun, makeNixMachine, type NixMachine, type Ran } from "../daemon/nix/machine.ts";

let machine: NixMachine;
let cache: NixCache;
let companion: Companion;

describe.skipIf(cannotRun)("nix build through the shim", { timeout: 60_000 }, () => {
  beforeEach(async () => {
    machine = await makeNixMachine();
    cache = await makeNixCache(machine.storeDir);
    companion = await startCompanion(machine, { cache: cache.url, key: cache.publicKey });
  });
  afterEach(async () => {
    await companion[Symbol.asyncDispose]();
    await cache[Symbol.asyncDispose]();
    await machine[Symbol.asyncDispose]();
  });

  const build = (name: string, ...more: readonly string[]): Promise<Ran> =>
    companion.shim("nix", ["build", "--no-link", "-f", cache.expression, name, ...more]);

  /** Whether the path in the store came from the cache: then it carries its signature. */
  async function cameFromCache(name: string): Promise<boolean> {
    const info = await machine.nix(["path-info", "--json", "-f", cache.expression, name]);
    expect(info.exitCode, info.stderr).toBe(0);
    return info.stdout.includes('"main:');
  }

  test("is refused where this user's Nix would ignore the cache, and says so; light commands are not", async () => {
    const run = await build("p0");
    expect(run).toMatchObject({ exitCode: 78, stdout: "" });
    expect(run.stderr.split("\n")[0]).toMatch(
      /^flywheel: refused nix build: no shared Nix cache is attached: nobody is no trusted user of the Nix daemon, which lists no http:/,
    );
    expect(run.stderr).toContain("an administrator adds trusted-substituters and trusted-public-keys: flywheel doctor");
    expect(await companion.shim("nix", ["eval", "--expr", "1 + 1"])).toMatchObject({ exitCode: 0, stdout: "2" });
    expect((await machine.nix(["path-info", "-f", cache.expression, "p0"])).exitCode).toBe(1);
  });

  test.for([
    ["a trusted user", () => ["trusted-users = nobody"]],
    [
      "a user who is not trusted, where cache and key are listed",
      () => [`trusted-substituters = ${cache.url}`, `trusted-public-keys = ${cache.publicKey}`],
    ],
  ] as const)("substitutes for %s, and Nix has nothing to warn of", async ([, conf]) => {
    machine.configure(conf());
    await machine.restart();
    expect((await companion.up()).nix.state).toBe("attached");
    const run = await build("p0", "--log-format", "internal-json", "-v");
    expect(run.exitCode, run.stderr).toBe(0);
    expect(run.stderr.split("\n").some((line) => line.includes('"type":108') && line.includes(cache.url))).toBe(true);
    expect(run.stderr).not.toMatch(/ignoring|untrusted|flywheel/);
    expect(await cameFromCache("p0")).toBe(true);
  });

  test("goes back to a refusal when the cache is gone, and an escape builds", async () => {
    machine.configure(["trusted-users = nobody"]);
    await machine.restart();
    expect((await companion.up()).nix.state).toBe("attached");
    expect(await build("p0")).toMatchObject({ exitCode: 0 });
    await cache.stop();
    expect((await companion.up()).nix.state).toBe("unattached");
    const refused = await build("p1");
    expect(refused).toMatchObject({
      exitCode: 78,
      stderr: expect.stringMatching(/^flywheel: refused nix build: .*nothing listens on 127\.0\.0\.1/),
    });
    const escaped = await companion.shim("nix", ["build", "--no-link", "-f", cache.expression, "p1"], {
      GF_GUARD_BYPASS: "the cache is gone",
    });
    expect(escaped.exitCode, escaped.stderr).toBe(0);
    expect(await cameFromCache("p1")).toBe(false);
  });
});
