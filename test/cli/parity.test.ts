/** `flywheel parity` as a process: in repositories of the tests, beside machines that are attached and that are not. */
import { execFileSync } from "node:child_process";
import { cpSync, existsSync, globSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { execa } from "execa";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import type { ParityReport } from "../../contract/ci/report.ts";
import { found, labToml, repositories } from "../contract/ci/world.ts";
import { type Home, makeHome } from "./flywheel.ts";

let home: Home;
beforeEach(() => {
  home = makeHome();
});
afterEach(() => home.remove());

/** A copy of a repository of the tests, outside of ours. */
function copied(name: string): string {
  const root = join(home.dir, "work", name);
  cpSync(join(repositories, name), root, { recursive: true });
  return root;
}

/** A repository that consists of these files. */
function repository(files: Readonly<Record<string, string>>): string {
  const root = join(home.dir, "work/here");
  mkdirSync(join(root, ".git"), { recursive: true });
  for (const [file, text] of Object.entries(files)) home.write(join("work/here", file), text);
  return root;
}

/** What a daemon published for Bazel, whose lease still runs. */
async function attached(endpoint: string): Promise<void> {
  const uptime = Number((await execa("cat", ["/proc/uptime"])).stdout.split(".")[0]);
  const bootId = (await execa("cat", ["/proc/sys/kernel/random/boot_id"])).stdout;
  for (const directory of ["run", "run/attachment", "run/attachment/default"]) mkdirSync(join(home.dir, directory), { mode: 0o700 });
  home.write(
    "run/attachment/default/bazel",
    `flywheel-attachment 1\nkind bazel\nprofile default\nstate shared-cache-backed\nmode shared-cache-backed\nendpoint ${endpoint}\nverified ${uptime}\nvalid-until ${uptime + 45}\nclock boot\nboot-id ${bootId}\npid 1\nupload false\nslow false\nreason none\n`,
    0o600,
  );
}

async function parity(
  cwd: string,
  env: Readonly<Record<string, string>> = {},
): Promise<{ report: ParityReport; exitCode: number; text: string }> {
  const ran = await home.flywheel(["parity", "--json"], { cwd, env });
  expect(ran.stderr).toBe("");
  return { report: JSON.parse(ran.stdout), exitCode: ran.exitCode, text: ran.stdout };
}

test("without a daemon: drift, with what to type, and nothing is started or written", async () => {
  const { report, exitCode } = await parity(copied("github-clean"));
  expect(exitCode).toBe(1);
  expect(report).toMatchObject({ schema: 1, ok: false, profile: "default", ci: { github: { jobs: 2 }, gitlab: { files: [], jobs: 0 } } });
  expect(report.lines.filter(({ verdict }) => verdict === "drift").map(({ rule, next }) => `${rule}: ${next}`)).toContain(
    "mode: flywheel up",
  );
  expect(existsSync(home.state) || existsSync(home.runtime) || existsSync(home.config)).toBe(false);
});

test("attached, and nothing drifts: 0; only who named the endpoint is not known without a daemon", async () => {
  await attached("grpc://100.64.0.7:9092");
  const root = copied("gitlab-clean");
  mkdirSync(join(root, "deep/below"), { recursive: true });
  const { report, exitCode } = await parity(join(root, "deep/below"));
  expect(found(report, "drift")).toEqual([]);
  expect(found(report, "unknown")).toEqual(["unknown bazel-cache .gitlab-ci.yml:12"]);
  expect({ exitCode, root: report.repository }).toEqual({ exitCode: 0, root });
  const ran = await home.flywheel(["parity"], { cwd: root });
  expect(ran).toMatchObject({ exitCode: 0, stderr: "" });
  expect(ran.stdout).toContain("GitLab: 3 files, 3 jobs");
  expect(ran.stdout.trimEnd().split("\n").at(-1)).toMatch(/^nothing drifts: \d+ the same, \d+ on purpose, 1 unknown$/);
});

test("the endpoint of CI itself, in a log of a forge: the same, and this machine's is not shown", async () => {
  await attached("grpc://100.64.0.7:9092");
  const root = repository({ ".gitlab-ci.yml": "variables: { BAZEL_REMOTE_CACHE: 'grpc://100.64.0.7:9092' }\nb: { script: x }\n" });
  expect(found((await parity(root)).report, "same")).toContain("same bazel-cache .gitlab-ci.yml:1");
  const { report } = await parity(root, { GITHUB_ACTIONS: "true" });
  expect(report.lines.find(({ rule }) => rule === "bazel-cache")).toMatchObject({ here: "grpc://<redacted>:9092" });
});

test("this shell's own words: an endpoint, uploads, an instance name, a Bazel", async () => {
  await attached("grpc://100.64.0.7:9092");
  const root = copied("lab-clean");
  home.write("config/profiles/default.toml", labToml);
  const own = {
    BAZEL_REMOTE_CACHE: "grpc://100.64.0.8:9092",
    GF_BAZEL_REMOTE_UPLOAD: "true",
    BAZEL_REMOTE_INSTANCE_NAME: "mine",
    USE_BAZEL_VERSION: "7.0.0",
  };
  const { report } = await parity(root, own);
  const said = (rule: string) => report.lines.find((line) => line.rule === rule);
  expect(said("bazel-cache")).toMatchObject({
    verdict: "unknown",
    here: "grpc://100.64.0.8:9092 (BAZEL_REMOTE_CACHE of this shell, not proved)",
  });
  expect(said("upload")).toMatchObject({ verdict: "drift", here: "writes to the cache" });
  expect(said("bazel-instance")).toMatchObject({ verdict: "drift", here: "mine", ci: "lab" });
  expect(said("bazel-version")).toMatchObject({ verdict: "drift", here: "7.0.0 (USE_BAZEL_VERSION)" });
  const hooked = await parity(root, { BAZEL_REMOTE_CACHE: "grpc://100.64.0.8:9092", GF_SHELL_ATTACHED: "grpc://100.64.0.8:9092" });
  expect(hooked.report.lines.find(({ rule }) => rule === "bazel-cache")?.here).toBe("grpc://100.64.0.7:9092");
});

test("another organisation by its profile", async () => {
  await attached("grpc://100.64.0.7:9092");
  home.write("config/profiles/default.toml", labToml);
  expect((await parity(copied("lab-clean"))).exitCode).toBe(1);
  home.write("config/profiles/default.toml", labToml.replace("attic.build", "other.build"));
  const { report } = await parity(join(home.dir, "work/lab-clean"));
  expect(found(report, "drift")).toContain("drift nix-cache .gitlab-ci.yml:5");
});

test("fits 80 columns, without colour under NO_COLOR", async () => {
  await attached("grpc://100.64.0.7:9092");
  for (const name of ["github-words", "github-uploads", "gitlab-drift"]) {
    const { stdout, exitCode } = await home.flywheel(["parity"], { cwd: copied(name), env: { NO_COLOR: "1" } });
    expect(exitCode).toBe(1);
    expect(stdout).not.toContain("\u001b");
    // A word alone, such as a path, is never broken.
    const long = stdout.split("\n").filter(
      (line) =>
        line.length > 80 &&
        line
          .trim()
          .replace(/^\S+ +/, "")
          .includes(" "),
    );
    expect(long).toEqual([]);
    expect(stdout).toMatch(/^ {4}at {4}\S+:\d+$/m);
    expect(stdout.trimEnd().split("\n").at(-1)).toMatch(/^\d+ drift, /);
  }
});

test("the same twice is the same text", async () => {
  const root = copied("github-elsewhere");
  expect((await parity(root)).text).toBe((await parity(root)).text);
});

describe("a repository that nobody should trust", () => {
  const secret = "grpc://secret.example:9092";

  test("links that lead out of it are not followed; those within are", async () => {
    home.write("elsewhere/ci.yml", `variables: { BAZEL_REMOTE_CACHE: "${secret}" }\nb: { script: x }\n`);
    home.write("elsewhere/rc", `build --remote_cache=${secret}\n`);
    const root = repository({
      "real.yml": "on: push\njobs: { a: { runs-on: x, env: { GF_FLYWHEEL_PROFILE_STATE: nonsense }, steps: [] } }\n",
      ".bazelrc": `import ${join(home.dir, "elsewhere/rc")}\nimport ../../elsewhere/rc\ntry-import %workspace%/link.bazelrc\n`,
    });
    symlinkSync(join(home.dir, "elsewhere/ci.yml"), join(root, ".gitlab-ci.yml"));
    symlinkSync(join(home.dir, "elsewhere/rc"), join(root, "link.bazelrc"));
    symlinkSync(join(home.dir, "elsewhere"), join(root, "docs"));
    mkdirSync(join(root, ".github/workflows"), { recursive: true });
    symlinkSync("../../real.yml", join(root, ".github/workflows/a.yml"));
    const { report, text } = await parity(root);
    expect(text).not.toContain("secret.example");
    expect(found(report, "unknown")).toContain("unknown not-read .gitlab-ci.yml:1");
    expect(found(report, "drift")).toContain("drift profile-state .github/workflows/a.yml:2");
  });

  test("a FIFO, a directory and a file too large in place of what is read, and an alias bomb: each is named, and it ends", async () => {
    const bomb = `a0: &a0 [x,x,x,x,x,x,x,x,x]\n${Array.from({ length: 9 }, (_, n) => `a${n + 1}: &a${n + 1} [${Array.from({ length: 9 }, () => `*a${n}`).join(",")}]`).join("\n")}\n`;
    const root = repository({
      ".github/workflows/bomb.yml": bomb,
      ".github/workflows/broken.yml": "a: }\n",
      ".github/workflows/large.yml": `# ${"x".repeat(600_000)}\n`,
    });
    execFileSync("mkfifo", [join(root, ".gitlab-ci.yml"), join(root, ".github/workflows/fifo.yml")]);
    mkdirSync(join(root, "flake.nix"));
    mkdirSync(join(root, ".bazelrc"));
    const { report, exitCode } = await parity(root);
    expect(found(report, "unknown")).toEqual([
      "unknown not-read .github/workflows/bomb.yml:1",
      "unknown not-read .github/workflows/broken.yml:1",
      "unknown not-read .github/workflows/large.yml:1",
    ]);
    expect(report.lines.find(({ what }) => what.includes("bomb"))?.why).toBe("written out, with its aliases, it is too large");
    expect(exitCode).toBe(0);
  });

  test("nothing of it is run, and no tool is asked", async () => {
    const touched = join(home.dir, "touched");
    const program = `#!/bin/sh\ntouch ${touched}\n`;
    const root = repository({
      ".gitlab-ci.yml": `b: { script: ["$(touch ${touched})", "\`touch ${touched}\`", ./x.sh, just x, bazel build] }\n`,
      justfile: `x := \`touch ${touched}\`\nx:\n  touch ${touched}\n`,
      ".envrc": `touch ${touched}\n`,
    });
    for (const tool of ["bazel", "bazelisk", "nix", "just", "git", "direnv"]) home.write(`bin/${tool}`, program, 0o755);
    for (const file of ["x.sh", "tools/bazel"]) home.write(`work/here/${file}`, program, 0o755);
    await parity(root, { PATH: `${join(home.dir, "bin")}:/usr/bin:/bin` });
    expect(existsSync(touched)).toBe(false);
  });

  test("its words cannot act on a terminal", async () => {
    const root = repository({
      ".gitlab-ci.yml": '"b\\e[31m":\n  script: bazel build\n  variables: { GF_BAZEL_SUBSTRATE_MODE: "\\e]0;x\\a" }\n',
    });
    writeFileSync(join(root, "tinyland.repo.json"), '{"enrollment":{}}');
    const { stdout } = await home.flywheel(["parity"], { cwd: root, env: { NO_COLOR: "1" } });
    expect(stdout).toContain("job b");
    expect(stdout.replaceAll("\n", "")).not.toMatch(/\p{Cc}/u);
  });
});

test("the YAML library is loaded by this command alone", () => {
  const lib = join(import.meta.dirname, "../../dist/lib");
  const holding = globSync("*.js", { cwd: lib }).filter((file) => readFileSync(join(lib, file), "utf8").includes("BLOCK_FOLDED"));
  expect(holding).toHaveLength(1);
  const [yaml = ""] = holding;
  for (const always of ["main.js", "flywheeld.js", ...globSync("common*.js", { cwd: lib })]) {
    expect(holding).not.toContain(always);
    expect(readFileSync(join(lib, always), "utf8")).not.toMatch(new RegExp(`^import .*${yaml}`, "m"));
  }
});
