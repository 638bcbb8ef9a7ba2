/** The real tool and the PATH that it is given: TypeScript, for explain, finds what sh runs. */
import { mkdirSync, symlinkSync } from "node:fs";
import { join, relative } from "node:path";
import { afterEach, beforeEach, expect, it } from "vitest";
import { findRealTool } from "../../shim/tool.ts";
import { buildHouse, type House, script } from "./house.ts";

let house: House;
let other: string;
beforeEach(async () => {
  house = await buildHouse();
  other = join(house.root, "other");
  mkdirSync(join(other, "bazel-directory/bazel"), { recursive: true });
  symlinkSync(join(house.shim, "bazel"), join(other, "bazel"));
  script(join(house.root, "mine"), 'printf "%s\\n%s" "$0" "$PATH"');
  script(join(house.tools, "bazel"), 'printf "%s\\n%s" "$0" "$PATH"');
});
afterEach(() => house.remove());

const settings: readonly [string, () => Record<string, string>][] = [
  ["behind the shim", () => ({ PATH: `${house.shim}:${house.tools}:/usr/bin` })],
  ["with empty entries", () => ({ PATH: `:${house.shim}::${house.tools}:` })],
  ["behind a link to the shim", () => ({ PATH: `${other}:${house.shim}:${house.tools}` })],
  ["behind a directory of its name", () => ({ PATH: `${other}/bazel-directory:${house.shim}:${house.tools}` })],
  ["named outright", () => ({ PATH: `${house.shim}:${house.tools}`, GF_REAL_BAZEL: join(house.root, "mine") })],
  ["named by an empty variable", () => ({ PATH: `${house.shim}:${house.tools}`, GF_REAL_BAZEL: "" })],
];

it.each(settings)("%s", async (_, env) => {
  const outcome = await house.run(["info"], { env: env() });
  const { file, path } = findRealTool("bazel", { ...house.env, ...env() });
  expect(outcome).toMatchObject({ code: 0, stderr: "" });
  expect(`${file}\n${path}`).toBe(outcome.stdout.toString());
});

const nothing: readonly [string, () => Record<string, string>][] = [
  ["is not on PATH", () => ({ PATH: `${house.shim}:/nonexistent` })],
  ["is named by a relative path", () => ({ GF_REAL_BAZEL: relative(process.cwd(), join(house.tools, "bazel")) })],
  ["is named by a path to nothing", () => ({ GF_REAL_BAZEL: "/nonexistent" })],
  ["is named by the shim's own path", () => ({ GF_REAL_BAZEL: join(house.shim, "bazelisk") })],
  ["is a directory", () => ({ GF_REAL_BAZEL: house.tools })],
];

it.each(nothing)("there is none where it %s", async (_, env) => {
  const outcome = await house.run(["info"], { env: env(), cwd: process.cwd() });
  expect(outcome.code).toBe(127);
  expect(findRealTool("bazel", { ...house.env, ...env() }).file).toBeUndefined();
});
