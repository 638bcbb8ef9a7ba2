/** The fast path in surroundings that a shell inherits: variables, options and descriptors of whoever called it, odd places. */
import { spawnSync } from "node:child_process";
import { chmodSync, chownSync, existsSync, mkdirSync, readFileSync, rmdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { attachedFlags, buildHouse, type House, script, shells, words } from "./house.ts";

let house: House;
beforeEach(async () => {
  house = await buildHouse("flywheel-plan-1\ninject=1\n--slow");
  house.publish();
});
afterEach(() => house.remove());

const line = ["build", "--jobs=4", "//x", "*", "--", "$(id)"];
const attached = [...line.slice(0, 4), ...attachedFlags, ...line.slice(4)];

/** Calls the shim from bash, which can close and open what a tool inherits. */
function fromBash(shell: readonly string[], args: string, redirections: string, env: Readonly<Record<string, string>> = {}) {
  const call = [...shell, join(house.shim, "bazel")].join(" ");
  return spawnSync("/bin/bash", ["-c", `exec ${call} ${args} ${redirections}`], {
    env: { ...house.env, ...env },
    cwd: house.work,
    encoding: "utf8",
    timeout: 20_000,
  });
}

describe.each(shells)("under $name", ({ command: shell }) => {
  it.each<[string, Record<string, string>]>([
    ["digits as field separators", { IFS: "0123456789" }],
    ["a CDPATH", { CDPATH: "/:/tmp" }],
    ["files to source", { ENV: "./sourced", BASH_ENV: "./sourced" }],
    ["bash's options", { SHELLOPTS: "errexit:nounset:noclobber:allexport", BASHOPTS: "nocasematch:extglob:failglob" }],
    ["POSIXLY_CORRECT", { POSIXLY_CORRECT: "1" }],
    ["our own variables", { _gf_class: "pass", _gf_policy: "1", _gf_open: "1", _gf_flags: "--evil", _gf_word_1: "x", _gf_upload: "true" }],
    ["a PWD that lies", { PWD: "/../$(touch pwned)" }],
    ["a PATH with newlines, globs and 100,000 characters", { PATH: `/a\nb:*:/c d:${"/nowhere/at/all:".repeat(6000)}` }],
  ])("is not moved by %s", async (_, env) => {
    writeFileSync(join(house.work, "sourced"), "echo sourced; exit 9\n");
    const path = env["PATH"] === undefined ? {} : { PATH: `${env["PATH"]}${house.env["PATH"]}` };
    const outcome = await house.run(line, { shell, env: { ...env, ...path } });
    expect(words(outcome)).toEqual(attached);
    expect(outcome).toMatchObject({ code: 0, stderr: "" });
    expect(existsSync(join(house.root, "asked"))).toBe(false);
    expect(existsSync(join(house.work, "pwned"))).toBe(false);
  });

  it.each(["a\nb", "a b", "*", "-n", "$(touch pwned)", "~", "a;b", "[x"])("works in a directory named %j", async (directory) => {
    const cwd = join(house.work, directory);
    mkdirSync(cwd);
    expect(words(await house.run(line, { shell, cwd }))).toEqual(attached);
    // A manifest makes it look for a verdict by that name.
    writeFileSync(join(cwd, "tinyland.repo.json"), "{}");
    const outcome = await house.run(["build"], { shell, cwd });
    expect(words(outcome)).toEqual(["build", "--slow"]);
    expect(outcome.stderr).toBe("");
  });

  it.each(["info", "build", "--slow build"])("keeps every descriptor of the caller for the tool: %s", (args) => {
    script(join(house.tools, "bazel"), 'for fd in 3 4 5 6 7 8 9; do eval "echo $fd >&$fd"; done\ncat <&0 >&2');
    const files = [3, 4, 5, 6, 7, 8, 9].map((fd) => `${fd}>>${house.root}/all`).join(" ");
    const run = fromBash(shell, args, `10>${house.root}/ten 15>${house.root}/fifteen ${files} <<<input`);
    expect(readFileSync(join(house.root, "all"), "utf8")).toBe("3\n4\n5\n6\n7\n8\n9\n");
    expect(run.stderr).toBe("input\n");
  });

  it.each(["info", "build", "--slow build"])("works with its standard streams closed: %s", (args) => {
    script(join(house.tools, "bazel"), `touch '${house.root}/ran'; exit 7`);
    for (const closed of ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"]) expect(fromBash(shell, args, closed).status).toBe(7);
    expect(existsSync(join(house.root, "ran"))).toBe(true);
  });

  // Only root can give files away and become somebody else; CI is root.
  it.skipIf(process.getuid?.() !== 0)("says nothing of its own about a file that it may not read", () => {
    const own = ["run", "run/attachment", "run/attachment/default", "run/attachment/default/bazel"].map((file) => join(house.root, file));
    for (const file of own) chownSync(file, 65_534, 65_534);
    chmodSync(house.attachment, 0);
    for (const open of [house.root, house.shim]) chmodSync(open, 0o755);
    writeFileSync(join(house.root, "asked"), "");
    chmodSync(join(house.root, "asked"), 0o666);
    const [file = "", ...before] = [...shell, join(house.shim, "bazel")];
    const options = { env: house.env, cwd: house.work, uid: 65_534, gid: 65_534, encoding: "utf8" } as const;
    const run = spawnSync(file, [...before, "build"], options);
    expect(run).toMatchObject({ status: 0, stderr: "", stdout: "build\0--slow\0" });
  });

  it("hands on light commands where the current directory is gone", () => {
    const gone = join(house.root, "gone");
    mkdirSync(gone);
    script(join(house.tools, "bazel"), "echo ran");
    const call = [...shell, join(house.shim, "bazel")].join(" ");
    const run = spawnSync("/bin/bash", ["-c", `cd '${gone}' && rmdir '${gone}' && exec ${call} info`], {
      env: house.env,
      encoding: "utf8",
    });
    expect(run).toMatchObject({ status: 0, stdout: "ran\n" });
    expect(() => rmdirSync(gone)).toThrow();
  });
});

it.each(shells.filter(({ name }) => name === "bash as sh"))(
  "$name leaves the options that it exports as they were",
  ({ command: shell }) => {
    script(join(house.tools, "bazel"), 'printf %s "$SHELLOPTS"');
    const before = "braceexpand:hashall:interactive-comments:posix";
    for (const args of ["info", "build", "--slow build"]) expect(fromBash(shell, args, "", { SHELLOPTS: before }).stdout).toBe(before);
  },
);
