import { execFileSync, spawnSync } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, statSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { startCache } from "../fixtures/caches/start.ts";
import { freePort } from "../fixtures/process.ts";
import { type Home, makeHome, type Ran } from "./flywheel.ts";

let home: Home;
let repository: string;
let file: string;
beforeEach(() => {
  home = makeHome();
  repository = join(home.dir, "work");
  file = join(repository, ".env.flywheel.local");
  mkdirSync(repository);
  execFileSync("git", ["init", "--quiet", repository]);
  // No `extends`: nothing here may name anybody's real fleet.
  home.write("config/profiles/default.toml", "");
});
afterEach(() => home.remove());

const enroll = (...args: string[]): Promise<Ran> => home.flywheel(["enroll", ...args], { cwd: repository });
const ignore = (): void => writeFileSync(join(repository, ".gitignore"), ".env.*\n");
const manifest = (substrateMode: string): void =>
  writeFileSync(
    join(repository, "tinyland.repo.json"),
    JSON.stringify({ enrollment: { substrateMode, forgeScope: "gitlab.example/lab" } }),
  );

describe("without --write", () => {
  test("says what the repository is and what would be written, writes nothing, and exits 0", async () => {
    manifest("shared-cache-backed");
    const { exitCode, stdout, stderr } = await enroll("--cache-endpoint", "grpc://cache.example:9092");
    expect([exitCode, stderr]).toEqual([0, ""]);
    expect(stdout).toContain("declares shared-cache-backed, forge scope gitlab.example/lab");
    expect(stdout).toContain("  export BAZEL_REMOTE_CACHE=grpc://cache.example:9092\n");
    expect(stdout).toContain("git does not ignore .env.flywheel.local");
    expect(existsSync(file)).toBe(false);
    expect(existsSync(home.state)).toBe(false);
  });

  test("the line that writes it has the options that were given, and works as it is typed", async () => {
    await using cache = await startCache({ kind: "grpc" });
    ignore();
    const { stdout } = await enroll("port-forward-cache", "--cache-endpoint", cache.url, "--remote-header", "x-team=it's us");
    const [, line = ""] = /\(flywheel (enroll port-forward-cache .* --write)\):/.exec(stdout) ?? [];
    expect(line).toBe(`enroll port-forward-cache --cache-endpoint=${cache.url} --remote-header='x-team=it'\\''s us' --write`);
    const words = execFileSync("sh", ["-c", `printf '%s\\n' ${line}`], { encoding: "utf8" });
    const written = await home.flywheel([...words.trimEnd().split("\n"), "--yes"], { cwd: repository });
    expect(written.exitCode, written.stderr).toBe(0);
    const executor = await enroll("executor-backed", "--executor-endpoint", "grpcs://x.example", "--platform", "linux");
    expect(executor.stdout).toMatch(/once written \(flywheel enroll executor-backed .* --unproved --write\)/);
  });

  test("takes its profile from the manifest, and says what lacks", async () => {
    manifest("executor-backed");
    expect((await enroll()).stdout).toMatch(/enrolment {2}executor-backed: .*\n.*\n {2}lacks {6}the executor's endpoint/);
    manifest("compatibility-local-only");
    const report = JSON.parse((await enroll("--json")).stdout);
    expect(report).toMatchObject({ schema: 1, enrolment: "unattached", state: "unattached", lacks: null, written: false });
    expect(report.values).toEqual({ GF_BAZEL_SUBSTRATE_MODE: "compatibility-local-only", GF_FLYWHEEL_PROFILE_STATE: "unattached" });
  });

  test.each([
    [["everything"], "'everything' is not one of shared-cache-backed"],
    [["--undo", "--write"], "--undo stands alone"],
    [["--remote-header", "authorization=Bearer abcdef"], "looks like a credential"],
  ])("%j exits 2", async (args, words) => {
    const { exitCode, stderr } = await enroll(...args);
    expect(exitCode).toBe(2);
    expect(stderr).toContain(words);
  });
});

describe("with --write", () => {
  test("proves the cache, shows the change, and writes what bash and the guard read alike", async () => {
    await using cache = await startCache({ kind: "grpc" });
    ignore();
    const args = ["port-forward-cache", "--cache-endpoint", cache.url, "--remote-header", "x-team=build tools", "--write"];
    expect(await enroll(...args)).toMatchObject({ exitCode: 2, stderr: expect.stringContaining("repeat it with --yes") });
    expect(existsSync(file)).toBe(false);
    const { exitCode, stdout, stderr } = await enroll(...args, "--yes");
    expect(exitCode, stderr).toBe(0);
    expect(stderr).toContain(`+export BAZEL_REMOTE_CACHE=${cache.url}\n`);
    expect(stdout).toContain(`next: flywheel trust file ${file}`);
    expect(statSync(file).mode & 0o777).toBe(0o600);
    const bash = spawnSync("bash", ["--norc", "-c", '. "$1"; env -0', "bash", file], { env: {}, encoding: "utf8" });
    const seen = Object.fromEntries(bash.stdout.split("\0").map((entry) => [entry.split("=")[0], entry.slice(entry.indexOf("=") + 1)]));
    expect([bash.status, bash.stderr]).toEqual([0, ""]);
    expect(seen).toMatchObject({
      BAZEL_REMOTE_CACHE: cache.url,
      BAZEL_REMOTE_HEADER: "x-team=build tools",
      GF_FLYWHEEL_PROFILE_STATE: "local-proof",
      GF_BAZEL_SUBSTRATE_MODE: "shared-cache-backed",
      GF_BAZEL_LOCAL_PROOF: "port-forward",
    });
    expect((await home.flywheel(["contract", "--strict"], { env: seen })).exitCode).toBe(0);
    expect((await home.flywheel(["trust", "file", "--yes"], { cwd: repository })).exitCode).toBe(0);
    // What it says already is not written again.
    expect((await enroll(...args, "--yes")).stdout).toContain("says that already");
  });

  test("a state that nothing proves now is never written; --unproved claims none", async () => {
    ignore();
    const dead = `grpc://127.0.0.1:${await freePort()}`;
    const args = ["port-forward-cache", "--cache-endpoint", dead, "--write-local-env", "--yes"];
    expect(await enroll(...args)).toMatchObject({ exitCode: 1, stderr: expect.stringContaining("does not prove itself: connect") });
    expect(existsSync(file)).toBe(false);
    expect((await enroll(...args, "--unproved")).exitCode).toBe(0);
    expect(readFileSync(file, "utf8")).toContain(`export BAZEL_REMOTE_CACHE=${dead}\n`);
    expect(readFileSync(file, "utf8")).not.toContain("GF_FLYWHEEL_PROFILE_STATE");
  });

  test("an executor is never claimed", async () => {
    ignore();
    await using cache = await startCache({ kind: "grpc" });
    const args = ["port-forward-executor", "--executor-endpoint", cache.url, "--platform", "linux-x86_64", "--write", "--yes"];
    expect(await enroll(...args)).toMatchObject({
      exitCode: 1,
      stderr: expect.stringContaining("proved only by processes that ran on it"),
    });
    expect((await enroll(...args, "--unproved")).exitCode).toBe(0);
    expect(readFileSync(file, "utf8")).not.toContain("GF_FLYWHEEL_PROFILE_STATE");
  });

  test("what is attached has to prove itself too, and an absent one is said", async () => {
    ignore();
    expect(await enroll("--write", "--yes")).toMatchObject({ exitCode: 1, stderr: expect.stringContaining("nothing is attached") });
  });

  test("refuses while git does not ignore the file, and where git tracks it", async () => {
    const refused = await enroll("unattached", "--write", "--yes");
    expect(refused).toMatchObject({ exitCode: 1, stderr: expect.stringContaining("git does not ignore .env.flywheel.local") });
    expect(refused.stderr).toContain(`next: add the line .env.flywheel.local to ${join(repository, ".gitignore")}`);
    expect(existsSync(file)).toBe(false);
    writeFileSync(file, "# mine\n");
    execFileSync("git", ["-C", repository, "add", ".env.flywheel.local"]);
    ignore();
    expect((await enroll("unattached", "--write", "--yes")).stderr).toContain("git tracks .env.flywheel.local");
    expect(readFileSync(file, "utf8")).toBe("# mine\n");
  });

  test("asks this repository's git, whatever GIT_DIR says, and runs none of its hooks", async () => {
    const other = join(home.dir, "other");
    execFileSync("git", ["init", "--quiet", other]);
    writeFileSync(join(other, ".git/info/exclude"), ".env.*\n");
    const pwned = join(home.dir, "pwned");
    home.write("hook", `#!/bin/sh\ntouch ${pwned}\n`, 0o755);
    execFileSync("git", ["-C", repository, "config", "core.fsmonitor", join(home.dir, "hook")]);
    const env = { GIT_DIR: join(other, ".git"), GIT_WORK_TREE: repository };
    const { exitCode } = await home.flywheel(["enroll", "unattached", "--write", "--yes"], { cwd: repository, env });
    expect(exitCode).toBe(1);
    expect(existsSync(pwned)).toBe(false);
  });

  test("keeps the manifest's word", async () => {
    ignore();
    manifest("executor-backed");
    const { exitCode, stderr } = await enroll("cluster-cache", "--cache-endpoint", "grpc://c.example:1", "--unproved", "--write", "--yes");
    expect(exitCode).toBe(1);
    expect(stderr).toContain("tinyland.repo.json declares executor-backed");
  });

  test("does not write through a link, nor into what it cannot read", async () => {
    ignore();
    symlinkSync(join(home.dir, "elsewhere"), file);
    expect((await enroll("unattached", "--write", "--yes")).stderr).toContain("is a symbolic link");
    expect(existsSync(join(home.dir, "elsewhere"))).toBe(false);
    execFileSync("rm", [file]);
    writeFileSync(file, "export A=$(id)\n");
    expect(await enroll("unattached", "--write", "--yes")).toMatchObject({
      exitCode: 1,
      stderr: expect.stringContaining("mend or remove"),
    });
    expect(readFileSync(file, "utf8")).toBe("export A=$(id)\n");
  });
});

describe("--undo", () => {
  test("restores every byte, whatever was changed meanwhile elsewhere in the file", async () => {
    ignore();
    const before = "# mine\nexport BAZEL_REMOTE_CACHE=grpc://old.example:1\nexport ATTIC_CACHE=main";
    writeFileSync(file, before);
    expect((await enroll("unattached", "--write", "--yes")).exitCode).toBe(0);
    expect(readFileSync(file, "utf8")).toContain("#flywheel# export BAZEL_REMOTE_CACHE=grpc://old.example:1\n");
    writeFileSync(file, `${readFileSync(file, "utf8")}# later\n`);
    expect((await enroll("--undo")).exitCode).toBe(2);
    expect((await enroll("--undo", "--yes")).exitCode).toBe(0);
    expect(readFileSync(file, "utf8")).toBe(`${before}# later\n`);
  });

  test("removes the file that it made, and says so where there is nothing of its own", async () => {
    ignore();
    expect((await enroll("unattached", "--write", "--yes")).exitCode).toBe(0);
    expect((await enroll("--undo", "--yes")).exitCode).toBe(0);
    expect(existsSync(file)).toBe(false);
    expect(await enroll("--undo", "--yes")).toMatchObject({ exitCode: 1, stderr: expect.stringMatching(/is not there\n {2}next: \S/) });
  });
});
