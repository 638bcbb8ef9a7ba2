/**
 * One machine of the fault-injection run, in namespaces of its own (run.ts starts it there): a network that ends in
 * the test's relay, mounts for its clock and its small disks, and the product's real daemon, shim and command line.
 *   node machine.ts --seed N --faults N --directory DIR [--sabotage KIND]
 * Prints one JSON line for each step, and a last one; ends at the first violation.
 */
import { parseArgs } from "node:util";
import type { GuardRun, Violation } from "./invariants.ts";
import { checkCommand, checkDaemon, checkDials, checkGuard, checkPublished } from "./invariants.ts";
import { plan, type Step } from "./plan.ts";
import { type MachineReport, type Sabotage, type StepReport, sabotages } from "./report.ts";
import { World } from "./world.ts";

const { values } = parseArgs({
  options: {
    seed: { type: "string" },
    faults: { type: "string" },
    directory: { type: "string" },
    sabotage: { type: "string" },
  },
});
const seed = Number(values.seed);
const count = Number(values.faults);
const { directory } = values;
if (!Number.isSafeInteger(seed) || !Number.isSafeInteger(count) || directory === undefined) throw new Error("usage: see the file's head");
const sabotage = sabotages.find((kind) => kind === values.sabotage);

/** After so many steps the sabotage begins: by then a cache has been proved. */
const sabotageFrom = 3;

function say(report: StepReport | MachineReport): void {
  process.stdout.write(`${JSON.stringify(report)}\n`);
}

async function step(world: World, planned: Step): Promise<{ report: StepReport; violations: readonly Violation[] }> {
  const began = performance.now();
  const violations: Violation[] = [];
  const outcomes: StepReport["guards"][number][] = [];
  const guard = async (lane = 0): Promise<GuardRun> => {
    const run = await world.guard(planned.number % 3 === 0 ? "test" : "build", lane);
    violations.push(...(await world.settled(() => checkGuard(run, world.model))));
    outcomes.push(run.words === undefined ? "refused" : "attached");
    return run;
  };
  const look = async (): Promise<void> => {
    const seen = world.published();
    if (seen !== undefined)
      violations.push(...(await world.settled(() => checkPublished(seen.published, seen.at, world.model, seen.writerLives))));
    violations.push(...checkDials(world.takeDials(), world.model));
  };

  for (const slot of planned.heals) await world.heal(slot);
  if (planned.builds === "during") {
    const running = guard();
    await world.inject(planned.fault);
    await running;
  } else await world.inject(planned.fault);
  await look();
  const first = world.now();
  const runs = await Promise.all(Array.from({ length: planned.builds === 3 ? 3 : 1 }, (_, lane) => guard(lane)));
  await look();
  switch (planned.act) {
    case "nothing":
      break;
    case "verify":
      await world.verify();
      break;
    case "take-back":
      await world.tookBack();
      break;
    case "up":
      violations.push(
        ...checkCommand("flywheel up", await world.flywheel(["up", "--json"]), world.model.able.value ? [0, 1, 3] : [0, 1, 3, 78]),
      );
      break;
    case "status":
      violations.push(...checkCommand("flywheel status", await world.flywheel(["status", "--json"]), [0, 1, 3]));
      break;
  }
  if (planned.news > 0) {
    await world.news(planned.news);
    await guard();
  }
  await look();
  // A refusal asked the daemon, and `up` starts one: then one must be there.
  const asked = runs.some((run) => run.words === undefined) || planned.act === "up";
  violations.push(...checkDaemon(await world.daemons(asked), first, world.model));
  return { report: { step: planned.number, guards: outcomes, ms: Math.round(performance.now() - began) }, violations };
}

async function main(into: string): Promise<MachineReport> {
  const world = await World.create(into);
  let done = 0;
  const ended = (violations: readonly Violation[]): MachineReport => ({
    done,
    violations,
    state: violations.length === 0 ? "" : world.describe(),
    counts: world.counts,
  });
  // Once without any fault: everything after it is then a change.
  const first = await world.flywheel(["up", "--json"]);
  if (first.exitCode !== 0)
    return ended([{ invariant: "daemon", what: `a machine without faults is not attached: ${first.stdout}${first.stderr}` }]);
  for (const planned of plan(seed, count)) {
    if (sabotage !== undefined && planned.number === sabotageFrom) await world.sabotage(sabotage as Sabotage);
    const { report, violations } = await step(world, planned);
    done += 1;
    say(report);
    if (violations.length > 0) return ended(violations);
  }
  return ended([]);
}

const report = await main(directory);
say(report);
// Its processes end with their namespace.
process.exit(report.violations.length === 0 ? 0 : 1);
