/** flywheel's daemon and commands on a machine with a real Nix, run by its unprivileged user. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { chownSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { execa } from "execa";
import type { StatusReport } from "../../../contract/api.ts";
import { type PublishedResult, parsePublished } from "../../../contract/published.ts";
import { built } from "../../fixtures/stage.ts";
import { client, type NixMachine, type Ran } from "./machine.ts";

const root = join(import.meta.dirname, "../../..");
const node = [process.execPath, "--disable-warning=ExperimentalWarning"] as const;

export interface Companion {
  flywheel(args: readonly string[], env?: Readonly<Record<string, string>>): Promise<Ran>;
  /** Runs one of Nix's programs through the built shim, guarded everywhere. */
  shim(name: string, args: readonly string[], env?: Readonly<Record<string, string>>): Promise<Ran>;
  /** The first status that fits, as the daemon pushes them. */
  until(what: string, fits: (status: StatusReport) => boolean): Promise<StatusReport>;
  /** The default profile's file becomes this; `up` has the daemon read it. */
  profile(text: string): void;
  /** `flywheel up`: everything is looked for and proved again. */
  up(): Promise<StatusReport>;
  /** SIGKILL: what it published stays, as long as its lease runs. */
  kill(): Promise<void>;
  /** What stands in the published file. */
  published(): PublishedResult;
  [Symbol.asyncDispose](): Promise<void>;
}

/** @param options the cache that config.toml names, and the key that the profile does */
export async function startCompanion(machine: NixMachine, options: { readonly cache: string; readonly key?: string }): Promise<Companion> {
  const at = (name: string): string => join(machine.home, name);
  for (const directory of ["config", "config/profiles"]) mkdirSync(at(directory), { mode: 0o700 });
  const write = (file: string, text: string): void => writeFileSync(at(file), text);
  write("config/config.toml", `[local_proof]\nmode = "port-forward"\nallow_localhost = true\n[endpoints]\nnix = ["${options.cache}"]\n`);
  const key = options.key === undefined ? "" : `public_key = "${options.key}"\n`;
  write("config/profiles/default.toml", `[tailnet]\nname = "stand-in.example"\n[nix]\n${key}`);
  for (const made of ["config", "config/profiles", "config/config.toml", "config/profiles/default.toml"])
    chownSync(at(made), client.uid, client.gid);
  const env = {
    ...machine.env,
    HOME: machine.home,
    USER: "nobody",
    LANG: "C.UTF-8",
    PATH: "/usr/bin:/bin",
    GF_CONFIG_DIR: at("config"),
    GF_STATE_DIR: at("state"),
    GF_RUNTIME_DIR: at("run"),
    GF_TAILSCALED_SOCKET: at("no-tailscaled"),
  };
  const [program, ...flags] = node;
  const as = { ...client, cwd: machine.home, env } as const;
  const daemon = spawn(program, [...flags, join(root, "daemon/main.ts"), "run"], { ...as, stdio: ["ignore", "pipe", "inherit"] });
  const [started] = await once(createInterface({ input: daemon.stdout }), "line");
  if (!String(started).includes('"started"')) throw new Error(String(started));
  const flywheel: Companion["flywheel"] = async (args, more = {}) => {
    const run = await execa(program, [...flags, join(root, "cli/main.ts"), ...args], {
      ...as,
      env: { ...env, ...more },
      extendEnv: false,
      stdin: "ignore",
      reject: false,
      timeout: 30_000,
    });
    if (run.exitCode === undefined) throw new Error(`flywheel ${args.join(" ")} did not exit by itself: ${run.shortMessage}`);
    return { exitCode: run.exitCode, stdout: run.stdout, stderr: run.stderr };
  };
  return {
    flywheel,
    shim: async (name, args, more = {}) => {
      const run = await execa(built.shimOf(name), args, {
        ...as,
        env: {
          ...env,
          PATH: `${built.shim}:${env.PATH}`,
          GF_GUARD_SCOPE: "all",
          NIX_CONFIG: "substitute = true\nexperimental-features = nix-command",
          ...more,
        },
        extendEnv: false,
        stdin: "ignore",
        reject: false,
        timeout: 60_000,
      });
      if (run.exitCode === undefined) throw new Error(`${name} ${args.join(" ")} did not exit by itself: ${run.shortMessage}`);
      return { exitCode: run.exitCode, stdout: run.stdout, stderr: run.stderr };
    },
    profile: (text) => write("config/profiles/default.toml", `[tailnet]\nname = "stand-in.example"\n${text}`),
    up: async () => {
      const run = await flywheel(["up", "--json"]);
      return JSON.parse(run.stdout) as StatusReport;
    },
    until: async (what, fits) => {
      const watcher = spawn(program, [...flags, join(import.meta.dirname, "watch.ts")], { ...as, stdio: ["pipe", "pipe", "inherit"] });
      const timer = setTimeout(() => watcher.kill(), 20_000);
      let last = "";
      try {
        for await (const line of createInterface({ input: watcher.stdout })) {
          last = line;
          const status = JSON.parse(line) as StatusReport;
          if (fits(status)) return status;
        }
      } finally {
        clearTimeout(timer);
        watcher.kill();
      }
      throw new Error(`the status did not come to: ${what}; it is ${last}`);
    },
    kill: async () => {
      daemon.kill("SIGKILL");
      await once(daemon, "exit");
    },
    published: () => parsePublished(readFileSync(at("run/attachment/default/nix"), "utf8")),
    [Symbol.asyncDispose]: async () => {
      if (daemon.exitCode !== null || daemon.signalCode !== null) return;
      daemon.kill("SIGTERM");
      await once(daemon, "exit");
    },
  };
}
