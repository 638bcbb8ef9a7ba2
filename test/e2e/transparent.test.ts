/** The shim leaves the tool its world: standard streams, terminal, directory, umask, signals and exit codes, on the fast path and on the slow one. */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { chmodSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, watch, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { npmBazel } from "../fixtures/bazel/real.ts";
import { removeBazelRoot } from "../fixtures/bazel/run.ts";
import { type RunningCache, startCache } from "../fixtures/caches/start.ts";
import { built, makeStage, type Stage } from "../fixtures/stage.ts";

let root: string;
let cache: RunningCache;
let stage: Stage;
beforeAll(async () => {
  root = mkdtempSync(join(tmpdir(), "gf-tp-"));
  mkdirSync(join(root, "tools"));
  cache = await startCache({ kind: "grpc" });
  stage = await makeStage([join(root, "tools")], {
    ...{ grpcPorts: [cache.port], httpPorts: [] },
    tailnet: { nodes: [{ name: "cache", addresses: ["127.0.0.1"], tags: ["tag:bazel-cache"] }] },
  });
  const up = await stage.flywheel(["up"]);
  expect(up.exitCode, up.stderr).toBe(0);
});
afterAll(async () => {
  await stage.dispose();
  await cache.dispose();
  rmSync(root, { recursive: true, force: true });
});

/** Puts a tool behind the shim: a real executable. */
function tool(body: string): void {
  const file = join(root, "tools/bazel");
  writeFileSync(file, `#!/bin/sh\n${body}\n`);
  chmodSync(file, 0o755);
}

interface Outcome {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stdout: string;
  readonly stderr: string;
}

async function finish(child: ChildProcess): Promise<Outcome> {
  let stdout = "";
  let stderr = "";
  child.stdout?.setEncoding("utf8").on("data", (text: string) => {
    stdout += text;
  });
  child.stderr?.setEncoding("utf8").on("data", (text: string) => {
    stderr += text;
  });
  const [code, signal] = (await once(child, "close")) as [number | null, NodeJS.Signals | null];
  return { code, signal, stdout, stderr };
}

/** An option that only the slow path understands, and that changes nothing. */
const slow = "--remote_accept_cached";
const paths = [
  { path: "fast", words: ["build", "//x"] },
  { path: "slow", words: ["build", slow, "//x"] },
  { path: "light", words: ["info", "//x"] },
] as const;

describe.each(paths)("on the $path path", ({ words }) => {
  const run = (options: { input?: string; cwd?: string; wrap?: string } = {}): Promise<Outcome> => {
    const command = `${options.wrap ?? ""} bazel ${words.join(" ")}`;
    const child = spawn("/bin/sh", ["-c", command], { env: stage.env, cwd: options.cwd ?? root });
    child.stdin.on("error", () => {}).end(options.input ?? "");
    return finish(child);
  };

  test("standard input and output are the tool's own", async () => {
    tool("cat; echo heard >&2");
    const input = "line\n".repeat(50_000);
    expect(await run({ input })).toMatchObject({ code: 0, stdout: input, stderr: "heard\n" });
  });

  test("directory, umask and ignored signals stay", async () => {
    tool("pwd -P; umask; grep SigIgn /proc/self/status");
    const bare = spawn("/bin/sh", ["-c", "trap '' QUIT; umask 037; exec ./tools/bazel"], { env: stage.env, cwd: root });
    const [guarded, alone] = await Promise.all([run({ wrap: "trap '' QUIT; umask 037;" }), finish(bare)]);
    expect(guarded.stdout).toBe(alone.stdout);
    expect(alone.stdout).toContain("0037");
  });

  test("exit codes 0 to 255 come through", { timeout: 120_000 }, async () => {
    tool('exit "$(cat)"');
    // The slow path starts a Node each time: every sixteenth code, and the odd ones.
    const codes = words[1] === slow ? [0, 1, 2, 8, 34, 78, 127, 128, 130, 255] : Array.from({ length: 256 }, (_, code) => code);
    for (const code of codes) expect((await run({ input: String(code) })).code).toBe(code);
  });

  test("a tool that dies of a signal is seen to", async () => {
    tool("kill -KILL $$");
    const child = spawn(join(built.shim, "bazel"), words, { env: stage.env, cwd: root, stdio: "ignore" });
    expect((await once(child, "exit"))[1]).toBe("SIGKILL");
  });

  test("the tool is the process that was started: no parent stays behind", async () => {
    tool("echo $$");
    const child = spawn(join(built.shim, "bazel"), words, { env: stage.env, cwd: root, stdio: ["ignore", "pipe", "ignore"] });
    expect((await finish(child)).stdout.trim()).toBe(String(child.pid));
  });

  test("SIGINT and SIGTERM reach the tool", async () => {
    tool('trap "echo got INT; exit 8" INT; trap "echo got TERM; exit 9" TERM; echo ready; while :; do sleep 0.05; done');
    for (const [signal, code] of [
      ["SIGINT", 8],
      ["SIGTERM", 9],
    ] as const) {
      const child = spawn(join(built.shim, "bazel"), words, { env: stage.env, cwd: root, stdio: ["ignore", "pipe", "ignore"] });
      child.stdout.once("data", () => child.kill(signal));
      const outcome = await finish(child);
      expect(outcome).toMatchObject({ code, stdout: `ready\ngot ${signal.slice(3)}\n` });
    }
  });

  test("a terminal stays one", async () => {
    tool('test -t 0 && test -t 1 && test -t 2 && read -r line && echo "read $line"');
    // script(1) gives it a terminal and types the line.
    const child = spawn("script", ["-qec", `bazel ${words.join(" ")}`, "/dev/null"], {
      env: { ...stage.env, SHELL: "/bin/sh" },
      cwd: root,
    });
    child.stdin.write("hello\n");
    expect((await finish(child)).stdout).toContain("read hello");
  });
});

test("a command substitution does not wait for the daemon that it started", async () => {
  tool("echo out");
  await stage.down();
  const child = spawn("/bin/sh", ["-c", 'x=$(bazel build //x); echo "<$x>"'], { env: stage.env, cwd: root });
  expect(await finish(child)).toMatchObject({ code: 0, stdout: "<out>\n" });
  expect((await stage.flywheel(["status"])).exitCode).toBe(0);
});

test("a light command in a command substitution starts nothing", async () => {
  tool("echo out");
  await stage.down();
  const child = spawn("/bin/sh", ["-c", 'x=$(bazel info bazel-bin); echo "<$x>"'], { env: stage.env, cwd: root });
  expect(await finish(child)).toMatchObject({ code: 0, stdout: "<out>\n", stderr: "" });
  expect(existsSync(join(stage.env["GF_RUNTIME_DIR"] ?? "", "daemon.sock"))).toBe(false);
  expect((await stage.flywheel(["up"])).exitCode).toBe(0);
});

describe("with a real Bazel", () => {
  const bazel = npmBazel();
  const needs = bazel.available ? {} : { skip: true };
  let output: string;
  let workspace: string;
  beforeAll(() => {
    if (!bazel.available) return;
    output = mkdtempSync(join(tmpdir(), "gf-tb-"));
    workspace = join(root, "workspace");
    mkdirSync(workspace);
    writeFileSync(join(workspace, "WORKSPACE"), "");
    writeFileSync(
      join(workspace, "BUILD"),
      `genrule(name = "slow", outs = ["slow.txt"], cmd = "touch ${root}/building; sleep 60; touch $@", local = 1)
genrule(name = "ask", outs = ["ask.sh"], executable = 1, cmd = "printf '%s\\\\n' '#!/bin/sh' 'read -r line' 'echo heard $$line' 'exit 7' > $@")
`,
    );
    tool(`exec '${bazel.path}' --output_user_root='${output}' --max_idle_secs=120 "$@"`);
  });
  afterAll(async () => {
    if (bazel.available) await removeBazelRoot(output);
  });

  test("Ctrl-C during a build ends it as Bazel ends it: 8", needs, async () => {
    // A group of its own, so that the signal reaches what a terminal's Ctrl-C would reach.
    const env = { ...stage.env, USER: "tester" };
    const child = spawn(join(built.shim, "bazel"), ["build", "//:slow"], {
      env,
      cwd: workspace,
      detached: true,
      stdio: ["ignore", "pipe", "pipe"],
    });
    let said = "";
    child.stderr.setEncoding("utf8").on("data", (text: string) => {
      said += text;
    });
    const building = watch(root, (_, name) => {
      if (name !== "building" || child.pid === undefined) return;
      building.close();
      process.kill(-child.pid, "SIGINT");
    });
    const [code] = (await once(child, "exit")) as [number | null];
    expect(code, said).toBe(8);
  });

  test("bazel run of a program that reads the terminal, and its exit code", needs, async () => {
    const env = { ...stage.env, USER: "tester", SHELL: "/bin/sh" };
    const log = join(root, "typescript");
    const child = spawn("script", ["-qec", "bazel run //:ask", log], { env, cwd: workspace });
    child.stdin.write("typed\n");
    const outcome = await finish(child);
    expect(outcome.code, readFileSync(log, "utf8")).toBe(7);
    expect(outcome.stdout).toContain("heard typed");
  });
});
