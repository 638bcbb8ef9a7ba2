/**
 * The main job from end to end on one machine: a tailnet stand-in, two embedded caches, the real daemon, shim and
 * command line, and a real Bazel. Every step is shown as it runs and checked; the first that is not as it
 * should be ends the demo with exit code 1. Everything is cleaned up, also on Ctrl-C.
 */
import { existsSync, mkdtempSync } from "node:fs";
import { constants, tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { messageOf } from "../../contract/errors.ts";
import { Exit } from "../../contract/exit.ts";
import { npmBazel } from "../fixtures/bazel/real.ts";
import { removeBazelRoot, runBazel, startupOptions } from "../fixtures/bazel/run.ts";
import { makeWorkspace } from "../fixtures/bazel/workspace.ts";
import { type RunningCache, startCache } from "../fixtures/caches/start.ts";
import { built, makeStage, type Ran, type Stage } from "../fixtures/stage.ts";

const targets = 20;
const interrupted = new AbortController();
/** What must be undone, last first. */
const undo: (() => Promise<void>)[] = [];

function say(text: string): void {
  process.stdout.write(`${text}\n`);
}

let step = 0;
function heading(text: string): void {
  step += 1;
  say(`\n== ${step}. ${text}`);
}

function check(holds: boolean, expectation: string): void {
  interrupted.signal.throwIfAborted();
  if (!holds) throw new Error(`expected ${expectation}`);
  say(`   ok: ${expectation}`);
}

async function demo(): Promise<void> {
  const bazel = npmBazel();
  if (!bazel.available) throw new Error(bazel.reason);
  if (!existsSync(built.flywheel)) throw new Error("dist/ is not built: run npm ci");

  say("LOCAL PROOF. The tailnet and its caches are stand-ins on this machine's loopback addresses. So that they may be used");
  say('at all, config.toml says [local_proof] mode = "port-forward", allow_localhost = true, and the environment has');
  say("GF_BAZEL_LOCAL_PROOF=port-forward and GF_BAZEL_ALLOW_LOCALHOST_PROOF=true: hence `local-proof` in what follows.");
  say(`The daemon, the shim, the commands and Bazel ${bazel.version} are the real ones; home and state are temporary. The profile`);
  say("has upload = true, so that the first build fills the cache. Bazel's startup options for the temporary place are not shown.");

  const grpc = await startCache({ kind: "grpc", host: "127.0.0.2" });
  undo.push(grpc.dispose);
  const http = await startCache({ kind: "http", host: "127.0.0.3" });
  undo.push(http.dispose);
  const stage = await makeStage([dirname(bazel.path)], { grpcPorts: [grpc.port], httpPorts: [http.port], upload: true });
  undo.push(stage.dispose);
  const bazelRoot = mkdtempSync(join(tmpdir(), "gf-bz-"));
  undo.push(() => removeBazelRoot(bazelRoot));
  // No bazel-* links: `//...` would follow those of another output base.
  const workspace = makeWorkspace(join(stage.dir, "workspace"), { targets, rc: "build --symlink_prefix=/\n" });

  const flywheel = (args: readonly string[]): Promise<Ran> => command(stage, args, workspace.dir);
  const build = (outputBase: string, shown = "") => {
    say(`$ bazel ${shown}build //...`);
    return runBazel({
      bazel: join(built.shim, "bazel"),
      workspace,
      outputUserRoot: bazelRoot,
      outputBase,
      args: ["build", "//..."],
      env: stage.env,
      signal: interrupted.signal,
      onOutput: (text) => process.stdout.write(text),
    });
  };

  heading("Not attached: a heavy command is refused");
  check((await flywheel(["up"])).exitCode === Exit.notAttached, "`flywheel up` exits 3, and says why");
  const refused = await build("first");
  check(refused.exitCode === Exit.refused, "the build is refused with exit code 78");
  check(refused.stderr.startsWith("flywheel: refused bazel build: ") && refused.stdout === "", "it says so on stderr alone");
  check(grpc.connections() + http.connections() === 0, "nobody dialled the caches, which are not on the tailnet yet");

  heading("The caches appear on the tailnet: a tagged node each");
  const appeared = performance.now();
  await stage.tailnet({ nodes: [nodeOf("cache-1", grpc), nodeOf("cache-2", http)] });
  await stage.published("state local-proof", { signal: interrupted.signal });
  const took = Math.round(performance.now() - appeared);
  const status = await flywheel(["status"]);
  check(status.exitCode === Exit.ok, `attached ${took} ms after they appeared: heard of, proved and published`);
  // Both are trusted alike: the daemon takes the one that answers sooner.
  const [first, second] = status.stdout.includes(grpc.url) ? [grpc, http] : [http, grpc];
  check(status.stdout.includes(first.url), `to ${first.url}`);

  heading("Build: the cache is filled");
  const filled = await build("first");
  check(filled.exitCode === 0, "the build succeeds");
  check(filled.processes?.total === targets && filled.processes.hits === 0, `${targets} actions ran here, none came from the cache`);

  heading("The same build from a fresh output base");
  const hit = await build("second", "--output_base=<fresh> ");
  check(hit.exitCode === 0, "the build succeeds");
  check(hit.processes?.total === targets && hit.processes.hits === targets, `${targets} remote cache hit`);

  heading(`${first.url} dies: the daemon fails over to the other cache`);
  await first.kill();
  const over = await flywheel(["up"]);
  check(over.exitCode === Exit.ok && over.stdout.includes(second.url), `attached to ${second.url}`);

  heading("That one dies too: refused again");
  await second.kill();
  check((await flywheel(["up"])).exitCode === Exit.notAttached, "`flywheel up` exits 3, and says why");
  check((await build("second")).exitCode === Exit.refused, "the build is refused with exit code 78");

  heading("The way past it, recorded");
  const reason = "both caches are down and the demo must go on";
  const alone = ["bazel", ...startupOptions(bazelRoot, "third"), "build", "//..."];
  const escaped = await command(stage, ["compat", "--reason", reason, "--", ...alone], workspace.dir, [
    ...["compat", "--reason", `"${reason}"`, "--", "bazel", "build", "//..."],
  ]);
  check(escaped.exitCode === 0, "the build succeeds, alone");
  check((await flywheel(["history"])).stdout.includes(reason), "`flywheel history` shows the escape and its reason");
}

function nodeOf(name: string, cache: RunningCache) {
  return { name, addresses: [cache.host], tags: ["tag:bazel-cache"] };
}

/** Runs `flywheel`, showing the line and what it prints. @param shown what to show where that is shorter than the arguments */
async function command(stage: Stage, args: readonly string[], cwd: string, shown = args): Promise<Ran> {
  interrupted.signal.throwIfAborted();
  say(`$ flywheel ${shown.join(" ")}`);
  const ran = await stage.flywheel(args, { cwd, signal: interrupted.signal });
  for (const text of [ran.stdout, ran.stderr]) if (text !== "") say(text.trimEnd());
  return ran;
}

/** @returns false where something could not be undone */
async function cleanUp(): Promise<boolean> {
  let clean = true;
  for (const one of undo.reverse()) {
    await one().catch((thrown: unknown) => {
      clean = false;
      process.stderr.write(`demo: not cleaned up: ${messageOf(thrown)}\n`);
    });
  }
  return clean;
}

let signalled: NodeJS.Signals | undefined;
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
  // Stays installed, so that an impatient second Ctrl-C does not stop the cleaning up.
  process.on(signal, () => {
    signalled ??= signal;
    interrupted.abort(new Error(`interrupted by ${signal}`));
  });
}

const started = performance.now();
let failure: string | undefined;
try {
  await demo();
} catch (thrown) {
  failure = signalled === undefined ? messageOf(thrown) : `interrupted by ${signalled}`;
}
const clean = await cleanUp();
if (failure === undefined && clean) {
  say(
    `\nAll of it held, in ${((performance.now() - started) / 1000).toFixed(1)} s. The daemon, Bazel's servers, the caches and all files are gone.`,
  );
} else {
  if (failure !== undefined) process.stderr.write(`\ndemo: FAILED at step ${step}: ${failure}\n`);
  process.exitCode = signalled === undefined ? 1 : 128 + constants.signals[signalled];
}
