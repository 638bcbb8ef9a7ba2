/**
 * The fault-injection run: `node test/faults/run.ts [--seed N] [--faults 500] [--machines 2] [--sabotage KIND] [--product DIR] [--verbose]`.
 * Real daemon, shim, caches and Tailscale stand-in on machines of their own (namespaces), random faults from a seed, the
 * invariants after each. The same seed, number and machines give the same faults in the same order. Exit 0: no violation; 1: some; 2: it could not run.
 */
import { execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { cpSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { parseArgs } from "node:util";
import type { Peer } from "../fixtures/peers.ts";
import buildIfStale from "../setup.ts";
import type { Violation } from "./invariants.ts";
import { faultText, plan, type Step } from "./plan.ts";
import { type Counts, isStep, type MachineReport, type Sabotage, type StepReport, sabotages } from "./report.ts";

const root = join(import.meta.dirname, "../..");

/** Its own mounts, network and processes: all of it is gone when the first process is. A shell is that one, since it reaps. */
const isolate = ["--mount", "--net", "--pid", "--fork", "--kill-child", "--mount-proc", "--propagation", "private"] as const;

/** No step may need longer, whatever happens to it: the machine itself hangs then. Milliseconds. */
const longestStep = 90_000;

export interface Options {
  readonly seed: number;
  readonly faults: number;
  readonly machines: number;
  readonly sabotage?: Sabotage;
  /** What was built: this checkout's dist unless told. */
  readonly product?: string;
  /** Told of each step as it ends. */
  readonly onStep?: (machine: number, step: Step, report: StepReport) => void;
}

export interface MachineOutcome {
  readonly machine: number;
  readonly seed: number;
  readonly steps: readonly Step[];
  readonly reports: readonly StepReport[];
  readonly violations: readonly Violation[];
  readonly state: string;
  readonly counts: Counts;
}

/** Whether this machine can make machines: it takes root, and unshare, mount and ip of util-linux and iproute2. */
export async function machines(): Promise<Peer> {
  const reason = await new Promise<string | undefined>((resolve) => {
    execFile("unshare", [...isolate, "ip", "link", "set", "lo", "up"], { timeout: 10_000 }, (error) => resolve(error?.message));
  });
  if (reason === undefined) return { available: true, path: "unshare" };
  return { available: false, reason: `no namespaces can be made for machines with faults: ${reason.split("\n").join(" ")}` };
}

/** @returns one outcome a machine; each stops at its first violation */
export async function runFaults(options: Options): Promise<readonly MachineOutcome[]> {
  const each = Math.ceil(options.faults / options.machines);
  return Promise.all(
    Array.from({ length: options.machines }, (_, index) => runMachine(index, Math.min(each, options.faults - index * each), options)),
  );
}

/** Machines of one run share no faults. */
function seedOf(seed: number, machine: number): number {
  return (seed + Math.imul(machine, 0x9e3779b1)) >>> 0;
}

async function runMachine(machine: number, count: number, options: Options): Promise<MachineOutcome> {
  // Short, since a socket's path has 107 bytes.
  const directory = mkdtempSync(join(tmpdir(), "gf-"));
  try {
    // A copy: whoever builds meanwhile must not be taken for an upgrade.
    cpSync(options.product ?? join(root, "dist"), join(directory, "dist"), { recursive: true, verbatimSymlinks: true });
    const seed = seedOf(options.seed, machine);
    const steps = plan(seed, count);
    const reports: StepReport[] = [];
    const args = ["--seed", String(seed), "--faults", String(count), "--directory", directory];
    if (options.sabotage !== undefined) args.push("--sabotage", options.sabotage);
    const inside = [process.execPath, "--disable-warning=ExperimentalWarning", join(import.meta.dirname, "machine.ts"), ...args];
    const child = spawn("unshare", [...isolate, "sh", "-c", '"$@"; exit $?', "sh", ...inside], { stdio: ["ignore", "pipe", "pipe"] });
    let stderr = "";
    child.stderr.setEncoding("utf8").on("data", (chunk: string) => {
      stderr = `${stderr}${chunk}`.slice(-16_384);
    });
    const ended = once(child, "close");
    let hung = setTimeout(() => child.kill("SIGKILL"), longestStep);
    let last: MachineReport | undefined;
    for await (const line of createInterface({ input: child.stdout })) {
      clearTimeout(hung);
      hung = setTimeout(() => child.kill("SIGKILL"), longestStep);
      const report = JSON.parse(line) as StepReport | MachineReport;
      if (!isStep(report)) last = report;
      else {
        reports.push(report);
        const step = steps[report.step - 1];
        if (step !== undefined) options.onStep?.(machine, step, report);
      }
    }
    await ended;
    clearTimeout(hung);
    if (last === undefined) throw new Error(`machine ${machine} ended in step ${reports.length + 1} without a report: ${stderr}`);
    return { machine, seed, steps, reports, violations: last.violations, state: last.state, counts: last.counts };
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

/** What somebody needs who has to find out why: the violations, what led there, and the machine's state. */
export function violationText(outcome: MachineOutcome): string {
  const done = outcome.reports.length;
  const led = outcome.steps.slice(Math.max(0, done - 20), done).map((step) => {
    const report = outcome.reports[step.number - 1];
    return `  ${stepText(step)}  -> ${report?.guards.join(", ") ?? "?"} (${report?.ms ?? "?"} ms)`;
  });
  const what = outcome.violations.map((violation) => `  ${violation.invariant}: ${violation.what}`);
  return [`machine ${outcome.machine} (seed ${outcome.seed}), step ${done}:`, ...what, "the last steps:", ...led, outcome.state].join("\n");
}

function stepText(step: Step): string {
  const healed = step.heals.length === 0 ? "" : ` (healed: ${step.heals.join(", ")})`;
  const builds = step.builds === 1 ? "" : step.builds === 3 ? ", three builds" : ", during a build";
  return `${step.number}. ${faultText(step.fault)}${healed}${builds}${step.act === "nothing" ? "" : `, ${step.act}`}`;
}

export function summaryText(outcomes: readonly MachineOutcome[]): string {
  const reports = outcomes.flatMap((outcome) => outcome.reports);
  const guards = reports.flatMap((report) => report.guards);
  const kinds = new Map<string, number>();
  for (const outcome of outcomes) {
    for (const { fault } of outcome.steps.slice(0, outcome.reports.length)) kinds.set(fault.kind, (kinds.get(fault.kind) ?? 0) + 1);
  }
  const sum = (of: (counts: Counts) => number): number => outcomes.reduce((total, { counts }) => total + of(counts), 0);
  const mean = reports.reduce((total, { ms }) => total + ms, 0) / Math.max(1, reports.length);
  return [
    `${reports.length} faults: ${[...kinds].map(([kind, count]) => `${count} ${kind}`).join(", ")}; ${Math.round(mean)} ms each in the mean`,
    `${guards.length} guarded commands: ${guards.filter((guard) => guard === "attached").length} attached, ${guards.filter((guard) => guard === "refused").length} refused; ${sum((counts) => counts.oughtToRun)} had no reason to be refused`,
    `${sum((counts) => counts.daemons)} daemons, ${sum((counts) => counts.dials)} dials, ${sum((counts) => counts.proofs)} proofs`,
    `${outcomes.reduce((total, { violations }) => total + violations.length, 0)} violations`,
  ].join("\n");
}

async function main(): Promise<number> {
  const { values } = parseArgs({
    options: {
      seed: { type: "string" },
      faults: { type: "string", default: "500" },
      machines: { type: "string", default: "2" },
      sabotage: { type: "string" },
      product: { type: "string" },
      verbose: { type: "boolean", default: false },
    },
  });
  const seed = values.seed === undefined ? (Date.now() ^ (process.pid << 8)) >>> 0 : Number(values.seed);
  const faults = Number(values.faults);
  const count = Number(values.machines);
  const sabotage = sabotages.find((kind) => kind === values.sabotage);
  const wrong = [seed, faults, count].some((value) => !Number.isSafeInteger(value) || value < 0) || faults < count || count < 1;
  if (wrong || (values.sabotage !== undefined && sabotage === undefined)) {
    process.stderr.write(
      `usage: run.ts [--seed N] [--faults N] [--machines N] [--sabotage ${sabotages.join("|")}] [--product DIR] [--verbose]\n`,
    );
    return 2;
  }
  const able = await machines();
  if (!able.available) {
    process.stderr.write(`${able.reason}\n`);
    return 2;
  }
  process.stdout.write(
    `seed ${seed}: ${faults} faults on ${count} machines; again: node test/faults/run.ts --seed ${seed} --faults ${faults} --machines ${count}\n`,
  );
  if (values.product === undefined) await buildIfStale();
  const began = performance.now();
  const outcomes = await runFaults({
    seed,
    faults,
    machines: count,
    ...(sabotage === undefined ? {} : { sabotage }),
    ...(values.product === undefined ? {} : { product: values.product }),
    onStep: (machine, step, report) => {
      if (values.verbose) process.stdout.write(`${machine}: ${stepText(step)}  -> ${report.guards.join(", ")} (${report.ms} ms)\n`);
    },
  });
  for (const outcome of outcomes) if (outcome.violations.length > 0) process.stdout.write(`${violationText(outcome)}\n`);
  process.stdout.write(`${summaryText(outcomes)} in ${Math.round((performance.now() - began) / 1000)} s; seed ${seed}\n`);
  return outcomes.some((outcome) => outcome.violations.length > 0) ? 1 : 0;
}

if (import.meta.main) process.exitCode = await main();
