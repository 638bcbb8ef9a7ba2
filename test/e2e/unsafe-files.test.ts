/**
 * Where files fail, end to end: a runtime directory that others could write to, a published file that is not the
 * daemon's, a full disk, a read-only home. Tests of permissions run as an unprivileged user: root passes everything.
 */
import { execFileSync } from "node:child_process";
import {
  chmodSync,
  chownSync,
  cpSync,
  existsSync,
  linkSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { execa } from "execa";
import { afterAll, beforeAll, beforeEach, describe, expect, onTestFinished, test } from "vitest";
import type { StatusReport } from "../../contract/api.ts";
import { type RunningCache, startCache } from "../fixtures/caches/start.ts";
import { bazel, daemonOf, expectAttachedTo, expectRefused, longestHang } from "../fixtures/guarded.ts";
import { built, makeStage, type Ran, type Stage } from "../fixtures/stage.ts";
import { type RecordingTool, recordingTool } from "../fixtures/tools/recording.ts";

const nobody = 65_534;
const rootFault = process.getuid?.() === 0 ? undefined : "needs root, to become somebody else";
const tailnet = { nodes: [{ name: "cache", addresses: ["127.0.0.1"], tags: ["tag:bazel-cache"] }] };

let root: string;
let tool: RecordingTool;
let cache: RunningCache;
let stage: Stage;

beforeAll(async () => {
  root = mkdtempSync(join(tmpdir(), "gf-uf-"));
  chmodSync(root, 0o755);
  mkdirSync(join(root, "record"), { mode: 0o777 });
  chmodSync(join(root, "record"), 0o777);
  tool = recordingTool(join(root, "tools"), join(root, "record/words"));
  cache = await startCache({ kind: "grpc" });
  stage = await makeStage([tool.directory], { grpcPorts: [cache.port], httpPorts: [], tailnet });
});
afterAll(async () => {
  await stage.dispose();
  await cache.dispose();
  rmSync(root, { recursive: true, force: true });
});
beforeEach(() => tool.forget());

describe("a published file that is not what the daemon writes", () => {
  const published = (): string => join(stage.dir, "run/attachment/default/bazel");
  /** Shims without a `flywheel` beside them: what they run, sh alone has decided. */
  let fastOnly: string;
  let good: string;

  beforeAll(async () => {
    fastOnly = join(root, "alone/shim");
    cpSync(built.shim, fastOnly, { recursive: true });
    const up = await stage.flywheel(["up"]);
    expect(up.exitCode, up.stderr).toBe(0);
    // The first build takes the slow path, which leaves its verdict on this place for sh: unless it rests on a file of this very second.
    const earlier = new Date(Date.now() - 60_000);
    for (const name of ["config.toml", "profiles/default.toml"]) utimesSync(join(stage.dir, "config", name), earlier, earlier);
    expectAttachedTo(await bazel(stage, ["build", "//x"]), tool, cache.url);
    good = readFileSync(published(), "utf8");
  });

  const line = (key: string, value: string) => (text: string) => text.replace(new RegExp(`^${key} .*$`, "m"), () => `${key} ${value}`);
  const files: readonly (readonly [string, (text: string) => string])[] = [
    ["an unknown key", (text) => `${text}surprise 1\n`],
    ["a doubled key", (text) => `${text}endpoint grpc://127.0.0.1:1\n`],
    ["a key without a value", (text) => `${text}alias\n`],
    ["no format", (text) => text.slice(text.indexOf("\n") + 1)],
    ["a later format", (text) => text.replace("flywheel-attachment 1", "flywheel-attachment 2")],
    ["an over-long endpoint", line("endpoint", `grpc://${"a".repeat(600)}:1`)],
    ["more than any daemon writes", (text) => text + "alias grpc://127.0.0.1:2\n".repeat(2000)],
    ["a command substitution as endpoint", line("endpoint", "grpc://$(touch TRAP):1")],
    ["backquotes as endpoint", line("endpoint", "grpc://`touch TRAP`:1")],
    ["a command substitution as a number", line("verified", "a[$(touch TRAP)]")],
    ["a command substitution as the end of its lease", line("valid-until", "x[$(touch TRAP)]")],
    ["a number that sh would read as octal", line("verified", "010")],
    ["a lease without end", line("valid-until", "999999999999")],
    ["a pid that is none", line("pid", "$(touch TRAP)")],
    ["a flag as endpoint", line("endpoint", "--remote_executor=grpc://127.0.0.1:1")],
    ["another boot's", line("boot-id", "00000000-0000-4000-8000-000000000000")],
    ["nothing at all", () => ""],
  ];

  test("the daemon's own is believed by sh alone", async () => {
    const run = await execa(join(fastOnly, "bazel"), ["build", "//x"], {
      env: await fresh(),
      extendEnv: false,
      cwd: stage.env["HOME"] ?? "/",
    });
    expect(run.exitCode).toBe(0);
    expect(tool.words()).toContain(`--remote_cache=${cache.url}`);
  });

  /** The environment, once the daemon has just written its word anew. */
  async function fresh(): Promise<Record<string, string>> {
    await stage.flywheel(["up"]);
    good = readFileSync(published(), "utf8");
    return stage.env;
  }

  test.each(files)("%s: sh believes nothing of it, the daemon is asked, and nothing in it is run", async (_, spoil) => {
    const trap = join(root, "executed");
    const env = await fresh();
    const spoilt = spoil(good).replaceAll("TRAP", trap);
    // Stopped, so that it is this text that is judged: the end of a command, say, would have it write anew.
    const { pid } = await daemonOf(stage).hello();
    process.kill(pid, "SIGSTOP");
    onTestFinished(() => void process.kill(pid, "SIGCONT"));
    writeFileSync(published(), spoilt);
    const alone = await execa(join(fastOnly, "bazel"), ["build", "//x"], {
      env,
      extendEnv: false,
      reject: false,
      cwd: stage.env["HOME"] ?? "/",
    });
    expect(alone.stderr).toContain("flywheel: refused bazel: the guard could not run");
    expect(tool.words()).toBeUndefined();
    expect(readFileSync(published(), "utf8")).toBe(spoilt);
    process.kill(pid, "SIGCONT");
    expectAttachedTo(await bazel(stage, ["build", "//x"]), tool, cache.url);
    expect(existsSync(trap)).toBe(false);
  });
});

describe("as an unprivileged user", () => {
  let copy: { flywheel: string; shim: string };
  let own: string;

  beforeAll(() => {
    if (rootFault !== undefined) return;
    copy = readableCopy(join(root, "package"));
    chmodSync(stage.dir, 0o755);
    own = join(root, "own");
    mkdirSync(own);
    for (const name of ["home", "config", "config/profiles", "state"]) mkdirSync(join(own, name));
    for (const name of ["config.toml", "profiles/default.toml"]) cpSync(join(stage.dir, "config", name), join(own, "config", name));
    execFileSync("chown", ["-R", `${nobody}:${nobody}`, own]);
    // So that the first build may leave its verdict, and sh goes as far as the runtime directory by itself.
    const earlier = new Date(Date.now() - 60_000);
    utimesSync(join(own, "config/config.toml"), earlier, earlier);
  });

  /** dist where every user can read it, with a Node beside it. */
  function readableCopy(directory: string): { flywheel: string; shim: string } {
    cpSync(join(built.shim, ".."), join(directory, "dist"), { recursive: true });
    const node = join(directory, "dist/lib/node");
    try {
      linkSync(process.execPath, node);
    } catch {
      cpSync(process.execPath, node);
    }
    return { flywheel: join(directory, "dist/bin/flywheel"), shim: join(directory, "dist/shim") };
  }

  const environment = (more: Record<string, string>): Record<string, string> => ({
    ...stage.env,
    PATH: [copy.shim, tool.directory, "/usr/bin", "/bin"].join(":"),
    HOME: join(own, "home"),
    PWD: join(own, "home"),
    GF_CONFIG_DIR: join(own, "config"),
    GF_STATE_DIR: join(own, "state"),
    ...more,
  });

  async function run(file: string, args: readonly string[], env: Record<string, string>): Promise<Ran> {
    const started = performance.now();
    const result = await execa(file, args, {
      ...{ env: environment(env), extendEnv: false, cwd: join(own, "home"), uid: nobody, gid: nobody, stdin: "ignore", reject: false },
      timeout: 3 * longestHang,
    });
    expect(performance.now() - started, result.stderr).toBeLessThan(longestHang);
    if (result.exitCode === undefined) throw new Error(`${file} did not exit by itself: ${result.shortMessage}`);
    return { exitCode: result.exitCode, stdout: result.stdout, stderr: result.stderr };
  }
  const flywheel = (args: readonly string[], env: Record<string, string>): Promise<Ran> => run(copy.flywheel, args, env);
  const build = (env: Record<string, string>): Promise<Ran> => run(join(copy.shim, "bazel"), ["build", "//x"], env);

  async function stopped(env: Record<string, string>): Promise<void> {
    const status = await flywheel(["status", "--json"], env);
    const { daemon } = JSON.parse(status.stdout) as StatusReport;
    await flywheel(["down"], env);
    if (daemon !== null) await gone(daemon.pid);
  }

  /** What an attacker, or a careless chmod, leaves behind: an attachment whose lease runs, to a cache of his own. */
  function poison(runtime: string): void {
    const directory = join(runtime, "attachment/default");
    mkdirSync(directory, { recursive: true, mode: 0o700 });
    const text = readFileSync(join(stage.dir, "run/attachment/default/bazel"), "utf8");
    writeFileSync(join(directory, "bazel"), text.replaceAll(cache.url, "grpc://127.0.0.1:1"), { mode: 0o600 });
    execFileSync("chown", ["-R", `${nobody}:${nobody}`, join(runtime, "attachment")]);
  }

  const directories: readonly {
    readonly what: string;
    readonly make: (path: string) => void;
    readonly message: RegExp;
    readonly next: RegExp;
  }[] = [
    {
      what: "owned by somebody else",
      make: (path) => {
        mkdirSync(path);
        poison(path);
      },
      message: /belongs to another user \(uid 0\)/,
      next: /set GF_RUNTIME_DIR/,
    },
    {
      what: "writable by others",
      // Without a word in it: nobody else can make one that is the user's own all the way down, which is what sh looks at.
      make: (path) => {
        mkdirSync(path);
        chownSync(path, nobody, nobody);
        chmodSync(path, 0o777);
      },
      message: /is open to other users \(mode 0777\)/,
      next: /chmod 700/,
    },
    {
      what: "a symbolic link",
      make: (path) => {
        mkdirSync(`${path}.real`, { mode: 0o700 });
        poison(`${path}.real`);
        chownSync(`${path}.real`, nobody, nobody);
        symlinkSync(`${path}.real`, path);
      },
      message: /is a symbolic link/,
      next: /remove .*, or set GF_RUNTIME_DIR/,
    },
    {
      what: "a file",
      make: (path) => {
        writeFileSync(path, "");
        chownSync(path, nobody, nobody);
      },
      message: /is not a directory/,
      next: /remove .*, or set GF_RUNTIME_DIR/,
    },
  ];

  test("a runtime directory that is the user's own: attached", async ({ skip }) => {
    skip(rootFault !== undefined, rootFault);
    const env = { GF_RUNTIME_DIR: join(own, "run") };
    try {
      expectAttachedTo(await build(env), tool, cache.url);
      // From now on sh alone: without a `flywheel` beside it.
      const alone = join(root, "unprivileged/shim");
      cpSync(copy.shim, alone, { recursive: true });
      tool.forget();
      expectAttachedTo(await run(join(alone, "bazel"), ["build", "//x"], env), tool, cache.url);
    } finally {
      await stopped(env);
    }
  });

  test.for(directories)(
    "a runtime directory that is $what: nothing in it is believed, and every command says so",
    async ({ what, make, message, next }, { skip }) => {
      skip(rootFault !== undefined, rootFault);
      await stage.flywheel(["up"]);
      const runtime = join(own, `run-${what.replaceAll(" ", "-")}`);
      make(runtime);
      const env = { GF_RUNTIME_DIR: runtime };
      const refused = await build(env);
      expectRefused(refused, tool, message);
      expect(refused.stderr).toMatch(next);
      expectRefused(await build({ ...env, CI: "true" }), tool, message);
      for (const command of ["status", "up", "env"]) {
        const said = await flywheel([command], env);
        expect(said.exitCode, said.stdout).toBe(1);
        expect(said.stderr).toMatch(message);
        expect(said.stderr).toMatch(next);
        expect(said.stderr).not.toMatch(/\n\s+at /);
      }
      const escaped = await flywheel(["compat", "--reason", "the runtime directory is broken", "--", "bazel", "build", "//x"], env);
      expect(escaped.exitCode, escaped.stderr).toBe(0);
      expect(tool.words()).toEqual(["build", "//x"]);
    },
  );

  test("a read-only home: builds are attached, and an escape says loudly that it could not be recorded", async ({ skip }) => {
    skip(rootFault !== undefined, rootFault);
    const home = join(root, "read-only");
    mkdirSync(home);
    chownSync(home, nobody, nobody);
    chmodSync(home, 0o555);
    const elsewhere = { HOME: home, GF_STATE_DIR: "", GF_RUNTIME_DIR: join(own, "run") };
    try {
      expectAttachedTo(await build(elsewhere), tool, cache.url);
      const status = await flywheel(["status", "--json"], elsewhere);
      const faults = [expect.stringMatching(/daemon\.log.*EACCES/), expect.stringMatching(/journal\.db cannot be written \(EACCES\)/)];
      expect(JSON.parse(status.stdout)).toMatchObject({ daemon: { faults } });
      tool.forget();
      const escaped = await flywheel(["compat", "--reason", "on the train", "--", "bazel", "build", "//x"], elsewhere);
      expect(escaped.exitCode, escaped.stderr).toBe(0);
      expect(tool.words()).toEqual(["build", "//x"]);
      expect(escaped.stderr).toMatch(
        /^flywheel: escape: bazel build runs without the shared cache \(on the train\)\nflywheel: THIS ESCAPE COULD NOT BE RECORDED: .*spool\.jsonl cannot be written \(EACCES\)\n {2}next: /,
      );
      // What can be attached by hand holds as long as the daemon does, and says so.
      const attach = await flywheel(["attach", cache.url], elsewhere);
      expect(attach.exitCode, attach.stderr).toBe(0);
      const after = await flywheel(["status", "--json"], elsewhere);
      expect(after.stdout).toMatch(/operator\.json cannot be written/);
    } finally {
      await stopped(elsewhere);
    }
    // And with nowhere to run in either.
    const nowhere = { HOME: home, GF_STATE_DIR: "", GF_RUNTIME_DIR: "", XDG_RUNTIME_DIR: "" };
    tool.forget();
    expectRefused(await build(nowhere), tool, /the runtime directory \S+ cannot be created \(EACCES\)/);
    const up = await flywheel(["up"], nowhere);
    expect(up.exitCode).toBe(1);
    expect(up.stderr).toMatch(/^flywheel: the runtime directory \S+ cannot be created \(EACCES\)\n {2}next: set GF_RUNTIME_DIR/);
    const escaped = await run(join(copy.shim, "bazel"), ["build", "//x"], { ...nowhere, GF_GUARD_BYPASS: "on the train" });
    expect(escaped.exitCode).toBe(0);
    expect(escaped.stderr).toContain("THIS ESCAPE COULD NOT BE RECORDED");
  });
});

/** A small file system of its own; unmounted whatever happens. */
async function onTmpfs(options: string, work: (directory: string) => Promise<void>): Promise<void> {
  const directory = mkdtempSync(join(root, "tmpfs-"));
  execFileSync("mount", ["-t", "tmpfs", "-o", `mode=0700,${options}`, "tmpfs", directory]);
  try {
    await work(directory);
  } finally {
    try {
      execFileSync("umount", [directory], { stdio: "ignore" });
    } catch {
      execFileSync("umount", ["-l", directory]);
    }
  }
}

/** Writes until nothing goes any more. */
function fill(directory: string): void {
  const block = Buffer.alloc(4096, 1);
  try {
    for (;;) writeFileSync(join(directory, "ballast"), block, { flag: "a" });
  } catch (error) {
    expect(error).toMatchObject({ code: "ENOSPC" });
  }
}

function mountFault(): string | undefined {
  if (rootFault !== undefined) return "needs root, to mount";
  const directory = mkdtempSync(join(tmpdir(), "gf-mount-"));
  try {
    execFileSync("mount", ["-t", "tmpfs", "-o", "size=64k", "tmpfs", directory], { stdio: "ignore" });
    execFileSync("umount", [directory]);
    return undefined;
  } catch {
    return "may not mount here";
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

describe("a full disk", () => {
  const fault = mountFault();
  beforeAll(() => stage.down());

  test("under the state directory: attached all the same, and escapes say that they are not recorded", async ({ skip }) => {
    skip(fault !== undefined, fault);
    await onTmpfs("size=64k", async (state) => {
      fill(state);
      const env = { GF_STATE_DIR: state };
      try {
        expectAttachedTo(await bazel(stage, ["build", "//x"], { env }), tool, cache.url);
        tool.forget();
        const escaped = await stage.flywheel(["compat", "--reason", "full", "--", "bazel", "build", "//x"], { env });
        expect(escaped.exitCode, escaped.stderr).toBe(0);
        expect(tool.words()).toEqual(["build", "//x"]);
        expect(escaped.stderr).toMatch(/THIS ESCAPE COULD NOT BE RECORDED: .*spool\.jsonl cannot be written \(ENOSPC\)/);
        const status = await stage.flywheel(["status", "--json"], { env });
        expect(status.exitCode, status.stderr).toBe(0);
        const faults = [expect.stringMatching(/daemon\.log.*ENOSPC/), expect.stringMatching(/journal\.db cannot be written/)];
        expect(JSON.parse(status.stdout)).toMatchObject({ daemon: { faults: expect.arrayContaining(faults) } });
        // Room again: nothing that was there is lost, and the next escape is recorded.
        rmSync(join(state, "ballast"));
        const recorded = await stage.flywheel(["compat", "--reason", "room again", "--", "bazel", "build", "//x"], { env });
        expect(recorded.stderr).toBe("flywheel: escape: bazel build runs without the shared cache (room again)");
        const history = await stage.flywheel(["history", "--json"], { env });
        expect(history.stdout).toContain("room again");
      } finally {
        await stage.down();
      }
    });
  });

  test("under the runtime directory: nothing is published, and the guard asks the daemon", async ({ skip }) => {
    skip(fault !== undefined, fault);
    await onTmpfs("size=64k", async (runtime) => {
      fill(runtime);
      const env = { GF_RUNTIME_DIR: runtime };
      try {
        expectAttachedTo(await bazel(stage, ["build", "//x"], { env }), tool, cache.url);
        const status = await stage.flywheel(["status", "--json"], { env });
        expect(JSON.parse(status.stdout)).toMatchObject({ daemon: { faults: [expect.stringMatching(/nothing is published: .*ENOSPC/)] } });
        expect((await stage.flywheel(["status"], { env })).stdout).toContain("nothing is published: ");
        expect(existsSync(join(runtime, "attachment/default/bazel"))).toBe(false);
        rmSync(join(runtime, "ballast"));
        const up = await stage.flywheel(["up", "--json"], { env });
        expect(JSON.parse(up.stdout)).toMatchObject({ daemon: { faults: [] } });
        expect(readFileSync(join(runtime, "attachment/default/bazel"), "utf8")).toContain(`endpoint ${cache.url}\n`);
      } finally {
        await downAt(env);
      }
    });
  });

  test("a runtime directory that takes no more files: refused, with the reason", async ({ skip }) => {
    skip(fault !== undefined, fault);
    await onTmpfs("size=64k,nr_inodes=2", async (runtime) => {
      writeFileSync(join(runtime, "ballast"), "");
      const env = { GF_RUNTIME_DIR: runtime };
      const run = await bazel(stage, ["build", "//x"], { env });
      expectRefused(run, tool, /daemon\.lock cannot be written/);
      const up = await stage.flywheel(["up"], { env });
      expect(up.exitCode).toBe(1);
      expect(up.stderr).toMatch(/next: make the runtime directory writable, or set GF_RUNTIME_DIR/);
    });
  });

  async function downAt(env: Record<string, string>): Promise<void> {
    const { daemon } = JSON.parse((await stage.flywheel(["status", "--json"], { env })).stdout) as StatusReport;
    await stage.flywheel(["down"], { env });
    if (daemon !== null) await gone(daemon.pid);
  }
});

/** Waits until a process that is no child of ours has ended: that can only be asked. */
async function gone(pid: number): Promise<void> {
  for (;;) {
    try {
      process.kill(pid, 0);
    } catch {
      return;
    }
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}
