import { afterAll, beforeAll, expect, test } from "vitest";
import { type Home, makeHome } from "./flywheel.ts";

let home: Home;
beforeAll(() => {
  home = makeHome();
});
afterAll(() => home.remove());

test.each([
  [{}, [], 0, "Status: compatibility-local-only"],
  [{ BAZEL_REMOTE_CACHE: "grpc://cache.example:9092" }, ["--strict"], 0, "Status: shared-cache-backed"],
])("success ends with the mode: %j", async (env, args, code, last) => {
  const { exitCode, stdout, stderr } = await home.flywheel(["contract", ...args], { env });
  expect([exitCode, stderr]).toEqual([code, ""]);
  expect(stdout.trimEnd().split("\n").at(-1)).toBe(last);
});

test("failure: every error on standard output, with its rule and what next; no endpoint", async () => {
  const env = { BAZEL_REMOTE_CACHE: "grpc://user:hunter2@LOCALHOST:9092", GF_BAZEL_SUBSTRATE_MODE: "executor-backed" };
  const { exitCode, stdout } = await home.flywheel(["contract", "--strict"], { env });
  expect(exitCode).toBe(1);
  for (const rule of ["mode-disagrees", "endpoint-userinfo", "endpoint-loopback", "executor-digest"])
    expect(stdout).toContain(`[${rule}]\n  next: `);
  expect(stdout).not.toContain("Status:");
  expect(stdout).not.toMatch(/hunter2|LOCALHOST:/);
});

test("--json and --show-endpoints", async () => {
  const env = { BAZEL_REMOTE_CACHE: "grpc://cache.example:9092" };
  const { exitCode, stdout } = await home.flywheel(["contract", "--json", "--show-endpoints"], { env });
  expect(exitCode).toBe(0);
  expect(JSON.parse(stdout)).toMatchObject({
    schema: 1,
    ok: true,
    mode: "shared-cache-backed",
    cache: "grpc://cache.example:9092",
    errors: [],
  });
});

test.each([[["--strict", "--frob"]], [["now"]]])("a bad argument exits 2: %j", async (args) => {
  expect((await home.flywheel(["contract", ...args])).exitCode).toBe(2);
});

test("--strict-nix believes what Nix itself reports", async () => {
  const key = "main:eaUydxuDu7xBoy5cCo3MdknYAkVyTIASQ7DGuwxa+XA=";
  const settings = { substituters: { value: ["https://nix-cache.tinyland.dev/main"] }, "trusted-public-keys": { value: [key] } };
  home.write(
    "nix-bin/nix",
    `#!/bin/sh\ncase " $* " in *" config show --json "*) echo '${JSON.stringify(settings)}' ;; *) exit 1 ;; esac\n`,
    0o755,
  );
  const PATH = `${home.dir}/nix-bin:${home.env["PATH"]}`;
  const { exitCode, stdout } = await home.flywheel(["contract", "--strict-nix", "--json"], { env: { PATH } });
  expect(exitCode).toBe(0);
  expect(JSON.parse(stdout).nix).toEqual({ state: "attached", seenIn: "nix config" });
  expect((await home.flywheel(["contract", "--strict-nix"], { env: { PATH: `${home.dir}/nowhere` } })).stdout).toContain(
    "[nix-not-attached]",
  );
});
