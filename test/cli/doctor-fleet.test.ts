/** What the fleet's flywheel-doctor and flywheel-verify look at, with what is wrong with those two mended. */
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import type { Check, DoctorReport } from "../../cli/doctor/report.ts";
import { freePort } from "../fixtures/process.ts";
import { type Home, makeHome } from "./flywheel.ts";

let home: Home;
let work: string;
beforeEach(() => {
  home = makeHome();
  work = join(home.dir, "work");
  mkdirSync(work);
  // No `extends`: nobody's real fleet is asked.
  home.write("config/profiles/default.toml", "");
});
afterEach(() => home.remove());

interface Doctor {
  readonly exitCode: number;
  readonly stdout: string;
  readonly report: DoctorReport;
}
async function doctor(env: Readonly<Record<string, string>> = {}, ...args: string[]): Promise<Doctor> {
  const { exitCode, stdout } = await home.flywheel(["doctor", "--json", ...args], { cwd: work, env });
  return { exitCode, stdout, report: JSON.parse(stdout) };
}
const find = ({ report }: Doctor, id: string): readonly Check[] => report.checks.filter((check) => check.id === id);

test("a probe that fails is a failure, and 1", async () => {
  const markers = { GF_BAZEL_LOCAL_PROOF: "port-forward", GF_BAZEL_ALLOW_LOCALHOST_PROOF: "true" };
  const found = await doctor({ ...markers, BAZEL_REMOTE_CACHE: `grpc://127.0.0.1:${await freePort()}` }, "--probe");
  expect(find(found, "probe")).toMatchObject([{ state: "fail", what: expect.stringContaining("does not prove itself") }]);
  expect(found.exitCode).toBe(1);
});

describe("a workspace that declares compatibility-local-only", () => {
  const declare = (substrateMode: string): void =>
    writeFileSync(join(work, "tinyland.repo.json"), JSON.stringify({ enrollment: { substrateMode } }));

  test("is known, and not held against for what it does not ask for", async () => {
    declare("shared-cache-backed");
    expect((await doctor()).exitCode).toBe(1);
    declare("compatibility-local-only");
    const found = await doctor({ GF_BAZEL_SUBSTRATE_MODE: "compatibility-local-only" });
    expect(find(found, "bazel")).toMatchObject([{ state: "warn", reason: expect.stringContaining("declares compatibility-local-only") }]);
    expect(found.exitCode, JSON.stringify(found.report.checks.filter(({ state }) => state === "fail"))).toBe(0);
  });

  test("its mode as a profile state, as CI copies it, is said by its right name", async () => {
    const [check] = find(await doctor({ GF_FLYWHEEL_PROFILE_STATE: "compatibility-local-only" }), "state-unknown");
    expect(check?.next).toContain("set GF_FLYWHEEL_PROFILE_STATE=unattached");
  });
});

test("endpoints in rc files: where one stands, and the variable that nothing expands", async () => {
  writeFileSync(join(work, "WORKSPACE"), "");
  writeFileSync(
    join(work, ".bazelrc"),
    "build --remote_timeout=60\nbuild:ci --remote_cache=${BAZEL_REMOTE_CACHE}\nbuild --remote_cache=http://%workspace%/cache\nbuild --remote_cache=\ntry-import %workspace%/.bazelrc.flywheel\n",
  );
  writeFileSync(join(work, ".bazelrc.flywheel"), "build --remote_executor=grpc://cell.example:8980\n");
  const found = await doctor();
  expect(find(found, "rc-placeholder")).toMatchObject([
    { state: "fail", what: expect.stringContaining(`${work}/.bazelrc:2 `) },
    { state: "fail", what: expect.stringContaining(`${work}/.bazelrc:3 `) },
  ]);
  const named = find(found, "rc-endpoint");
  expect(named).toMatchObject([{ state: "warn", what: expect.stringContaining(`${work}/.bazelrc.flywheel:1 `) }]);
  expect(named[0]?.what).not.toContain("cell.example");
});

test.each([
  ["maybe", {}, "fail"],
  ["true", {}, "warn"],
  ["true", { GF_BAZEL_CACHE_ROLE: "read-only" }, undefined],
  ["no", {}, undefined],
])("GF_BAZEL_REMOTE_UPLOAD=%s with %j: %s", async (value, env, state) => {
  expect(find(await doctor({ ...env, GF_BAZEL_REMOTE_UPLOAD: value }), "upload").map((check) => check.state)).toEqual(
    state === undefined ? [] : [state],
  );
});

test("no endpoint stands in a runner's log, nor with --redact", async () => {
  home.write("config/config.toml", '[endpoints]\nbazel = ["grpc://secret-cache.corp.example:9092"]\n');
  const named = { BAZEL_REMOTE_CACHE: "grpc://secret-cache.corp.example:9092" };
  expect((await doctor(named, "--probe")).stdout).toContain("secret-cache.corp.example");
  for (const [env, args] of [
    [{ GITHUB_ACTIONS: "true" }, []],
    [{ CI: "true" }, []],
    [{}, ["--redact"]],
  ] as const) {
    const found = await doctor({ ...named, ...env }, "--probe", ...args);
    expect(found.stdout).not.toContain("secret-cache");
    expect(found.report.checks.some(({ id, state }) => id === "probe" && state === "fail")).toBe(true);
    expect(found.exitCode).toBe(1);
  }
});
