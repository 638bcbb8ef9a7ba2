/** What only a real Bazel shows: files of build events that write to a cache, and policies that overrule every flag. */
import { mkdtempSync, readFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { realBazels } from "../fixtures/bazel/real.ts";
import { type BazelRun, removeBazelRoot, runBazel } from "../fixtures/bazel/run.ts";
import { makeWorkspace, type Workspace } from "../fixtures/bazel/workspace.ts";
import { isWrite } from "../fixtures/caches/journal.ts";
import { type RunningCache, startCache } from "../fixtures/caches/start.ts";
import { endpointOf } from "../fixtures/endpoint.ts";
import { buildHouse, type House } from "./house.ts";

describe.for(realBazels())("Bazel $version", (bazel) => {
  const needs = bazel.available ? { timeout: 180_000 } : { skip: true };
  const real = bazel.available ? bazel.path : "/nonexistent";
  let root: string;
  let house: House;
  let cache: RunningCache;
  let workspace: Workspace;

  beforeAll(async () => {
    root = mkdtempSync(join(tmpdir(), "gf-rb-"));
    workspace = makeWorkspace(join(root, "workspace"), { targets: 1 });
    house = await buildHouse();
    cache = await startCache({ kind: "grpc", readOnly: true });
  });
  afterAll(async () => {
    await cache.dispose();
    house.remove();
    await removeBazelRoot(root);
  });

  const events = (): string => join(root, "events.json");
  const bare = (args: readonly string[], startup: readonly string[] = []): Promise<BazelRun> =>
    runBazel({ bazel: real, workspace, outputUserRoot: root, outputBase: "bare", startup, args });
  const guarded = (args: readonly string[], startup: readonly string[] = []): Promise<BazelRun> => {
    house.publish({ state: "local-proof", endpoint: endpointOf({ kind: "bazel", scheme: "grpc", host: cache.host, port: cache.port }) });
    const env = { ...house.env, GF_REAL_BAZEL: real, GF_BAZEL_LOCAL_PROOF: "port-forward", GF_BAZEL_ALLOW_LOCALHOST_PROOF: "true" };
    return runBazel({ bazel: join(house.shim, "bazel"), workspace, outputUserRoot: root, outputBase: "guarded", startup, args, env });
  };

  test("an editor's file of build events neither writes to a cache that is only read nor fails there", needs, async () => {
    const trap = await bare([
      ...["build", "//:all", `--build_event_json_file=${events()}`],
      ...[`--remote_cache=${cache.url}`, "--remote_upload_local_results=false"],
    ]);
    expect(trap.exitCode, trap.stderr).toBe(38);
    const before = cache.requests().length;
    const run = await guarded(["build", "//:all", `--build_event_json_file=${events()}`]);
    expect(run.exitCode, run.stderr).toBe(0);
    const asked = cache.requests().slice(before);
    expect(asked.map((request) => request.method)).toContain("GetActionResult");
    expect(asked.filter(isWrite)).toEqual([]);
    expect(readFileSync(events(), "utf8")).toMatch(/"uri":"file:\/\//);
  });

  test("a policy that takes the cache away is not run as if it were attached", needs, async () => {
    const policy = '--invocation_policy=flag_policies { flag_name: "remote_cache" set_value { flag_value: "" } }';
    const before = cache.requests().length;
    const trap = await bare(["build", "//:all", `--remote_cache=${cache.url}`], [policy]);
    expect(trap.exitCode, trap.stderr).toBe(0);
    expect(cache.requests().length).toBe(before);
    // The house's guard refuses whatever it is asked; contract/bazel/overruled.test.ts holds the real one's reason.
    expect((await guarded(["build", "//:all"], [policy])).exitCode).toBe(78);
    expect((await guarded(["info", "release"], [policy])).exitCode).toBe(0);
  });
});
