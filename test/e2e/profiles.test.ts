/**
 * Two organisations on one machine: the fleet's shape, and a made-up laboratory on GitLab with a cluster of its own,
 * with other tags, ports, instance, Nix cache and key. One daemon keeps both attached, each workspace gets its own
 * cache, and neither ever sees the other's.
 */
import { appendFileSync, mkdirSync, mkdtempSync, readFileSync, symlinkSync, utimesSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { execa } from "execa";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { StatusReport } from "../../contract/api.ts";
import { npmBazel } from "../fixtures/bazel/real.ts";
import { type BazelRun, removeBazelRoot, runBazel } from "../fixtures/bazel/run.ts";
import { makeWorkspace, type Workspace } from "../fixtures/bazel/workspace.ts";
import { isWrite } from "../fixtures/caches/journal.ts";
import { type RunningCache, startCache } from "../fixtures/caches/start.ts";
import { nginx } from "../fixtures/nginx/nginx.ts";
import { type NixCache, startNixCache } from "../fixtures/nix/cache.ts";
import { makeNixMachine, type NixMachine } from "../fixtures/nix/machine.ts";
import { peersRequired, programOnPath } from "../fixtures/peers.ts";
import { built, makeStage, type Stage } from "../fixtures/stage.ts";

const bazel = npmBazel();
const [nix, nginxPeer] = [programOnPath("nix"), nginx()];
const missing = [bazel, nix, nginxPeer].flatMap((peer) => (peer.available ? [] : [peer.reason]));
if (missing.length > 0 && peersRequired()) throw new Error(missing.join("; "));
const needs = missing.length === 0 ? { timeout: 180_000 } : { skip: true };
const targets = 3;

describe("the fleet's and the laboratory's", () => {
  let root: string;
  let fleetCache: RunningCache;
  let labCache: RunningCache;
  let machine: NixMachine;
  let labNix: NixCache;
  let stage: Stage;
  let fleet: Workspace;
  let lab: Workspace;

  beforeAll(async () => {
    if (!bazel.available || !nginxPeer.available || !nix.available) return;
    root = mkdtempSync(join(tmpdir(), "gf-two-"));
    const tools = join(root, "tools");
    mkdirSync(tools);
    symlinkSync(bazel.path, join(tools, "bazel"));
    [fleetCache, labCache] = await Promise.all([startCache({ kind: "grpc" }), startCache({ kind: "http", host: "127.0.0.2" })]);
    machine = await makeNixMachine();
    labNix = await startNixCache(nginxPeer.path, {
      storeDir: machine.env["NIX_STORE_DIR"] ?? "",
      keyName: "physics",
      name: "physics",
    });
    stage = await makeStage([tools], {
      grpcPorts: [fleetCache.port],
      httpPorts: [],
      upload: true,
      tailnet: {
        nodes: [
          { name: "cache-1", addresses: ["127.0.0.1"], tags: ["tag:bazel-cache"] },
          { name: "beamline", addresses: ["127.0.0.2"], tags: ["tag:lab-build-cache"] },
        ],
      },
    });
    const config = join(stage.dir, "config");
    writeFileSync(
      join(config, "profiles/lab.toml"),
      `${readFileSync(join(config, "profiles/default.toml"), "utf8").split("[bazel]")[0]}
[bazel]
service = "svc:lab-builds"
tag = "tag:lab-build-cache"
grpc_ports = []
http_ports = [${labCache.port}]
upload = true

[nix]
tag = "tag:lab-store"
https_ports = []
http_ports = [8501]
cache = "physics"
public_key = "${labNix.publicKey}"

[endpoints]
nix = ["${labNix.url}"]

[cluster]
bazel = ["grpc://builds.ci.svc.lab.example:9192"]
`,
    );
    appendFileSync(
      join(config, "config.toml"),
      `\n[[repositories]]\nforge_scope = "gitlab.lab.example/physics"\nprofile = "lab"\n\n[[repositories]]\npath = "${join(root, "thesis")}"\nprofile = "lab"\n`,
    );
    fleet = makeWorkspace(join(root, "fleet"), { targets, manifest: { enrollment: { forgeScope: "github.example/fleet" } } });
    lab = makeWorkspace(join(root, "lab"), { targets, manifest: { enrollment: { forgeScope: "gitlab.lab.example/physics" } } });
    // A verdict is left only for what has not just changed.
    const old = new Date(Date.now() - 60_000);
    for (const file of [join(fleet.dir, "tinyland.repo.json"), join(lab.dir, "tinyland.repo.json"), join(config, "config.toml")]) {
      utimesSync(file, old, old);
    }
    // The daemon is told where this Nix lives by whoever starts it.
    const up = await stage.flywheel(["up"], { cwd: fleet.dir, env: placesOf(machine) });
    expect(up.exitCode, up.stdout + up.stderr).toBe(0);
  });
  afterAll(async () => {
    if (missing.length > 0) return;
    await stage?.dispose();
    await Promise.all([fleetCache?.dispose(), labCache?.dispose(), labNix?.dispose()]);
    await machine?.remove();
    await removeBazelRoot(root);
  });

  const enrolled = { GF_GUARD_SCOPE: "enrolled" };
  const status = async (cwd: string, env: Readonly<Record<string, string>> = {}): Promise<StatusReport> =>
    JSON.parse((await stage.flywheel(["status", "--json"], { cwd, env })).stdout);
  const build = async (workspace: Workspace, outputBase: string): Promise<BazelRun> => {
    const run = await runBazel({
      bazel: join(built.shim, "bazel"),
      workspace,
      outputUserRoot: root,
      outputBase,
      args: ["build", "//:all"],
      env: { ...stage.env, ...enrolled },
    });
    expect(run.exitCode, run.stderr).toBe(0);
    return run;
  };
  const writes = (cache: RunningCache): number => cache.requests().filter(isWrite).length;

  test("both are attached at the same time, by one daemon, each by its own repository", needs, async () => {
    const up = await stage.flywheel(["up"], { cwd: lab.dir });
    expect(up.stdout).toContain("profile lab: [[repositories]] of config.toml, by forge_scope gitlab.lab.example/physics");
    const [ours, theirs] = await Promise.all([status(fleet.dir), status(lab.dir)]);
    expect(ours).toMatchObject({ profile: "default", bazel: { state: "attached", endpoint: fleetCache.url } });
    expect(theirs).toMatchObject({ profile: "lab", bazel: { state: "attached", endpoint: labCache.url } });
    expect(theirs.daemon?.pid).toBe(ours.daemon?.pid);
    for (const [report, other] of [
      [ours, labCache],
      [theirs, fleetCache],
    ] as const) {
      expect(report.candidates.filter(({ endpoint }) => endpoint.includes(`:${other.port}`))).toEqual([]);
    }
    expect((await status(lab.dir, { GF_PROFILE: "default" })).bazel.endpoint).toBe(fleetCache.url);
    const asked = await stage.flywheel(["--profile", "default", "status", "--json"], { cwd: lab.dir });
    expect(JSON.parse(asked.stdout).bazel.endpoint).toBe(fleetCache.url);
  });

  test("each workspace's builds fill and hit its own cache, and never the other's", needs, async () => {
    const before = [writes(fleetCache), writes(labCache)];
    expect((await build(fleet, "fleet-1")).processes).toEqual({ hits: 0, total: targets });
    expect(writes(fleetCache)).toBeGreaterThan(before[0] ?? 0);
    expect(writes(labCache)).toBe(before[1]);
    const filled = writes(fleetCache);
    expect((await build(lab, "lab-1")).processes).toEqual({ hits: 0, total: targets });
    expect(writes(labCache)).toBeGreaterThan(before[1] ?? 0);
    expect(writes(fleetCache)).toBe(filled);
    // By now both have their verdicts: what follows is the fast path's.
    expect(readFileSync(join(stage.dir, `state/workspace${lab.dir}/.verdict`), "utf8")).toBe(
      `enrolled manifest+config profile=lab\n${lab.dir}\n`,
    );
    const all = { hits: targets, total: targets };
    expect((await build(lab, "lab-2")).processes).toEqual(all);
    expect((await build(fleet, "fleet-2")).processes).toEqual(all);
    // The very same actions under the other's profile: nothing of them is known there.
    const copied = makeWorkspace(join(root, "thesis"), { targets, seed: fleet.seed, manifest: { enrollment: {} } });
    expect((await build(copied, "thesis")).processes).toEqual({ hits: 0, total: targets });
  });

  test("the laboratory's Nix cache is attached for its workspace alone, with its own key", needs, async () => {
    const [ours, theirs] = await Promise.all([status(fleet.dir), status(lab.dir)]);
    expect(ours.nix).toMatchObject({ state: "unattached", publicKey: null });
    expect(theirs.nix).toMatchObject({ state: "attached", endpoint: labNix.url, publicKey: labNix.publicKey, trusted: true });
    const expression = machine.derivation("spectrum");
    const path = await machine.publish(expression, labNix);
    const nixBuild = async (workspace: Workspace) =>
      await execa(built.shimOf("nix"), ["build", "--no-link", "--expr", expression], {
        cwd: workspace.dir,
        env: { ...stage.env, ...machine.env, ...enrolled },
        extendEnv: false,
        stdin: "ignore",
        reject: false,
      });
    const refused = await nixBuild(fleet);
    expect([refused.exitCode, refused.stderr]).toEqual([78, expect.stringMatching(/^flywheel: refused nix build: no shared Nix cache/)]);
    const substituted = await nixBuild(lab);
    expect(substituted.exitCode, substituted.stderr).toBe(0);
    const infos = JSON.parse(await machine.must("nix", ["path-info", "--json", path])) as { signatures?: string[] }[];
    expect(infos[0]?.signatures).toEqual([expect.stringMatching(/^physics:/)]);
  });

  test("explain tells the same, and --profile overrules the rule", needs, async () => {
    const explained = await stage.flywheel(["explain", "--json", "--", "bazel", "build", "//:all"], { cwd: lab.dir, env: enrolled });
    expect(JSON.parse(explained.stdout).decision.cache.endpoint.url).toBe(labCache.url);
    const forced = await stage.flywheel(["--profile", "default", "explain", "--json", "--", "bazel", "build", "//:all"], {
      cwd: lab.dir,
      env: enrolled,
    });
    expect(JSON.parse(forced.stdout).decision.cache.endpoint.url).toBe(fleetCache.url);
  });

  test("env, doctor and exec are the repository's too", needs, async () => {
    const env = JSON.parse((await stage.flywheel(["env", "--json"], { cwd: lab.dir })).stdout);
    expect(env).toMatchObject({ profile: "lab", set: { BAZEL_REMOTE_CACHE: labCache.url } });
    const hooked = await stage.flywheel(["env", "--shell", "bash", "--devshell", "follow"], { cwd: lab.dir });
    expect(hooked.stdout.split("\n").at(-1)).toBe("_flywheel_profile=lab");
    expect(hooked.stdout).toContain(`export BAZEL_REMOTE_CACHE='${labCache.url}'`);
    const doctor = JSON.parse((await stage.flywheel(["doctor", "--json"], { cwd: lab.dir })).stdout);
    expect(doctor.profile).toBe("lab");
    expect(doctor.checks.find((check: { id: string }) => check.id === "profile")?.reason).toContain(
      "forge_scope gitlab.lab.example/physics",
    );
    const before = writes(fleetCache);
    const run = await runBazel({
      bazel: built.flywheel,
      prefix: ["--profile", "default", "exec", "--", "bazel"],
      workspace: lab,
      outputUserRoot: root,
      outputBase: "forced",
      args: ["build", "//:all"],
      env: stage.env,
    });
    expect(run.processes, run.stderr).toEqual({ hits: 0, total: targets });
    expect(writes(fleetCache)).toBeGreaterThan(before);
  });

  test("a rule that names a profile nobody wrote is said, and keeps no other from its cache", needs, async () => {
    appendFileSync(join(stage.dir, "config/config.toml"), '\n[[repositories]]\npath = "/nowhere"\nprofile = "gone"\n');
    const up = await stage.flywheel(["up"], { cwd: fleet.dir });
    expect(up.exitCode).toBe(0);
    expect(up.stdout).toContain("[[repositories]] of config.toml: there is no profile named gone");
    const doctor = await stage.flywheel(["doctor", "--json"], { cwd: fleet.dir });
    expect(doctor.stdout).toContain("maps repositories to profile gone, which cannot be read");
  });
});

/** Where a machine's Nix lives; not how its store is opened, which is the user's. */
function placesOf({ env }: NixMachine): Readonly<Record<string, string>> {
  return Object.fromEntries(Object.entries(env).filter(([name]) => /^NIX_(?:STORE|STATE|CONF)_DIR$/.test(name)));
}
