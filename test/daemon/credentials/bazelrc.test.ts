/** The rc that the daemon makes, read by the Bazels that need one. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { realBazels } from "../../fixtures/bazel/real.ts";
import { removeBazelRoot, runBazel } from "../../fixtures/bazel/run.ts";
import { makeWorkspace } from "../../fixtures/bazel/workspace.ts";
import { bazelRemote, startBazelRemote } from "../../fixtures/bazel-remote/bazel-remote.ts";
import { type Home, makeHome } from "../home.ts";
import { login } from "./login.ts";

const remote = await bazelRemote();
// What a password may be made of is more than an rc's words are; the header's value is not.
const password = `a"b#c'd\\e%f$g`;

let home: Home;
let dir: string;
beforeEach(() => {
  home = makeHome();
  dir = mkdtempSync(join(tmpdir(), "gf-rc-"));
});
afterEach(async () => {
  await removeBazelRoot(join(dir, "root"));
  rmSync(dir, { recursive: true, force: true });
  await home[Symbol.asyncDispose]();
});

describe.skipIf(!remote.available).each(realBazels().filter((bazel) => bazel.available))("Bazel $version", (bazel) => {
  test("fills and reads a cache that lets nobody else in, over gRPC and HTTP", { timeout: 240_000 }, async () => {
    await using cache = await startBazelRemote(remote.available ? remote.path : "", { users: { ann: password } });
    await home.started();
    for (const endpoint of [cache.grpcUrl, cache.httpUrl]) {
      await login(home.paths, { endpoint, how: { user: "ann", password }, legacyHeader: true });
      await home.client.reload();
      const { directory } = await home.client.generation({ profile: "default", kind: "bazel", endpoint });
      const workspace = makeWorkspace(join(dir, endpoint.slice(0, 4)), { targets: 2 });
      const build = (startup: readonly string[], outputBase: string) =>
        runBazel({
          bazel: bazel.available ? bazel.path : "",
          ...{ workspace, outputUserRoot: join(dir, "root"), outputBase, startup },
          args: ["build", "//:all", `--remote_cache=${endpoint}`, "--remote_upload_local_results=true"],
        });
      const rc = [`--bazelrc=${directory}/bazelrc`];
      if (bazel.version === "2.1.0" && endpoint === cache.grpcUrl) {
        // Its first question goes without any header, whatever it is told: nothing that we could write would help.
        expect(await build(rc, "grpc-1")).toMatchObject({ exitCode: 34, stderr: expect.stringContaining("capabilities: UNAUTHENTICATED") });
        continue;
      }
      expect(await build(rc, `${endpoint.slice(0, 4)}-1`)).toMatchObject({ exitCode: 0, processes: { hits: 0, total: 2 } });
      expect(await build(rc, `${endpoint.slice(0, 4)}-2`)).toMatchObject({ exitCode: 0, processes: { hits: 2, total: 2 } });
      const without = await build([], `${endpoint.slice(0, 4)}-3`);
      expect(without.processes?.hits ?? 0).toBe(0);
    }
  });
});
