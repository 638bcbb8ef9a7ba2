import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { existsSync, lstatSync, readFileSync, statSync, symlinkSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { pathBlock, rcShells, withBlock, withoutBlock } from "../../cli/rc/block.ts";
import { programOnPath } from "../fixtures/peers.ts";
import { type Home, makeHome } from "./flywheel.ts";

let home: Home;
beforeEach(() => {
  home = makeHome();
});
afterEach(() => home.remove());

const shimDirectory = join(import.meta.dirname, "../../dist/shim");

test("path prints the directory that goes first on PATH", async () => {
  expect(await home.flywheel(["shim", "path"])).toEqual({ exitCode: 0, stdout: `${shimDirectory}\n`, stderr: "" });
  expect(existsSync(join(shimDirectory, "bazel"))).toBe(true);
});

test("path --real prints what the shim would run, and 127 where there is nothing", async () => {
  const real = home.write("tools/bazel", "#!/bin/sh\n", 0o755);
  const PATH = `${shimDirectory}:${home.dir}/tools`;
  expect((await home.flywheel(["shim", "path", "--real", "bazel"], { env: { PATH } })).stdout).toBe(`${real}\n`);
  const none = await home.flywheel(["shim", "path", "--real", "bazelisk"], { env: { PATH } });
  expect([none.exitCode, none.stdout]).toEqual([127, ""]);
  expect((await home.flywheel(["shim", "path", "--real", "cargo"])).exitCode).toBe(2);
});

describe("install and uninstall", () => {
  const files = { bash: ".bashrc", zsh: ".zshrc", fish: ".config/fish/config.fish" } as const;

  test.each([
    ["an ordinary file", Buffer.from("export EDITOR=vi\n")],
    ["no newline at its end", Buffer.from("export EDITOR=vi")],
    ["blank lines at its end", Buffer.from("export EDITOR=vi\n\n\n")],
    ["CRLF", Buffer.from("export EDITOR=vi\r\nalias x=y\r\n")],
    ["bytes that are no UTF-8", Buffer.from([0x23, 0xff, 0xfe, 0x80, 0x0a])],
    ["an empty file", Buffer.alloc(0)],
    ["words that replace() would read", Buffer.from("# $& $1 $` \\1\n")],
  ])("%s comes back byte for byte, with its mode", async (_what, before) => {
    const file = home.write(".bashrc", before, 0o640);
    const installed = await home.flywheel(["shim", "install", "--yes"]);
    expect(installed.exitCode).toBe(0);
    expect(readFileSync(file).subarray(0, before.length)).toEqual(before);
    expect(readFileSync(file, "latin1")).toContain(shimDirectory);
    expect(statSync(file).mode & 0o777).toBe(0o640);
    expect((await home.flywheel(["shim", "uninstall", "--yes"])).exitCode).toBe(0);
    expect(readFileSync(file)).toEqual(before);
    expect(statSync(file).mode & 0o777).toBe(0o640);
  });

  test("a file that was made for it is gone again", async () => {
    for (const shell of rcShells) {
      const file = join(home.dir, files[shell]);
      await home.flywheel(["shim", "install", "--yes", "--shell", shell]);
      expect(readFileSync(file, "utf8")).toContain(shimDirectory);
      await home.flywheel(["shim", "uninstall", "--yes", "--shell", shell]);
      expect(existsSync(file)).toBe(false);
    }
  });

  test("installing twice changes nothing more", async () => {
    home.write(".bashrc", "x=1\n");
    await home.flywheel(["shim", "install", "--yes"]);
    const once = readFileSync(join(home.dir, ".bashrc"));
    const again = await home.flywheel(["shim", "install", "--yes"]);
    expect([again.exitCode, again.stdout]).toEqual([0, "nothing to change\n"]);
    expect(readFileSync(join(home.dir, ".bashrc"))).toEqual(once);
  });

  test("with it flywheel itself can be typed, since a refusal names it", () => {
    const env = { ...home.env, PATH: `${shimDirectory}:/usr/bin:/bin` };
    expect(spawnSync("sh", ["-c", "flywheel --version"], { env, encoding: "utf8" })).toMatchObject({
      status: 0,
      stdout: expect.stringMatching(/^flywheel \d/),
    });
  });

  test("what the user adds after it stays", async () => {
    home.write(".bashrc", "x=1\n");
    await home.flywheel(["shim", "install", "--yes"]);
    const file = join(home.dir, ".bashrc");
    home.write(".bashrc", `${readFileSync(file, "utf8")}y=2\n`);
    await home.flywheel(["shim", "uninstall", "--yes"]);
    expect(readFileSync(file, "utf8")).toBe("x=1\ny=2\n");
  });

  test("a symbolic link is followed, and stays one", async () => {
    const real = home.write("dotfiles/bashrc", "x=1\n");
    symlinkSync("dotfiles/bashrc", join(home.dir, ".bashrc"));
    await home.flywheel(["shim", "install", "--yes"]);
    expect(lstatSync(join(home.dir, ".bashrc")).isSymbolicLink()).toBe(true);
    expect(readFileSync(real, "utf8")).toContain(shimDirectory);
    await home.flywheel(["shim", "uninstall", "--yes"]);
    expect(readFileSync(real, "utf8")).toBe("x=1\n");
  });

  test("--dry-run shows the change and makes none", async () => {
    home.write(".bashrc", "x=1\n");
    const { exitCode, stdout } = await home.flywheel(["shim", "install", "--dry-run"]);
    expect(exitCode).toBe(0);
    expect(stdout).toContain(`+++ ${home.dir}/.bashrc`);
    expect(stdout).toMatch(/^\+# >>> gloriousflywheel >>>$/m);
    expect(readFileSync(join(home.dir, ".bashrc"), "utf8")).toBe("x=1\n");
  });

  test("without a terminal and without --yes it changes nothing, and says so", async () => {
    home.write(".bashrc", "x=1\n");
    const { exitCode, stderr } = await home.flywheel(["shim", "install"]);
    expect(exitCode).toBe(2);
    expect(stderr).toContain("next: repeat it with --yes");
    expect(readFileSync(join(home.dir, ".bashrc"), "utf8")).toBe("x=1\n");
  });

  test.each([
    ["Ctrl-D", "\u0004"],
    ["Ctrl-C", "\u0003"],
    ["Enter", "\r"],
  ])("%s at the question is a no", async (_key, answer) => {
    const main = join(import.meta.dirname, "../../cli/main.ts");
    const child = spawn("script", ["-qec", `${process.execPath} ${main} shim install`, "/dev/null"], { env: home.env });
    let said = "";
    child.stdout.on("data", (chunk: Buffer) => {
      if (!said.includes("[y/N] ") && `${said}${chunk}`.includes("[y/N] ")) child.stdin.write(answer);
      said += chunk;
    });
    const [code] = await once(child, "close");
    expect(code).toBe(1);
    expect(said).toContain("nothing was changed");
    expect(said).not.toContain("should not have happened");
    expect(existsSync(join(home.dir, ".bashrc"))).toBe(false);
  });

  test.each(rcShells)("%s really gets the shim first on PATH, once", async (shell) => {
    if (!programOnPath(shell).available) return;
    await home.flywheel(["shim", "install", "--yes", "--shell", shell]);
    const ran = spawnSync(
      shell,
      [...(shell === "bash" ? ["--rcfile", join(home.dir, ".bashrc")] : []), "-i", "-c", "echo; echo path=$PATH; command -v bazel"],
      {
        env: { ...home.env, TERM: "dumb" },
        encoding: "utf8",
        input: "",
      },
    );
    const path = /^path=(.*)$/m.exec(ran.stdout)?.[1]?.split(/[: ]/) ?? [];
    expect(path[0]).toBe(shimDirectory);
    expect(path.filter((directory) => directory === shimDirectory)).toHaveLength(1);
    expect(ran.stdout).toContain(`${shimDirectory}/bazel`);
  });
});

test.each(rcShells)("a directory with every odd character is quoted for %s", (shell) => {
  if (!programOnPath(shell).available) return;
  const directory = "/a b/'q'\"d\"/$x`y`\\z/é";
  const file = home.write("rc", Buffer.from(`${pathBlock(shell, directory)}`, "latin1"));
  const flags = { bash: ["--norc"], zsh: ["-f"], fish: ["--no-config"] }[shell];
  const ran = spawnSync(shell, [...flags, "-c", ". $RC; . $RC; env"], { env: { ...home.env, RC: file }, encoding: "utf8" });
  expect(ran.stderr).toBe("");
  expect(ran.stdout).toContain(`\nPATH=${directory}:/usr/local/bin:`.slice(1));
  expect(ran.stdout.split(directory)).toHaveLength(2);
});

test("an older block is replaced in its place", () => {
  const before = withBlock("a\n", pathBlock("bash", "/old"));
  const after = withBlock(`${before}b\n`, pathBlock("bash", "/new $& dir"));
  expect(after).not.toContain("/old");
  expect(after).toContain("/new $& dir");
  expect(withoutBlock(after)).toBe("a\nb\n");
});
