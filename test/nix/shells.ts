/** A machine with a flake of somebody's own that uses the reusable shell: what the tests of shells and direnv enter. */
import { chmodSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { execa } from "execa";
import { ownSystem } from "../../nix/update-hashes.ts";
import { type RunningCache, startCache } from "../fixtures/caches/start.ts";
import { buildFlake, makeNixHouse, type NixHouse, nixProgram } from "../fixtures/nix-flake/nix.ts";
import { makeStage, type Stage } from "../fixtures/stage.ts";
import { type RecordingTool, recordingTool } from "../fixtures/tools/recording.ts";

export interface Shells {
  readonly house: NixHouse;
  readonly stage: Stage;
  readonly cache: RunningCache;
  /** The package in the house's store. */
  readonly built: string;
  readonly shim: string;
  /** The flake: devShells `default`, and `plain`, which is the same without the companion. */
  readonly consumer: string;
  readonly tool: RecordingTool;
  /** A user's environment before entering: no shim, no attachment. */
  readonly env: Readonly<Record<string, string>>;
  /** Ends and removes all of it; waits for the daemon to be gone. */
  dispose(): Promise<void>;
}

/** The tailnet has the cache. */
export const withCache = { nodes: [{ name: "cache", addresses: ["127.0.0.1"], tags: ["tag:bazel-cache"] }] };

export async function makeShells(): Promise<Shells> {
  await using made = new AsyncDisposableStack();
  const house = made.use(await makeNixHouse(nixProgram()));
  const built = await buildFlake(house, "default");
  const cache = made.use(await startCache({ kind: "grpc" }));
  const stage = made.use(await makeStage([], { grpcPorts: [cache.port], httpPorts: [], tailnet: withCache }));
  const tool = recordingTool(join(house.dir, "tools"));
  const consumer = join(house.dir, "consumer");
  mkdirSync(consumer);
  writeFileSync(
    join(consumer, "flake.nix"),
    `{
  inputs.nixpkgs.url = "path:${house.dir}/nixpkgs";
  inputs.flywheel.url = "path:${house.flake}";
  inputs.flywheel.inputs.nixpkgs.follows = "nixpkgs";
  outputs = { nixpkgs, flywheel, ... }: {
    devShells.${ownSystem()} = let pkgs = nixpkgs.legacyPackages.${ownSystem()}; in {
      default = flywheel.lib.mkFlywheelShell { inherit pkgs; shellHook = "export OWN_HOOK=ran PATH=/opt/own:$PATH"; };
      plain = pkgs.mkShell { shellHook = "export OWN_HOOK=ran PATH=/opt/own:$PATH"; };
    };
  };
}
`,
  );
  const { GF_GUARD_SCOPE: _scope, PATH: _path, HOME: _home, ...machine } = stage.env;
  const env = { ...machine, ...house.env, PATH: `${tool.directory}:${house.env["PATH"]}` };
  const all = made.move();
  return {
    house,
    stage,
    cache,
    built,
    shim: join(built, "lib/gloriousflywheel/shim"),
    consumer,
    tool,
    env,
    dispose: () => all.disposeAsync(),
  };
}

export interface Entered {
  readonly exitCode: number;
  readonly stderr: string;
  /** The environment of a child of the entered shell. */
  readonly env: Readonly<Record<string, string>>;
  readonly tookMs: number;
}

/** What `env -0` printed. */
export function environmentOf(text: string): Readonly<Record<string, string>> {
  return Object.fromEntries(
    text
      .split("\0")
      .filter((entry) => entry.includes("="))
      .map((entry) => [entry.slice(0, entry.indexOf("=")), entry.slice(entry.indexOf("=") + 1)]),
  );
}

/** `nix develop`, and the environment of what runs in it. */
export async function enter(
  shells: Shells,
  options: { shell?: "default" | "plain"; env?: Readonly<Record<string, string>> } = {},
): Promise<Entered> {
  const started = performance.now();
  const args = ["develop", `path:${shells.consumer}#${options.shell ?? "default"}`, "--command", "env", "-0"];
  const result = await execa("nix", args, {
    cwd: shells.consumer,
    env: { ...shells.env, ...options.env },
    extendEnv: false,
    stdin: "ignore",
    reject: false,
    timeout: 120_000,
  });
  if (result.exitCode === undefined) throw new Error(`nix develop did not exit by itself: ${result.shortMessage}`);
  return { exitCode: result.exitCode, stderr: result.stderr, env: environmentOf(result.stdout), tookMs: performance.now() - started };
}

/** The lines that are the companion's. */
export function said(stderr: string): readonly string[] {
  return stderr.split("\n").filter((line) => line.startsWith("flywheel: "));
}

/** A program that answers to a name and does nothing else. */
export function program(file: string, text: string): void {
  writeFileSync(file, text);
  chmodSync(file, 0o755);
}
