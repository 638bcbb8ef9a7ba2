/** `flywheel doctor` where no daemon runs: what it finds by itself, on a home of its own. */
import { execFileSync } from "node:child_process";
import { chmodSync, chownSync, copyFileSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, symlinkSync } from "node:fs";
import { join } from "node:path";
import { execa } from "execa";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { stepsOf } from "../../cli/doctor/ladders.ts";
import type { Check, CheckState, DoctorReport } from "../../cli/doctor/report.ts";
import { startCache } from "../fixtures/caches/start.ts";
import { freePort } from "../fixtures/process.ts";
import { type Home, makeHome, type Ran } from "./flywheel.ts";

let home: Home;
beforeEach(() => {
  home = makeHome();
});
afterEach(() => home.remove());

const shimDirectory = join(import.meta.dirname, "../../dist/shim");

async function doctor(more: Parameters<Home["flywheel"]>[1] = {}, ...args: string[]): Promise<DoctorReport> {
  const { stdout, stderr } = await home.flywheel(["doctor", "--json", ...args], more);
  expect(stderr).toBe("");
  return JSON.parse(stdout);
}

function find(report: DoctorReport, id: string): readonly Check[] {
  return report.checks.filter((check) => check.id === id);
}

/** As a daemon publishes it, with a lease that runs. */
function publish(state: "shared-cache-backed" | "local-proof", endpoint: string): void {
  const uptime = Math.floor(Number(readFileSync("/proc/uptime", "utf8").split(" ")[0]));
  const bootId = readFileSync("/proc/sys/kernel/random/boot_id", "utf8").trim();
  for (const directory of ["run", "run/attachment", "run/attachment/default"]) mkdirSync(join(home.dir, directory), { mode: 0o700 });
  home.write(
    "run/attachment/default/bazel",
    `flywheel-attachment 1\nkind bazel\nprofile default\nstate ${state}\nmode shared-cache-backed\nendpoint ${endpoint}\nverified ${uptime}\nvalid-until ${uptime + 45}\nclock boot\nboot-id ${bootId}\npid 1\nupload false\nslow false\nreason none\n`,
    0o600,
  );
}

/** `state: what` of the one check of that id. */
function said(report: DoctorReport, id: string): string {
  const found = find(report, id);
  expect(found, id).toHaveLength(1);
  return `${found[0]?.state}: ${found[0]?.what}`;
}

const longest = (ran: Ran): number => Math.max(...ran.stdout.split("\n").map((line) => (line.trim().includes(" ") ? line.length : 0)));

describe("without a daemon", () => {
  test("says so first, changes nothing, and exits 1 since nothing is attached", async () => {
    const ran = await home.flywheel(["doctor"]);
    expect(ran).toMatchObject({ exitCode: 1, stderr: "" });
    expect(ran.stdout).toMatch(/^daemon\n {2}warn {2}no daemon is running\n/);
    expect(ran.stdout).toMatch(/fail {2}bazel is not attached\n {8}no daemon is running\n {8}next: flywheel up\n/);
    expect(ran.stdout.trimEnd().split("\n").at(-1)).toMatch(/^1 check failed, \d+ warnings$/);
    expect(existsSync(home.state) || existsSync(home.runtime) || existsSync(home.config)).toBe(false);
  });

  test("fits 80 columns and has no colour under NO_COLOR", async () => {
    const ran = await home.flywheel(["doctor"], { env: { NO_COLOR: "1" } });
    expect(longest(ran)).toBeLessThanOrEqual(80);
    expect(ran.stdout).not.toContain("\u001b");
  });

  test("--policy: the operator's lines, nothing else, and 0", async () => {
    const ran = await home.flywheel(["doctor", "--policy"]);
    expect(ran).toMatchObject({ exitCode: 0, stderr: "" });
    expect(ran.stdout).toMatch(/^for the tailnet's operator\n/);
    expect(longest(ran)).toBeLessThanOrEqual(80);
    expect(await home.flywheel(["doctor", "--policy", "--probe"])).toMatchObject({ exitCode: 2, stdout: "" });
  });

  test("--json: the same, with a schema", async () => {
    const report = await doctor();
    expect(report).toMatchObject({ schema: 1, ok: false, profile: "default", ladders: [], policy: null });
    expect(said(report, "daemon")).toBe("warn: no daemon is running");
    expect(new Set(report.checks.flatMap((check) => Object.keys(check)))).toEqual(
      new Set(["id", "group", "state", "what", "since", "reason", "next"]),
    );
  });

  test("a published lease that still runs counts as attached", async () => {
    publish("shared-cache-backed", "grpc://cache.example:9092");
    const report = await doctor();
    expect(said(report, "bazel")).toBe("ok: bazel is attached to grpc://cache.example:9092");
    expect(report.ok).toBe(true);
    expect((await home.flywheel(["doctor"])).exitCode).toBe(0);
  });

  test("errors of the log are counted while they are young", async () => {
    const line = (msg: string, ago: number) => `${JSON.stringify({ level: 50, time: new Date(Date.now() - ago).toISOString(), msg })}\n`;
    home.write("state/daemon.log", `${line("long ago", 7_200_000)}${line("one \u001b[31m", 60_000)}cut o`);
    const [check] = find(await doctor(), "log");
    expect(check).toMatchObject({ state: "warn", what: "1 error in its log within the last hour", next: "flywheel logs" });
    expect(check?.reason).toMatch(/^the last, .*: one $/);
    expect(Date.parse(check?.since ?? "")).toBeLessThan(Date.now());
  });
});

describe("directories", () => {
  test("somebody else could write to the configuration, or read the runtime directory", async () => {
    mkdirSync(home.config, { mode: 0o700 });
    mkdirSync(home.runtime, { mode: 0o700 });
    chmodSync(home.config, 0o777);
    chmodSync(home.runtime, 0o755);
    const report = await doctor();
    expect(said(report, "config-directory")).toBe(`fail: ${home.config} can be written by others (mode 0777)`);
    expect(find(report, "config-directory")[0]?.next).toBe(`chmod go-w ${home.config}`);
    expect(said(report, "runtime-directory")).toBe(`fail: ${home.runtime} is open to other users (mode 0755)`);
  });

  test.skipIf(process.geteuid?.() !== 0)("somebody else's", async () => {
    mkdirSync(home.state, { mode: 0o700 });
    chownSync(home.state, 65_534, 65_534);
    expect(said(await doctor(), "state-directory")).toBe(`fail: ${home.state} belongs to another user (uid 65534)`);
  });

  test("one that cannot be looked at is a finding, and the others are looked at all the same", async () => {
    const state = `${home.dir}/${"s".repeat(300)}`;
    const report = await doctor({ env: { GF_STATE_DIR: state } });
    expect(find(report, "state-directory")).toMatchObject([
      { state: "fail", what: `${state} cannot be looked at`, reason: "ENAMETOOLONG" },
    ]);
    expect(find(report, "runtime-directory")).toHaveLength(1);
  });

  test("a file that is believed, and that others may write", async () => {
    home.write("config/trust.json", '{"v":1,"tailnets":[],"files":[],"keys":[]}', 0o666);
    expect(said(await doctor(), "believed-file")).toBe(`fail: ${home.config}/trust.json can be written by others (mode 0666)`);
    home.remove();
    home = makeHome();
    home.write("config/config.toml", "", 0o666);
    expect(said(await doctor(), "believed-file")).toBe(`warn: ${home.config}/config.toml can be written by others (mode 0666)`);
  });

  test("a socket's path that is too long", async () => {
    const runtime = `${home.dir}/${"r".repeat(100)}`;
    expect(said(await doctor({ env: { GF_RUNTIME_DIR: runtime } }), "runtime-directory")).toBe(`fail: ${runtime} is too long a path`);
    // The daemon's own bound, on every system.
    const slightly = `/tmp/${"r".repeat(105 - "/tmp//daemon.sock".length)}`;
    const [check] = find(await doctor({ env: { GF_RUNTIME_DIR: slightly } }), "runtime-directory");
    expect(check).toMatchObject({ state: "fail", reason: "its socket's has 105 bytes, 103 are allowed" });
  });

  test.skipIf(process.geteuid?.() !== 0)("a home that cannot be written, as a user of no privilege: said, and survived", async () => {
    chmodSync(home.dir, 0o555);
    const result = await execa(process.execPath, [join(import.meta.dirname, "../../cli/main.ts"), "doctor", "--json"], {
      cwd: home.dir,
      env: { ...home.env, XDG_CACHE_HOME: home.dir },
      extendEnv: false,
      uid: 65_534,
      gid: 65_534,
      reject: false,
    });
    expect([result.exitCode, result.stderr]).toEqual([1, ""]);
    const report: DoctorReport = JSON.parse(result.stdout);
    expect(said(report, "state-directory")).toBe(`fail: ${home.state} is not there and cannot be made`);
    expect(said(report, "runtime-directory")).toBe(`fail: ${home.runtime} is not there and cannot be made`);
    expect(readdirSync(home.dir)).toEqual([]);
  });
});

describe("configuration", () => {
  test("what cannot be read is said with its line, and the rest goes on", async () => {
    home.write("config/config.toml", "[guard]\nscope = 1\n");
    home.write("config/profiles/other.toml", "nonsense\n");
    home.write("config/profiles/Bad Name.toml", "");
    home.write("config/trust.json", "{");
    const report = await doctor();
    expect(said(report, "config")).toContain(`fail: ${home.config}/config.toml:2: `);
    expect(said(report, "trust")).toContain(`fail: ${home.config}/trust.json:1: this is not JSON`);
    const profiles = find(report, "profile").map((check) => `${check.state}: ${check.what}`);
    expect(profiles).toEqual([
      "ok: profile default can be read",
      expect.stringContaining(`warn: ${home.config}/profiles/other.toml:1: `),
      "warn: Bad Name.toml is no profile's name",
    ]);
    expect(report.checks.some((check) => check.group === "shim")).toBe(true);
  });

  test("a profile that is not there", async () => {
    expect(said(await doctor({ env: { GF_PROFILE: "acme" } }), "profile")).toBe("fail: there is no profile named acme");
  });

  test("an endpoint that is none, without its credentials", async () => {
    home.write("config/config.toml", '[endpoints]\nbazel = ["ftp://ann:s3cret@x"]\n');
    const report = await doctor();
    expect(said(report, "config-endpoint")).toBe("fail: endpoints.bazel of config.toml holds one that is none: ftp://…@x");
    expect(JSON.stringify(report)).not.toContain("s3cret");
  });
});

describe("the shim", () => {
  const path = (...directories: string[]) => ({ env: { PATH: directories.join(":") } });

  test("first on PATH, and the real tool behind it", async () => {
    const real = home.write("tools/bazel", "#!/bin/sh\n", 0o755);
    const report = await doctor(path(shimDirectory, join(home.dir, "tools")));
    expect(said(report, "shim")).toBe(`ok: the guard comes first on PATH (${shimDirectory})`);
    expect(said(report, "real-tool")).toBe(`ok: the real bazel is ${real}`);
  });

  test("not on PATH", async () => {
    const report = await doctor(path(join(home.dir, "tools")));
    expect(said(report, "shim")).toBe("warn: the guard is not on PATH: nothing is guarded in this shell");
    expect(said(report, "real-tool")).toBe("ok: there is no bazel on PATH");
  });

  test("another bazel before it, bazelisk's own PATH among them", async () => {
    const before = home.write("cache/bazelisk/downloads/sha256/x/bin/bazel", "#!/bin/sh\n", 0o755);
    const report = await doctor(path(join(before, ".."), shimDirectory));
    expect(said(report, "shim-order")).toBe(`fail: ${before} comes before the guard on PATH`);
    expect(find(report, "shim-order")[0]?.reason).toContain("bazelisk");
    expect(find(report, "shim")).toEqual([]);
  });

  test("a tool that is there has its guard on PATH too, before itself; of one that is not there, nothing is said", async () => {
    const [tools, guard] = [join(home.dir, "tools"), `${shimDirectory}-nix`];
    for (const name of ["nix", "nix-build"]) home.write(`tools/${name}`, "#!/bin/sh\n", 0o755);
    const missing = await doctor(path(shimDirectory, tools));
    expect(said(missing, "shim-tool")).toBe("warn: the guard of nix is not on PATH: it is not guarded in this shell");
    expect(find(missing, "shim-tool")[0]?.reason).toBe(`its directory is ${guard}`);
    const late = await doctor(path(shimDirectory, tools, guard));
    expect(find(late, "shim-order").map(({ what }) => what)).toEqual(
      ["nix", "nix-build"].map((name) => `${tools}/${name} comes before the guard on PATH`),
    );
    const right = await doctor(path(shimDirectory, guard, tools));
    expect([...find(right, "shim-order"), ...find(right, "shim-tool")]).toEqual([]);
    expect(said(right, "shim")).toBe(`ok: the guard comes first on PATH (${shimDirectory})`);
  });

  test("a copy and a link lack the marker", async () => {
    mkdirSync(join(home.dir, "bin"));
    copyFileSync(join(shimDirectory, "bazel"), join(home.dir, "bin/bazel"));
    symlinkSync(join(shimDirectory, "bazelisk"), join(home.dir, "bin/bazelisk"));
    const files = find(await doctor(path(shimDirectory, join(home.dir, "bin"))), "shim-marker").map((check) => check.what);
    expect(files).toEqual(["bazel", "bazelisk"].map((name) => `${home.dir}/bin/${name} is a link to or a copy of a shim`));
  });

  test("what to type next means the same file where a path has a space or a quote in it", async () => {
    const copy = join(home.dir, "it's mine/bazel");
    mkdirSync(join(copy, ".."));
    copyFileSync(join(shimDirectory, "bazel"), copy);
    const config = join(home.dir, "my config");
    mkdirSync(config);
    chmodSync(config, 0o777);
    const file = home.write("my ws/.env.flywheel.local", "export BAZEL_REMOTE_CACHE=grpc://cache.example:9092\n");
    const there = join(file, "..");
    const { env } = path(shimDirectory, join(copy, ".."));
    const report = await doctor({ cwd: there, env: { ...env, PWD: there, GF_CONFIG_DIR: config } });
    const words = (id: string): string =>
      execFileSync("/bin/sh", ["-c", `printf '%s\\n' ${find(report, id)[0]?.next?.split(", then ")[0]}`], { encoding: "utf8" });
    expect(words("shim-marker")).toBe(`rm\n${copy}\n`);
    expect(words("config-directory")).toBe(`chmod\ngo-w\n${config}\n`);
    expect(words("env-file")).toBe(`flywheel\ntrust\nfile\n${file}\n`);
  });

  test("another installation's shim, and nothing behind it", async () => {
    home.write("other/.flywheel-shim", "");
    home.write("other/bazel", "#!/bin/sh\n", 0o755);
    const report = await doctor(path(join(home.dir, "other")));
    expect(said(report, "shim-other")).toBe(`warn: the guard on PATH is another installation's: ${home.dir}/other`);
    expect(said(report, "real-tool")).toBe("warn: there is no bazel behind the guard");
  });

  test("bazelisk behind it, GF_REAL_BAZEL that names nothing, USE_BAZEL_VERSION that names a shim", async () => {
    home.write("tools/bazelisk", "#!/bin/sh\n", 0o755);
    symlinkSync("bazelisk", join(home.dir, "tools/bazel"));
    const env = {
      PATH: `${shimDirectory}:${home.dir}/tools`,
      GF_REAL_BAZELISK: "/nowhere",
      USE_BAZEL_VERSION: join(shimDirectory, "bazel"),
    };
    const report = await doctor({ env });
    expect(said(report, "bazelisk-path")).toMatch(/^ok: .*nested bazel calls are not guarded$/);
    expect(said(report, "bazelisk-loop")).toMatch(/^fail: USE_BAZEL_VERSION names a shim/);
    expect(find(report, "real-tool").map((check) => check.state)).toEqual(["fail", "ok"] satisfies CheckState[]);
  });
});

describe("the workspace", () => {
  const workspace = () => ({ cwd: join(home.dir, "ws"), env: { PWD: join(home.dir, "ws") } });

  test("enrolled by its manifest; an env file that nobody trusts", async () => {
    home.write("ws/tinyland.repo.json", '{"enrollment":{"substrateMode":"shared-cache-backed"}}');
    const file = home.write("ws/.env.flywheel.local", "export BAZEL_REMOTE_CACHE=grpc://cache.example:9092\n");
    const report = await doctor(workspace());
    expect(said(report, "manifest")).toBe("ok: tinyland.repo.json declares shared-cache-backed");
    expect(find(report, "scope")[0]).toMatchObject({ state: "ok", reason: "tinyland.repo.json enrols this workspace" });
    expect(find(report, "env-file")[0]).toMatchObject({ state: "warn", next: `flywheel trust file ${file}` });
    await home.flywheel(["trust", "file", file, "--yes"]);
    expect(said(await doctor(workspace()), "env-file")).toBe("ok: .env.flywheel.local is trusted");
  });

  test("a manifest that cannot be understood", async () => {
    home.write("ws/tinyland.repo.json", "{\n]");
    expect(said(await doctor(workspace()), "manifest")).toContain("fail: tinyland.repo.json:2: ");
  });

  test("not a workspace of Bazel's: nothing about action environments", async () => {
    mkdirSync(join(home.dir, "ws"));
    const report = await doctor(workspace());
    expect(find(report, "strict-action-env")).toEqual([]);
    expect(find(report, "scope")[0]).toMatchObject({ state: "ok", next: expect.stringMatching(/^\{ "enrollment": \{\} \} in tinyland/) });
    expect(said(report, "config")).toBe("ok: there is no config.toml: the defaults hold");
  });

  test.each([
    ["nothing", "", "warn: a strict action environment was not seen in .bazelrc"],
    ["a flag", "build --incompatible_strict_action_env\n", "ok: a strict action environment is asked for"],
    ["the older name, with a value", "common --experimental_strict_action_env=yes # why\n", "ok: a strict action environment is asked for"],
    [
      "a later no",
      "build --incompatible_strict_action_env\nbuild --noincompatible_strict_action_env\n",
      "warn: the strict action environment is turned off",
    ],
    ["a continued line", "build --jobs=2 \\\n  --incompatible_strict_action_env\n", "ok: a strict action environment is asked for"],
    ["only a comment", "# build --incompatible_strict_action_env\n", "warn: a strict action environment was not seen in .bazelrc"],
    ["another command", "query --incompatible_strict_action_env\n", "warn: a strict action environment was not seen in .bazelrc"],
    [
      "only a configuration",
      "build:ci --incompatible_strict_action_env\n",
      "warn: a strict action environment was seen only under --config=ci",
    ],
    ["an import", "import %workspace%/tools/strict.rc\n", "ok: a strict action environment is asked for"],
    [
      "imports in a circle",
      "try-import %workspace%/.bazelrc\nimport %workspace%/nowhere\n",
      "warn: a strict action environment was not seen in .bazelrc",
    ],
  ])("strict action environment: %s", async (_name, rc, expected) => {
    home.write("ws/MODULE.bazel", "");
    home.write("ws/.bazelrc", rc);
    home.write("ws/tools/strict.rc", "build --incompatible_strict_action_env");
    expect(said(await doctor(workspace()), "strict-action-env")).toBe(expected);
  });

  test("it is Bazel 9's default, and not 8's; the user's own rc file counts", async () => {
    home.write("ws/WORKSPACE", "");
    home.write("ws/.bazelversion", "9.0.1\n");
    expect(said(await doctor(workspace()), "strict-action-env")).toBe("ok: a strict action environment is the default of Bazel 9.0.1");
    home.write("ws/.bazelversion", "8.5.0\n");
    expect(said(await doctor(workspace()), "strict-action-env")).toMatch(/^warn: .* not seen/);
    home.write(".bazelrc", "build --incompatible_strict_action_env\n");
    expect(find(await doctor(workspace()), "strict-action-env")[0]).toMatchObject({ state: "ok", reason: `${home.dir}/.bazelrc:1` });
  });

  test("which Bazel it is: the one behind the guard, else what .bazeliskrc asks for", async () => {
    home.write("ws/MODULE.bazel", "");
    home.write("ws/.bazeliskrc", "USE_BAZEL_VERSION=9.0.1\n");
    expect(said(await doctor(workspace()), "strict-action-env")).toBe("ok: a strict action environment is the default of Bazel 9.0.1");
    rmSync(join(home.dir, "ws/.bazeliskrc"));
    const env = { ...workspace().env, GF_REAL_BAZEL: home.write("programs/bazel", "#!/bin/sh\necho 'bazel 9.1.0'\n", 0o755) };
    const report = await doctor({ ...workspace(), env });
    expect(said(report, "strict-action-env")).toBe("ok: a strict action environment is the default of Bazel 9.1.0");
  });
});

describe("the environment", () => {
  test("an escape in force, a scope that is none, and what contradicts the contract", async () => {
    const env = { GF_GUARD_BYPASS: "the cache \u001b[1mis gone", GF_GUARD_SCOPE: "some", BAZEL_REMOTE_CACHE: "grpc://localhost:9092" };
    const report = await doctor({ env });
    expect(find(report, "bypass")[0]).toMatchObject({
      state: "warn",
      reason: "heavy commands build alone, recorded as: the cache is gone",
      next: "unset GF_GUARD_BYPASS",
    });
    expect(said(report, "guard-scope")).toMatch(/^warn: GF_GUARD_SCOPE=some is neither/);
    expect(said(report, "endpoint-loopback")).toMatch(/^fail: BAZEL_REMOTE_CACHE points at this machine/);
  });

  test("a directory's variable that is not absolute counts for nothing, and is told so", async () => {
    const check = find(await doctor({ env: { GF_STATE_DIR: "state" } }), "relative-directory");
    expect(check).toMatchObject([{ state: "warn", what: "GF_STATE_DIR=state is no absolute path: it counts for nothing" }]);
  });

  test("a local proof that this shell has not asked for: every heavy command is refused, so it is broken", async () => {
    publish("local-proof", "grpc://127.0.0.1:9092");
    const report = await doctor();
    expect(report.ok).toBe(false);
    expect(said(report, "local-proof-not-asked-for")).toMatch(/^fail: only a local proof is attached, .*: heavy commands are refused$/);
    expect(find(report, "local-proof-not-asked-for")[0]?.next).toBe(
      "export GF_BAZEL_LOCAL_PROOF=port-forward GF_BAZEL_ALLOW_LOCALHOST_PROOF=true, or write [local_proof] into config.toml",
    );
    const markers = { GF_BAZEL_LOCAL_PROOF: "port-forward", GF_BAZEL_ALLOW_LOCALHOST_PROOF: "true" };
    expect(await doctor({ env: markers })).toMatchObject({ ok: true });
    expect(await doctor({ env: { BAZEL_REMOTE_CACHE: "grpc://cache.example:9092" } })).toMatchObject({ ok: true });
    home.write("config/config.toml", '[local_proof]\nmode = "port-forward"\nallow_localhost = true\n');
    const configured = await doctor();
    expect(configured).toMatchObject({ ok: true });
    expect(said(configured, "config")).toBe("ok: config.toml can be read");
  });

  test("nothing wrong: one line", async () => {
    expect(said(await doctor(), "environment")).toBe("ok: nothing in this shell contradicts itself");
  });
});

describe("--probe", () => {
  test("proves what config and shell name, and says how far the others came", async () => {
    await using cache = await startCache({ kind: "http" });
    const dead = await freePort();
    // No `extends`: the built-in profile's substituter is somebody's real cache.
    home.write("config/profiles/default.toml", "");
    home.write(
      "config/config.toml",
      `[local_proof]\nmode = "port-forward"\nallow_localhost = true\n[endpoints]\nbazel = ["${cache.url}", "grpc://127.0.0.1:${dead}"]\nnix = ["http://127.0.0.1:${dead}/main"]\n`,
    );
    const report = await doctor({}, "--probe");
    const [up, down, nix] = find(report, "probe");
    expect(nix).toMatchObject({ state: "warn", next: expect.stringMatching(/\S/) });
    expect(up).toMatchObject({ state: "ok", what: expect.stringMatching(/^bazel http:.* \(config\.toml\) proved itself in [\d.]+ ms$/) });
    expect(down).toMatchObject({ state: "fail", reason: expect.stringMatching(/^resolve, route passed; connect: nothing listens/) });
  });
});

describe("the ladder", () => {
  const outcomes = (candidate: Parameters<typeof stepsOf>[0]) =>
    stepsOf(candidate)
      .map((step) => step.outcome)
      .join(" ");
  const fresh = { rung: null, reason: null, health: "unknown", provedAt: null } as const;

  test("passed below the rung that failed, not reached above it", () => {
    expect(outcomes({ ...fresh, rung: "handshake", reason: "no", health: "down" })).toBe(
      "passed passed passed failed not-reached not-reached",
    );
    expect(outcomes({ ...fresh, provedAt: "2026-11-20T00:00:00Z", health: "healthy" })).toBe("passed passed passed passed passed passed");
    expect(outcomes(fresh)).toBe(Array.from({ length: 6 }, () => "not-reached").join(" "));
  });
});

describe("usage", () => {
  test.each([["--yes"], ["--output"]])("%s without --gather", async (flag) => {
    const { exitCode, stderr } = await home.flywheel(["doctor", flag, ...(flag === "--output" ? ["x"] : [])]);
    expect([exitCode, stderr]).toEqual([2, expect.stringContaining("belong to --gather")]);
  });
});
