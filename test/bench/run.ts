/**
 * What the companion costs, as ratios against what else stands on the same machine in the same run (design.md, "Budgets").
 * A report, not a test: it prints whether each figure is within its budget, and exits 0 either way.
 */
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { arch } from "node:os";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import type { StatusReport } from "../../contract/api.ts";
import { defaultTimeoutMs } from "../../daemon/probe/context.ts";
import { makeWorkspace } from "../fixtures/bazel/workspace.ts";
import { type RunningCache, startCache } from "../fixtures/caches/start.ts";
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

/** Probing takes this long at most (daemon/probe/context.ts), and what follows from it half a second: milliseconds. */
const failoverBudget = defaultTimeoutMs + 500;
/** Four renewals of the lease and a round over all candidates: seconds. */
const idleWindow = 60;

await using cache = await startCache({ kind: "grpc", host: "127.0.0.2" });
await using second = await startCache({ kind: "grpc", host: "127.0.0.3", port: cache.port });
const tools = join(cache.dir, "tools");
const fake = makeFakeBazel(tools);
const nodes = [
  { name: "cache-1", addresses: [cache.host], tags: ["tag:bazel-cache"] },
  { name: "cache-2", addresses: [second.host], tags: ["tag:bazel-cache"] },
  ...Array.from({ length: 198 }, (_, index) => ({ name: `peer-${index}`, addresses: [`100.64.1.${index + 1}`], tags: ["tag:server"] })),
];
const stage = await makeStage([tools], { grpcPorts: [cache.port], httpPorts: [], tailnet: { nodes } });
try {
  const workspace = makeWorkspace(join(stage.dir, "workspace"), { targets: 1 });
  const env = stage.env;

  const ups: number[] = [];
  for (let round = 0; round < 5; round += 1) {
    await stage.down();
    const started = performance.now();
    await stage.flywheel(["up"]);
    await stage.published("state local-proof");
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

  const idle = await idleCost();
  const failovers = {
    killed: await failover("by itself", (attached) => attached.kill()),
    hung: await failover("asked", async (attached) => void process.kill(attached.pid, "SIGSTOP")),
  };

  const tool = named(calls, "the tool itself");
  const byBazelisk = added(named(calls, "bazelisk"), tool);
  const light = added(named(calls, "shim, light (info)"), tool) / byBazelisk;
  const heavy = added(named(calls, "shim, heavy attached (build //:all)"), tool) / byBazelisk;
  const status = median(named(reports, "flywheel status --json").rounds) / median(named(reports, "an empty Node script").rounds);
  line("shim, light, over the tool : bazelisk over the tool", light.toFixed(2), "<= 0.33", light <= 1 / 3);
  line("shim, heavy attached, over the tool : bazelisk over the tool", heavy.toFixed(2), "< 1", heavy < 1);
  line("flywheel status --json : an empty Node script", status.toFixed(2), "<= 2.5", status <= 2.5);
  line("flywheel up to attached, daemon started, on loopback", ms(median(ups)), "<= 1000 ms", median(ups) <= 1000);
  const words = `<= ${failoverBudget} ms`;
  line("a killed cache to a published failover", ms(failovers.killed), words, failovers.killed <= failoverBudget);
  line("a hung cache, asked to prove it, to a published failover", ms(failovers.hung), words, failovers.hung <= failoverBudget);
  if (idle !== undefined) {
    line(`the daemon idle, ${nodes.length} peers: resident`, `${idle.mib.toFixed(1)} MiB`, "<= 100 MiB", idle.mib <= 100);
    line(
      `the daemon idle, ${nodes.length} peers: of a core, ${idleWindow} s`,
      `${idle.percent.toFixed(2)} %`,
      "<= 0.2 %",
      idle.percent <= 0.2,
    );
  }
} finally {
  await stage.dispose();
}

async function status(): Promise<StatusReport> {
  return JSON.parse((await stage.flywheel(["status", "--json"])).stdout) as StatusReport;
}

/**
 * The median time from a cache's end until the other one is published. A connection that breaks is noticed `by itself`;
 * one that only falls silent at the next proof, which `flywheel up` asks for.
 * @param end ends the attached cache; it is started anew for the next round
 */
async function failover(notice: "by itself" | "asked", end: (attached: RunningCache) => Promise<void>): Promise<number> {
  const rounds: number[] = [];
  for (let round = 0; round < 4; round += 1) {
    const { endpoint } = (await status()).bazel;
    const [attached, other] = endpoint === cache.url ? [cache, second] : [second, cache];
    if (endpoint !== attached.url) throw new Error(`the stage is attached to ${endpoint}`);
    const started = performance.now();
    await end(attached);
    const asked = notice === "asked" ? stage.flywheel(["up"]) : undefined;
    await stage.published(`endpoint ${other.url}`);
    rounds.push(performance.now() - started);
    await asked;
    await attached.kill();
    await attached.restart();
    // The survey finds it again, as a candidate for the next round.
    await stage.flywheel(["up"]);
  }
  return median(rounds);
}

/** What the daemon holds and uses while nobody asks it anything; undefined where there is no /proc. */
async function idleCost(): Promise<{ readonly mib: number; readonly percent: number } | undefined> {
  const pid = (await status()).daemon?.pid;
  if (pid === undefined || !existsSync(`/proc/${pid}/stat`)) return undefined;
  // utime and stime, the 14th and 15th field of proc_pid_stat(5), in ticks of 10 ms; the 2nd may hold spaces.
  const ticks = (): number => {
    const fields = readFileSync(`/proc/${pid}/stat`, "utf8")
      .replace(/^.*\) /s, "")
      .split(" ");
    return Number(fields[11]) + Number(fields[12]);
  };
  const before = ticks();
  await pause(idleWindow * 1000);
  const percent = (ticks() - before) / idleWindow;
  const kib = /^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1];
  return { mib: Number(kib) / 1024, percent };
}
