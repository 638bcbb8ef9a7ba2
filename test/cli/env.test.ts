import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { environmentCode } from "../../cli/shell/quote.ts";
import { parseEndpoint } from "../../contract/endpoint.ts";
import { serializePublished } from "../../contract/published.ts";
import { readClock } from "../../daemon/api/client/clock.ts";
import { programOnPath } from "../fixtures/peers.ts";
import { type Home, makeHome } from "./flywheel.ts";

let home: Home;
beforeAll(() => {
  home = makeHome();
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
    verified: now.seconds,
    validUntil: now.seconds + 60,
    clock: now.source,
    bootId: now.bootId,
    pid: 1,
    upload: false,
    slow: false,
    reason: "",
  });
  home.write("run/attachment/default/bazel", text, 0o600);
});
afterAll(() => home.remove());

/** How each shell takes the code: by the words of the command's own help. */
const evaluations = {
  bash: 'eval "$(cat "$CODE")"',
  zsh: 'eval "$(cat "$CODE")"',
  fish: 'cat "$CODE" | source',
} as const;
const shells = Object.keys(evaluations) as (keyof typeof evaluations)[];

function evaluate(shell: keyof typeof evaluations, code: string, names: readonly string[], env: Readonly<Record<string, string>>) {
  const dir = mkdtempSync(join(tmpdir(), "gf-env-"));
  try {
    const file = home.write("code", code);
    const program = `${evaluations[shell]}\nenv -0`;
    const flags = { bash: ["--norc", "--noprofile"], zsh: ["-f"], fish: ["--no-config"] }[shell];
    const ran = spawnSync(shell, [...flags, "-c", program], {
      env: { PATH: process.env["PATH"], HOME: dir, CODE: file, LANG: "C.UTF-8", ...env },
      encoding: "utf8",
    });
    expect([ran.status, ran.stderr]).toEqual([0, ""]);
    const found = new Map(ran.stdout.split("\0").map((entry) => [entry.slice(0, entry.indexOf("=")), entry.slice(entry.indexOf("=") + 1)]));
    return Object.fromEntries(names.map((name) => [name, found.get(name)]));
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
}

describe.each(shells)("%s", (shell) => {
  const peer = programOnPath(shell);
  test.skipIf(!peer.available)("evaluates what env prints", async () => {
    const { exitCode, stdout, stderr } = await home.flywheel(["env", "--shell", shell]);
    expect([exitCode, stderr]).toEqual([0, ""]);
    const names = [
      "BAZEL_REMOTE_CACHE",
      "BAZEL_REMOTE_EXECUTOR",
      "GF_BAZEL_SUBSTRATE_MODE",
      "GF_FLYWHEEL_PROFILE_STATE",
      "GF_BAZEL_REMOTE_UPLOAD",
    ];
    expect(evaluate(shell, stdout, names, { BAZEL_REMOTE_EXECUTOR: "grpc://old:1" })).toEqual({
      BAZEL_REMOTE_CACHE: "grpc://100.64.0.5:9092",
      BAZEL_REMOTE_EXECUTOR: undefined,
      GF_BAZEL_SUBSTRATE_MODE: "shared-cache-backed",
      GF_FLYWHEEL_PROFILE_STATE: "shared-cache-backed",
      GF_BAZEL_REMOTE_UPLOAD: "false",
    });
  });

  test.skipIf(!peer.available)("takes every value as a value", () => {
    const hostile = [
      "$(touch pwned)",
      "`id`",
      "a'b\"c\\",
      "''",
      "'",
      "\\'",
      "!!",
      "line one\nline two\n",
      "#x",
      "* ~ $HOME",
      "é☃",
      "%s",
      "-n",
      "a\\\\b",
      "\t",
    ];
    const random = fc.sample(fc.string({ unit: "grapheme", maxLength: 30 }), { numRuns: 60, seed: 3 });
    const values = [...hostile, ...random].map((value) => value.replaceAll("\0", ""));
    const set = Object.fromEntries(values.map((value, index) => [`V${index}`, value]));
    expect(
      evaluate(shell, environmentCode({ set, unset: ["GONE", "NEVER"] }, shell), [...Object.keys(set), "GONE"], { GONE: "x" }),
    ).toEqual({ ...set, GONE: undefined });
  });
});

test("direnv takes bash's form, JSON is for programs", async () => {
  const bash = await home.flywheel(["env", "--shell", "bash"]);
  expect(await home.flywheel(["env", "--shell", "direnv"])).toEqual(bash);
  expect(await home.flywheel(["env"])).toEqual(bash);
  const json = await home.flywheel(["env", "--json"]);
  expect(await home.flywheel(["env", "--shell", "json"])).toEqual(json);
  expect(JSON.parse(json.stdout)).toMatchObject({
    schema: 1,
    state: "shared-cache-backed",
    set: { BAZEL_REMOTE_CACHE: "grpc://100.64.0.5:9092" },
    unset: ["BAZEL_REMOTE_EXECUTOR", "BAZEL_REMOTE_EXECUTOR_CACHE"],
  });
});

test("the shell is SHELL's, and one that has no form says so", async () => {
  expect((await home.flywheel(["env"], { env: { SHELL: "/usr/bin/fish" } })).stdout).toContain("set -gx BAZEL_REMOTE_CACHE");
  const { exitCode, stderr } = await home.flywheel(["env"], { env: { SHELL: "/bin/tcsh" } });
  expect(exitCode).toBe(2);
  expect(stderr).toContain("SHELL names tcsh");
});

test("not attached: what would contradict is unset", async () => {
  const elsewhere = { GF_RUNTIME_DIR: join(home.dir, "nowhere") };
  const { exitCode, stdout } = await home.flywheel(["env"], { env: elsewhere });
  expect(exitCode).toBe(0);
  expect(stdout.trimEnd().split("\n")).toContain("unset BAZEL_REMOTE_CACHE");
  expect(stdout).not.toContain("export");
});

test("what env prints passes flywheel contract --strict", async () => {
  const { set } = JSON.parse((await home.flywheel(["env", "--json"])).stdout);
  expect((await home.flywheel(["contract", "--strict"], { env: set })).exitCode).toBe(0);
});
