/** From a cache to a build and back: the real daemon finds and proves a Nix cache, the real shim hands it to a real Nix, and takes it back when it is gone. */
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { execa } from "execa";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { StatusReport } from "../../contract/api.ts";
import { daemonOf } from "../fixtures/guarded.ts";
import { nginx } from "../fixtures/nginx/nginx.ts";
import { type NixCache, startNixCache } from "../fixtures/nix/cache.ts";
import { makeNixMachine, type NixMachine, type NixRun } from "../fixtures/nix/machine.ts";
import { peersRequired, programOnPath } from "../fixtures/peers.ts";
import { built, makeStage, type Stage } from "../fixtures/stage.ts";

const [nix, nginxPeer] = [programOnPath("nix"), nginx()];
const missing = [nix, nginxPeer].flatMap((peer) => (peer.available ? [] : [peer.reason]));
if (missing.length > 0 && peersRequired()) throw new Error(missing.join("; "));

describe.skipIf(missing.length > 0)("a cache that the daemon found", { timeout: 60_000 }, () => {
  let machine: NixMachine;
  let cache: NixCache;
  let stage: Stage;

  beforeAll(async () => {
    machine = await makeNixMachine();
    cache = await startNixCache(nginxPeer.available ? nginxPeer.path : "", { storeDir: machine.env["NIX_STORE_DIR"] ?? "" });
    stage = await makeStage([], { grpcPorts: [], httpPorts: [], tailnet: { nodes: [] } });
    const config = stage.env["GF_CONFIG_DIR"] ?? "";
    writeFileSync(join(config, "config.toml"), `[local_proof]\nmode = "port-forward"\nallow_localhost = true\nnix = ["${cache.url}"]\n`);
    writeFileSync(join(config, "profiles/default.toml"), `[nix]\npublic_key = "${cache.publicKey}"\n`);
    mkdirSync(join(stage.env["GF_RUNTIME_DIR"] ?? "", "attachment/default"), { recursive: true, mode: 0o700 });
  }, 60_000);
  afterAll(async () => {
    await stage.dispose();
    await cache.dispose();
    await machine.remove();
  });

  async function shim(name: string, args: readonly string[]): Promise<NixRun> {
    const result = await execa(built.shimOf(name), args, {
      cwd: machine.dir,
      env: { ...stage.env, ...machine.env },
      extendEnv: false,
      stdin: "ignore",
      reject: false,
      timeout: 50_000,
    });
    if (result.exitCode === undefined) throw new Error(`${name} ${args.join(" ")} did not exit by itself: ${result.shortMessage}`);
    return { exitCode: result.exitCode, stdout: result.stdout, stderr: result.stderr };
  }

  async function status(): Promise<StatusReport> {
    return JSON.parse((await stage.flywheel(["status", "--json"], { env: machine.env })).stdout) as StatusReport;
  }

  test("an entry starts the daemon, waits for the cache, and enters with it", async () => {
    const input = machine.derivation("input");
    const path = await machine.publish(input, cache);
    const shell = `derivation { name = "dev"; system = "${machine.system}"; builder = "/bin/bash"; outputs = [ "out" ]; args = [ "-c" "exit 1" ]; input = ${input}; }`;
    const run = await shim("nix", ["develop", "--expr", shell, "-c", "sh", "-c", "cat $input; env"]);
    expect(run.exitCode, run.stderr).toBe(0);
    expect(run.stderr).not.toMatch(/flywheel/);
    expect(run.stdout.split("\n")[0]).toBe("input");
    expect(run.stdout).not.toContain(cache.url);
    const infos = JSON.parse(await machine.must("nix", ["path-info", "--json", path])) as { signatures?: string[] }[];
    expect(infos[0]?.signatures).toEqual([expect.stringMatching(/^test-cache:/)]);
    expect((await status()).nix).toMatchObject({ state: "attached", endpoint: cache.url, trusted: true, publicKey: cache.publicKey });
  });

  test("a cache that goes is taken back, and one that returns is there again", async () => {
    const expression = machine.derivation("returning");
    const path = await machine.publish(expression, cache);
    const args = ["build", "--no-link", "--expr", expression];
    await cache.stop();
    expect((await daemonOf(stage).verify("default")).nix.state).toBe("unattached");
    const gone = await shim("nix", args);
    expect(gone.exitCode, gone.stderr).toBe(78);
    expect(gone.stdout).toBe("");
    expect(gone.stderr).toMatch(/^flywheel: refused nix build: no shared Nix cache is attached: /);
    expect(gone.stderr).toMatch(/tried: .*connect/);
    await cache.restart();
    const back = await shim("nix", args);
    expect(back.exitCode, back.stderr).toBe(0);
    const infos = JSON.parse(await machine.must("nix", ["path-info", "--json", path])) as { signatures?: string[] }[];
    expect(infos[0]?.signatures).toHaveLength(1);
  });
});
