/** What the commands make of Nix: the real program behind the shim, and the caches that a flake names. */
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import type { DoctorReport } from "../../cli/doctor/report.ts";
import { askNix } from "../../cli/nix-settings.ts";
import { type Home, makeHome } from "./flywheel.ts";

let home: Home;
beforeEach(() => {
  home = makeHome();
});
afterEach(() => home.remove());

const program = (url: string): string => `#!/bin/sh
[ "$3 $4" = "config show" ] || exit 1
echo '{"substituters":{"value":["${url}"]},"trusted-public-keys":{"value":[]}}'
`;

test("Nix is asked behind the shim, whatever stands first on PATH", async () => {
  home.write("shim/.flywheel-shim", "");
  home.write("shim/nix", program("http://shim.example"), 0o755);
  home.write("real/nix", program("http://real.example"), 0o755);
  const PATH = `${home.dir}/shim:${home.dir}/real:/usr/bin:/bin`;
  expect(await askNix({ PATH })).toEqual({ substituters: ["http://real.example"], trustedPublicKeys: [] });
});

describe("doctor, where a flake stands above", () => {
  const doctor = async (): Promise<DoctorReport> => {
    home.write("flake/sub/x", "");
    return JSON.parse((await home.flywheel(["doctor", "--json"], { cwd: `${home.dir}/flake/sub` })).stdout) as DoctorReport;
  };

  test("shows the caches that it names as its own, and FlakeHub as publication", async () => {
    home.write(
      "flake/flake.nix",
      '{ inputs.nixpkgs.url = "https://flakehub.com/f/NixOS/nixpkgs/0"; nixConfig.extra-substituters = [ "https://own.example" ]; outputs = _: { }; }',
    );
    const { checks, nixAdvice } = await doctor();
    expect(checks.find(({ id }) => id === "flake-caches")).toMatchObject({
      state: "ok",
      what: `${home.dir}/flake/flake.nix names caches of its own: https://own.example`,
      reason: expect.stringContaining("none of them is the shared cache"),
    });
    expect(checks.find(({ id }) => id === "flakehub")).toMatchObject({ state: "ok", reason: expect.stringContaining("no shared cache") });
    expect(nixAdvice).toBeNull();
  });

  test("says that a computed list cannot be read, and nothing where there is none", async () => {
    home.write("flake/flake.nix", "{ nixConfig = import ./caches.nix; outputs = _: { }; }");
    expect((await doctor()).checks.find(({ id }) => id === "flake-caches")?.what).toContain("some that its text does not tell");
    home.write("flake/flake.nix", "{ outputs = _: { }; }");
    expect((await doctor()).checks.some(({ id }) => id.startsWith("flake"))).toBe(false);
  });
});
