/** From a repository that nobody has enrolled to a guarded build on the cache that its own file names, and back. */
import { execFileSync } from "node:child_process";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { startCache } from "../fixtures/caches/start.ts";
import { bazel, expectAttachedTo, expectRefused } from "../fixtures/guarded.ts";
import { makeStage } from "../fixtures/stage.ts";
import { recordingTool } from "../fixtures/tools/recording.ts";

test("what enroll writes counts once it is trusted, for this workspace alone, until it is undone", { timeout: 60_000 }, async () => {
  await using cache = await startCache({ kind: "grpc" });
  // Ports that nothing listens on: nothing is attached but by the file's word.
  await using stage = await makeStage([], { grpcPorts: [], httpPorts: [] });
  const tool = recordingTool(join(stage.dir, "tools"));
  const env = { PATH: `${stage.env["PATH"]?.split(":")[0]}:${tool.directory}:/usr/bin:/bin`, GF_GUARD_SCOPE: "enrolled" };
  const work = join(stage.dir, "work");
  mkdirSync(work);
  execFileSync("git", ["init", "--quiet", work]);
  writeFileSync(join(work, ".gitignore"), ".env.*\n");
  writeFileSync(join(work, "tinyland.repo.json"), JSON.stringify({ enrollment: { substrateMode: "shared-cache-backed" } }));
  const build = async () => {
    tool.forget();
    return bazel(stage, ["build", "//..."], { cwd: work, env: { ...env, PWD: work } });
  };
  const flywheel = async (...args: string[]): Promise<void> => {
    const ran = await stage.flywheel(args, { cwd: work });
    expect(ran.exitCode, ran.stdout + ran.stderr).toBe(0);
  };
  expectRefused(await build(), tool, /no shared cache is attached/);

  await flywheel("enroll", "port-forward-cache", "--cache-endpoint", cache.url, "--write", "--yes");
  const untrusted = await build();
  expectRefused(untrusted, tool, /no shared cache is attached/);
  expect(untrusted.stderr).toContain(`next: flywheel trust file ${work}/.env.flywheel.local`);

  await flywheel("trust", "file", "--yes");
  expectAttachedTo(await build(), tool, cache.url);

  await flywheel("enroll", "--undo", "--yes");
  expectRefused(await build(), tool, /no shared cache is attached/);
});
