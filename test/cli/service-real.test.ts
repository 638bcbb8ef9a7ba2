/** `flywheel service` and a real `systemd --user`: what is written is what systemd understands, starts and stops. */
import { chownSync, existsSync, mkdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { Hello } from "../../contract/api.ts";
import { version } from "../../contract/version.ts";
import { required } from "../fixtures/peers.ts";
import { built, type Ran } from "../fixtures/stage.ts";
import { installVersion } from "./service-build.ts";
import { namespaceFault, startUserManager, type UserManager, uid, userManager } from "./service-manager.ts";

const root = join(import.meta.dirname, "../..");
/** What systemd's own syntax gives a meaning to, all of it in one name. */
const awkward = `a b%h$HOME"q"\\x41'`;
const lines = (text: string): readonly string[] => text.split("\n");

describe("a real systemd --user", { timeout: 60_000 }, () => {
  let manager: UserManager;
  let why: string | undefined;

  beforeAll(async () => {
    const peer = userManager();
    why = namespaceFault();
    if (peer.available && why === undefined) manager = await startUserManager(peer.path);
  });
  afterAll(() => manager?.[Symbol.asyncDispose]());

  function needed(skip: (reason: string) => never): void {
    required(userManager(), skip);
    if (why !== undefined) skip(why);
  }

  const flywheel = (args: readonly string[], env?: Readonly<Record<string, string>>): Promise<Ran> =>
    manager.run(built.flywheel, args, env);
  const runtime = (): string => join(manager.dir, "xdg/gloriousflywheel");
  const unit = (name: string): string => join(manager.dir, "home/.config/systemd/user", name);

  /** Asks as the manager's user: the runtime directory is nobody else's. */
  async function hello(): Promise<Hello> {
    const script = `
      const { DaemonClient } = await import(${JSON.stringify(join(root, "daemon/api/client/connection.ts"))});
      const { pathsFrom } = await import(${JSON.stringify(join(root, "contract/paths.ts"))});
      console.log(JSON.stringify(await new DaemonClient(pathsFrom(process.env, "/")).hello()));`;
    const asked = await manager.run(process.execPath, ["--input-type=module", "-e", script]);
    if (asked.exitCode !== 0) throw new Error(asked.stderr);
    return JSON.parse(asked.stdout);
  }

  const configure = (file: string, text: string): void => {
    const path = join(manager.dir, "home/.config/gloriousflywheel", file);
    mkdirSync(join(path, ".."), { recursive: true });
    writeFileSync(path, text);
    for (const own of [".config", ".config/gloriousflywheel"]) chownSync(join(manager.dir, "home", own), uid, uid);
  };

  test("installed: systemd listens, the first question starts the daemon, and it says who started it", async ({ skip }) => {
    needed(skip);
    configure("profiles/default.toml", '[tailnet]\nname = "stand-in.example"\n');
    configure("config.toml", `[tailnet]\nsocket = "${manager.dir}/nobody.sock"\n`);
    const install = await flywheel(["service", "install", "--yes"]);
    expect(install.exitCode, install.stderr).toBe(0);
    expect(install.stderr).toContain("+ListenStream=%t/gloriousflywheel/daemon.sock");
    expect(install.stderr).toMatch(new RegExp(`flywheel ${version.replaceAll(".", "\\.")} \\(.*/flywheeld\\.js\\) answers, pid \\d+`));
    const first = await hello();
    expect(first).toMatchObject({ startedBy: "service", version, entry: join(root, "dist/lib/flywheeld.js") });
    expect(statSync(join(runtime(), "daemon.sock")).mode & 0o777).toBe(0o600);
    expect(statSync(runtime())).toMatchObject({ uid, mode: 0o40700 });
    const status = await flywheel(["service", "status", "--json"]);
    expect([status.exitCode, JSON.parse(status.stdout)]).toEqual([
      0,
      expect.objectContaining({
        ok: true,
        files: [unit("gloriousflywheel.socket"), unit("gloriousflywheel.service")].map((file) => ({ file, state: "current" })),
      }),
    ]);
    expect((await flywheel(["service", "install", "--yes"])).stdout).toBe("nothing to change\n");
    expect((await hello()).pid).toBe(first.pid);
    const verified = await manager.run("systemd-analyze", [
      "verify",
      "--user",
      unit("gloriousflywheel.socket"),
      unit("gloriousflywheel.service"),
    ]);
    expect([verified.exitCode, lines(verified.stderr).filter((line) => line.includes("gloriousflywheel"))]).toEqual([0, []]);
  });

  test("down says that the next question starts it again, and it does", async ({ skip }) => {
    needed(skip);
    const { pid } = await hello();
    const down = await flywheel(["down"]);
    expect(down).toMatchObject({ exitCode: 0, stdout: "the daemon stops\n" });
    expect(down.stderr).toContain("systemctl --user stop gloriousflywheel.socket");
    const up = await flywheel(["up", "--json"]);
    expect(up.exitCode).toBe(3);
    expect(JSON.parse(up.stdout).daemon.pid).not.toBe(pid);
    expect((await hello()).startedBy).toBe("service");
  });

  test("the client fails rather than restarts (sccache #176): a daemon that is killed comes back with the next question", async ({
    skip,
  }) => {
    needed(skip);
    const { pid } = await hello();
    await manager.run("kill", ["-KILL", String(pid)]);
    expect((await hello()).pid).not.toBe(pid);
  });

  test("a configuration that is malformed: whoever asks is told so by the daemon that cannot start, and mending it is enough", async ({
    skip,
  }) => {
    needed(skip);
    await flywheel(["down"]);
    configure("config.toml", "[guard]\nscope = 7\n");
    for (let round = 0; round < 3; round += 1) {
      const up = await flywheel(["up"]);
      expect(up.exitCode).toBe(1);
      expect(up.stderr).toContain("gloriousflywheel/config.toml:2:");
    }
    configure("config.toml", `[tailnet]\nsocket = "${manager.dir}/nobody.sock"\n`);
    expect((await flywheel(["up"])).exitCode).toBe(3);
    expect((await hello()).startedBy).toBe("service");
  });

  test("the runtime directory is deleted: the daemon stops, and the next command starts one without systemd", async ({ skip }) => {
    needed(skip);
    const { pid } = await hello();
    rmSync(runtime(), { recursive: true, maxRetries: 10 });
    expect((await flywheel(["up"])).exitCode).toBe(3);
    const second = await hello();
    expect(second).toMatchObject({ startedBy: "flywheel" });
    expect(second.pid).not.toBe(pid);
    // Installing again puts systemd back in charge; the daemon that ran is asked to end first.
    await manager.systemctl("stop", "gloriousflywheel.socket");
    expect((await flywheel(["service", "status"])).exitCode).toBe(1);
    expect((await flywheel(["service", "install", "--yes"])).exitCode).toBe(0);
    expect((await hello()).startedBy).toBe("service");
  });

  test("directories with every character that systemd gives a meaning to are carried into the unit", async ({ skip }) => {
    needed(skip);
    const state = join(manager.dir, "home", awkward);
    const install = await flywheel(["service", "install", "--yes"], { GF_STATE_DIR: state });
    expect(install.exitCode, install.stderr).toBe(0);
    expect(install.stderr).toContain("the service holds on to GF_STATE_DIR of this shell");
    expect(existsSync(join(state, "daemon.log"))).toBe(true);
    expect((await flywheel(["service", "status"])).stdout).toContain("for other directories");
  });

  test("an older install's service: it is used and said, never fought over; `service install` moves it here", async ({ skip }) => {
    needed(skip);
    const old = join(manager.dir, "home", "old a b%h$HOME");
    const installed = await manager.run(await installVersion(old, "0.0.9"), ["service", "install", "--yes"]);
    expect(installed.exitCode, installed.stderr).toBe(0);
    const first = await hello();
    expect(first).toMatchObject({ startedBy: "service", version: "0.0.9", entry: join(old, "dist/lib/flywheeld.js") });
    const up = await flywheel(["up"]);
    expect(up.exitCode).toBe(3);
    expect(up.stderr).toContain(`the daemon's service runs flywheel 0.0.9, older than this ${version}: flywheel service install`);
    expect((await hello()).pid).toBe(first.pid);
    expect((await flywheel(["service", "status"])).stdout).toContain("installed by another flywheel than this one");
    expect((await flywheel(["service", "install", "--yes"])).exitCode).toBe(0);
    expect(await hello()).toMatchObject({ version, startedBy: "service" });
  });

  test("a unit that was edited is left alone; uninstall removes exactly what install wrote", async ({ skip }) => {
    needed(skip);
    const file = unit("gloriousflywheel.service");
    const text = readFileSync(file, "utf8");
    writeFileSync(file, text.replace("RestartSec=1", "RestartSec=10"));
    for (const action of ["install", "uninstall"]) {
      const refused = await flywheel(["service", action, "--yes"]);
      expect(refused.exitCode).toBe(1);
      expect(refused.stderr).toContain(`${file} was edited since`);
      expect(refused.stderr).toContain("systemctl --user edit gloriousflywheel.service");
    }
    writeFileSync(file, text);
    const removed = await flywheel(["service", "uninstall", "--yes"]);
    expect(removed.exitCode, removed.stderr).toBe(0);
    expect([existsSync(file), existsSync(unit("gloriousflywheel.socket")), existsSync(join(runtime(), "daemon.sock"))]).toEqual([
      false,
      false,
      false,
    ]);
    const known = await manager.systemctl("list-units", "--all", "--plain", "--no-legend", "gloriousflywheel*");
    expect(known.stdout).toBe("");
    expect((await flywheel(["service", "uninstall", "--yes"])).stdout).toBe("nothing to change\n");
    expect((await flywheel(["down"])).stdout).toBe("no daemon was running\n");
  });
});
