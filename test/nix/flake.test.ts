/** The flake under Debian's real Nix: every output evaluates for every system, and this machine's package is really built. */
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { execa } from "execa";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { fault, lockHash, ownSystem, readHashes, systems } from "../../nix/update-hashes.ts";
import { buildFlake, makeNixHouse, type NixHouse, nixMissing, nixProgram } from "../fixtures/nix-flake/nix.ts";

describe.skipIf(nixMissing)("the flake", () => {
  let house: NixHouse;
  let built: string;
  beforeAll(async () => {
    house = await makeNixHouse(nixProgram());
    built = await buildFlake(house, "default");
  }, 300_000);
  afterAll(() => house[Symbol.asyncDispose]());

  const run = (file: string, args: readonly string[], env: Readonly<Record<string, string>> = {}) =>
    execa(file, args, { env: { ...house.env, ...env }, extendEnv: false, reject: false, stdin: "ignore", timeout: 30_000 });

  test("nix flake check takes all of it, for four systems", async () => {
    const { exitCode, stderr } = await house.nix(["flake", "check", "--no-build", house.url, ...house.stub]);
    expect(exitCode, stderr).toBe(0);
    // Nix itself knows no meaning for these.
    const unknown = [...stderr.matchAll(/unknown flake output '(\w+)'/g)].map((match) => match[1]).sort();
    expect(unknown).toEqual(["darwinModules", "homeManagerModules", "lib"]);
    const shown = await house.nix(["flake", "show", "--json", house.url, ...house.stub]);
    const outputs = JSON.parse(shown.stdout);
    for (const system of systems) {
      expect(Object.keys(outputs.packages[system])).toEqual(["bazel", "default", "flywheel"]);
      expect(outputs.apps[system]).toMatchObject({ default: { type: "app" }, flywheel: { type: "app" } });
      expect(outputs.devShells[system]).toMatchObject({ default: { type: "derivation" } });
      expect(outputs.checks[system]).toMatchObject({ flywheel: { type: "derivation" } });
    }
    expect(outputs.nixosModules).toMatchObject({ default: { type: "nixos-module" } });
    expect(outputs.overlays).toMatchObject({ default: { type: "nixpkgs-overlay" } });
  });

  test("nixpkgs is pinned", () => {
    const lock = JSON.parse(readFileSync(join(house.flake, "flake.lock"), "utf8"));
    expect(lock.nodes.nixpkgs.locked).toMatchObject({ owner: "NixOS", rev: expect.stringMatching(/^[0-9a-f]{40}$/) });
    expect(lock.nodes.nixpkgs.original.ref).toMatch(/^nixos-\d\d\.\d\d$/);
  });

  test("the package runs from the store, with its own node, and keeps nothing that only built it", async () => {
    const { stdout } = await run(join(built, "bin/flywheel"), ["version"], { PATH: "/nonexistent:/usr/bin:/bin" });
    expect(stdout).toBe(`flywheel ${JSON.parse(readFileSync(join(house.flake, "package.json"), "utf8")).version}`);
    const native = readdirSync(join(built, "lib/gloriousflywheel/lib"), { recursive: true, encoding: "utf8" });
    const target = `${process.platform}-${process.arch}`;
    expect(native).toEqual(expect.arrayContaining([`pty/${target}/pty.node`, expect.stringMatching(`^keyring/${target}.*/keyring.node$`)]));
    const { directory } = JSON.parse((await run(join(built, "bin/flywheel"), ["shim", "path", "--json"])).stdout);
    expect(directory).toBe(join(built, "lib/gloriousflywheel/shim"));
    const closure = await house.nix(["path-info", "--recursive", built]);
    expect(closure.stdout).not.toContain("node-modules");
    // The system's own sh, not Nix's bash.
    expect(readFileSync(join(directory, "bazel"), "utf8")).toMatch(/^#!\/bin\/sh\n/);
  });

  test("built a second time, it is the same bytes", { timeout: 120_000 }, async () => {
    const link = join(house.dir, "again");
    const { exitCode, stderr } = await house.nix(["build", "--rebuild", "--out-link", link, house.url, ...house.stub]);
    expect(exitCode, stderr).toBe(0);
  });

  test("the app, the overlay and a shell for others name that package", async () => {
    const { stdout, stderr } = await house.evaluate(`
      let
        pkgs = nixpkgs.legacyPackages.${ownSystem()};
        shell = flake.lib.mkFlywheelShell { inherit pkgs; profile = "work"; packages = [ pkgs.bazelisk ]; shellHook = "echo mine"; FOO = "bar"; };
      in {
        app = flake.apps.${ownSystem()}.default.program;
        overlay = (flake.overlays.default pkgs pkgs).gloriousflywheel-companion.outPath;
        inherit (shell) GF_PROFILE FOO shellHook;
        packages = map toString shell.packages;
      }`);
    expect(stderr).not.toContain("error:");
    const found = JSON.parse(stdout);
    expect(found.app).toBe(`${found.overlay}/bin/flywheel`);
    expect(found).toMatchObject({ GF_PROFILE: "work", FOO: "bar" });
    expect(found.packages[0]).toBe(found.overlay);
    expect(found.packages).toHaveLength(2);
    expect(found.shellHook).toMatch(/^# The GloriousFlywheel companion[\s\S]*\necho mine\n_flywheel_first \|\| :\n$/);
  });

  test("a profile's name that is none is refused while evaluating", async () => {
    const { exitCode, stderr } = await house.evaluate(
      `(flake.lib.mkFlywheelShell { pkgs = nixpkgs.legacyPackages.${ownSystem()}; profile = "My Work"; }).outPath`,
    );
    expect(exitCode).toBe(1);
    expect(stderr).toContain('mkFlywheelShell: "My Work" is no profile name');
  });

  test("the guarded bazel: light as it is, heavy refused without a cache, the tool itself behind the shim", async () => {
    const bazel = join(await buildFlake(house, "bazel"), "bin/bazel");
    const env = { GF_GUARD_SCOPE: "all", CI: "1" };
    expect((await run(bazel, ["info", "release"], env)).stdout).toBe("bazelisk:info release");
    const refused = await run(bazel, ["build", "//..."], env);
    expect([refused.exitCode, refused.stdout]).toEqual([78, ""]);
    expect(refused.stderr).toMatch(/^flywheel: refused bazel build: /);
    // Once, although it is first behind the shim: the way past the guard is recorded by the one shim.
    const both = { ...env, PATH: `${built}/lib/gloriousflywheel/shim:${join(bazel, "..")}:/usr/bin:/bin`, GF_GUARD_BYPASS: "a test" };
    const escaped = await run("bazel", ["build", "//..."], both);
    expect([escaped.exitCode, escaped.stdout]).toEqual([0, "bazelisk:build //..."]);
    expect(escaped.stderr.split("\n").filter((line) => line.startsWith("flywheel:"))).toHaveLength(1);
  });

  test("a package-lock.json that the hashes were not written for stops the evaluation, with what to do", async () => {
    const file = join(house.flake, "package-lock.json");
    const before = readFileSync(file);
    try {
      writeFileSync(file, `${before}\n`);
      const { exitCode, stderr } = await house.nix(["eval", `${house.url}#default.name`, ...house.stub]);
      expect(exitCode).toBe(1);
      expect(stderr).toContain("run: node nix/update-hashes.ts");
    } finally {
      writeFileSync(file, before);
    }
  });
});

describe("nix/hashes.json", () => {
  test("belongs to this package-lock.json, and has every system", () => {
    expect(readHashes().lock).toBe(lockHash());
    expect(Object.keys(readHashes().systems).sort()).toEqual([...systems].sort());
  });

  test.skipIf(nixMissing || ownSystem() === undefined)(
    "is what npm installs here, and a hash that is not is told",
    { timeout: 120_000 },
    () => {
      const hashes = readHashes();
      expect(fault(hashes)).toBeUndefined();
      expect(fault({ ...hashes, lock: "0".repeat(64) })).toMatch(/package-lock.json has changed/);
      const { [systems[0] ?? ""]: _, ...fewer } = hashes.systems;
      expect(fault({ ...hashes, systems: fewer })).toMatch(/instead of/);
    },
  );
});
