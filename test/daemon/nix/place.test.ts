/** Where Nix lives, what its configuration includes, and how the store is reached: with real files, as whoever may not write them. */
import { execFileSync } from "node:child_process";
import { chmodSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, utimesSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { nixSettings } from "../../../contract/nix/trust.ts";
import { readNixConfiguration, stampOf } from "../../../daemon/nix/configuration.ts";
import { groupsOf } from "../../../daemon/nix/groups.ts";
import { findNix, type NixPlace, nixPlace } from "../../../daemon/nix/place.ts";

let dir: string;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), "gf-np-"));
});
afterEach(() => rmSync(dir, { recursive: true, force: true }));

const write = (name: string, text: string, mode = 0o644): string => {
  const file = join(dir, name);
  mkdirSync(join(file, ".."), { recursive: true });
  writeFileSync(file, text, { mode });
  return file;
};

describe("the configuration", () => {
  test("none: Nix's defaults", () => {
    expect(readNixConfiguration(dir)).toEqual({ text: "", files: [join(dir, "nix.conf")] });
  });

  test("what it includes stands where the line stood, relative to the file; what is absent, or goes in a circle, is nothing", () => {
    write("nix.conf", "trusted-users = root\ninclude sub/more.conf # ours\n!include absent.conf\nsubstituters =\n");
    write("sub/more.conf", "extra-trusted-users = ada\ninclude other.conf\n!include ../nix.conf\n");
    write("sub/other.conf", "extra-trusted-users = bob");
    const { text, files } = readNixConfiguration(dir);
    expect(nixSettings(text ?? "").trustedUsers).toEqual(["root", "ada", "bob"]);
    expect(nixSettings(text ?? "").listed).toEqual([]);
    expect(files).toEqual(["nix.conf", "sub/more.conf", "sub/other.conf", "absent.conf"].map((name) => join(dir, name)));
  });

  test("one that is no file, or has no end, cannot be read", () => {
    execFileSync("mkfifo", [join(dir, "nix.conf")]);
    expect(readNixConfiguration(dir).text).toBeUndefined();
    rmSync(join(dir, "nix.conf"));
    symlinkSync("/dev/zero", join(dir, "nix.conf"));
    expect(readNixConfiguration(dir).text).toBeUndefined();
  });

  test("a change is seen where a link points elsewhere, though all times are 1970's, and where an included file comes to be", () => {
    for (const name of ["a.conf", "b.conf"]) utimesSync(write(name, "trusted-users = x"), 1, 1);
    symlinkSync(join(dir, "a.conf"), join(dir, "nix.conf"));
    const files = [join(dir, "nix.conf"), join(dir, "later.conf")];
    const before = stampOf(files);
    expect(stampOf(files)).toBe(before);
    rmSync(join(dir, "nix.conf"));
    symlinkSync(join(dir, "b.conf"), join(dir, "nix.conf"));
    const moved = stampOf(files);
    expect(moved).not.toBe(before);
    write("later.conf", "");
    expect(stampOf(files)).not.toBe(moved);
  });
});

describe("the program", () => {
  test("is none of the scripts that bear its name, nor a directory, nor what may not be run", () => {
    const script = write("shim/nix", '#!/bin/sh\nexec /usr/bin/nix "$@"\n', 0o755);
    mkdirSync(join(dir, "directory/nix"), { recursive: true });
    const data = write("data/nix", "\u007fELF");
    const real = join(dir, "nix");
    symlinkSync("/bin/true", real);
    const place: NixPlace = { ...nixPlace({}), programs: [script, join(dir, "directory/nix"), data, join(dir, "absent")] };
    expect(findNix(place)).toBeUndefined();
    expect(findNix({ ...place, programs: [...place.programs, real] })).toBe(real);
  });

  test("is looked for in fixed places and the user's own profile, by no PATH", () => {
    const { programs } = nixPlace({ PATH: "/evil", HOME: "/home/ada", USER: "../ada" });
    expect(programs).toContain("/home/ada/.nix-profile/bin/nix");
    expect(programs.every((program) => !program.includes("evil") && !program.includes(".."))).toBe(true);
  });
});

describe.skipIf(process.getuid?.() !== 0)("the store, for whoever is not root", () => {
  /** nixAccess as uid 65534. */
  function access(place: Partial<NixPlace>): unknown {
    const full: NixPlace = {
      ...nixPlace({}),
      programs: ["/bin/true"],
      storeDir: dir,
      stateDir: join(dir, "state"),
      socket: join(dir, "s"),
      ...place,
    };
    const script = `
      import { nixAccess } from ${JSON.stringify(new URL("../../../daemon/nix/place.ts", import.meta.url).href)};
      process.setgroups([]); process.setgid(65534); process.setuid(65534);
      process.stdout.write(JSON.stringify(nixAccess(JSON.parse(process.argv[1]))));`;
    return JSON.parse(execFileSync(process.execPath, ["--input-type=module", "-e", script, JSON.stringify(full)], { encoding: "utf8" }));
  }

  test("is theirs where they may write its state; else the daemon's where one listens; else nobody's", () => {
    chmodSync(dir, 0o755);
    mkdirSync(join(dir, "state"));
    expect(access({})).toMatchObject({ by: "nothing", reason: expect.stringContaining("no Nix daemon listens on") });
    write("s", "");
    expect(access({})).toEqual({ by: "daemon" });
    chmodSync(join(dir, "state"), 0o777);
    expect(access({})).toEqual({ by: "itself" });
  });

  test("is below their home where this machine has none", () => {
    expect(access({ storeDir: join(dir, "absent"), stateDir: join(dir, "absent") })).toEqual({ by: "itself" });
  });

  test("is nobody's where there is no Nix at all", () => {
    expect(access({ programs: [], stateDir: join(dir, "absent") })).toMatchObject({
      by: "nothing",
      reason: expect.stringContaining("there is no Nix"),
    });
  });
});

test("groups are those of the user database", async () => {
  expect(await groupsOf("root")).toContain("root");
  expect(await groupsOf("nobody-has-this-name")).toEqual([]);
  expect(await groupsOf("--help")).toEqual([]);
});
