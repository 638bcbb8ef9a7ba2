/**
 * What the users of the systems next door complained of: each with the test that shows it does not happen here, or why
 * it cannot. The ledger is itself tested: a test that it names and that is no longer there fails.
 */
import { chmodSync, existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type RunningCache, startCache } from "../fixtures/caches/start.ts";
import { bazel, expectAttachedTo, statusWhen } from "../fixtures/guarded.ts";
import { built, makeStage, type Stage } from "../fixtures/stage.ts";
import { type RecordingTool, recordingTool } from "../fixtures/tools/recording.ts";

interface Complaint {
  readonly of: string;
  readonly about: string;
}
type Entry = Complaint & ({ readonly file: string; readonly title: string } | { readonly cannot: string });

const here = "test/e2e/complaints.test.ts";
const nixLater = "guarding nix is not this daemon's business: it publishes what Nix trusts and injects nothing yet";

const ledger: readonly Entry[] = [
  // Telepresence
  {
    of: "Telepresence #2245, #2244",
    about: "status says connected after sleep",
    file: "test/e2e/warm-machine.test.ts",
    title: "status says connected after sleep",
  },
  {
    of: "Telepresence #2732",
    about: "an upgrade is a hard error that tells the user to quit",
    file: "test/e2e/living.test.ts",
    title: "upgrade mismatch (Telepresence #2732)",
  },
  {
    of: "Telepresence #2247, #2748",
    about: "a stale socket stops the next start",
    file: "test/daemon/main.test.ts",
    title: "stale pid and socket (Turborepo #2034, Telepresence #2247)",
  },
  { of: "Telepresence #2888", about: "a hang at launch", file: "test/daemon/main.test.ts", title: "hang at launch (Telepresence #2888)" },
  {
    of: "Telepresence",
    about: "one socket for all in /tmp",
    cannot:
      "the socket lies in the user's own 0700 directory, which is refused where it is anybody else's (test/daemon/main-privacy.test.ts)",
  },
  // sccache
  {
    of: "sccache #317, #739, #1005",
    about: "start-up fails after a wait, without a cause",
    file: "test/daemon/main.test.ts",
    title: "start-up fails without a cause (sccache #317)",
  },
  {
    of: "sccache #904",
    about: "idle exit during a build",
    file: "test/daemon/main-ends.test.ts",
    title: "idle exit during a build (sccache #904)",
  },
  {
    of: "sccache #176",
    about: "the client fails instead of starting the server again",
    file: "test/e2e/failures.test.ts",
    title: "the guard starts another and decides rightly",
  },
  {
    of: "matz/spinel #1427 (sccache)",
    about: "parallel clients race autostart",
    file: "test/daemon/main.test.ts",
    title: "parallel clients race autostart (matz/spinel #1427)",
  },
  // Turborepo
  {
    of: "Turborepo #2034",
    about: "an existing socket file taken for a live daemon",
    file: "test/e2e/living.test.ts",
    title: "existing socket file taken for a live daemon",
  },
  {
    of: "Turborepo #5829",
    about: "a stale pid: somebody else's process is killed",
    file: "test/e2e/living.test.ts",
    title: "a pid that belongs to someone else (Turborepo #5829)",
  },
  { of: "Turborepo #8122", about: "a daemon at 100 % of a core", file: here, title: "Turborepo #8122: a core is never kept busy" },
  {
    of: "Turborepo #3455, #5971",
    about: "a daemon that nobody asked for",
    file: "test/e2e/ci.test.ts",
    title: "a living endpoint of the environment is proved, and used",
  },
  {
    of: "Turborepo PR #11910",
    about: "builds need the daemon",
    file: "test/e2e/ci.test.ts",
    title: "without one, the refusal names what is missing",
  },
  // BuildBuddy
  {
    of: "BuildBuddy (sidecar.go)",
    about: "an existing socket file taken for a live daemon",
    file: "test/e2e/living.test.ts",
    title: "existing socket file taken for a live daemon (BuildBuddy)",
  },
  {
    of: "BuildBuddy (sidecar.go)",
    about: "a socket in a shared temporary directory, found by a weak hash",
    cannot: "there is no hash and no temporary directory: the socket's place follows from the environment alone (contract/paths.ts)",
  },
  {
    of: "BuildBuddy PR #2768, #3385, modular/modular#5120",
    about: "the sidecar had to be turned off in CI",
    file: "test/e2e/ci.test.ts",
    title: "a dead one is refused, with the rung that failed",
  },
  {
    of: "BuildBuddy #2898, #7563",
    about: "the sidecar's errors are invisible",
    file: "test/cli/live.test.ts",
    title: "where nothing is attached, each endpoint that failed says why",
  },
  {
    of: "BuildBuddy #4995",
    about: "env -i in tools/bazel drops the loop guard: a fork storm",
    file: here,
    title: "BuildBuddy #4995: env -i drops the loop guard",
  },
  { of: "BuildBuddy #5324", about: "a secret on a command line", file: here, title: "BuildBuddy #5324: a secret on a command line" },
  {
    of: "BuildBuddy (login)",
    about: "the key lies in .git/config",
    cannot: "no command writes into a repository: test/e2e/bounds.test.ts holds every write to our own directories",
  },
  {
    of: "BuildBuddy #12027",
    about: "the key in the environment is ignored",
    cannot:
      "there is no key to give: the shared cache is the tailnet's, and `flywheel contract` says which credentials the fleet's variables amount to (test/contract/check.test.ts, REAPI credentials)",
  },
  // cachix
  {
    of: "cachix #509",
    about: "stuck silently for days",
    file: "test/e2e/failures.test.ts",
    title: "stopped with SIGSTOP: not believed once its lease is over",
  },
  { of: "cachix/cachix-action#170", about: "stop hangs", file: "test/daemon/main-ends.test.ts", title: "SIGTERM drains" },
  {
    of: "cachix #655",
    about: "<<loop>>",
    cannot:
      "a defect of Haskell's laziness; a defect here ends the daemon with its cause in the log (daemon/run.ts), and the next command starts another",
  },
  { of: "cachix #26", about: "an untrusted user builds everything from source, unawares", cannot: nixLater },
  // Aspect
  {
    of: "Aspect CLI #776",
    about: "the wrapper hangs a nested Bazel tool",
    file: "test/e2e/transparent.test.ts",
    title: "a command substitution does not wait for the daemon that it started",
  },
  {
    of: "Aspect CLI #353",
    about: "the way past the wrapper is not documented",
    file: "test/cli/tool.test.ts",
    title: "runs the tool with the reason, once",
  },
  {
    of: "Aspect CLI PR #658",
    about: "65 ms on `bazel help`",
    file: "test/shim/fast-path.test.ts",
    title: "runs a light command untouched, without asking anyone",
  },
  // bazelisk
  {
    of: "bazelisk #249, #137, #440, ort#8828",
    about: "completion is slow, and --version starts something",
    file: here,
    title: "bazelisk #137, ort#8828: --version",
  },
  {
    of: "bazelisk #749",
    about: "wrappers in other directories",
    cannot:
      "the shim is found by PATH alone and takes every directory with its marker off it (test/shim/fast-path.test.ts, gives PATH back)",
  },
  {
    of: "bazelisk (core.go)",
    about: "PATH of the children is changed",
    file: "test/shim/fast-path.test.ts",
    title: "gives PATH back: order and empty entries kept",
  },
  // Bazel's own remote cache
  {
    of: "bazel#25965, bazel#2964",
    about: "the cache is gone and everything is built here, unawares",
    file: "test/e2e/failures.test.ts",
    title: "the $protocol cache is $what: refused at $rung",
  },
  {
    of: "bazel#27734",
    about: "with the VPN down nothing can be built",
    file: "test/shim/decide.test.ts",
    title: "lets a heavy command through with its reason, wherever",
  },
  // attic
  {
    of: "attic #275",
    about: "`attic use` overrides the system's substituters",
    file: "test/contract/parity-environment.test.ts",
    title: "applied twice is applied once, and taking it away gives the user's NIX_CONFIG back",
  },
  { of: "attic #29", about: "a mode that only prints", file: "test/cli/env.test.ts", title: "evaluates what env prints" },
  {
    of: "attic #57",
    about: "declarative configuration",
    file: "test/e2e/bad-input.test.ts",
    title: "$file, $what: file, line and what was expected",
  },
  {
    of: "attic #90, #166, #140",
    about: "an opaque Unauthorized",
    file: "test/daemon/probe/nix.test.ts",
    title: "that answers nix-cache-info with %s fails",
  },
  {
    of: "attic (watch-store)",
    about: "a full queue panics",
    file: "test/daemon/api/server.test.ts",
    title: "a watcher that does not read is dropped",
  },
  // nix-direnv
  {
    of: "nix-direnv #359",
    about: "the cached environment's attachment is stale",
    file: "test/shim/decide.test.ts",
    title: "is not taken from a stale shell's word that nothing is attached",
  },
  {
    of: "nix-direnv #109, #149",
    about: "a cached environment skips the shellHook",
    cannot: "no attachment logic lies in a shellHook: the guard decides at each command",
  },
];

const root = join(import.meta.dirname, "../..");

describe("the ledger", () => {
  const shown = ledger.flatMap((entry) => ("file" in entry ? [entry] : []));
  test.each(shown)("$of: $about: shown by $file", ({ file, title }) => {
    expect(readFileSync(join(root, file), "utf8")).toContain(title);
  });

  test.each(ledger.flatMap((entry) => ("cannot" in entry ? [entry] : [])))("$of: $about: cannot happen: $cannot", ({ cannot }) => {
    // A reason that points at a file points at one that is there.
    for (const [path] of cannot.matchAll(/(?:test|daemon|contract)\/[\w./-]+\.ts/g)) expect(existsSync(join(root, path)), path).toBe(true);
  });
});

describe("shown here", () => {
  let dir: string;
  let tool: RecordingTool;
  let cache: RunningCache;
  let stage: Stage;

  beforeAll(async () => {
    dir = mkdtempSync(join(tmpdir(), "gf-co-"));
    tool = recordingTool(join(dir, "tools"));
    cache = await startCache({ kind: "grpc" });
    stage = await makeStage([tool.directory], {
      grpcPorts: [cache.port],
      httpPorts: [],
      tailnet: { nodes: [{ name: "cache", addresses: ["127.0.0.1"], tags: ["tag:bazel-cache"] }] },
    });
    expect((await stage.flywheel(["up"])).exitCode).toBe(0);
  });
  afterAll(async () => {
    await stage.dispose();
    await cache.dispose();
    rmSync(dir, { recursive: true, force: true });
  });

  test("BuildBuddy #4995: env -i drops the loop guard: the tool is reached once, no shim again", async () => {
    // What a repository's tools/bazel does, as the wrapper on PATH behind the shim: nothing kept but PATH.
    const wrappers = join(dir, "wrappers");
    mkdirSync(wrappers);
    writeFileSync(
      join(wrappers, "bazel"),
      `#!/bin/sh\necho x >>'${dir}/count'\nPATH=\${PATH#*'${wrappers}':}\nexec env -i PATH="$PATH" HOME="$HOME" bazel "$@"\n`,
    );
    chmodSync(join(wrappers, "bazel"), 0o755);
    const path = stage.env["PATH"]?.replace(`${built.shim}:`, `${built.shim}:${wrappers}:`);
    tool.forget();
    expectAttachedTo(await bazel(stage, ["build", "//x"], { env: { PATH: path } }), tool, cache.url);
    expect(readFileSync(join(dir, "count"), "utf8")).toBe("x\n");
    // The flags came through it once, not once for each shim.
    expect(tool.words()?.filter((word) => word.startsWith("--remote_cache="))).toHaveLength(1);
  });

  test("BuildBuddy #5324: a secret on a command line, in a log or in a published file: never", async () => {
    const secret = "s3cr3t-5324";
    const secrets = Object.fromEntries(
      ["GF_REAPI_CREDENTIAL_HELPER_TOKEN", "ATTIC_TOKEN", "BAZEL_REMOTE_HEADER", "BAZEL_REMOTE_CACHE_HEADER", "BUILDBUDDY_API_KEY"].map(
        (name) => [name, `x=${secret}`],
      ),
    );
    // The daemon is started by somebody who has them all, and is asked, refused and escaped from with them.
    await stage.down();
    tool.forget();
    expectAttachedTo(await bazel(stage, ["build", "//x"], { env: secrets }), tool, cache.url);
    expect(tool.words()?.join("\n")).not.toContain(secret);
    const inUrl = `grpc://user:${secret}@cache.example:9092`;
    const refused = await bazel(stage, ["build", "//x"], { env: { ...secrets, BAZEL_REMOTE_CACHE: inUrl } });
    expect(refused.exitCode).toBe(78);
    const attach = await stage.flywheel(["attach", inUrl]);
    expect(attach.exitCode).not.toBe(0);
    const { daemon } = await statusWhen(stage, "a daemon", (status) => status.daemon !== null);
    const process = `/proc/${daemon?.pid}`;
    const said = [
      refused,
      attach,
      await stage.flywheel(["status", "--json"]),
      await stage.flywheel(["logs"]),
      await stage.flywheel(["history"]),
    ];
    const kept = ["state", "run", "config"].flatMap((name) => filesBelow(join(stage.dir, name)));
    expect(kept.some((file) => file.endsWith("daemon.log"))).toBe(true);
    const everywhere = [
      ...said.map(({ stdout, stderr }) => stdout + stderr),
      ...kept.map((file) => readFileSync(file, "latin1")),
      readFileSync(`${process}/cmdline`, "latin1"),
      readFileSync(`${process}/environ`, "latin1"),
    ];
    for (const text of everywhere) expect(text).not.toContain(secret);
  });

  test("Turborepo #8122: a core is never kept busy, though the tailnet's client hangs up at each call", async () => {
    const { daemon } = await statusWhen(stage, "attached", (status) => status.bazel.state === "attached");
    const pid = daemon?.pid ?? 0;
    await stage.localApi.set({ ...(await currentState()), fault: "garbage" });
    await statusWhen(stage, "the client's end noticed", (status) => status.tailnet.reason !== null, 45_000);
    const before = cpuSeconds(pid);
    const wall = performance.now();
    // The time itself is what is measured.
    await delay(5000);
    const share = (cpuSeconds(pid) - before) / ((performance.now() - wall) / 1000);
    expect(share, "of a core").toBeLessThan(0.15);
  }, 90_000);

  async function currentState() {
    return JSON.parse(readFileSync(join(stage.dir, "localapi.json"), "utf8"));
  }

  test("bazelisk #137, ort#8828: --version, help and completion go straight to the tool", async () => {
    await stage.down();
    for (const args of [["--version"], ["version"], ["help"], ["completion", "bash"], ["--nobatch", "--version"]]) {
      tool.forget();
      const ran = await bazel(stage, args);
      expect(ran).toEqual({ exitCode: 0, stdout: "", stderr: "" });
      expect(tool.words()).toEqual(args);
    }
    // Nothing was started for them.
    expect(existsSync(join(stage.dir, "run/daemon.sock"))).toBe(false);
  });
});

function filesBelow(directory: string): string[] {
  return readdirSync(directory, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name));
}

/** User and system time of a process: seconds (proc_pid_stat(5), fields 14 and 15, in hundredths on every Linux that Node runs on). */
function cpuSeconds(pid: number): number {
  const stat = readFileSync(`/proc/${pid}/stat`, "latin1");
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  return (Number(fields[11]) + Number(fields[12])) / 100;
}
