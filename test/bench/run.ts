/**
 * What the companion costs, as ratios against what else stands on the same machine in the same run (design.md, "Budgets").
 * A report, not a test: it prints whether each figure is within its budget, and exits 0 either way.
 */
import { existsSync, writeFileSync } from "node:fs";
import { arch } from "node:os";
import { join } from "node:path";
import { makeWorkspace } from "../fixtures/bazel/workspace.ts";
import { startCache } from "../fixtures/caches/start.ts";
import { built, makeStage } from "../fixtures/stage.ts";
import { makeFakeBazel } from "../fixtures/tools/fake-bazel.ts";
import { added, type Measured, measure, median } from "./measure.ts";

const root = join(import.meta.dirname, "../..");
const bazelisk = join(root, `node_modules/@bazel/bazelisk/bazelisk-${process.platform}_${arch() === "x64" ? "amd64" : arch()}`);
for (const needed of [built.flywheel, join(built.shim, "bazel"), bazelisk]) {
  if (!existsSync(needed)) throw new Error(`${needed} is missing: run npm ci`);
}

const ms = (value: number): string => `${value.toFixed(2)} ms`;

function line(what: string, figure: string, budget: string, within: boolean): void {
  process.stdout.write(`${what.padEnd(58)} ${figure.padStart(12)}   budget ${budget.padEnd(10)} ${within ? "within" : "OVER"}\n`);
}

function table(title: string, measured: readonly Measured[]): void {
  process.stdout.write(`\n${title}\n`);
  for (const each of measured) {
    const [least, most] = [Math.min(...each.rounds), Math.max(...each.rounds)];
    process.stdout.write(`  ${each.name.padEnd(40)} median ${ms(median(each.rounds)).padStart(10)}   ${ms(least)} to ${ms(most)}\n`);
  }
}

function named(measured: readonly Measured[], name: string): Measured {
  const found = measured.find((each) => each.name === name);
  if (found === undefined) throw new Error(`${name} was not measured`);
  return found;
}

await using cache = await startCache({ kind: "grpc", host: "127.0.0.2" });
const tools = join(cache.dir, "tools");
const fake = makeFakeBazel(tools);
const node = { name: "cache-1", addresses: ["127.0.0.2"], tags: ["tag:bazel-cache"] };
const stage = await makeStage([tools], { grpcPorts: [cache.port], httpPorts: [], tailnet: { nodes: [node] } });
try {
  const workspace = makeWorkspace(join(stage.dir, "workspace"), { targets: 1 });
  const env = stage.env;

  const ups: number[] = [];
  for (let round = 0; round < 5; round += 1) {
    await stage.down();
    const started = performance.now();
    const up = await stage.flywheel(["up"]);
    if (up.exitCode !== 0) {
      process.stdout.write(`flywheel up came back unattached (${up.exitCode}); the time is until attached:\n${up.stdout}\n`);
      await stage.published("state local-proof");
    }
    ups.push(performance.now() - started);
  }

  const subject = (name: string, argv: readonly [string, ...string[]], more: Readonly<Record<string, string>> = {}) => ({
    name,
    argv,
    env: { ...env, ...more },
    cwd: workspace.dir,
  });
  const shim = join(built.shim, "bazel");
  const behindBazelisk = { USE_BAZEL_VERSION: fake };
  // Bazelisk runs the same tool for every command: one figure serves light and heavy.
  const calls = measure(
    [
      subject("the tool itself", [fake, "info"]),
      subject("shim, light (info)", [shim, "info"]),
      subject("shim, heavy attached (build //:all)", [shim, "build", "//:all"]),
      subject("bazelisk", [bazelisk, "build", "//:all"], behindBazelisk),
    ],
    { rounds: 21, batch: 40 },
  );
  table("A call of the tool, whole processes", calls);

  const empty = join(stage.dir, "empty.mjs");
  writeFileSync(empty, "");
  const reports = measure(
    [subject("an empty Node script", [process.execPath, empty]), subject("flywheel status --json", [built.flywheel, "status", "--json"])],
    { rounds: 11, batch: 5 },
  );
  table("A report", reports);
  process.stdout.write("\n");

  const tool = named(calls, "the tool itself");
  const byBazelisk = added(named(calls, "bazelisk"), tool);
  const light = added(named(calls, "shim, light (info)"), tool) / byBazelisk;
  const heavy = added(named(calls, "shim, heavy attached (build //:all)"), tool) / byBazelisk;
  const status = median(named(reports, "flywheel status --json").rounds) / median(named(reports, "an empty Node script").rounds);
  line("shim, light, over the tool : bazelisk over the tool", light.toFixed(2), "<= 0.33", light <= 1 / 3);
  line("shim, heavy attached, over the tool : bazelisk over the tool", heavy.toFixed(2), "< 1", heavy < 1);
  line("flywheel status --json : an empty Node script", status.toFixed(2), "<= 2.5", status <= 2.5);
  line("flywheel up to attached, daemon started, on loopback", ms(median(ups)), "<= 1000 ms", median(ups) <= 1000);
} finally {
  await stage.dispose();
}
