/** The fixtures prove themselves: bare Bazels fill each cache and find all of it again. No code of the product runs here. */
import { mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { realBazels } from "../fixtures/bazel/real.ts";
import { removeBazelRoot, runBazel } from "../fixtures/bazel/run.ts";
import { makeWorkspace } from "../fixtures/bazel/workspace.ts";
import { bazelRemote, startBazelRemote } from "../fixtures/bazel-remote/bazel-remote.ts";
import { isWrite } from "../fixtures/caches/journal.ts";
import { startCache } from "../fixtures/caches/start.ts";
import { nginx, startNginx } from "../fixtures/nginx/nginx.ts";

const targets = 6;
const nginxPeer = nginx();
const bazelRemotePeer = await bazelRemote();

describe.for(realBazels())("Bazel $version", (bazel) => {
  const path = bazel.available ? bazel.path : "";
  let root: string;
  let count = 0;

  beforeAll(() => {
    root = mkdtempSync(join(tmpdir(), "gf-bz-"));
  });
  afterAll(() => removeBazelRoot(root));

  /** Builds a workspace of its own against the cache, and once more from a fresh output base. */
  async function fillAndHit(url: string): Promise<void> {
    count += 1;
    const workspace = makeWorkspace(join(root, `workspace-${count}`), { targets });
    const build = { bazel: path, workspace, outputUserRoot: root, args: ["build", "//:all", `--remote_cache=${url}`] };
    const filled = await runBazel({ ...build, outputBase: `fill-${count}` });
    expect(filled.exitCode, filled.stderr).toBe(0);
    expect(filled.processes).toEqual({ hits: 0, total: targets });
    const hit = await runBazel({ ...build, outputBase: `hit-${count}` });
    expect(hit.exitCode, hit.stderr).toBe(0);
    expect(hit.processes).toEqual({ hits: targets, total: targets });
  }

  const needs = bazel.available ? {} : { skip: true };

  test("fills the embedded gRPC cache, and finds it all after a restart of the cache", needs, async () => {
    await using cache = await startCache({ kind: "grpc" });
    const workspace = makeWorkspace(join(root, "restarted"), { targets });
    const build = { bazel: path, workspace, outputUserRoot: root, args: ["build", "//:all", `--remote_cache=${cache.url}`] };
    expect((await runBazel({ ...build, outputBase: "before" })).processes).toEqual({ hits: 0, total: targets });
    const written = cache.requests().filter(isWrite).length;
    expect(written).toBeGreaterThanOrEqual(targets);
    await cache.kill();
    await cache.restart();
    expect((await runBazel({ ...build, outputBase: "after" })).processes).toEqual({ hits: targets, total: targets });
    expect(cache.requests().filter(isWrite)).toHaveLength(written);
  });

  test("fills and hits the embedded HTTP cache", needs, async () => {
    await using cache = await startCache({ kind: "http" });
    await fillAndHit(cache.url);
    expect(cache.requests()).toContainEqual({ method: "PUT", path: expect.stringMatching(/^\/ac\//) });
  });

  test("leaves a read-only cache unwritten", needs, async () => {
    await using cache = await startCache({ kind: "grpc", readOnly: true });
    const workspace = makeWorkspace(join(root, "read-only"), { targets });
    const args = ["build", "//:all", `--remote_cache=${cache.url}`, "--remote_upload_local_results=false"];
    const run = await runBazel({ bazel: path, workspace, outputUserRoot: root, outputBase: "read-only-base", args });
    expect(run.processes).toEqual({ hits: 0, total: targets });
    expect(cache.connections()).toBeGreaterThan(0);
    expect(cache.requests().filter(isWrite)).toEqual([]);
  });

  test("fills and hits nginx with DAV", { skip: !bazel.available || !nginxPeer.available }, async () => {
    await using cache = await startNginx(nginxPeer.available ? nginxPeer.path : "");
    await fillAndHit(cache.url);
    expect(cache.requests().some((line) => /^PUT \/ac\/\S+ 201$/.test(line))).toBe(true);
  });

  test("fills and hits bazel-remote by gRPC and by HTTP", { skip: !bazel.available || !bazelRemotePeer.available }, async () => {
    await using cache = await startBazelRemote(bazelRemotePeer.available ? bazelRemotePeer.path : "");
    await fillAndHit(cache.grpcUrl);
    await fillAndHit(cache.httpUrl);
  });
});
