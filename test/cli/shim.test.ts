import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { existsSync, lstatSync, mkdirSync, readFileSync, rmSync, statSync, symlinkSync } from "node:fs";
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

/** A tool of that name on this machine, in tools/. */
function tool(name: string): string {
  return home.write(`tools/${name}`, "#!/bin/sh\n", 0o755);
}

describe("path", () => {
  const path = (args: readonly string[] = []) =>
    home.flywheel(["shim", "path", ...args], { env: { PATH: `${shimDirectory}-nix:${home.dir}/tools` } });

  test("prints the directory that goes first on PATH, alone where none of the other tools is there", async () => {
    expect(await path()).toEqual({ exitCode: 0, stdout: `${shimDirectory}\n`, stderr: "" });
    expect(existsSync(join(shimDirectory, "bazel"))).toBe(true);
  });

  test("and the directory of each tool that is there", async () => {
    tool("nix");
    tool("home-manager");
    const both = `${shimDirectory}:${shimDirectory}-nix:${shimDirectory}-home-manager`;
    expect((await path()).stdout).toBe(`${both}\n`);
    expect(JSON.parse((await path(["--json"])).stdout)).toEqual({ schema: 1, directory: shimDirectory, path: both });
    for (const name of ["nix", "nix-build", "nix-prefetch-url"]) expect(existsSync(join(`${shimDirectory}-nix`, name))).toBe(true);
  });
});

test("path --real prints what the shim would run, and 127 where there is nothing", async () => {
  const real = tool("bazel");
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
    const told = JSON.parse((await home.flywheel(["shim", "install", "--yes", "--json"])).stdout);
    expect(told).toEqual({ schema: 1, changed: false, files: [] });
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

describe.each(rcShells)("the block in %s", (shell) => {
  const { available } = programOnPath(shell);
  const flags = { bash: ["--norc"], zsh: ["-f"], fish: ["--no-config"] }[shell];

  /** Runs code after the block, on a PATH that has what is in tools/ and no more of these names. */
  function evaluated(code: string, { base = shimDirectory, PATH = `${home.dir}/tools:${home.dir}/bin` } = {}) {
    const file = home.write("rc", Buffer.from(pathBlock(shell, base), "latin1"));
    for (const name of ["env", shell]) if (!existsSync(join(home.dir, "bin", name))) link(name);
    const ran = spawnSync(join(home.dir, "bin", shell), [...flags, "-c", `. $RC; ${code}`], {
      env: { ...home.env, PATH, RC: file },
      encoding: "utf8",
    });
    expect(ran.stderr).toBe("");
    return ran.stdout;
  }
  /** env and the shell itself, without the rest of this machine's PATH, which may have a Nix. */
  function link(name: string): void {
    const peer = programOnPath(name);
    if (!peer.available) throw new Error(peer.reason);
    mkdirSync(join(home.dir, "bin"), { recursive: true });
    symlinkSync(peer.path, join(home.dir, "bin", name));
  }
  const path = /^PATH=(.*)$/m;
  const shims = (output: string) => (path.exec(output)?.[1] ?? "").split(":").filter((each) => each.startsWith(shimDirectory));

  test.runIf(available)("a tool that is not there is not found, and one that is there is the shim's", () => {
    const ask = (name: string) => evaluated(`command -v ${name}`).trim();
    tool("bazel");
    expect(ask("bazel")).toBe(`${shimDirectory}/bazel`);
    for (const name of ["nix", "nix-build", "nixos-rebuild", "darwin-rebuild", "home-manager"]) expect(ask(name)).toBe("");
    tool("nix");
    expect(ask("nix")).toBe(`${shimDirectory}-nix/nix`);
    expect(ask("home-manager")).toBe("");
    tool("home-manager");
    expect(ask("home-manager")).toBe(`${shimDirectory}-home-manager/home-manager`);
    expect(ask("nixos-rebuild")).toBe("");
  });

  test.runIf(available)("read twice, and in a shell within the shell, it adds nothing twice", () => {
    tool("nix");
    const expected = [shimDirectory, `${shimDirectory}-nix`];
    const nested = evaluated(`. $RC; ${shell} ${flags.join(" ")} -c '. $RC; env'`);
    expect(shims(nested)).toEqual(expected);
    expect(path.exec(nested)?.[1]).toBe(`${expected.join(":")}:${home.dir}/tools:${home.dir}/bin`);
  });

  test.runIf(available)("a tool that has gone since is not guarded in the next shell", () => {
    const PATH = `${shimDirectory}:${shimDirectory}-nix:${home.dir}/tools:${home.dir}/bin`;
    expect(shims(evaluated("env", { PATH }))).toEqual([shimDirectory]);
    const file = tool("nix");
    expect(shims(evaluated("env", { PATH }))).toEqual([shimDirectory, `${shimDirectory}-nix`]);
    rmSync(file);
    expect(shims(evaluated("env", { PATH }))).toEqual([shimDirectory]);
  });

  test.runIf(available)("a directory with every odd character is quoted", () => {
    const base = `${home.dir}/a b/'q'"d"/$x\`y\`\\z/é/shim`;
    for (const each of [base, `${base}-nix`]) home.write(join(each.slice(home.dir.length), ".flywheel-shim"), "");
    tool("nix");
    expect(path.exec(evaluated(". $RC; env", { base }))?.[1]).toBe(`${base}:${base}-nix:${home.dir}/tools:${home.dir}/bin`);
  });

  test.runIf(available)("empty entries of PATH stay, and it leaves no variable of its own", () => {
    if (shell === "fish") return;
    const output = evaluated("env; set", { PATH: `:${home.dir}/tools::${home.dir}/bin:` });
    expect(path.exec(output)?.[1]).toBe(`${shimDirectory}::${home.dir}/tools::${home.dir}/bin:`);
    expect(output).not.toContain("_gf_");
  });
});

test("an older block is replaced in its place, whatever its lines were", () => {
  const old = withBlock("a\n", pathBlock("bash", "/old").replace(/^_gf_[\s\S]*_gf_tool$/m, 'case "$PATH:" in\n/old:*) ;;\nesac'));
  expect(withBlock(old, pathBlock("bash", "/new"))).toBe(withBlock("a\n", pathBlock("bash", "/new")));
  const before = withBlock("a\n", pathBlock("bash", "/old"));
  const after = withBlock(`${before}b\n`, pathBlock("bash", "/new $& dir"));
  expect(after).not.toContain("/old");
  expect(after).toContain("/new $& dir");
  expect(withoutBlock(after)).toBe("a\nb\n");
});
