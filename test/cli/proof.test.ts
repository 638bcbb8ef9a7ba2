/** The command line of `flywheel proof`, where nothing is attached and nothing is built. */
import { afterAll, beforeAll, expect, test } from "vitest";
import type { ProofRecord } from "../../contract/proof/record.ts";
import { expectSchema } from "../e2e/proof/schema.ts";
import { type Home, makeHome } from "./flywheel.ts";

let home: Home;
let tools: Readonly<Record<string, string>>;
beforeAll(() => {
  home = makeHome();
  home.write("config/profiles/default.toml", '[tailnet]\nname = "stand-in.example"\n');
  home.write("tools/bazel", '#!/bin/sh\necho "$@" > "$HOME/bazel-ran"\n', 0o755);
  tools = { PATH: `${home.dir}/tools:/usr/local/bin:/usr/bin:/bin` };
});
afterAll(async () => {
  await home.flywheel(["down"]);
  home.remove();
});

test.for<[readonly string[], RegExp]>([
  [[], /nothing is named to prove it by\n {2}next: flywheel proof \/\/\.\.\./],
  [["--kind", "bazel"], /no target is named/],
  [["--kind", "both"], /no target is named/],
  [["--", "--config=ci"], /nothing is named/],
  [["--kind", "nix", "//x"], /targets are Bazel's/],
  [["//x", "--kind", "bazel", "--nix", "/nix/store/x"], /--nix is not Bazel's/],
  [["//x", "--kind", "cargo"], /--kind: expected one of bazel, nix, both/],
  [["//x", "-o", "nowhere/record.json"], /--output: nowhere\/record\.json cannot be written/],
  [["//x", "--markdown", "."], /--markdown: \. cannot be written: it is a directory/],
  [["//x", "--ci", "missing.json"], /--ci: missing\.json cannot be read/],
  [["//x", "--upload"], /unknown option '--upload'/],
])("flywheel proof %j is no proof", async ([words, message]) => {
  const run = await home.flywheel(["proof", ...words], { env: tools });
  expect(run.exitCode, run.stderr).toBe(2);
  expect(run.stdout).toBe("");
  expect(run.stderr).toMatch(message);
});

test("a record that is none is named by the field that is wrong", async () => {
  home.write("ci.json", '{"schema": 2}');
  const run = await home.flywheel(["proof", "//x", "--ci", "ci.json"], { env: tools });
  expect(run.exitCode).toBe(2);
  expect(run.stderr).toMatch(/--ci: ci\.json is no record of a proof: schema: .*\n {2}next: .*docs\/proof\.schema\.json/);
});

test("unattached: not proved, with what to do, and nothing is built", async () => {
  // Options may stand between targets.
  const run = await home.flywheel(["proof", "//x", "--json", "//y", "--", "--config=ci", "-//z"], { env: { ...tools, CI: "1" } });
  expect(run.exitCode).toBe(1);
  const record = JSON.parse(run.stdout) as ProofRecord;
  expectSchema(record);
  expect(record).toMatchObject({
    ...{ proved: false, productEvidence: false, mode: "compatibility-local-only", profileState: "unattached", shown: [] },
    bazel: { tool: "bazel", targets: ["//x", "//y", "-//z"], endpoint: null, fill: null, rebuild: null },
  });
  expect(record.reasons.map(({ rule }) => rule)).toEqual(["bazel-unattached", "strict-cache"]);
  const shown = await home.flywheel(["proof", "//x"], { env: { ...tools, CI: "1" } });
  expect(shown.exitCode).toBe(1);
  expect(shown.stdout).toMatch(
    /^ {2}bazel: not proved in .*\n[\s\S]*why not {4}bazel: no shared cache is attached: CI is set, so no daemon is started/,
  );
  expect(JSON.parse((await home.flywheel(["history", "--json"])).stdout).entries).toEqual([]);
});

test("without any Bazel there is nothing to prove it with", async () => {
  const run = await home.flywheel(["proof", "//x"], { env: { CI: "1", PATH: `${home.dir}/nothing` } });
  expect(run.exitCode).toBe(127);
  expect(run.stderr).toContain("there is no bazel and no bazelisk on PATH");
});
