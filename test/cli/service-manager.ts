/**
 * A real `systemd --user`, run as an ordinary user in namespaces of its own: it wants a machine that was booted with
 * systemd and a cgroup v2 hierarchy, so it gets a /run that says so and a mount of the hierarchy. Needs root.
 */
import { execFile, execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { chmodSync, chownSync, existsSync, mkdirSync, mkdtempSync, rmSync, watch, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { type Peer, programOnPath } from "../fixtures/peers.ts";
import type { Ran } from "../fixtures/stage.ts";

const run = promisify(execFile);
/** nobody of Debian. */
export const uid = 65_534;

export function userManager(): Peer {
  for (const name of ["systemctl", "systemd-analyze", "unshare", "nsenter", "setpriv"]) {
    const peer = programOnPath(name);
    if (!peer.available) return peer;
  }
  const path = "/lib/systemd/systemd";
  return existsSync(path) ? { available: true, path } : { available: false, reason: `there is no ${path}` };
}

/** Why no namespace can be had here; undefined where one can. That is the machine's business, not a package that lacks. */
export function namespaceFault(): string | undefined {
  if (process.getuid?.() !== 0) return "a systemd of the test's own needs root, for its namespaces";
  try {
    execFileSync("unshare", [...namespaces, "sh", "-c", "mount -t cgroup2 none /sys/fs/cgroup"], { stdio: "pipe" });
    return undefined;
  } catch (error) {
    return `this machine gives no namespaces: ${error}`;
  }
}

const namespaces = ["--mount", "--pid", "--cgroup", "--fork", "--kill-child", "--mount-proc"] as const;

export interface UserManager {
  readonly dir: string;
  readonly env: Readonly<Record<string, string>>;
  /** Runs a program as the manager's user, in its namespaces. Never throws. */
  run(program: string, args: readonly string[], env?: Readonly<Record<string, string>>): Promise<Ran>;
  systemctl(...args: readonly string[]): Promise<Ran>;
  [Symbol.asyncDispose](): Promise<void>;
}

/** @throws Error with the manager's own words where it does not come up */
export async function startUserManager(systemd: string): Promise<UserManager> {
  const dir = mkdtempSync(join(tmpdir(), "gf-sd-"));
  const cgroup = `/sys/fs/cgroup/${dir.slice(dir.lastIndexOf("/") + 1)}`;
  const runtime = join(dir, "xdg");
  const home = join(dir, "home");
  for (const own of [runtime, home]) {
    mkdirSync(own, { mode: 0o700 });
    chownSync(own, uid, uid);
  }
  chmodSync(dir, 0o755);
  const env = { HOME: home, XDG_RUNTIME_DIR: runtime, PATH: "/usr/local/bin:/usr/bin:/bin", LANG: "C.UTF-8", USER: "nobody" };
  const log = join(dir, "manager.log");
  const script = `set -e
mount -t tmpfs tmpfs /run
mkdir -p /run/systemd/system
mount -t cgroup2 none /sys/fs/cgroup
mkdir ${cgroup}
echo $$ > ${cgroup}/cgroup.procs
chown -R ${uid} ${cgroup}
setpriv --reuid=${uid} --regid=${uid} --clear-groups ${systemd} --user --unit=basic.target > ${log} 2>&1 < /dev/null &
wait`;
  writeFileSync(log, "");
  const manager = spawn("unshare", [...namespaces, "sh", "-c", script], {
    env: { ...env, SYSTEMD_LOG_TARGET: "console" },
    stdio: ["ignore", "inherit", "inherit"],
  });
  const ended = once(manager, "exit");
  await appeared(runtime, "systemd");
  await appeared(join(runtime, "systemd"), "private");
  // unshare's only child is the first process of the namespaces.
  const first = execFileSync("ps", ["-o", "pid=", "--ppid", String(manager.pid)], { encoding: "utf8" }).trim();
  const inside = ["-t", first, "-m", "-p", "-C", "setpriv", `--reuid=${uid}`, `--regid=${uid}`, "--clear-groups"];
  const inNamespaces: UserManager["run"] = async (program, args, more = {}) => {
    try {
      const { stdout, stderr } = await run("nsenter", [...inside, program, ...args], {
        env: { ...env, ...more },
        cwd: "/",
        timeout: 60_000,
      });
      return { exitCode: 0, stdout, stderr };
    } catch (error) {
      const { code, stdout, stderr } = error as { code: unknown; stdout: string; stderr: string };
      if (typeof code !== "number") throw error;
      return { exitCode: code, stdout, stderr };
    }
  };
  return {
    dir,
    env,
    run: inNamespaces,
    systemctl: (...args) => inNamespaces("systemctl", ["--user", ...args]),
    [Symbol.asyncDispose]: async () => {
      // The namespaces' first process takes the others with it.
      manager.kill("SIGKILL");
      await ended;
      const clean = `mount -t cgroup2 none /sys/fs/cgroup; for try in 1 2 3 4 5; do find ${cgroup} -depth -type d -exec rmdir {} + 2>/dev/null && exit; sleep 0.1; done`;
      await run("unshare", [...namespaces, "sh", "-c", clean]).catch(() => {});
      rmSync(dir, { recursive: true, force: true });
    },
  };
}

/** Resolves once a file is there. */
async function appeared(directory: string, name: string): Promise<void> {
  const watcher = watch(directory, { signal: AbortSignal.timeout(10_000) });
  try {
    while (!existsSync(join(directory, name))) await once(watcher, "change");
  } finally {
    watcher.close();
  }
}
