/** The mark that the generated sh leaves, under each shell that people have as sh. */
import { execFileSync } from "node:child_process";
import { chmodSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { parseMark } from "../../../contract/running.ts";
import { readClock } from "../../../daemon/api/client/clock.ts";
import { attachedFlags, buildHouse, type House, script, shells, words } from "../../shim/house.ts";

let house: House;
let running: string;

async function build(plan?: string): Promise<void> {
  house = await buildHouse(plan);
  running = join(house.root, "run/running");
  mkdirSync(running, { mode: 0o700 });
  house.publish();
}

/** Puts a tool behind the shim that says its own pid. */
const tellPid = (): void => script(join(house.tools, "bazel"), 'printf %s "$$"');
const marks = (): string[] => readdirSync(running);

beforeEach(() => build());
afterEach(() => house.remove());

describe.each(shells)("under $name", ({ command: shell }) => {
  it("names the tool's own pid, what was called, where and when", async () => {
    tellPid();
    const before = readClock().seconds;
    const outcome = await house.run(["--batch", "coverage", "//x"], { shell });
    expect(outcome).toMatchObject({ code: 0, stderr: "" });
    const [name = "", ...more] = marks();
    expect(more).toEqual([]);
    expect(name).toBe(outcome.stdout.toString());
    const mark = parseMark(name, readFileSync(join(running, name), "utf8"));
    expect(mark).toMatchObject({
      ...{ pid: Number(name), tool: "bazel", command: "coverage", profile: "default", directory: house.work },
      ...{ endpoint: attachedFlags[0]?.replace("--remote_cache=", ""), record: undefined },
    });
    const clock = readClock();
    expect(mark?.bootId).toBe(clock.source === "boot" ? clock.bootId : undefined);
    expect(mark?.started).toBeGreaterThanOrEqual(before);
    expect(mark?.started).toBeLessThanOrEqual(readClock().seconds);
  });

  it("is left for what the slow path attaches, by the command that the slow path found", async () => {
    house.remove();
    await build("flywheel-plan-1\ninject=2\ncommand=build\n--x\n--remote_cache=grpc://192.0.2.9:9092");
    tellPid();
    const outcome = await house.run(["--no_such_startup_option", "build"], { shell });
    const [name = ""] = marks();
    expect(name).toBe(outcome.stdout.toString());
    // Of what the slow path attached, not of what is published.
    expect(parseMark(name, readFileSync(join(running, name), "utf8"))).toMatchObject({
      ...{ command: "build", profile: "default", endpoint: "grpc://192.0.2.9:9092" },
    });
  });

  it("names the record that a parent of ours waits to write, which the tool never hears of", async () => {
    script(join(house.tools, "bazel"), 'printf %s "$$ ${GF_RECORD-unset}"');
    const record = "0f8fad5b-d9cb-469f-a165-70867728950e";
    const read = async (value: string): Promise<string | undefined> => {
      const [pid = "", seen] = (await house.run(["build"], { shell, env: { GF_RECORD: value } })).stdout.toString().split(" ");
      expect(seen).toBe("unset");
      return parseMark(pid, readFileSync(join(running, pid), "utf8"))?.record;
    };
    expect(await read(record)).toBe(record);
    for (const bad of ["", "$(touch pwned)", "../x", `${record}0`, "a\nb"]) expect(await read(bad), bad).toBeUndefined();
  });

  it("is not left by what is not attached", async () => {
    await house.run(["info"], { shell });
    await house.run(["build"], { shell, env: { GF_GUARD_SCOPE: "enrolled" } });
    house.remove();
    await build("flywheel-plan-1\nrun");
    await house.run(["build"], { shell, env: { GF_GUARD_BYPASS: "test" } });
    expect(marks()).toEqual([]);
  });

  it("takes a directory with any bytes in its name", async () => {
    const odd = join(house.work, "a b\n'\"$(touch pwned)\u001b[31m\\n%s");
    mkdirSync(odd);
    tellPid();
    const outcome = await house.run(["build"], { shell, cwd: odd });
    const text = readFileSync(join(running, outcome.stdout.toString()), "utf8");
    expect(text.endsWith(`directory ${odd}\n`)).toBe(true);
    expect(parseMark(outcome.stdout.toString(), text)?.directory).not.toMatch(/\p{Cc}/u);
    expect(existsSync(join(odd, "pwned"))).toBe(false);
  });

  // The shell's pid is not known before it runs: a wrapper that becomes it lays the obstacle.
  const behindObstacle = async (lay: string): Promise<void> => {
    const wrapper = join(house.root, "wrapper");
    const command = [...shell, join(house.shim, "bazel"), "build"].map((word) => `'${word}'`).join(" ");
    script(wrapper, `f='${running}'/$$\n${lay}\nexec ${command}`);
    const started = performance.now();
    const outcome = await house.run([], { shell: ["/bin/sh", wrapper] });
    expect(outcome).toMatchObject({ code: 0, stderr: "" });
    expect(words(outcome)).toEqual(["build", ...attachedFlags]);
    expect(performance.now() - started).toBeLessThan(5_000);
  };

  it.each([
    ["a FIFO that nobody reads", 'mkfifo "$f"'],
    ["a directory", 'mkdir "$f"'],
    ["no directory for marks", `rm -r '$d'`],
    ["a file where the directory was", `rm -r '$d'; : >'$d'`],
  ])("runs the tool, silently, in spite of %s", async (_, lay) => {
    await behindObstacle(lay.replaceAll("$d", running));
  });

  it("follows no link: neither one at the mark's own name nor one in the directory's place", async () => {
    const victim = join(house.root, "victim");
    writeFileSync(victim, "precious");
    await behindObstacle(`ln -s '${victim}' "$f"`);
    await behindObstacle(`ln -s '${victim}.new' "$f"`);
    const elsewhere = join(house.root, "elsewhere");
    mkdirSync(elsewhere);
    rmSync(running, { recursive: true });
    symlinkSync(elsewhere, running);
    await behindObstacle("");
    expect(readFileSync(victim, "utf8")).toBe("precious");
    expect(existsSync(`${victim}.new`)).toBe(false);
    expect(readdirSync(elsewhere)).toEqual([]);
  });

  it("writes over what a former process of its number left, also where the shell must not clobber", async () => {
    const wrapper = join(house.root, "wrapper");
    const command = [...shell, ...(shell[0] === "/bin/zsh" ? [] : ["-C"]), join(house.shim, "bazel"), "build"].map((word) => `'${word}'`);
    script(wrapper, `echo old >'${running}'/$$\nexec ${command.join(" ")}`);
    tellPid();
    const outcome = await house.run([], { shell: ["/bin/sh", wrapper] });
    expect(outcome.stderr).toBe("");
    const pid = outcome.stdout.toString();
    expect(parseMark(pid, readFileSync(join(running, pid), "utf8"))).toMatchObject({ command: "build" });
  });
});

it("runs the tool, silently, where the directory cannot be written", async () => {
  // Root may write anywhere: somebody else must try.
  const nobody = { uid: 65_534, gid: 65_534 };
  const program = `
    const { spawnSync } = require("node:child_process");
    const ran = spawnSync(${JSON.stringify(join(house.shim, "bazel"))}, ["build"], { env: ${JSON.stringify(house.env)}, cwd: "/" });
    process.stdout.write(JSON.stringify({ code: ran.status, err: String(ran.stderr), out: String(ran.stdout) }));`;
  if (process.getuid?.() === 0) execFileSync("chown", ["-R", "65534:65534", house.root]);
  chmodSync(running, 0o500);
  const ran = JSON.parse(
    execFileSync(process.execPath, ["-e", program], { ...(process.getuid?.() === 0 ? nobody : {}), encoding: "utf8" }),
  );
  expect(ran).toMatchObject({ code: 0, err: "" });
  expect(ran.out).toContain("--remote_cache=");
  expect(marks()).toEqual([]);
});
