/** The shell of another flake, entered by real Nix and a real bash; and the hook alone, under every sh. */
import { spawn } from "node:child_process";
import { mkdirSync, mkdtempSync, realpathSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { execa } from "execa";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import type { StatusReport } from "../../contract/api.ts";
import { nixMissing } from "../fixtures/nix-flake/nix.ts";
import { programOnPath } from "../fixtures/peers.ts";
import { type Entered, enter, environmentOf, makeShells, program, type Shells, said, withCache } from "./shells.ts";

const parity = ["BAZEL_REMOTE_CACHE", "GF_BAZEL_SUBSTRATE_MODE", "GF_FLYWHEEL_PROFILE_STATE", "GF_BAZEL_REMOTE_UPLOAD"] as const;

describe.skipIf(nixMissing)("entering", () => {
  let shells: Shells;
  beforeAll(async () => {
    shells = await makeShells();
  }, 300_000);
  afterAll(() => shells.dispose());
  afterEach(async () => {
    await shells.stage.down();
    await shells.stage.tailnet(withCache);
    shells.tool.forget();
  });

  const status = async (): Promise<StatusReport> => JSON.parse((await shells.stage.flywheel(["status", "--json"])).stdout);
  const expectEntered = ({ exitCode, stderr, env }: Entered): void => {
    expect(exitCode, stderr).toBe(0);
    expect(env["OWN_HOOK"]).toBe("ran");
    // The shim is first although the flake's own hook put something in front of it, and is there once.
    const path = (env["PATH"] ?? "").split(":");
    expect(path[0]).toBe(shells.shim);
    expect(path.filter((directory) => directory.endsWith("/shim"))).toEqual([shells.shim]);
    // Nix is there, home-manager and the others are not.
    expect(path.slice(1, 3)).toEqual([`${shells.shim}-nix`, "/opt/own"]);
    expect(env["GF_GUARD_SCOPE"]).toBe("all");
    // What a child would keep after the attachment is gone.
    expect(env["NIX_CONFIG"]).toBe(shells.env["NIX_CONFIG"]);
  };
  const pick = (env: Readonly<Record<string, string>>, names: readonly string[]) =>
    Object.fromEntries(names.map((name) => [name, env[name]]));
  const attached = () => ({
    BAZEL_REMOTE_CACHE: shells.cache.url,
    GF_BAZEL_SUBSTRATE_MODE: "shared-cache-backed",
    GF_FLYWHEEL_PROFILE_STATE: "local-proof",
    GF_BAZEL_REMOTE_UPLOAD: "false",
  });
  const nothing = Object.fromEntries(parity.map((name) => [name, undefined]));

  // Where other tests keep both cores busy, 2 s may not do for a daemon that starts: then once more.
  const busy = { retry: 2 };

  test("without a daemon: it is started, and the shell is attached, with the shim first on PATH, in one line", busy, async () => {
    const entered = await enter(shells);
    expectEntered(entered);
    expect(pick(entered.env, parity)).toEqual(attached());
    expect(said(entered.stderr)).toEqual([`flywheel: attached, local-proof: ${shells.cache.url} on cache.tail0ffee.ts.net`]);
    expect((await status()).daemon).not.toBeNull();
  });

  test("a build in it is attached by the guard", async () => {
    await shells.stage.flywheel(["up"]);
    const args = ["develop", `path:${shells.consumer}`, "--command", "bazel", "build", "//..."];
    const { exitCode, stdout } = await shells.house.nix(args, { cwd: shells.consumer, env: shells.env });
    expect([exitCode, stdout]).toEqual([0, ""]);
    expect(shells.tool.words()).toContain(`--remote_cache=${shells.cache.url}`);
  });

  test("on a terminal: bash's own prompt comes up attached, and leaving gives its own exit code", async () => {
    const script = programOnPath("script");
    if (!script.available) throw new Error(script.reason);
    await shells.stage.flywheel(["up"]);
    // What is typed is echoed too: it is told from what is printed by the variables that it names.
    const typed = `printf '%s\\n' "first=\${PATH%%:*}" "cache=$BAZEL_REMOTE_CACHE" "prompt=\${PROMPT_COMMAND%%;*}" "type=$(type -t _flywheel_follow)"\nexit 5\n`;
    const left = await execa(script.path, ["--quiet", "--return", "--command", `nix develop path:${shells.consumer}`, "/dev/null"], {
      cwd: shells.consumer,
      env: { ...shells.env, TERM: "dumb" },
      extendEnv: false,
      input: typed,
      reject: false,
      timeout: 60_000,
    });
    expect(left.exitCode, left.stdout).toBe(5);
    const printed = left.stdout.split(/\r?\n/);
    expect(printed).toEqual(
      expect.arrayContaining([
        `first=${shells.shim}`,
        `cache=${shells.cache.url}`,
        "prompt=${_flywheel_at_prompt-}",
        "type=function",
        `flywheel: attached, local-proof: ${shells.cache.url} on cache.tail0ffee.ts.net`,
      ]),
    );
  });

  test("twice, and one in the other: the same environment again", async () => {
    await shells.stage.flywheel(["up"]);
    const once = await enter(shells);
    const twice = await enter(shells, { env: once.env });
    for (const entered of [once, twice]) expectEntered(entered);
    expect(pick(once.env, parity)).toEqual(attached());
    // The inner nix is the guard's: that a shim has run is its to tell.
    const ours = ({ env }: Entered) =>
      Object.entries(env).filter(([name]) => /^(?:GF|BAZEL|ATTIC)_/.test(name) && name !== "GF_SHIM_DEPTH");
    expect(Object.fromEntries(ours(twice))).toEqual(Object.fromEntries(ours(once)));
  });

  test("one in the other, and the attachment gone meanwhile: what the outer one exported is not believed to be the user's", async () => {
    await shells.stage.flywheel(["up"]);
    const outer = await enter(shells);
    await shells.stage.flywheel(["detach"]);
    const inner = await enter(shells, { env: outer.env });
    expectEntered(inner);
    expect(pick(inner.env, [...parity, "GF_SHELL_ATTACHED"])).toEqual({ ...nothing, GF_SHELL_ATTACHED: undefined });
    expect(said(inner.stderr).at(-1)).toMatch(/^flywheel: not attached: .*detach/);
    expect((await status()).detached).toBe(true);
    await shells.stage.flywheel(["up"]);
  });

  test.each([
    ["a tailnet client that hangs", { fault: "hang" }],
    ["no cache on the tailnet", {}],
    // TEST-NET-1 (RFC 5737): nobody answers.
    ["a cache that does not answer", { nodes: [{ name: "cache", addresses: ["192.0.2.1"], tags: ["tag:bazel-cache"] }] }],
  ] as const)("%s: the shell is entered all the same, at most 2 s later", busy, async (_what, tailnet) => {
    await enter(shells, { shell: "plain" });
    await shells.stage.tailnet(tailnet);
    const plain = await enter(shells, { shell: "plain" });
    const entered = await enter(shells);
    expectEntered(entered);
    expect(pick(entered.env, parity)).toEqual(nothing);
    expect(said(entered.stderr)).toEqual([expect.stringMatching(/^flywheel: (?:not attached: \S|still looking)/)]);
    expect(entered.tookMs - plain.tookMs).toBeLessThan(2000);
  });

  test("a daemon that is stopped: entered, believed for as long as its lease runs", busy, async () => {
    await shells.stage.flywheel(["up"]);
    await enter(shells, { shell: "plain" });
    const pid = (await status()).daemon?.pid;
    if (pid === undefined) throw new Error("no daemon");
    process.kill(pid, "SIGSTOP");
    try {
      const plain = await enter(shells, { shell: "plain" });
      const entered = await enter(shells);
      expectEntered(entered);
      expect(entered.env["BAZEL_REMOTE_CACHE"]).toBe(shells.cache.url);
      expect(entered.tookMs - plain.tookMs).toBeLessThan(2000);
    } finally {
      process.kill(pid, "SIGCONT");
    }
  });

  test("the user's own BAZEL_REMOTE_CACHE stays, with all that belongs to it", async () => {
    const own = { BAZEL_REMOTE_CACHE: "grpcs://own.example.org:443", GF_BAZEL_SUBSTRATE_MODE: "shared-cache-backed" };
    const entered = await enter(shells, { env: own });
    expectEntered(entered);
    expect(pick(entered.env, parity)).toEqual({ ...nothing, ...own });
    expect(said(entered.stderr)[0]).toMatch(/; BAZEL_REMOTE_CACHE is your own and stays$/);
  });

  test("in CI no daemon is started", async () => {
    const entered = await enter(shells, { env: { CI: "true" } });
    expectEntered(entered);
    expect(said(entered.stderr)).toEqual([expect.stringMatching(/^flywheel: not attached: CI is set, so no daemon is started/)]);
    expect((await status()).daemon).toBeNull();
  });

  describe("an interactive shell follows the attachment", () => {
    test.each(["bash", "zsh"])("%s", async (name) => {
      const shell = programOnPath(name);
      if (!shell.available) throw new Error(shell.reason);
      await shells.stage.flywheel(["up"]);
      // Without a terminal of its own; the prompt's hooks run all the same. fd 3 tells the test what it did.
      const flags = { bash: ["--norc", "--noprofile", "-i"], zsh: ["-f", "-i"] }[name] ?? [];
      const child = spawn(shell.path, flags, {
        env: { ...shells.env, PATH: `${shells.built}/bin:${shells.env["PATH"]}`, PS1: "" },
        stdio: ["pipe", "ignore", "pipe", "pipe"],
      });
      const { stdin, stderr: errors } = child;
      const told = child.stdio[3];
      if (stdin === null || errors === null || told === null || told === undefined || !("on" in told)) throw new Error("no pipe");
      let stderr = "";
      errors.setEncoding("utf8").on("data", (text: string) => {
        stderr += text;
      });
      const lines = createInterface({ input: told as NodeJS.ReadableStream })[Symbol.asyncIterator]();
      const ask = async (commands: string): Promise<string> => {
        stdin.write(`${commands}\n`);
        return (await lines.next()).value ?? "the shell ended";
      };
      const cache = 'echo "$? ${BAZEL_REMOTE_CACHE-none}" >&3';
      try {
        expect(await ask(`. ${shells.built}/share/gloriousflywheel/shell-hook.sh; ${cache}`)).toBe(`0 ${shells.cache.url}`);
        expect(await ask(`(exit 7)\n${cache}`)).toBe(`7 ${shells.cache.url}`);
        await shells.stage.flywheel(["detach"]);
        expect(await ask(`(exit 7)\n${cache}`)).toBe("7 none");
        await shells.stage.flywheel(["up"]);
        expect(await ask(`true\n${cache}`)).toBe(`0 ${shells.cache.url}`);
        await shells.stage.down();
        expect(await ask(`true\n${cache}`)).toBe("0 none");
        expect((await status()).daemon).toBeNull();
        // Entering, and each change, once; a prompt without news says nothing.
        expect([...stderr.matchAll(/flywheel: ([a-z ]+)/g)].map(([, words]) => words)).toEqual([
          "attached",
          "not attached",
          "attached",
          "not attached",
        ]);
      } finally {
        child.kill("SIGKILL");
      }
    });
  });
});

describe("the hook alone", () => {
  const root = join(import.meta.dirname, "../..");
  const hook = join(root, "nix/shell-hook.sh");

  test.each(["bash", "dash", "zsh --emulate sh", "zsh", "busybox sh"])(
    "%s: with every strictness, without flywheel or with one that fails",
    async (words) => {
      const [name = "", ...flags] = words.split(" ");
      const shell = programOnPath(name);
      if (!shell.available) throw new Error(shell.reason);
      const { dir, remove } = house();
      try {
        const run = (path: string) =>
          execa(shell.path, [...flags, "-euc", `. ${hook}; . ${hook}; env -0`], {
            env: { PATH: path, HOME: dir },
            extendEnv: false,
            reject: false,
            // On a socket, bash takes itself for rshd's and reads the system's start files.
            stdin: "ignore",
          });
        const without = await run("/usr/bin:/bin");
        expect([without.exitCode, without.stderr.split("\n")[0]]).toEqual([0, "flywheel: not on PATH, so nothing is guarded here"]);
        expect(environmentOf(without.stdout)).toMatchObject({ PATH: "/usr/bin:/bin", GF_GUARD_SCOPE: "all" });

        const failing = await run(`${dir}/links::/usr/bin:${dir}/old-shim:/bin`);
        expect([failing.exitCode, failing.stderr]).toEqual([0, "broken\nbroken"]);
        expect(environmentOf(failing.stdout)).toMatchObject({
          PATH: `${dir}/lib/shim:${dir}/lib/shim-nix:${dir}/links::/usr/bin:/bin`,
          GF_GUARD_SCOPE: "all",
        });
      } finally {
        remove();
      }
    },
  );

  /** A Nix, and a flywheel that is a link to one that fails, with the shim's directories beside it. */
  function house(): { dir: string; remove: () => void } {
    const dir = realpathSync(mkdtempSync(join(tmpdir(), "gf-hook-")));
    for (const each of ["lib/bin", "lib/shim", "lib/shim-nix", "links", "old-shim"]) mkdirSync(join(dir, each), { recursive: true });
    program(join(dir, "lib/bin/flywheel"), "#!/bin/sh\necho broken >&2\nexit 1\n");
    symlinkSync("../lib/bin/flywheel", join(dir, "links/flywheel"));
    program(join(dir, "links/nix"), "#!/bin/sh\n");
    for (const each of ["lib/shim", "lib/shim-nix", "old-shim"]) writeFileSync(join(dir, each, ".flywheel-shim"), "");
    return { dir, remove: () => rmSync(dir, { recursive: true, force: true }) };
  }
});
