/**
 * The guard for Nix, by its effect: a real Nix behind the built shim. Its derivations cannot be built while these
 * tests run, so that whatever is there came from the cache; what is attached is a file as the daemon publishes it.
 */
import { once } from "node:events";
import { appendFileSync, chmodSync, mkdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { dirname, join } from "node:path";
import { execa } from "execa";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { StatusReport } from "../../contract/api.ts";
import { parseEndpoint } from "../../contract/endpoint.ts";
import { serializePublished } from "../../contract/published.ts";
import { readClock } from "../../daemon/api/client/clock.ts";
import { nginx } from "../fixtures/nginx/nginx.ts";
import { type NixCache, startNixCache } from "../fixtures/nix/cache.ts";
import { makeNixMachine, type NixMachine, type NixRun } from "../fixtures/nix/machine.ts";
import { peersRequired, programOnPath } from "../fixtures/peers.ts";
import { built, makeStage, type Stage } from "../fixtures/stage.ts";

const [nix, nginxPeer] = [programOnPath("nix"), nginx()];
const missing = [nix, nginxPeer].flatMap((peer) => (peer.available ? [] : [peer.reason]));
if (missing.length > 0 && peersRequired()) throw new Error(missing.join("; "));

describe.skipIf(missing.length > 0)("a real Nix behind the shim", { timeout: 60_000 }, () => {
  let machine: NixMachine;
  let cache: NixCache;
  let attachedTo: Stage;
  let alone: Stage;
  let count = 0;

  beforeAll(async () => {
    machine = await makeNixMachine();
    cache = await startNixCache(nginxPeer.available ? nginxPeer.path : "", { storeDir: machine.env["NIX_STORE_DIR"] ?? "" });
    [attachedTo, alone] = await Promise.all([stageOf(), stageOf()]);
    appendFileSync(join(alone.env["GF_CONFIG_DIR"] ?? "", "profiles/default.toml"), `\n[nix]\npublic_key = "${cache.publicKey}"\n`);
  }, 60_000);
  afterAll(async () => {
    await Promise.all([attachedTo.dispose(), alone.dispose(), cache.dispose()]);
    await machine.remove();
  });

  function stageOf(): Promise<Stage> {
    return makeStage([], { grpcPorts: [], httpPorts: [], tailnet: { nodes: [] } });
  }

  /** As the daemon publishes it, with a lease that begins now. */
  function publish(stage: Stage = attachedTo, trustedUser = true, key: string = cache.publicKey): void {
    const endpoint = parseEndpoint(cache.url, "nix");
    if (!endpoint.ok) throw new TypeError(endpoint.message);
    const clock = readClock();
    const directory = join(stage.env["GF_RUNTIME_DIR"] ?? "", "attachment/default");
    mkdirSync(directory, { recursive: true, mode: 0o700 });
    const text = serializePublished({
      kind: "nix",
      profile: "default",
      state: "local-proof",
      mode: "compatibility-local-only",
      endpoint: endpoint.endpoint,
      aliases: [],
      verified: clock.seconds,
      validUntil: clock.seconds + 45,
      clock: clock.source,
      bootId: clock.bootId,
      pid: process.pid,
      upload: false,
      slow: false,
      reason: "none",
      nix: { publicKey: key, trustedUser },
    });
    writeFileSync(join(directory, "nix"), text, { mode: 0o600 });
  }

  function withdraw(): void {
    rmSync(join(attachedTo.env["GF_RUNTIME_DIR"] ?? "", "attachment/default/nix"));
  }

  async function shim(
    stage: Stage,
    name: string,
    args: readonly string[],
    more: { env?: Readonly<Record<string, string | undefined>>; cwd?: string; file?: string } = {},
  ): Promise<NixRun> {
    const result = await execa(more.file ?? built.shimOf(name), args, {
      cwd: more.cwd ?? machine.dir,
      env: { ...stage.env, ...machine.env, ...more.env },
      extendEnv: false,
      stdin: "ignore",
      reject: false,
      timeout: 50_000,
    });
    if (result.exitCode === undefined) throw new Error(`${name} ${args.join(" ")} did not exit by itself: ${result.shortMessage}`);
    return { exitCode: result.exitCode, stdout: result.stdout, stderr: result.stderr };
  }

  /** A path that is in the cache and nowhere else, and the derivation that it comes from. */
  async function cached(options: { builder?: string; before?: string } = {}): Promise<{ expression: string; path: string; name: string }> {
    count += 1;
    const name = `cached-${count}`;
    const expression = machine.derivation(name, options);
    return { expression, name, path: await machine.publish(expression, cache) };
  }

  async function signaturesOf(path: string): Promise<readonly string[]> {
    const infos = JSON.parse(await machine.must("nix", ["path-info", "--json", path])) as { signatures?: readonly string[] }[];
    return infos[0]?.signatures ?? [];
  }

  describe("attached", () => {
    test("nix build takes the path from the cache, and Nix names the cache", async () => {
      publish();
      const { expression, path } = await cached();
      const run = await shim(attachedTo, "nix", ["--log-format", "internal-json", "-v", "build", "--no-link", "--expr", expression]);
      expect(run.exitCode, run.stderr).toBe(0);
      const started = run.stderr
        .split("\n")
        .filter((line) => line.startsWith("@nix "))
        .map((line) => JSON.parse(line.slice(5)) as { action: string; type?: number; fields?: unknown })
        .filter(({ action, type }) => action === "start" && type === 108);
      expect(started.map(({ fields }) => fields)).toEqual([[path, cache.url]]);
      expect(await signaturesOf(path)).toEqual([expect.stringMatching(/^test-cache:/)]);
    });

    test.each([
      ["nix-build", (expression: string) => ["--no-out-link", "-E", expression]],
      ["nix", (expression: string) => ["build", "-j4", "--no-link", "--option", "cores", "1", "--expr", expression]],
      ["nix", (expression: string) => ["shell", "--expr", expression, "-c", "true"]],
      ["nix-env", (expression: string) => ["-p", join(machine.dir, "profile"), "-i", "-E", `_: { x = ${expression}; }`]],
    ])("%s takes it from the cache too (%#)", async (name, argsOf) => {
      publish();
      const { expression, path } = await cached();
      const run = await shim(attachedTo, name, argsOf(expression));
      // nix-env needs a builder for its environment, which no cache has.
      if (name !== "nix-env") expect(run.exitCode, run.stderr).toBe(0);
      expect(await signaturesOf(path)).toEqual([expect.stringMatching(/^test-cache:/)]);
    });

    test("nix-store -r takes a derivation's output from it", async () => {
      publish();
      const { expression, path } = await cached();
      const drv = await machine.must("nix-instantiate", ["-E", expression]);
      const run = await shim(attachedTo, "nix-store", ["--realise", drv]);
      expect(run.exitCode, run.stderr).toBe(0);
      expect(run.stdout.trim()).toBe(path);
    });

    test("the user's NIX_CONFIG stays, also one that sets the caches", async () => {
      publish();
      const { expression, path } = await cached();
      const env = { NIX_CONFIG: "substituters = \ntrusted-public-keys = \nconnect-timeout = 3" };
      const run = await shim(attachedTo, "nix", ["build", "--no-link", "--expr", expression], { env });
      expect(run.exitCode, run.stderr).toBe(0);
      expect(await signaturesOf(path)).toHaveLength(1);
    });

    test("a user that the Nix daemon does not trust gets the endpoint alone, and its key counts from nix.conf", async () => {
      const { expression } = await cached();
      publish(attachedTo, false);
      const without = await shim(attachedTo, "nix", ["build", "--no-link", "--expr", expression]);
      expect(without.exitCode).not.toBe(0);
      expect(without.stderr).toMatch(/is not signed by any of the keys|lacks a valid signature|Cannot build|builder/);
      const env = { NIX_CONFIG: `trusted-public-keys = ${cache.publicKey}` };
      publish(attachedTo, false);
      const run = await shim(attachedTo, "nix", ["build", "--no-link", "--expr", expression], { env });
      expect(run.exitCode, run.stderr).toBe(0);
    });

    test("what is entered or started finds the user's NIX_CONFIG and nothing of ours in it", async () => {
      publish();
      const { expression, path } = await cached();
      for (const NIX_CONFIG of [undefined, "cores = 2"]) {
        const run = await shim(attachedTo, "nix", ["shell", "--expr", expression, "-c", "env"], { env: { NIX_CONFIG } });
        expect(run.exitCode, run.stderr).toBe(0);
        const found = run.stdout.split("\n");
        expect(found.filter((line) => line.startsWith("NIX_CONFIG="))).toEqual(
          NIX_CONFIG === undefined ? [] : [`NIX_CONFIG=${NIX_CONFIG}`],
        );
        expect(run.stdout).not.toContain(cache.url);
        expect(found.find((line) => line.startsWith("PATH="))).not.toContain(built.shim);
      }
      expect(await signaturesOf(path)).toHaveLength(1);
    });

    test.each([
      ["nix", (expression: string) => ["develop", "--expr", expression, "-c", "sh", "-c", "cat $input; env"]],
      ["nix-shell", (expression: string) => ["--run", "cat $input; env", "-E", expression]],
    ])("%s enters, with its input from the cache and nothing of ours inside", async (name, argsOf) => {
      const { expression, path } = await cached();
      const shell = `derivation { name = "dev"; system = "${machine.system}"; builder = "/bin/bash"; outputs = [ "out" ]; args = [ "-c" "exit 1" ]; input = ${expression}; }`;
      publish();
      const run = await shim(attachedTo, name, argsOf(shell));
      expect(run.exitCode, run.stderr).toBe(0);
      expect(run.stdout).toMatch(/^cached-/);
      expect(run.stdout).not.toMatch(/^NIX_CONFIG=/m);
      expect(run.stdout).not.toContain(cache.url);
      expect(await signaturesOf(path)).toHaveLength(1);
    });

    test("a script whose interpreter is nix-shell runs with its own options, and its words", async () => {
      const { expression } = await cached();
      const file = join(machine.dir, "script");
      const shell = join(machine.dir, "shell.nix");
      writeFileSync(
        shell,
        `derivation { name = "s"; system = "${machine.system}"; builder = "/bin/bash"; outputs = [ "out" ]; args = [ "-c" "exit 1" ]; input = ${expression}; }`,
      );
      writeFileSync(file, `#!/usr/bin/env nix-shell\n#! nix-shell -i bash ${shell}\ncat $input\nprintf '%s|' "$@"\n`);
      chmodSync(file, 0o755);
      publish();
      const PATH = `${dirname(built.shimOf("nix-shell"))}:${attachedTo.env["PATH"]}`;
      const run = await shim(attachedTo, "script", ["--offline", "a b"], { file, env: { PATH } });
      expect(run.exitCode, run.stderr).toBe(0);
      expect(run.stdout).toMatch(/^cached-\d+\n--offline\|a b\|$/);
    });

    test("what calls Nix by a path of its own stays attached: nixos-rebuild, home-manager", async () => {
      const { expression, path } = await cached();
      const tools = join(machine.dir, "tools");
      mkdirSync(tools);
      // As nixpkgs' own do it: a PATH of their own in front, and Nix by its store path.
      const text = `#!/bin/sh\nPATH=/usr/bin:/bin\nexport PATH\nexec /usr/bin/nix-build --no-out-link -E '${expression}'\n`;
      for (const name of ["nixos-rebuild", "home-manager"]) writeFileSync(join(tools, name), text, { mode: 0o755 });
      const env = { PATH: `${built.shim}:${tools}:/usr/bin:/bin` };
      for (const name of ["nixos-rebuild", "home-manager"]) {
        publish();
        const run = await shim(attachedTo, name, ["switch"], { env });
        expect(run.exitCode, run.stderr).toBe(0);
        expect(run.stdout.trim()).toBe(path);
        await machine.must("nix-store", ["--delete", "--ignore-liveness", path]);
      }
      expect((await shim(alone, "nixos-rebuild", ["switch"], { env })).exitCode).toBe(78);
    });

    test.each(["--offline", "--no-net", "--no-substitute", "--option substitute false", "--substituters ∅", "--trusted-public-keys ∅"])(
      "is refused where the user's own option takes it away: %s",
      async (option) => {
        publish();
        const words = option.split(" ").map((word) => word.replace("∅", ""));
        const run = await shim(attachedTo, "nix", ["build", ...words, "--expr", machine.derivation("never")]);
        expect(run.exitCode, run.stderr).toBe(78);
        expect(run.stdout).toBe("");
        expect(run.stderr).toMatch(/^flywheel: refused nix build: /);
        expect(run.stderr).toMatch(/next: flywheel compat --reason "…" -- nix build/);
      },
    );

    test("is refused where the user's own option names other caches, and is not where it names this one too", async () => {
      const { expression, path } = await cached();
      const args = (list: string) => ["build", "--no-link", "--option", "substituters", list, "--expr", expression];
      publish();
      const other = await shim(attachedTo, "nix", args("https://cache.nixos.org"));
      expect(other.exitCode, other.stderr).toBe(78);
      expect(other.stderr).toMatch(/^flywheel: refused nix build: substituters names other caches than the attached one/);
      const both = await shim(attachedTo, "nix", args(`${cache.url}/?priority=10`));
      expect(both.exitCode, both.stderr).toBe(0);
      expect(await signaturesOf(path)).toHaveLength(1);
    });

    test("is refused where NIX_CONFIG turns substitution off", async () => {
      publish();
      const run = await shim(attachedTo, "nix-build", ["-E", "1"], { env: { NIX_CONFIG: "substitute = false" } });
      expect(run.exitCode).toBe(78);
      expect(run.stderr).toMatch(/^flywheel: refused nix-build: substitute is off/);
    });

    test("a wrong key never lets a path in", async () => {
      const { expression, path } = await cached();
      publish(attachedTo, true, `test-cache:${"A".repeat(43)}=`);
      const run = await shim(attachedTo, "nix", ["build", "--no-link", "--expr", expression]);
      expect(run.exitCode).not.toBe(0);
      expect((await machine.run("nix", ["path-info", path])).exitCode).not.toBe(0);
    });
  });

  describe("not attached", () => {
    test.each([
      ["nix", ["build", "--expr", "1"], "nix build"],
      ["nix", ["run", "--expr", "1"], "nix run"],
      ["nix-build", ["-E", "1"], "nix-build"],
      ["nix-store", ["-r", "x"], "nix-store"],
      ["nix-env", ["-iA", "x"], "nix-env"],
    ])("%s %j is refused with 78", async (name, args, subject) => {
      const run = await shim(alone, name, args);
      expect(run.exitCode, run.stderr).toBe(78);
      expect(run.stdout).toBe("");
      expect(run.stderr.split("\n")[0]).toMatch(new RegExp(`^flywheel: refused ${subject}: no shared Nix cache is attached: `));
    });

    test("light and medium commands run, and so does what executes nothing", async () => {
      const sum = await shim(alone, "nix", ["eval", "--expr", "1+1"]);
      expect([sum.exitCode, sum.stdout, sum.stderr]).toEqual([0, "2", ""]);
      expect((await shim(alone, "nix", ["--version"])).stdout).toMatch(/^nix \(Nix\) /);
      expect((await shim(alone, "nix", ["build", "--help"])).exitCode).toBe(0);
      expect((await shim(alone, "nix-instantiate", ["--eval", "-E", "1+1"])).stdout).toBe("2");
      expect((await shim(alone, "nix-store", ["--version"])).exitCode).toBe(0);
      const dry = await shim(alone, "nix", ["build", "--dry-run", "--expr", machine.derivation("dry")]);
      expect(dry.exitCode, dry.stderr).toBe(0);
      expect(dry.stderr).toMatch(/will be built/);
    });

    test("words that a shell completes are completed", async () => {
      const run = await shim(alone, "nix", ["bui"], { env: { NIX_GET_COMPLETIONS: "1" } });
      expect([run.exitCode, run.stdout.split("\n")[1]?.split("\t")[0]]).toEqual([0, "build"]);
    });

    test("an entry is let in with one notice, as far as what is built leads", async () => {
      // What an entry builds by itself is there already.
      const shell = `derivation { name = "dev"; system = "${machine.system}"; builder = "/bin/bash"; outputs = [ "out" ]; args = [ "-c" "exit 1" ]; }`;
      await machine.must("nix", ["develop", "--expr", shell, "-c", "true"]);
      const begun = performance.now();
      await machine.must("nix", ["develop", "--expr", shell, "-c", "true"]);
      const bare = performance.now() - begun;
      await alone.down();
      const started = performance.now();
      const run = await shim(alone, "nix", ["develop", "--expr", shell, "-c", "env"]);
      expect(performance.now() - started - bare).toBeLessThan(2000 + 1500);
      expect(run.exitCode, run.stderr).toBe(0);
      expect(run.stdout).not.toMatch(/^NIX_CONFIG=/m);
      const notices = run.stderr.split("\n").filter((line) => line.startsWith("flywheel: "));
      expect(notices).toEqual([expect.stringMatching(/; nix develop takes what is built and builds nothing itself/)]);
      const legacy = await shim(alone, "nix-shell", ["-E", shell, "--run", "echo in"]);
      expect([legacy.exitCode, legacy.stdout], legacy.stderr).toEqual([0, "in"]);
      const dev = await shim(alone, "nix", ["print-dev-env", "--expr", shell]);
      expect(dev.exitCode, dev.stderr).toBe(0);
    });

    test("a daemon that hangs keeps nobody out for longer than 2 s", async () => {
      const shell = `derivation { name = "hung"; system = "${machine.system}"; builder = "/bin/bash"; outputs = [ "out" ]; args = [ "-c" "exit 1" ]; }`;
      await machine.must("nix", ["develop", "--expr", shell, "-c", "true"]);
      const runtime = join(alone.dir, "hung");
      mkdirSync(runtime, { mode: 0o700 });
      const server = createServer(() => {}).listen(join(runtime, "daemon.sock"));
      await once(server, "listening");
      try {
        const started = performance.now();
        const run = await shim(alone, "nix", ["develop", "--expr", shell, "-c", "echo", "in"], { env: { GF_RUNTIME_DIR: runtime } });
        expect([run.exitCode, run.stdout], run.stderr).toEqual([0, "in"]);
        expect(run.stderr).toMatch(/^flywheel: no shared Nix cache is attached: nothing was attached within 2 s; /);
        expect(performance.now() - started).toBeLessThan(6000);
      } finally {
        server.close();
      }
    });

    test("an entry that would have to build says so, and how to build all the same", async () => {
      const shell = `derivation { name = "new"; system = "${machine.system}"; builder = "/bin/bash"; outputs = [ "out" ]; args = [ "-c" "exit 1" ]; n = "${Math.random()}"; }`;
      const run = await shim(alone, "nix", ["develop", "--expr", shell, "-c", "true"]);
      expect(run.exitCode).toBe(1);
      expect(run.stderr).toMatch(/GF_GUARD_BYPASS="why" nix develop … does/);
      expect(run.stderr).toMatch(/unable to start any build/);
      const escaped = await shim(alone, "nix", ["develop", "--expr", shell, "-c", "env"], { env: { GF_GUARD_BYPASS: "first entry" } });
      expect(escaped.exitCode, escaped.stderr).toBe(0);
      expect(escaped.stderr).toMatch(/^flywheel: escape: nix develop runs without the shared cache \(first entry\)$/m);
      expect(escaped.stdout).not.toMatch(/^GF_GUARD_BYPASS=/m);
    });

    test("flywheel compat runs one alone and records it; flywheel exec guards one", async () => {
      const builds = machine.derivation("compat");
      machine.allowBuilding();
      try {
        const env = { ...machine.env };
        const run = await alone.flywheel(["compat", "--reason", "trying", "--", "nix", "build", "--no-link", "--expr", builds], { env });
        expect(run.exitCode, run.stderr).toBe(0);
        const guarded = await alone.flywheel(["exec", "--", "nix-build", "-E", builds], { env });
        expect(guarded.exitCode).toBe(78);
      } finally {
        machine.forbidBuilding();
      }
      const status = JSON.parse((await alone.flywheel(["status", "--json"])).stdout) as StatusReport;
      expect(status.escapes.last).toMatchObject({ reason: "trying", command: expect.stringContaining("build") });
    });

    test("the configuration can make medium commands heavy", async () => {
      const file = join(alone.env["GF_CONFIG_DIR"] ?? "", "config.toml");
      const before = readFileSync(file, "utf8");
      writeFileSync(file, `${before}\n[guard]\nmedium = "heavy"\n`);
      try {
        const run = await shim(alone, "nix", ["eval", "--expr", "1+1"]);
        expect(run.exitCode, run.stderr).toBe(78);
        expect(run.stderr).toMatch(/^flywheel: refused nix eval: /);
        expect((await shim(alone, "nix", ["path-info", "--help"])).exitCode).toBe(0);
      } finally {
        writeFileSync(file, before);
      }
      expect((await shim(alone, "nix", ["eval", "--expr", "1+1"])).stdout).toBe("2");
    });

    test("on a runner the fleet's own variables count, once the cache that they name has answered", async () => {
      // Judged for Nix's usual store: what stands for Nix here only tells what it was given.
      mkdirSync(join(cache.files, "fleet"));
      writeFileSync(join(cache.files, "fleet/nix-cache-info"), "StoreDir: /nix/store\nPriority: 30\n");
      const tools = join(machine.dir, "telling");
      mkdirSync(tools);
      writeFileSync(join(tools, "nix"), '#!/bin/sh\nprintf "%s\\n" "$NIX_CONFIG" "$*"\n', { mode: 0o755 });
      const runner = {
        PATH: `${built.shim}:${tools}:/usr/bin:/bin`,
        ...Object.fromEntries(Object.keys(machine.env).map((name) => [name, undefined])),
        HOME: machine.dir,
        CI: "true",
        // No daemon was ever started for this one.
        GF_RUNTIME_DIR: join(alone.dir, "runner"),
        ATTIC_SERVER: `${cache.url}/`,
        ATTIC_CACHE: "fleet",
        ATTIC_PUBLIC_KEY: cache.publicKey,
      };
      const run = await shim(alone, "nix", ["build"], { env: runner });
      expect(run.exitCode, run.stderr).toBe(0);
      expect(run.stdout).toMatch(
        new RegExp(`^extra-substituters = ${cache.url}/fleet\nextra-trusted-public-keys = test-cache:[^\n]*\n[^]*\nbuild$`),
      );
      for (const [change, reason] of [
        [{ ATTIC_CACHE: "missing" }, /refused nix build: ATTIC_SERVER names http:\/\/<redacted>:\d+, which fails at /],
        [{ ATTIC_PUBLIC_KEY: `other:${"A".repeat(43)}=` }, /ATTIC_PUBLIC_KEY is not the profile's key/],
        [{ ATTIC_SERVER: "http://$(id)" }, /ATTIC_SERVER: the endpoint holds a/],
        [{ ATTIC_SERVER: undefined }, /CI is set, so no daemon is started, and ATTIC_SERVER names no endpoint/],
        [{ GF_BAZEL_LOCAL_PROOF: undefined, GF_CONFIG_DIR: undefined }, /loopback endpoint, which is never a shared cache/],
      ] as const) {
        const refused = await shim(alone, "nix", ["build"], { env: { ...runner, ...change } });
        expect(refused.exitCode, refused.stderr).toBe(78);
        expect(refused.stderr).toMatch(reason);
      }
    });

    test("outside the scope nothing is guarded", async () => {
      const run = await shim(alone, "nix", ["build", "--no-link", "--expr", machine.derivation("outside")], {
        env: { GF_GUARD_SCOPE: "enrolled" },
      });
      expect(run.exitCode).toBe(1);
      expect(run.stderr).toMatch(/builder for .* failed/);
      expect(run.stderr).not.toMatch(/flywheel/);
    });
  });

  describe("a cache that fails", () => {
    test("one that died within its lease is given up in a second, and the next call says how to go on", async () => {
      const { expression, path } = await cached();
      const args = ["build", "--no-link", "--expr", expression];
      machine.allowBuilding();
      await cache.stop();
      try {
        publish();
        const started = performance.now();
        const run = await shim(attachedTo, "nix", args);
        // Nix alone tries five times, for 4.4 to 4.9 s.
        expect(performance.now() - started).toBeLessThan(3500);
        // It has met this cache before: then it fails rather than build behind the user's back.
        expect(run.exitCode, run.stderr).toBe(1);
        expect(run.stderr).toContain(`unable to download '${cache.url}`);
        // By then the daemon has taken its word back. (Nix 2.8 aborts by itself under --fallback with such a cache.)
        withdraw();
        const next = await shim(attachedTo, "nix", args);
        expect(next.exitCode, next.stderr).toBe(78);
        expect(next.stderr).toMatch(/next: flywheel compat --reason "…" -- nix build/);
        const env = { ...machine.env };
        const on = await attachedTo.flywheel(["compat", "--reason", "the cache died", "--", "nix", ...args], { env });
        expect(on.exitCode, on.stderr).toBe(0);
      } finally {
        machine.forbidBuilding();
        await cache.restart();
        // The refused call has started one, which would publish its own word over what the next tests publish.
        await attachedTo.down();
      }
      expect(await signaturesOf(path)).toEqual([]);
    });

    test("one that cuts a path off fails the build, and what Nix advises goes on", async () => {
      const { expression, path } = await cached();
      const hash = path.slice(path.lastIndexOf("/") + 1).split("-")[0] ?? "";
      const nar = /^URL: (.*)$/m.exec(readFileSync(join(cache.files, `${hash}.narinfo`), "utf8"))?.[1] ?? "";
      writeFileSync(join(cache.files, nar), readFileSync(join(cache.files, nar)).subarray(0, 40));
      const args = ["build", "--no-link", "--expr", expression];
      publish();
      const run = await shim(attachedTo, "nix", args);
      expect(run.exitCode, run.stderr).toBe(1);
      expect(run.stderr).toMatch(/some substitutes for the outputs of derivation .* failed .*; try '--fallback'/s);
      machine.allowBuilding();
      try {
        publish();
        const on = await shim(attachedTo, "nix", [...args, "--fallback"]);
        expect(on.exitCode, on.stderr).toBe(0);
      } finally {
        machine.forbidBuilding();
      }
      expect(await signaturesOf(path)).toEqual([]);
    });
  });

  test("flywheel explain says what would happen, and the NIX_CONFIG that Nix would get", async () => {
    publish();
    const env = { ...machine.env, NIX_CONFIG: "cores = 1" };
    const build = await attachedTo.flywheel(["explain", "--json", "--", "nix", "build", ".#x"], { env });
    expect(JSON.parse(build.stdout)).toMatchObject({
      class: "heavy",
      clearToFastPath: true,
      decision: { kind: "settings", channel: "environment" },
      nixConfig: expect.stringMatching(
        new RegExp(`^cores = 1\nextra-substituters = ${cache.url}\nextra-trusted-public-keys = test-cache:`),
      ),
    });
    const develop = await attachedTo.flywheel(["explain", "--", "nix", "develop"], { env });
    expect(develop.stdout).toMatch(new RegExp(`would run {2}\\S*nix --extra-substituters ${cache.url} .* develop`));
    const alien = await alone.flywheel(["explain", "--", "nix-shell", "-p", "x"], { env: machine.env });
    expect(alien.stdout).toMatch(/class {6}entry/);
    expect(alien.stdout).toMatch(/enters without the attached cache/);
  });

  test("the shim stands in front of each of Nix's names, and finds the real one behind it", async () => {
    const tools = join(machine.dir, "real");
    mkdirSync(tools);
    symlinkSync(nix.available ? nix.path : "", join(tools, "nix-collect-garbage"));
    const run = await shim(alone, "nix-collect-garbage", ["--version"], { env: { PATH: `${built.shim}:${tools}:/bin` } });
    expect(run.stdout).toMatch(/^nix-collect-garbage \(Nix\) /);
  });
});
