/** Paths as the LocalAPI tells them, and for whom there is one to ask. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import type { Candidate, CandidateSource } from "../../../contract/candidate.ts";
import { NodePaths, tailnetAddress } from "../../../daemon/attachment/path.ts";
import { parseTailnet } from "../../../daemon/tailnet/tailnet.ts";
import { TailnetWatcher } from "../../../daemon/tailnet/watch.ts";
import { endpointOf } from "../../fixtures/endpoint.ts";
import { startLocalApi, tailnetState } from "../../fixtures/localapi/state.ts";

const node = { name: "cache", addresses: ["100.64.0.5", "fd7a:115c:a1e0::5"] };
const tailnet = parseTailnet(tailnetState({ nodes: [node] }).status, undefined, { via: "/s", systemSocket: false });
const operator: CandidateSource = { name: "operator", from: "config", localProof: false };

function candidate(host: string, source: CandidateSource = operator): Candidate {
  return { endpoint: endpointOf({ kind: "bazel", scheme: "grpc", host, port: 9092 }), source, aliases: [] };
}

test("who stands behind a candidate: its pinned address, or the node that an operator named", () => {
  const peer: CandidateSource = { name: "peer", node: "cache.tail0ffee.ts.net", nodeId: "n", tag: "t", pin: ["100.64.0.5"] };
  expect(tailnetAddress(candidate("100.64.0.5", peer), tailnet)).toBe("100.64.0.5");
  expect(tailnetAddress(candidate("100.64.0.5"), tailnet)).toBe("100.64.0.5");
  expect(tailnetAddress(candidate("cache.tail0ffee.ts.net"), tailnet)).toBe("100.64.0.5");
  expect(tailnetAddress(candidate("192.0.2.7"), tailnet)).toBeUndefined();
  expect(tailnetAddress(candidate("cache.example.com"), tailnet)).toBeUndefined();
  expect(tailnetAddress(candidate("127.0.0.1", { name: "local-proof", from: "config" }), tailnet)).toBeUndefined();
});

test("the last answer holds, a lost ping is no news, and only another path is", async () => {
  const dir = mkdtempSync(join(tmpdir(), "gf-path-"));
  const localApi = await startLocalApi(dir, tailnetState({ nodes: [node] }));
  const watcher = new TailnetWatcher({ socket: localApi.socket, onChange: () => undefined });
  onTestFinished(async () => {
    await watcher.close();
    await localApi.stop();
    rmSync(dir, { recursive: true, force: true });
  });
  const paths = new NodePaths();
  expect(paths.of("100.64.0.5")).toBeNull();
  expect(paths.note("100.64.0.5", await watcher.ping("100.64.0.5"))).toBe(true);
  expect(paths.of("100.64.0.5")).toEqual({ via: "direct", address: "100.64.0.5:41641" });
  expect(paths.note("100.64.0.5", await watcher.ping("100.64.0.5"))).toBe(false);
  const lost = await watcher.ping("100.64.0.99");
  expect(lost).toEqual({ ok: false, reason: "no matching peer" });
  expect(paths.note("100.64.0.5", lost)).toBe(false);
  expect(paths.of("100.64.0.5")).not.toBeNull();
  expect(paths.note("100.64.0.5", { ok: true, latencyMs: 30, path: "DERP fra" })).toBe(true);
  expect(paths.of("100.64.0.5")).toEqual({ via: "derp", region: "fra" });
  expect(paths.note("100.64.0.5", { ok: true, latencyMs: 30, path: "relay 192.0.2.1:7777:vni:1" })).toBe(true);
  expect(paths.of("100.64.0.5")).toEqual({ via: "peer-relay", address: "192.0.2.1:7777:vni:1" });
  expect(paths.of(undefined)).toBeNull();
});
