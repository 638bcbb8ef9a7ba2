/** How `flywheel shell` begins and ends: what it leaves behind (nothing), where it steps aside, and where it cannot work. */
import { execFileSync, spawn } from "node:child_process";
import { chmodSync, existsSync, rmSync } from "node:fs";
import { constants } from "node:os";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { execa } from "execa";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { programOnPath, required } from "../../fixtures/peers.ts";
import type { Outer } from "../../fixtures/pty/outer.ts";
import { built } from "../../fixtures/stage.ts";
import { ask, followingShells, type House, makeHouse, movedPackage, ready } from "./house.ts";

let house: House;
beforeEach(() => {
  house = makeHouse();
});
afterEach(() => house[Symbol.dispose]());

/** A sh that has the terminal, runs flywheel shell, and then tells how it ended and which modes it left. */
async function within(shell: string): Promise<Outer> {
  const script = 'stty -g >before; "$0" shell; echo "code $?"; stty -g >after; cmp before after && echo same modes; read line';
  const outer = house.open("/bin/sh", ["-c", script, built.flywheel], { env: { SHELL: `/usr/bin/${shell}` } });
  await ready(outer);
  return outer;
}

/** Those that have this home in their environment; kernel threads and other users' have none that could be read. */
function processes(): string[] {
  return execFileSync("sh", ["-c", `grep -l -a -s -e "HOME=${house.dir}" /proc/[0-9]*/environ || true`], { encoding: "utf8" })
    .split("\n")
    .filter((line) => line !== "" && existsSync(line.replace("/environ", "/exe")))
    .map((line) => line.split("/")[2] ?? "");
}

/** Resolves once a program of these words runs: its shell has given it the terminal by then. */
async function runs(words: string): Promise<void> {
  while ((await execa("pgrep", ["-xf", words], { reject: false })).stdout === "") await pause(20);
}

/** Waits until none is left: nobody tells when a process is gone that is no child. */
async function nobodyLeft(): Promise<void> {
  for (const deadline = performance.now() + 5_000; performance.now() < deadline; await pause(20)) if (processes().length === 0) return;
  expect(processes().map((pid) => execFileSync("ps", ["-o", "args=", "-p", pid], { encoding: "utf8" }))).toEqual([]);
}

describe.each(followingShells)("%s", (shell) => {
  test("leaves no file, no process and no mode behind", async ({ skip }) => {
    required(programOnPath(shell), skip);
    await using plain = house.plain(shell);
    await ready(plain);
    plain.type("exit\r");
    await plain.ended;
    const files = house.files();
    await using outer = await within(shell);
    outer.type("exit 5\r");
    await outer.until("code 5");
    await outer.until("same modes");
    expect(outer.modes()).toEqual({ alternate: false, paste: false, mouse: "none" });
    outer.type("\r");
    await outer.ended;
    await nobodyLeft();
    expect(house.files().filter((file) => !["before", "after"].includes(file) && !file.startsWith(".cache"))).toEqual(
      files.filter((file) => !file.startsWith(".cache")),
    );
  });

  test("killed while a program owns the screen: the terminal is usable, the signal told", async ({ skip }) => {
    required(programOnPath(shell), skip);
    await using outer = await within(shell);
    const pid = Number(await ask(outer, shell === "fish" ? "echo $fish_pid" : "echo $$"));
    outer.type("printf '\\033[?1049h\\033[?1003;1006h\\033[?25l'; sleep 983\r");
    await outer.until(() => outer.modes().alternate && outer.modes().mouse === "any");
    // What the shell is only about to start when it is killed, nobody hangs up.
    await runs("sleep 983");
    process.kill(pid, "SIGKILL");
    await outer.until(`code ${128 + constants.signals.SIGKILL}`);
    await outer.until("same modes");
    expect(outer.modes()).toEqual({ alternate: false, paste: false, mouse: "none" });
    outer.type("\r");
    await outer.ended;
    await nobodyLeft();
  });
});

describe("signals to flywheel itself", () => {
  test.each(["SIGTERM", "SIGHUP"] as const)("%s ends the shell and what runs in it, and then flywheel the same way", async (signal) => {
    await using outer = house.flywheel("bash");
    await ready(outer);
    outer.type("sleep 985\r");
    await outer.until("sleep 985");
    process.kill(outer.pid, signal);
    expect(await outer.ended).toEqual({ kind: "killed", signal: constants.signals[signal] });
    await nobodyLeft();
  });

  test("SIGTERM while nobody reads its output", async () => {
    await using outer = house.flywheel("bash");
    await ready(outer);
    outer.type("yes flood\r");
    await outer.until("flood\nflood");
    outer.reader("stalls");
    process.kill(outer.pid, "SIGTERM");
    await nobodyLeft();
    outer.reader("reads");
  });

  test.each(["SIGTERM", "SIGHUP", "a closed terminal"] as const)(
    "%s after the shell's end, while its last words wait for a reader",
    async (what) => {
      house.write("last", "x".repeat(280 * 1024));
      await using outer = house.flywheel("bash");
      await ready(outer);
      // Not its echo alone: a return that comes while bash still edits the line is none to read.
      outer.type("echo as''ks; read line; cat last; exit\r");
      await outer.until("asks");
      outer.reader("stalls");
      outer.type("\r");
      while ((await execa("pgrep", ["-P", String(outer.pid)], { reject: false })).stdout !== "") await pause(20);
      if (what === "a closed terminal") outer.close();
      else process.kill(outer.pid, what);
      await nobodyLeft();
    },
  );

  test("a terminal that goes away takes the shell with it", async () => {
    await using outer = house.flywheel("bash");
    await ready(outer);
    outer.type("sleep 984\r");
    // Not its echo alone: what bash is only about to start when it is hung up, it leaves behind.
    await runs("sleep 984");
    outer.close();
    await nobodyLeft();
  });

  test.each(["SIGTERM", "SIGHUP"] as const)("after %s the terminal has its modes", async (signal) => {
    await using outer = await within("bash");
    const pid = Number(await ask(outer, "echo $GF_SHELL"));
    process.kill(pid, signal);
    await outer.until(`code ${128 + constants.signals[signal]}`);
    await outer.until("same modes");
    expect(outer.modes().paste).toBe(false);
  });

  test("SIGINT from elsewhere is the shell's, as Ctrl-C is", async () => {
    await using outer = house.flywheel("bash");
    await ready(outer);
    outer.type("echo unfinished");
    await outer.until("echo unfinished");
    process.kill(outer.pid, "SIGINT");
    await outer.until(/\^C\nready>$/);
    expect(await ask(outer, "echo goes on")).toBe("goes on");
  });
});

test("an error of flywheel's own ends the shell, and the terminal has its modes", async () => {
  const broken = house.write("broken.mjs", 'process.once("SIGUSR2", () => { throw new Error("broken on purpose"); });');
  const start = join(built.flywheel, "../../lib/start.cjs");
  const script = 'stty -g >before; "$@"; echo "code $?"; stty -g >after; cmp before after && echo same modes; read line';
  await using outer = house.open("/bin/sh", ["-c", script, "sh", process.execPath, "--import", broken, start, "shell"], {
    env: { SHELL: "/usr/bin/bash" },
  });
  process.kill(Number(await ask(outer, "echo $GF_SHELL")), "SIGUSR2");
  await outer.until("same modes");
  expect(outer.screen()).toMatch(/broken on purpose(?:.|\n)*code 1\n/);
  outer.type("\r");
  await outer.ended;
  await nobodyLeft();
});

test("what the shell left in the background keeps nobody waiting", async () => {
  await using outer = house.flywheel("bash");
  await ready(outer);
  outer.type("(trap '' HUP; sleep 3) & disown; exit 6\r");
  expect(await outer.ended).toEqual({ kind: "exited", code: 6 });
});

describe("a second one inside", () => {
  test("is refused, with what to do instead; a command runs", async () => {
    await using outer = house.flywheel("bash");
    const inside = await ask(outer, `${built.flywheel} shell; echo "code $?"`);
    expect(inside).toMatch(/^flywheel: this is a shell of flywheel shell already \(pid \d+\)/);
    expect(inside).toMatch(/code 1$/);
    expect(await ask(outer, `${built.flywheel} shell -- sh -c 'exit 9' 2>/dev/null; echo "code $?"`)).toBe("code 9");
  });

  test("a trace of one that is elsewhere, or gone, is none", async () => {
    await using outer = house.flywheel("bash", [], { env: { GF_SHELL: String(process.pid + 1_000_000) } });
    await ready(outer);
    expect(await ask(outer, "echo $GF_SHELL")).toBe(String(outer.pid));
  });
});

describe("without a terminal", () => {
  const run = async (args: readonly string[], { input = "", shell = "/bin/sh" }: { input?: string | Buffer; shell?: string } = {}) => {
    const env = { ...house.env, SHELL: shell };
    const options = { env, extendEnv: false, cwd: house.dir, reject: false, encoding: "buffer", stripFinalNewline: false, input } as const;
    const { exitCode, stdout, stderr } = await execa(built.flywheel, ["shell", ...args], options);
    return { exitCode, stdout: Buffer.from(stdout), stderr: Buffer.from(stderr).toString() };
  };

  test("a command: bytes, exit code, environment, no process between", async () => {
    const noise = Buffer.from(Array.from({ length: 1024 }, (_, at) => at % 256));
    const { stdout, exitCode } = await run(["--", "sh", "-c", 'cat; printf "%s\\n" "$GF_GUARD_SCOPE"; exit 12'], { input: noise });
    expect([exitCode, stdout]).toEqual([12, Buffer.concat([noise, Buffer.from("all\n")])]);
    const child = spawn(built.flywheel, ["shell", "--", "sh", "-c", "echo $$"], { env: house.env, stdio: ["ignore", "pipe", "ignore"] });
    const pid = await new Promise<string>((resolve) => child.stdout.once("data", (chunk: Buffer) => resolve(chunk.toString().trim())));
    expect(pid).toBe(String(child.pid));
  });

  test("the shell reads its commands there", async () => {
    const { stdout, exitCode, stderr } = await run([], { input: "echo $PATH; exit 4", shell: "/bin/bash" });
    expect([exitCode, stdout.toString().split(":")[0]]).toEqual([4, built.shim]);
    expect(stderr).toMatch(/^flywheel: not attached: CI is set/);
  });

  test("a program that is not there", async () => {
    const { stderr, exitCode } = await run(["--", "no-such-program"]);
    expect([exitCode, stderr]).toEqual([
      127,
      'flywheel: there is no program no-such-program on PATH\n  next: name a program, or let a shell find it: flywheel shell -- sh -c "…"\n',
    ]);
  });

  test("a command on a terminal has it for itself", async () => {
    await using outer = house.flywheel("bash", ["--", "sh", "-c", "readlink /proc/self/fd/0; ps -o pid= -p $$; exit 3"]);
    expect(await outer.ended).toEqual({ kind: "exited", code: 3 });
    expect(outer.written().toString()).toContain(String(outer.pid));
  });
});

describe("the package", () => {
  test("works at another place", async () => {
    const moved = movedPackage(house.dir);
    await using outer = house.open(moved, ["shell"], { env: { SHELL: "/usr/bin/bash" } });
    expect(await ask(outer, "command -v bazel")).toBe(join(house.dir, "moved/shim/bazel"));
  });

  test("without a pseudoterminal for this platform: says what to do; all else works", async () => {
    const moved = movedPackage(house.dir);
    rmSync(join(house.dir, "moved/lib/pty"), { recursive: true });
    await using outer = house.open(moved, ["shell"], { env: { SHELL: "/usr/bin/bash" } });
    expect(await outer.ended).toEqual({ kind: "exited", code: 1 });
    const said = outer.screen().replaceAll("\n", "");
    expect(said).toContain(`there is no pseudoterminal for ${process.platform}-${process.arch} in this package`);
    expect(said).toContain("flywheel shim path");
    expect((await execa(moved, ["shell", "--", "true"], { env: house.env, extendEnv: false, reject: false })).exitCode).toBe(0);
    expect((await execa(moved, ["version"], { env: house.env, extendEnv: false })).stdout).toMatch(/^flywheel /);
  });

  test.skipIf(process.getuid?.() !== 0)("serves a user without privileges", async () => {
    const moved = movedPackage(house.dir);
    execFileSync("chown", ["-R", "65534:65534", house.dir]);
    chmodSync(house.dir, 0o755);
    const script = 'exec setpriv --reuid=65534 --regid=65534 --clear-groups "$0" shell';
    await using outer = house.open("/bin/sh", ["-c", script, moved], { env: { SHELL: "/usr/bin/bash" } });
    expect(await ask(outer, "id -u; command -v bazel")).toBe(`65534\n${join(house.dir, "moved/shim/bazel")}`);
    outer.type("exit 2\r");
    expect(await outer.ended).toEqual({ kind: "exited", code: 2 });
  });
});
