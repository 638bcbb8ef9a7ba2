/** The version of what stands behind the shim: of real Bazels, of wrappers, and of what must not be run to tell. */
import { existsSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { bazelVersion } from "../../shim/bazel-version.ts";
import { realBazels } from "../fixtures/bazel/real.ts";
import { required } from "../fixtures/peers.ts";
import { script } from "./house.ts";

let root: string;
let work: string;
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), "gf-version-"));
  work = join(root, "work");
  mkdirSync(work);
});
afterEach(() => rmSync(root, { recursive: true, force: true }));

const of = async (real: string, env: Readonly<Record<string, string>> = {}) =>
  (await bazelVersion("bazel", work, { PATH: "/usr/bin:/bin", ...env, GF_REAL_BAZEL: real }))?.text;

test.for(realBazels())("of Bazel $version", async (bazel, { skip }) => {
  const path = required(bazel, skip);
  // Debian's says no_version; its name tells the major version.
  expect(await of(path)).toBe(bazel.version === "2.1.0" ? "2.1.0" : "4");
});

test("of bazelisk: what pins it, in its own order, and nothing where nothing does", async () => {
  const bazelisk = join(root, "bazelisk");
  const ran = join(root, "ran");
  script(bazelisk, `touch ${ran}; echo 'bazel 9.9.9'`);
  expect(await of(bazelisk)).toBeUndefined();
  writeFileSync(join(work, ".bazelversion"), "6.5.0\n# why\n");
  expect(await of(bazelisk)).toBe("6.5.0");
  writeFileSync(join(work, ".bazeliskrc"), "USE_BAZEL_VERSION=7.1.0\n");
  expect(await of(bazelisk)).toBe("7.1.0");
  expect(await of(bazelisk, { USE_BAZEL_VERSION: "8.0.0" })).toBe("8.0.0");
  expect(await of(bazelisk, { USE_BAZEL_VERSION: "latest" })).toBeUndefined();
  // It would download what it was asked for.
  expect(existsSync(ran)).toBe(false);
});

test("of a link to bazelisk by Bazel's name", async () => {
  script(join(root, "bazelisk-linux-amd64"), "echo 'bazel 9.9.9'");
  symlinkSync(join(root, "bazelisk-linux-amd64"), join(root, "bazel"));
  expect(await of(join(root, "bazel"))).toBeUndefined();
});

test("a workspace's own tools/bazel runs what it likes: nobody knows, and it is not asked", async () => {
  const bazel = join(root, "bazel");
  script(bazel, "echo 'bazel 4.0.0'");
  expect(await of(bazel)).toBe("4.0.0");
  mkdirSync(join(work, "tools"));
  script(join(work, "tools/bazel"), "echo 'bazel 4.0.0'");
  expect(await of(bazel)).toBeUndefined();
});

test("one that hangs, fails or says something else is not known", { timeout: 10_000 }, async () => {
  for (const body of ["exec sleep 30", "exit 1", "echo bazel latest", "echo 'Build label: 4.0.0'"]) {
    const directory = mkdtempSync(join(root, "tool-"));
    script(join(directory, "bazel"), body);
    expect(await of(join(directory, "bazel")), body).toBeUndefined();
  }
});
