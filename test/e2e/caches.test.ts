/** The fixtures prove themselves: bare Bazels fill each cache and find all of it again. No code of the product runs here. */
import { createHash, randomUUID } from "node:crypto";
import { mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { status } from "@grpc/grpc-js";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { realBazels } from "../fixtures/bazel/real.ts";
import { removeBazelRoot, runBazel } from "../fixtures/bazel/run.ts";
import { makeWorkspace } from "../fixtures/bazel/workspace.ts";
import { bazelRemote, startBazelRemote } from "../fixtures/bazel-remote/bazel-remote.ts";
import { byteStream } from "../fixtures/caches/byte-stream.ts";
import { isWrite } from "../fixtures/caches/journal.ts";
import { startCache } from "../fixtures/caches/start.ts";
import { emptyHash } from "../fixtures/caches/store.ts";
import { nginx, startNginx } from "../fixtures/nginx/nginx.ts";
import { required } from "../fixtures/peers.ts";

const targets = 6;

describe.for(realBazels())("Bazel $version", (bazel) => {
  let root: string;
  let count = 0;

  beforeAll(() => {
    root = mkdtempSync(join(tmpdir(), "gf-bz-"));
  });
  afterAll(() => removeBazelRoot(root));

  /** Builds a workspace of its own against the cache, and once more from a fresh output base. */
  async function fillAndHit(path: string, url: string): Promise<void> {
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

  test("fills the embedded gRPC cache, and finds it all after a restart of the cache", async ({ skip }) => {
    const path = required(bazel, skip);
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

  test("fills and hits the embedded HTTP cache", async ({ skip }) => {
    const path = required(bazel, skip);
    await using cache = await startCache({ kind: "http" });
    await fillAndHit(path, cache.url);
    expect(cache.requests()).toContainEqual({ method: "PUT", path: expect.stringMatching(/^\/ac\//) });
  });

  test("leaves a read-only cache unwritten", async ({ skip }) => {
    const path = required(bazel, skip);
    await using cache = await startCache({ kind: "grpc", readOnly: true });
    const workspace = makeWorkspace(join(root, "read-only"), { targets });
    const args = ["build", "//:all", `--remote_cache=${cache.url}`, "--remote_upload_local_results=false"];
    const run = await runBazel({ bazel: path, workspace, outputUserRoot: root, outputBase: "read-only-base", args });
    expect(run.processes).toEqual({ hits: 0, total: targets });
    expect(cache.connections()).toBeGreaterThan(0);
    expect(cache.requests().filter(isWrite)).toEqual([]);
  });

  test("fills and hits nginx with DAV", async ({ skip }) => {
    const path = required(bazel, skip);
    await using cache = await startNginx(required(nginx(), skip));
    await fillAndHit(path, cache.url);
    expect(cache.requests().some((line) => /^PUT \/ac\/\S+ 201$/.test(line))).toBe(true);
  });

  test("fills and hits bazel-remote by gRPC and by HTTP", { timeout: 300_000 }, async ({ skip }) => {
    const path = required(bazel, skip);
    await using cache = await startBazelRemote(required(await bazelRemote(), skip));
    await fillAndHit(path, cache.grpcUrl);
    await fillAndHit(path, cache.httpUrl);
  });
});

test("the gRPC cache takes a broken upload up where it ended, and reads from an offset", async () => {
  await using cache = await startCache({ kind: "grpc" });
  const content = Buffer.from("the first half, and the second");
  const hash = createHash("sha256").update(content).digest("hex");
  const upload = `uploads/${randomUUID()}/blobs/${hash}/${content.length}`;
  const client = byteStream(cache.url);
  try {
    expect(await client.write(upload, [{ write_offset: 0, data: content.subarray(0, 15) }])).toBe(15);
    expect(await client.committed(upload)).toEqual({ committed_size: 15, complete: false });
    await expect(client.write(upload, [{ write_offset: 7, data: content.subarray(7), finish_write: true }])).rejects.toThrow(
      "15 bytes are committed, not 7",
    );
    expect(await client.write(upload, [{ write_offset: 15, data: content.subarray(15), finish_write: true }])).toBe(content.length);
    expect(await client.committed(upload)).toEqual({ committed_size: content.length, complete: true });
    expect(await client.read(`blobs/${hash}/${content.length}`, 16)).toEqual(content.subarray(16));
  } finally {
    client.close();
  }
});

test.for(["grpc", "http"] as const)("the %s cache that denies says so, and the connection is counted", async (kind) => {
  await using cache = await startCache({ kind, deny: true });
  expect(cache.connections()).toBe(0);
  if (kind === "http") {
    expect((await fetch(`${cache.url}/cas/${emptyHash}`)).status).toBe(403);
  } else {
    const client = byteStream(cache.url);
    await expect(client.read(`blobs/${emptyHash}/0`, 0)).rejects.toMatchObject({ code: status.PERMISSION_DENIED });
    client.close();
  }
  expect(cache.connections()).toBe(1);
  expect(cache.requests()).toEqual([{ method: kind === "http" ? "GET" : "Read", path: `/cas/${emptyHash}` }]);
});
