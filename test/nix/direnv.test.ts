/** `use flywheel` under Debian's real direnv: what it exports, when it loads again, and what is left after leaving. */
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { execa } from "execa";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { daemonOf } from "../fixtures/guarded.ts";
import { nixMissing } from "../fixtures/nix-flake/nix.ts";
import { peersRequired, programOnPath } from "../fixtures/peers.ts";
import { makeShells, type Shells, said } from "./shells.ts";

const direnv = programOnPath("direnv");

describe.skipIf(nixMissing || (!direnv.available && !peersRequired()))("direnv", () => {
  let shells: Shells;
  let project: string;
  let elsewhere: string;
  let env: Record<string, string>;
  beforeAll(async () => {
    shells = await makeShells();
    project = join(shells.house.dir, "project");
    elsewhere = join(shells.house.dir, "elsewhere");
    for (const directory of [project, elsewhere]) mkdirSync(directory);
  }, 300_000);
  afterAll(() => shells.dispose());
  beforeEach(async () => {
    env = { ...shells.env, PATH: `${shells.built}/bin:${shells.env["PATH"]}` };
    await shells.stage.flywheel(["up"]);
  });

  const run = async (args: readonly string[], cwd: string) => {
    if (!direnv.available) throw new Error(direnv.reason);
    const result = await execa(direnv.path, args, { cwd, env, extendEnv: false, reject: false, stdin: "ignore", timeout: 60_000 });
    expect(result.exitCode, result.stderr).toBe(0);
    return result;
  };

  const allow = async (text: string): Promise<void> => {
    writeFileSync(join(project, ".envrc"), text);
    await run(["allow"], project);
  };

  /** What direnv's hook does before a prompt. @returns the changes, or undefined where it did not load again */
  const prompt = async (
    cwd: string,
  ): Promise<{ changes: Readonly<Record<string, string | null>> | undefined; said: readonly string[] }> => {
    const { stdout, stderr } = await run(["export", "json"], cwd);
    const changes = stdout === "" ? undefined : (JSON.parse(stdout) as Record<string, string | null>);
    for (const [name, value] of Object.entries(changes ?? {})) {
      if (value === null) delete env[name];
      else env[name] = value;
    }
    return { changes, said: said(stderr) };
  };

  test("use flywheel: attached, not loaded again for a lease that is renewed, but for an attachment that changes; gone on leaving", async () => {
    await allow(`source ${shells.built}/share/gloriousflywheel/direnv.sh\nuse flywheel\n`);
    const before = { ...env };
    const entered = await prompt(project);
    expect(entered.said).toEqual([`flywheel: attached, local-proof: ${shells.cache.url} on cache.tail0ffee.ts.net`]);
    expect(env["PATH"]).toBe(`${shells.shim}:${shells.shim}-nix:${before["PATH"]}`);
    expect(env).toMatchObject({ GF_GUARD_SCOPE: "all", BAZEL_REMOTE_CACHE: shells.cache.url, NIX_CONFIG: before["NIX_CONFIG"] });

    expect((await prompt(project)).changes).toBeUndefined();
    // A new proof, published with a new lease.
    await daemonOf(shells.stage).verify("default");
    expect((await prompt(project)).changes).toBeUndefined();

    await shells.stage.flywheel(["detach"]);
    const left = await prompt(project);
    expect(left.said[0]).toMatch(/^flywheel: not attached: /);
    expect(left.changes).toMatchObject({ BAZEL_REMOTE_CACHE: null, GF_SHELL_ATTACHED: null });
    expect((await prompt(project)).changes).toBeUndefined();

    await shells.stage.flywheel(["up"]);
    expect((await prompt(project)).changes).toMatchObject({ BAZEL_REMOTE_CACHE: shells.cache.url });

    await prompt(elsewhere);
    expect(env).toEqual(before);
  });

  test("a cache that dies, and one that comes back", async () => {
    await allow(`source ${shells.built}/share/gloriousflywheel/direnv.sh\nuse flywheel\n`);
    await prompt(project);
    expect(env["BAZEL_REMOTE_CACHE"]).toBe(shells.cache.url);
    await shells.cache.kill();
    await daemonOf(shells.stage).verify("default");
    await shells.stage.published("state unattached");
    await prompt(project);
    expect(env["BAZEL_REMOTE_CACHE"]).toBeUndefined();
    await shells.cache.restart();
    await daemonOf(shells.stage).verify("default");
    await shells.stage.published("state local-proof");
    await prompt(project);
    expect(env["BAZEL_REMOTE_CACHE"]).toBe(shells.cache.url);
  });

  test("use flake and use flywheel together: once, with the shim first", async () => {
    await allow(`use flake path:${shells.consumer}\nsource ${shells.built}/share/gloriousflywheel/direnv.sh\nuse flywheel\n`);
    const entered = await prompt(project);
    expect(entered.said).toHaveLength(1);
    expect(env["OWN_HOOK"]).toBe("ran");
    expect(env["PATH"]?.split(":").slice(0, 3)).toEqual([shells.shim, `${shells.shim}-nix`, "/opt/own"]);
    await shells.stage.flywheel(["detach"]);
    expect((await prompt(project)).changes).toMatchObject({ BAZEL_REMOTE_CACHE: null });
  });
});
