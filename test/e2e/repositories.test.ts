/**
 * External repositories, proved by effect: with the origin gone and nothing in the output base, a build lives on the
 * profile's repository cache, its distdir, or a mirror that its downloader config names; and asking for them discards nothing.
 */
import { createHash } from "node:crypto";
import { once } from "node:events";
import { copyFileSync, mkdirSync, mkdtempSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { createServer, type Server } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { realBazels } from "../fixtures/bazel/real.ts";
import { type BazelRun, removeBazelRoot, runBazel } from "../fixtures/bazel/run.ts";
import { type RunningCache, startCache } from "../fixtures/caches/start.ts";
import { built, makeStage, type Stage } from "../fixtures/stage.ts";

const content = "what a fetch brings\n";
const sha256 = createHash("sha256").update(content).digest("hex");

interface Origin {
  readonly port: number;
  /** How many downloads it served. */
  served(): number;
  stop(): Promise<void>;
}

async function startOrigin(): Promise<Origin> {
  let served = 0;
  const server: Server = createServer((request, response) => {
    if (request.url?.endsWith("/thing.txt") === true) served += 1;
    response.end(content);
  }).listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("no TCP address");
  return {
    port: address.port,
    served: () => served,
    stop: async () => {
      server.closeAllConnections();
      server.close();
      await once(server, "close");
    },
  };
}

/** One target that needs one download, and an rc that takes away what Bazel would remember of it by itself. */
function fetchingWorkspace(dir: string, url: string): string {
  mkdirSync(dir, { recursive: true });
  const rule = `http_file(name = "thing", urls = ["${url}"], sha256 = "${sha256}", downloaded_file_path = "thing.txt")`;
  writeFileSync(
    join(dir, "WORKSPACE"),
    `workspace(name = "fetching")\nload("@bazel_tools//tools/build_defs/repo:http.bzl", "http_file")\n${rule}\n`,
  );
  writeFileSync(join(dir, "BUILD.bazel"), 'genrule(name = "t", srcs = ["@thing//file"], outs = ["t.txt"], cmd = "cat $< > $@")\n');
  writeFileSync(join(dir, ".bazelrc"), "build --repository_cache=\n");
  return dir;
}

describe.for(realBazels())("Bazel $version", (bazel) => {
  const needs = bazel.available ? { timeout: 240_000 } : { skip: true };
  let root: string;
  let cache: RunningCache;
  let stage: Stage;
  let origin: Origin;
  let work: string;

  beforeAll(async () => {
    if (!bazel.available) return;
    root = mkdtempSync(join(tmpdir(), "gf-repos-"));
    const tools = join(root, "tools");
    mkdirSync(tools);
    symlinkSync(bazel.path, join(tools, "bazel"));
    [cache, origin] = await Promise.all([startCache({ kind: "grpc" }), startOrigin()]);
    stage = await makeStage([tools], {
      grpcPorts: [cache.port],
      httpPorts: [],
      tailnet: { nodes: [{ name: "cache-1", addresses: ["127.0.0.1"], tags: ["tag:bazel-cache"] }] },
    });
    work = fetchingWorkspace(join(root, "work"), `http://127.0.0.1:${origin.port}/thing.txt`);
    mkdirSync(join(root, "distdir"));
    writeFileSync(join(root, "distdir/thing.txt"), content);
    const plain = readFileSync(join(stage.dir, "config/profiles/default.toml"), "utf8");
    const profile = (name: string, lines: string): void =>
      writeFileSync(join(stage.dir, `config/profiles/${name}.toml`), `${plain}\n[bazel.repositories]\n${lines}\n`);
    profile("shared", `repository_cache = "${join(root, "repositories")}"`);
    profile("dist", `distdir = ["${join(root, "distdir")}"]`);
    profile("mirror", `downloader_config = "${join(root, "mirror.cfg")}"`);
    profile("lost", `downloader_config = "${join(root, "nowhere.cfg")}"`);
    profile("both", `repository_cache = "${join(root, "repositories")}"\ndistdir = ["${join(root, "distdir")}"]`);
    const up = await stage.flywheel(["up"]);
    expect(up.exitCode, up.stdout + up.stderr).toBe(0);
  });
  afterAll(async () => {
    if (!bazel.available) return;
    await stage?.dispose();
    await cache?.dispose();
    await removeBazelRoot(root);
  });

  const build = (profile: string, outputBase: string, workspace: string = work, args: readonly string[] = []): Promise<BazelRun> =>
    runBazel({
      bazel: join(built.shim, "bazel"),
      workspace,
      outputUserRoot: root,
      outputBase,
      args: ["build", "//:t", ...args],
      env: { ...stage.env, GF_PROFILE: profile },
    });

  test("the repository cache and the distdir outlive the origin; what the user says goes before them", needs, async () => {
    const filled = await build("shared", "one");
    expect(filled.exitCode, filled.stderr).toBe(0);
    expect(origin.served()).toBe(1);
    // What else tells whether Bazel starts anew: the same server, profiles in turn.
    for (const profile of ["default", "both", "dist", "default"]) {
      const run = await build(profile, "one");
      expect(run.exitCode, run.stderr).toBe(0);
      expect(run.stderr).not.toMatch(/discarding analysis cache|has changed/);
      expect(run.processes?.total ?? 0, run.stderr).toBe(0);
    }
    expect(origin.served()).toBe(1);
    await origin.stop();
    const alone = await build("default", "two");
    expect(alone.exitCode, alone.stderr).toBe(1);
    const shared = await build("shared", "two");
    expect(shared.exitCode, shared.stderr).toBe(0);
    const overruled = await build("shared", "three", work, ["--repository_cache="]);
    expect(overruled.exitCode, overruled.stderr).toBe(1);
    const dist = await build("dist", "three");
    expect(dist.exitCode, dist.stderr).toBe(0);
  });

  test("a downloader config leads to a mirror, where this Bazel has them", needs, async () => {
    const mirror = await startOrigin();
    try {
      writeFileSync(join(root, "mirror.cfg"), `rewrite origin\\.invalid/(.*) 127.0.0.1:${mirror.port}/origin.invalid/$1\n`);
      const elsewhere = fetchingWorkspace(join(root, "elsewhere"), "http://origin.invalid/thing.txt");
      copyFileSync(join(work, ".bazelrc"), join(elsewhere, ".bazelrc"));
      const run = await build("mirror", "four", elsewhere);
      if (bazel.version === "2.1.0") {
        // It has no such flag, and was not given one.
        expect(run.exitCode).toBe(1);
        expect(run.stderr).not.toContain("Unrecognized option");
        expect(mirror.served()).toBe(0);
      } else {
        expect(run.exitCode, run.stderr).toBe(0);
        expect(mirror.served()).toBe(1);
      }
    } finally {
      await mirror.stop();
    }
  });

  test("explain says what is left out, and why", needs, async () => {
    for (const profile of ["lost", "shared"]) await stage.flywheel(["--profile", profile, "up"]);
    const explained = await stage.flywheel(["--profile", "lost", "explain", "--json", "--", "bazel", "build", "//:t"], { cwd: work });
    const { decision } = JSON.parse(explained.stdout);
    expect(decision.why).toContain(`the downloader config ${join(root, "nowhere.cfg")} cannot be read and is left out`);
    expect(decision.flags.join(" ")).not.toContain("downloader_config");
    const shared = await stage.flywheel(["--profile", "shared", "explain", "--", "bazel", "build", "//:t"], { cwd: work });
    expect(shared.stdout).toContain(`--repository_cache=${join(root, "repositories")}`);
    const light = await stage.flywheel(["--profile", "shared", "explain", "--json", "--", "bazel", "query", "//:t"], { cwd: work });
    expect(JSON.parse(light.stdout).runs.slice(1)).toEqual(["query", "//:t"]);
  });
});
