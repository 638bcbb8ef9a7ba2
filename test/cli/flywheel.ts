/** The command line as a process, from its sources, in a home of its own. */
import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { execa } from "execa";

const root = join(import.meta.dirname, "../..");

export interface Ran {
  readonly exitCode: number;
  readonly stdout: string;
  readonly stderr: string;
}

export interface Home {
  readonly dir: string;
  readonly config: string;
  readonly state: string;
  readonly runtime: string;
  readonly env: Readonly<Record<string, string>>;
  /** Runs `flywheel` with this home, and nothing else of the test's own environment. */
  flywheel(args: readonly string[], more?: { env?: Readonly<Record<string, string>>; cwd?: string; input?: string }): Promise<Ran>;
  write(path: string, content: string | Buffer, mode?: number): string;
  remove(): void;
}

export function makeHome(): Home {
  const dir = mkdtempSync(join(tmpdir(), "gf-cli-"));
  const env = {
    HOME: dir,
    PATH: "/usr/local/bin:/usr/bin:/bin",
    LANG: "C.UTF-8",
    SHELL: "/bin/bash",
    GF_CONFIG_DIR: join(dir, "config"),
    GF_STATE_DIR: join(dir, "state"),
    GF_RUNTIME_DIR: join(dir, "run"),
    GF_TAILSCALED_SOCKET: join(dir, "no-tailscaled"),
  };
  return {
    dir,
    config: env.GF_CONFIG_DIR,
    state: env.GF_STATE_DIR,
    runtime: env.GF_RUNTIME_DIR,
    env,
    flywheel: async (args, more = {}) => {
      const result = await execa(process.execPath, [join(root, "cli/main.ts"), ...args], {
        cwd: more.cwd ?? dir,
        env: { ...env, ...more.env },
        extendEnv: false,
        reject: false,
        stripFinalNewline: false,
        input: more.input ?? "",
        timeout: 30_000,
      });
      if (result.exitCode === undefined) throw new Error(`flywheel ${args.join(" ")} did not exit by itself: ${result.shortMessage}`);
      return { exitCode: result.exitCode, stdout: result.stdout, stderr: result.stderr };
    },
    write: (path, content, mode) => {
      const file = join(dir, path);
      mkdirSync(join(file, ".."), { recursive: true, mode: 0o700 });
      writeFileSync(file, content);
      if (mode !== undefined) chmodSync(file, mode);
      return file;
    },
    remove: () => rmSync(dir, { recursive: true, force: true }),
  };
}
