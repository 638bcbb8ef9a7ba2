/** A user's directories of a test's own, and the daemon in them. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { StartResult, StatusReport } from "../../contract/api.ts";
import type { Paths } from "../../contract/paths.ts";
import { ensureDaemon } from "../../daemon/api/client/autostart.ts";
import { DaemonClient } from "../../daemon/api/client/connection.ts";

export const entry = join(import.meta.dirname, "../../daemon/main.ts");
export const nodeFlags = ["--disable-warning=ExperimentalWarning"] as const;

export interface Home {
  readonly dir: string;
  readonly paths: Paths;
  readonly client: DaemonClient;
  /** Writes a file of the configuration directory. */
  configure(file: string, text: string): void;
  start(): Promise<StartResult>;
  /** Starts it, expects that, and gives its pid. */
  started(): Promise<number>;
  /** The first status that fits, from the watch stream. */
  until(fits: (status: StatusReport) => boolean, profile?: string): Promise<StatusReport>;
  [Symbol.asyncDispose](): Promise<void>;
}

/** The stand-in's tailnet is trusted, loopback is allowed as local proof, and nothing outside this machine is named. */
export const standInConfig = (socket: string): string =>
  `[tailnet]\nsocket = "${socket}"\n[local_proof]\nmode = "port-forward"\nallow_localhost = true\n`;

export function makeHome(): Home {
  const dir = mkdtempSync(join(tmpdir(), "gf-home-"));
  const paths: Paths = { config: join(dir, "config"), state: join(dir, "state"), runtime: join(dir, "run") };
  const client = new DaemonClient(paths);
  const configure = (file: string, text: string): void => {
    mkdirSync(join(paths.config, "profiles"), { recursive: true });
    writeFileSync(join(paths.config, file), text);
  };
  const pids = new Set<number>();
  const start = async (): Promise<StartResult> => {
    const result = await ensureDaemon(paths, { entry });
    if (result.result === "started") pids.add(result.pid);
    return result;
  };
  // Of the test's own tailnet only: the built-in profile would ask the fleet's public cache.
  configure("profiles/default.toml", '[tailnet]\nname = "stand-in.example"\n');
  configure("config.toml", standInConfig(join(dir, "tailscaled.sock")));
  return {
    dir,
    paths,
    client,
    configure,
    start,
    started: async () => {
      const result = await start();
      if (result.result !== "started") throw new Error(JSON.stringify(result));
      return result.pid;
    },
    until: async (fits, profile = "default") => {
      for await (const status of client.watch(profile, AbortSignal.timeout(15_000))) if (fits(status)) return status;
      throw new Error("no such status came");
    },
    [Symbol.asyncDispose]: async () => {
      for (const pid of pids) {
        if (!alive(pid)) continue;
        process.kill(pid, "SIGCONT");
        process.kill(pid, "SIGKILL");
      }
      rmSync(dir, { recursive: true, force: true });
    },
  };
}

export function alive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

/** Resolves once a process that is nobody's child here is gone: `tail --pid` watches it. */
export async function gone(pid: number): Promise<void> {
  await once(spawn("tail", ["-f", "/dev/null", `--pid=${pid}`, "-s", "0.05"], { stdio: "ignore" }), "exit");
}
