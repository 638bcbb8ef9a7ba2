import { rmSync } from "node:fs";
import { basename } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import type { Environment } from "../../contract/environment.ts";
import { FlywheelError } from "../../contract/errors.ts";
import { Exit } from "../../contract/exit.ts";
import { typed } from "../../contract/quote.ts";
import { table } from "../../contract/words.ts";
import { DaemonClient } from "../../daemon/api/client/connection.ts";
import { describeHello } from "../../daemon/api/client/skew.ts";
import { defineCommand } from "../command.ts";
import type { Context } from "../context.ts";
import { confirmed, type Decision } from "../output/ask.ts";
import { waitingFor } from "../output/progress.ts";
import { applyEdit, diff, type Edit } from "../rc/file.ts";
import { inspect, type Unit } from "../service/inspect.ts";
import { carried, installation } from "../service/install.ts";
import { asked, done, type Manager, managerOf, type Step, tried } from "../service/manager.ts";
import type { UnitState } from "../service/mark.ts";

export default defineCommand({
  name: "service",
  summary: "have the system start the daemon: install, uninstall, or say how it stands",
  details:
    "Linux: user units of systemd, which listens on the daemon's socket and starts it when it is first asked. macOS: a launchd agent, from login on (not tried on macOS). The change is shown first and asked for; a file that you edited is left alone. Without a service any command that needs the daemon starts it.",
  arguments: [{ name: "<action>", summary: "what to do", choices: ["install", "uninstall", "status"] }],
  options: {
    dryRun: { flag: "--dry-run", summary: "show the change and make none" },
    yes: { flag: "--yes", summary: "do not ask" },
  },
  examples: [
    { line: "flywheel service install", does: "show the units, ask, write and start them" },
    { line: "flywheel service install --dry-run", does: "only show them" },
    { line: "flywheel service status", does: "whether they are installed, up to date, and running" },
    { line: "flywheel service uninstall", does: "stop it, and remove what install wrote" },
  ],
  exits: [{ code: Exit.failed, means: "nothing was changed; with status: not installed, not up to date, or not running" }],
  async run(context, { dryRun, yes }, [action]) {
    const { env, home, paths } = context;
    const place = { env, home, platform: process.platform, uid: process.getuid?.() ?? 0 };
    const manager = managerOf(place, installation(paths, env));
    const units = manager.files.map(({ file, text }) => inspect(file, text));
    switch (action) {
      case "install":
        return install(context, manager, units, { dryRun, yes });
      case "uninstall":
        return uninstall(context, manager, units, { dryRun, yes });
      default:
        return status(context, manager, units);
    }
  },
});

interface Consent {
  readonly dryRun: boolean;
  readonly yes: boolean;
}

/** @throws FlywheelError `config-invalid` where a file is not install's to change */
function requireOwn(units: readonly Unit[]): void {
  for (const { file, state } of units) {
    if (!isOthers(state)) continue;
    const why =
      state === "edited" ? "was edited since `flywheel service install` wrote it" : "was not written by `flywheel service install`";
    throw new FlywheelError("config-invalid", `${file} ${why}`, {
      next: `move it away, and repeat this${dropIn(file)}`,
    });
  }
}

/** Whether a file is not install's to change. */
function isOthers(state: UnitState): boolean {
  return state === "edited" || state === "foreign";
}

/** How systemd takes settings of one's own beside a unit. */
function dropIn(file: string): string {
  return file.endsWith(".plist") ? "" : `; settings of your own belong into a drop-in: systemctl --user edit ${basename(file)}`;
}

async function install(context: Context, manager: Manager, units: readonly Unit[], consent: Consent): Promise<number> {
  const { env, output } = context;
  requireOwn(units);
  const edits = units.filter(({ state }) => state !== "current").map(({ write }) => write);
  const variables = carried(env);
  if (variables.length > 0 && output.format === "human") {
    output.notice(`the service holds on to ${variables.join(", ")} of this shell: a flywheel without that looks elsewhere`);
  }
  const speaks = (await tried(manager.answers, env)) !== undefined;
  const left = speaks ? [] : manager.start;
  if (edits.length === 0 && (await runs(manager, env))) return report(context, manager, { edits, decision: "agreed", steps: left });
  const decision = await decide(context, edits, manager.start, consent);
  if (decision !== "agreed") return report(context, manager, { edits, decision, steps: [] });
  for (const edit of edits) await applyEdit(edit);
  if (speaks) {
    await waitingFor(output, "starting the service", async () => {
      await endRunning(context);
      // launchd refuses to load what is loaded already.
      if (manager.name === "launchd") for (const step of manager.stop) await tried(step, env);
      for (const step of manager.start) await done(step, env);
      await prove(context, manager);
    });
  }
  return report(context, manager, { edits, decision, steps: left });
}

async function uninstall(context: Context, manager: Manager, units: readonly Unit[], consent: Consent): Promise<number> {
  const { env, output } = context;
  const there = units.filter(({ state }) => state !== "absent");
  requireOwn(there);
  const edits = there.map(({ remove }) => remove);
  const speaks = (await tried(manager.answers, env)) !== undefined;
  const steps = edits.length === 0 ? [] : [...manager.stop, ...manager.forget];
  const decision = await decide(context, edits, steps, consent);
  if (decision !== "agreed") return report(context, manager, { edits, decision, steps: [] });
  // What is not loaded cannot be stopped: no reason to keep its file.
  if (speaks) {
    await waitingFor(output, "stopping the service", async () => {
      for (const step of manager.stop) await tried(step, env);
    });
  } else if (edits.length > 0) {
    // A manager that does not answer cannot disable it, and would find a link to nothing later.
    for (const link of manager.left.links) rmSync(link, { force: true });
  }
  for (const edit of edits) await applyEdit(edit);
  if (speaks) for (const step of manager.forget) await done(step, env);
  const left = speaks || edits.length === 0 ? [] : manager.left.steps;
  return report(context, manager, { edits, decision, steps: left });
}

/** Shows what is about to be written and run, and asks. Where there is nothing to write, nothing is asked. */
async function decide({ output }: Context, edits: readonly Edit[], steps: readonly Step[], { dryRun, yes }: Consent): Promise<Decision> {
  if (output.format === "human") {
    const show = (line: string): void => (dryRun ? output.line(line) : output.notice(line));
    for (const edit of edits) show(diff(edit));
    if (edits.length > 0) for (const step of steps) show(`run  ${step.join(" ")}`);
  }
  if (dryRun) return "dry-run";
  return edits.length === 0 || (await confirmed(output, "Make this change?", { yes })) ? "agreed" : "declined";
}

/** A daemon that runs without the service would lose its socket to it: it is asked to end, in order. */
async function endRunning({ paths }: Context): Promise<void> {
  try {
    await new DaemonClient(paths).stop();
  } catch {
    // None runs, or it hangs: prove() says so.
  }
}

/** How long a service may take until its daemon answers, and how often to ask where none listens yet (launchd): milliseconds. */
const coming = { patience: 5_000, look: 100 } as const;

/** @throws FlywheelError where the service was started, but its daemon does not answer */
async function prove({ paths, output }: Context, manager: Manager): Promise<void> {
  const until = performance.now() + coming.patience;
  for (;;) {
    try {
      const hello = await new DaemonClient(paths).hello();
      if (hello.startedBy !== "service") {
        throw new FlywheelError(
          "daemon-unreachable",
          `${describeHello(hello)} answers, pid ${hello.pid}, which ${manager.name} did not start`,
          {
            next: "flywheel down, then flywheel service install",
          },
        );
      }
      if (output.format === "human") output.notice(`${describeHello(hello)} answers, pid ${hello.pid}`);
      return;
    } catch (error) {
      if (performance.now() > until || !(error instanceof FlywheelError) || error.code !== "daemon-unreachable") throw error;
    }
    await delay(coming.look);
  }
}

interface Outcome {
  readonly edits: readonly Edit[];
  readonly decision: Decision;
  /** What is left for a person to type, where the manager did not answer. */
  readonly steps: readonly Step[];
}

function report({ output }: Context, manager: Manager, { edits, decision, steps }: Outcome): number {
  const exit = decision === "declined" ? Exit.failed : Exit.ok;
  const removing = edits.some((edit) => edit.after === undefined);
  const next = steps.map((step) => step.join(" "));
  if (output.format === "json") {
    output.json({
      schema: 1,
      manager: manager.name,
      changed: decision === "agreed" && edits.length > 0,
      files: edits.map((edit) => ({ file: edit.file, diff: diff(edit) })),
      next,
    });
    return exit;
  }
  if (edits.length === 0) output.line("nothing to change");
  else if (decision === "agreed") output.line(`${removing ? "removed" : "wrote"} ${edits.map((edit) => edit.file).join(", ")}`);
  else if (decision === "declined") output.notice("nothing was changed");
  if (next.length > 0) {
    output.notice(`${manager.name} does not answer here, so type yourself:`);
    for (const line of next) output.notice(`  ${line}`);
  }
  return exit;
}

async function status({ env, output }: Context, manager: Manager, units: readonly Unit[]): Promise<number> {
  const { stdout: shown, words } = await waitingFor(output, `asking ${manager.name}`, () => asked(manager.show, env));
  const speaks = shown !== undefined || (await tried(manager.answers, env)) !== undefined;
  const loaded = shown === undefined || manager.name === "launchd" ? [] : properties(shown);
  const good = units.every(({ state }) => state === "current") && (await runs(manager, env));
  const error = shown === undefined ? words : null;
  const next = good ? null : nextOf(manager, units, speaks);
  if (output.format === "json") {
    const files = units.map(({ file, state }) => ({ file, state }));
    output.json({ schema: 1, manager: manager.name, ok: good, files, loaded, error, next });
    return good ? Exit.ok : Exit.failed;
  }
  output.line(table(units.map(({ file, state }) => [file, stateWords[state]])));
  for (const { Id, UnitFileState, ActiveState } of loaded) output.line(`  ${Id}: ${UnitFileState || "not known"}, ${ActiveState}`);
  if (error !== null) {
    output.line(`  ${manager.name} ${speaks ? "knows no such service" : "does not answer here"}${error === "" ? "" : `: ${error}`}`);
  }
  if (next !== null) output.line(`  next   ${next}`);
  return good ? Exit.ok : Exit.failed;
}

/** What mends a service that does not stand ready. Without a manager no install can: the daemon needs none. */
function nextOf(manager: Manager, units: readonly Unit[], speaks: boolean): string {
  const others = units.filter(({ state }) => isOthers(state)).map(({ file }) => file);
  if (others.length > 0) return `move ${others.map(typed).join(" and ")} away, then flywheel service install`;
  return speaks ? "flywheel service install" : `flywheel up, which starts the daemon without ${manager.name}`;
}

const stateWords: Record<UnitState, string> = {
  absent: "not installed",
  current: "installed",
  outdated: "installed by another flywheel than this one, or for other directories",
  edited: "installed, and edited since",
  foreign: "not written by flywheel service install",
};

/** `systemctl show`: one block of `Key=value` lines a unit. */
function properties(text: string): readonly Record<string, string>[] {
  return text
    .trim()
    .split("\n\n")
    .map((block) =>
      Object.fromEntries(block.split("\n").map((line) => [line.slice(0, line.indexOf("=")), line.slice(line.indexOf("=") + 1)])),
    );
}

/** Whether the manager stands ready to start the daemon, now and after the next login. */
async function runs(manager: Manager, env: Environment): Promise<boolean> {
  const shown = await tried(manager.show, env);
  return shown !== undefined && (manager.name === "launchd" || listens(properties(shown)));
}

function listens(loaded: readonly Record<string, string>[]): boolean {
  return loaded.some(
    ({ Id, UnitFileState, ActiveState }) => Id?.endsWith(".socket") === true && UnitFileState === "enabled" && ActiveState === "active",
  );
}
