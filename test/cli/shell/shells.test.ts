/** The user's own shell, with the guard in front: bash, zsh, fish and dash, in real terminals. */
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { programOnPath, required } from "../../fixtures/peers.ts";
import { built } from "../../fixtures/stage.ts";
import { ask, followingShells, type House, makeHouse, ready, shellNames } from "./house.ts";

let house: House;
beforeEach(() => {
  house = makeHouse();
});
afterEach(() => house[Symbol.dispose]());

/** PATH as each shell writes it. */
const path = "printf '%s\\n' \"$PATH\"";

describe.each(shellNames)("%s", (shell) => {
  test("gives its exit code, and nothing but a line on entering is added", async ({ skip }) => {
    required(programOnPath(shell), skip);
    await using outer = house.flywheel(shell);
    await ready(outer);
    expect(outer.screen()).toMatch(/^flywheel: not attached: CI is set, so no daemon is started; next: flywheel up\n/);
    outer.type("exit 7\r");
    expect(await outer.ended).toEqual({ kind: "exited", code: 7 });
    expect(outer.screen()).not.toContain("while this shell was open");
  });

  test("knows the scope, and nothing of how it was started", async ({ skip }) => {
    required(programOnPath(shell), skip);
    await using outer = house.flywheel(shell);
    const names = await ask(outer, "env | grep -a ^GF_ | cut -d= -f1 | sort | tr '\\n' ' '");
    expect(names).toBe("GF_CONFIG_DIR GF_GUARD_SCOPE GF_RUNTIME_DIR GF_SHELL GF_STATE_DIR GF_TAILSCALED_SOCKET ");
    expect(await ask(outer, 'echo "$GF_GUARD_SCOPE $TERM"')).toBe("all xterm-256color");
  });
});

describe.each(followingShells)("%s and its start files", (shell) => {
  test("the shim is first although they put something in front; the rest of PATH is as outside", async ({ skip }) => {
    required(programOnPath(shell), skip);
    await using plain = house.plain(shell);
    await using outer = house.flywheel(shell);
    const outside = await ask(plain, path);
    expect(outside).toMatch(new RegExp(`^${house.dir}/mine:`));
    const dirs = (await ask(outer, path)).split(":");
    const ours = dirs.filter((dir) => dir.startsWith(built.shim));
    expect(dirs[0]).toBe(built.shim);
    expect(dirs.slice(0, ours.length)).toEqual(ours);
    expect(dirs.slice(ours.length).join(":")).toBe(outside);
    expect(await ask(outer, "command -v bazel")).toBe(`${built.shim}/bazel`);
  });

  test("the shim is first although they set PATH anew", async ({ skip }) => {
    required(programOnPath(shell), skip);
    for (const file of [".bashrc", ".zshrc"]) house.write(file, "PS1='ready> '\nPATH=/usr/bin:/bin\n");
    house.write(".config/fish/config.fish", "function fish_prompt; echo -n 'ready> '; end\nset -gx PATH /usr/bin /bin\n");
    await using outer = house.flywheel(shell);
    const dirs = (await ask(outer, path)).split(":");
    expect([dirs[0], ...dirs.filter((dir) => !dir.startsWith(built.shim))]).toEqual([built.shim, "/usr/bin", "/bin"]);
    expect(await ask(outer, "command -v flywheel")).toBe(`${built.shim}/flywheel`);
  });

  test("their hook before each prompt is kept, and sees each exit code", async ({ skip }) => {
    required(programOnPath(shell), skip);
    await using plain = house.plain(shell);
    await using outer = house.flywheel(shell);
    for (const each of [plain, outer]) {
      for (const line of ["false", "true", "sh -c 'exit 5'"]) {
        await ready(each);
        const before = each.written().length;
        each.type(`${line}\r`);
        await each.until(() => each.written().subarray(before).toString().split("ready>").length > 1);
      }
    }
    const hooked = await ask(outer, 'echo "$hooked"');
    expect(hooked).toBe(await ask(plain, 'echo "$hooked"'));
    expect(hooked).toMatch(/105$/);
  });
});

describe("login shells", () => {
  test("bash reads .profile, which reads .bashrc; the shim is first all the same", async () => {
    await using outer = house.flywheel("bash", ["-l"]);
    const dirs = (await ask(outer, path)).split(":").filter((dir) => !dir.startsWith(`${built.shim}-`));
    expect(dirs.slice(0, 3)).toEqual([built.shim, `${house.dir}/mine`, `${house.dir}/profile`]);
  });

  test("zsh reads all four of its files, from where ZDOTDIR leads", async ({ skip }) => {
    required(programOnPath("zsh"), skip);
    const read = 'echo "$zshenv $zprofile $zlogin ${ZDOTDIR-none}"';
    await using usual = house.flywheel("zsh");
    expect(await ask(usual, read)).toBe("read   none");
    await using login = house.flywheel("zsh", ["--login"]);
    expect(await ask(login, read)).toBe("read read read none");
    house.write("elsewhere/.zshenv", "zshenv=elsewhere\n");
    house.write("elsewhere/.zshrc", "PS1='ready> '\nPATH=$HOME/there:$PATH\nprecmd_functions=()\n");
    await using moved = house.flywheel("zsh", [], { env: { ZDOTDIR: `${house.dir}/elsewhere` } });
    expect(await ask(moved, read)).toBe(`elsewhere   ${house.dir}/elsewhere`);
    // Also where a start file sets the hooks anew.
    expect(await ask(moved, path)).toMatch(new RegExp(`^${built.shim}:.*:?${house.dir}/there:`));
  });
});

test("dash gets the environment, and says that it does not follow", async () => {
  await using outer = house.flywheel("dash");
  await ready(outer);
  expect(outer.screen().replaceAll("\n", "")).toContain(
    "/usr/bin/dash gets this environment as it is now: it does not follow the attachment",
  );
  expect(await ask(outer, "command -v bazel")).toBe(`${built.shim}/bazel`);
});

test("a shell that is none is passed over: SHELL, the system's word, sh", async () => {
  await using outer = house.flywheel("dash", [], { env: { SHELL: "/usr/sbin/nologin" } });
  await outer.until(/[#$>] ?$/);
  outer.type("exit 3\r");
  expect(await outer.ended).toEqual({ kind: "exited", code: 3 });
});
