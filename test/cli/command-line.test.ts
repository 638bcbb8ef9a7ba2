import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { registry } from "../../cli/registry.ts";
import { type Home, makeHome } from "./flywheel.ts";

let home: Home;
beforeAll(() => {
  home = makeHome();
});
afterAll(() => home.remove());

const root = join(import.meta.dirname, "../..");

test.skipIf(!existsSync("/dev/full"))("a full disk under standard output: one line, and 1", () => {
  for (const args of [["status", "--json"], ["status"], ["--help"]]) {
    const command = [process.execPath, join(root, "cli/main.ts"), ...args].map((word) => `'${word}'`).join(" ");
    const ran = spawnSync("/bin/sh", ["-c", `${command} >/dev/full`], { env: home.env, cwd: home.dir, encoding: "utf8" });
    expect([ran.status, ran.stderr]).toEqual([1, "flywheel: standard output cannot be written (ENOSPC)\n"]);
  }
});

describe("help", () => {
  test("names every command", async () => {
    for (const args of [["--help"], ["-h"], ["help"]]) {
      const { exitCode, stdout, stderr } = await home.flywheel(args);
      expect([exitCode, stderr]).toEqual([0, ""]);
      for (const name of Object.keys(registry)) expect(stdout).toMatch(new RegExp(`^  ${name} `, "m"));
      for (const words of ["help <command>", "-V, --version"]) expect(stdout).toContain(`\n  ${words} `);
    }
  });

  test.each(Object.keys(registry))("of %s has examples and exit codes", async (name) => {
    const { exitCode, stdout, stderr } = await home.flywheel([name, "--help"]);
    expect([exitCode, stderr]).toEqual([0, ""]);
    expect(stdout).toContain(`Usage: flywheel ${name}`);
    expect(stdout).toMatch(/Examples:\n {2}\S/);
    expect(stdout).toMatch(/Exit codes:\n {2}0 +fine/);
    expect(stdout).toContain("--json");
  });
});

test("the guard called by hand says what it is, and no stack", async () => {
  const { exitCode, stdout, stderr } = await home.flywheel(["guard", "--help"]);
  expect([exitCode, stdout]).toEqual([2, ""]);
  expect(stderr).toMatch(/^flywheel: guard is the shim's own.*\n {2}next: flywheel explain .*\n$/);
});

test("in a directory that was removed, what needs none still works", () => {
  const gone = (args: string) =>
    spawnSync(
      "sh",
      ["-c", `mkdir gone && cd gone && rmdir ../gone && exec "$0" "$1" ${args}`, process.execPath, join(root, "cli/main.ts")],
      {
        env: home.env,
        cwd: home.dir,
        encoding: "utf8",
      },
    );
  expect(gone("status").status).toBe(3);
  expect(gone("trust file")).toMatchObject({ status: 2, stderr: expect.stringContaining("the current directory is not there any more") });
});

describe("usage errors exit 2, say what, and say what next", () => {
  test.each([
    [["frob"], "there is no command frob", "flywheel --help"],
    [["stauts"], "there is no command stauts", "flywheel status   (all commands: flywheel --help)"],
    [["constructor"], "there is no command constructor", "flywheel --help"],
    [["status", "--frob"], "unknown option '--frob'", "flywheel status --help"],
    [["status", "--jsno"], "unknown option '--jsno'", "flywheel status --json   (all options: flywheel status --help)"],
    [["login", "grpc://100.64.0.1:9092", "a-token"], "flywheel login takes [endpoint] and nothing more", "flywheel login --help"],
    [["status", "extra"], "flywheel status takes no argument", "flywheel status --help"],
    [["attach"], "the argument <endpoint> is missing", "flywheel attach --help"],
    [["attach", "--kind", "cargo", "grpc://x:1"], "--kind: expected one of bazel, nix, found cargo", "flywheel attach --help"],
    [["trust", "everything"], "'everything' is not one of tailnet, file, key", "flywheel trust --help"],
    [["trust", "key", "nonsense"], "expected a Nix public key", undefined],
    [["history", "--since", "yesterday"], "--since: expected a span such as 30m", "for example --since 24h"],
    [["logs", "-n", "-1"], "--lines: expected a whole number from 0", "for example --lines 20"],
    [["up", "--timeout", "9999"], "--timeout: expected a whole number from 1 to 300", "for example --timeout 20"],
    [["status", "--profile", "../x"], "--profile: ../x is no profile name", undefined],
    [["compat", "--", "bazel"], "an escape needs a reason", undefined],
    [["compat", "--reason", "  ", "--", "bazel"], "an escape needs a reason", undefined],
    [["compat", "--reason", "two\nlines", "--", "bazel"], "a reason is one line", undefined],
    [["exec"], "the argument <tool...> is missing", "flywheel exec --help"],
    [["env", "--shell", "tcsh"], "--shell: expected one of bash, zsh, fish", "flywheel env --help"],
  ])("%j", async (args, message, next) => {
    const { exitCode, stdout, stderr } = await home.flywheel(args);
    expect([exitCode, stdout]).toEqual([2, ""]);
    expect(stderr.split("\n")[0]).toContain(`flywheel: `);
    expect(stderr).toContain(message);
    if (next !== undefined) expect(stderr).toContain(`  next: ${next}\n`);
  });

  test("with --json, on standard output, before the command or after it", async () => {
    for (const args of [
      ["--json", "status", "--frob"],
      ["status", "--frob", "--json"],
    ]) {
      const { exitCode, stdout, stderr } = await home.flywheel(args);
      expect([exitCode, stderr]).toEqual([2, ""]);
      expect(JSON.parse(stdout)).toEqual({ error: { code: "usage", message: "unknown option '--frob'", next: "flywheel status --help" } });
    }
  });

  test("GF_PROFILE is checked like --profile", async () => {
    const { exitCode, stderr } = await home.flywheel(["status"], { env: { GF_PROFILE: "A B" } });
    expect(exitCode).toBe(2);
    expect(stderr).toContain("GF_PROFILE: A B is no profile name");
  });
});

test("a stack trace only with --debug", async () => {
  const plain = await home.flywheel(["attach", "ftp://x"]);
  expect(plain.stderr).not.toContain("    at ");
  expect((await home.flywheel(["attach", "ftp://x", "--debug"])).stderr).toContain("    at ");
});

test("the version", async () => {
  expect((await home.flywheel(["--version"])).stdout).toMatch(/^flywheel \d+\.\d+\.\d+\n$/);
  expect(JSON.parse((await home.flywheel(["version", "--json"])).stdout)).toMatchObject({ version: expect.stringMatching(/^\d/) });
});

test.each([
  [["version"]],
  [["down"]],
  [["shim", "path"]],
  [["shim", "path", "--real", "bazel"]],
  [["completion", "--values", "profile"]],
  [["trust", "--list"]],
])("%j --json has a schema", async (args) => {
  // Any program may stand for the real tool.
  const { exitCode, stdout } = await home.flywheel([...args, "--json"], { env: { GF_REAL_BAZEL: "/bin/sh" } });
  expect(exitCode).toBe(0);
  expect(JSON.parse(stdout)).toMatchObject({ schema: 1 });
});

test("what the user wrote cannot colour our words", async () => {
  const { stderr } = await home.flywheel(["\u001b[31mred\u001b[0m"]);
  expect(stderr).toContain("there is no command red");
  expect(stderr).not.toContain("\u001b");
});

describe("colour", () => {
  test("none in a pipe, some under FORCE_COLOR", async () => {
    expect((await home.flywheel(["status"])).stdout).not.toContain("\u001b");
    expect((await home.flywheel(["status"], { env: { FORCE_COLOR: "1" } })).stdout).toContain("\u001b[33munattached");
    expect((await home.flywheel(["status"], { env: { FORCE_COLOR: "0" } })).stdout).not.toContain("\u001b");
  });

  // script(1) gives a terminal.
  test.each([
    [{}, true],
    [{ NO_COLOR: "1" }, false],
    [{ TERM: "dumb" }, false],
  ])("on a terminal with %j: %s", async (env, coloured) => {
    const child = spawn("script", ["-qec", `${process.execPath} ${join(root, "cli/main.ts")} status`, "/dev/null"], {
      env: { ...home.env, TERM: "xterm", ...env },
      stdio: ["ignore", "pipe", "inherit"],
    });
    let shown = "";
    child.stdout.on("data", (chunk) => {
      shown += chunk;
    });
    await once(child, "close");
    expect(shown).toContain("unattached");
    expect(shown.includes("\u001b[33m")).toBe(coloured);
  });
});

test("a reader that goes away ends us without a word", async () => {
  home.write("state/daemon.log", '{"level":30,"time":1,"msg":"x"}\n'.repeat(50_000));
  const child = spawn(
    "sh",
    ["-c", `"$0" "$1" logs -n 50000 2>err | head -n 1; cat err; rm err`, process.execPath, join(root, "cli/main.ts")],
    {
      env: home.env,
      cwd: home.dir,
      stdio: ["ignore", "pipe", "inherit"],
    },
  );
  let shown = "";
  child.stdout.on("data", (chunk) => {
    shown += chunk;
  });
  await once(child, "close");
  expect(shown.trimEnd().split("\n")).toHaveLength(1);
});

describe("malformed configuration", () => {
  test("names file, line and what was expected", async () => {
    const file = home.write("config/profiles/broken.toml", '[bazel]\nservice = "svc:bazel-cache"\ngrpc_ports = ["9092"]\n');
    const { exitCode, stdout, stderr } = await home.flywheel(["contract", "--profile", "broken"]);
    expect([exitCode, stdout]).toEqual([1, ""]);
    expect(stderr).toMatch(new RegExp(`^flywheel: ${file}:3: bazel\\.grpc_ports\\.0: expected a port number`));
    expect(stderr).toContain(`  next: mend line 3 of ${file}`);
  });

  test("a profile that is not there", async () => {
    const { exitCode, stdout } = await home.flywheel(["contract", "--profile", "nowhere", "--json"]);
    expect(exitCode).toBe(1);
    expect(JSON.parse(stdout)).toMatchObject({ error: { code: "config-invalid", message: "there is no profile named nowhere" } });
  });
});
