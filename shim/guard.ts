/** `flywheel guard`, the slow path: decides with the whole truth, says why on stderr, records, and prints the plan that sh carries out. */
import { writeSync } from "node:fs";
import { isatty } from "node:tty";
import { FlywheelError } from "../contract/errors.ts";
import { Exit, type ExitCode } from "../contract/exit.ts";
import type { SpoolEntry } from "../contract/journal.ts";
import { printable } from "../contract/text.ts";
import { appendSpool } from "../daemon/api/client/spool.ts";
import { patienceOf } from "./attachment.ts";
import { type Decision, decide, type Invocation } from "./decide.ts";
import { type Plan, planText } from "./plan.ts";
import { startProgress, watched } from "./progress.ts";
import { escapeText, refusalText } from "./refusal.ts";
import { rememberVerdict } from "./scope.ts";
import { type Surroundings, surroundings } from "./world.ts";

/**
 * @param argv `--tool NAME -- ARGUMENT…`, as the fast path writes it
 * @returns 0 with a plan on stdout, whatever the plan is; sh fails closed on anything else
 */
export async function runGuard(argv: readonly string[]): Promise<ExitCode> {
  const [flag, tool, dashes, ...args] = argv;
  if (flag !== "--tool" || tool === undefined || dashes !== "--") {
    throw new FlywheelError("usage", "guard is the shim's own: flywheel guard --tool NAME -- ARGUMENT…", {
      next: "flywheel explain -- bazel build //…",
    });
  }
  const invocation: Invocation = { tool, args, env: process.env, cwd: currentDirectory() };
  const world = surroundings(invocation, patienceOf("guard", process.env));
  const decision = await whileWatched(() => decide(invocation, world));
  const plan = carryOut(decision, invocation, world);
  // Synchronous, since the process ends right behind it.
  writeSync(1, planText(plan));
  return Exit.ok;
}

/** It may wait for the daemon and for an attachment: whoever sees standard error is told, and the line is gone before anything is said. */
async function whileWatched<T>(work: () => Promise<T>): Promise<T> {
  if (!watched(process.env, isatty(2))) return work();
  const progress = startProgress("flywheel: waiting for an attachment", say);
  try {
    return await work();
  } finally {
    progress.stop();
  }
}

/** @throws FlywheelError `usage` where the directory was removed under the shell: Bazel could not run there either */
function currentDirectory(): string {
  try {
    return process.cwd();
  } catch {
    throw new FlywheelError("usage", "the current directory no longer exists", { next: "change to a directory that exists" });
  }
}

function carryOut(decision: Decision, invocation: Invocation, world: Surroundings): Plan {
  switch (decision.kind) {
    case "run":
      remember(world);
      if (decision.notice !== undefined) say(`flywheel: ${decision.notice}\n`);
      return { kind: "run" };
    case "inject":
      remember(world);
      if (decision.notice !== undefined) say(`flywheel: ${decision.notice}\n`);
      return {
        kind: "inject",
        command: decision.command,
        profile: world.chosen(),
        at: decision.at,
        flags: decision.flags,
        startup: decision.startup,
      };
    case "settings":
      remember(world);
      if (decision.notice !== undefined) say(`flywheel: ${decision.notice}\n`);
      return {
        kind: "settings",
        command: decision.command,
        profile: world.chosen(),
        attached: decision.cache !== undefined,
        channel: decision.channel,
        settings: decision.settings,
      };
    case "escape":
      say(escapeText(invocation.tool, decision.command, decision.reason));
      record("escape", decision, invocation, world);
      return { kind: "run" };
    case "refuse":
      say(refusalText(decision, invocation));
      record("refusal", decision, invocation, world);
      return { kind: "stop" };
  }
}

function remember(world: Surroundings): void {
  // A trusted file's endpoint is looked at each time; a broken configuration leaves no verdict.
  try {
    const { begun, configFile } = world;
    const envFile = world.envFile().state;
    if (envFile === "trusted") return;
    rememberVerdict(world.paths, world.workspace(), world.config(), { begun, configFile, envFile: envFile !== "absent" });
  } catch (error) {
    if (!(error instanceof FlywheelError)) throw error;
  }
}

function record(
  kind: SpoolEntry["kind"],
  decision: { command: string; reason: string },
  invocation: Invocation,
  world: Surroundings,
): void {
  const entry: SpoolEntry = {
    v: 1,
    at: new Date().toISOString(),
    kind,
    tool: invocation.tool,
    command: decision.command,
    workspace: printable(world.workspace().root, 1024),
    profile: chosenName(world),
    reason: decision.reason,
  };
  try {
    appendSpool(world.paths, entry);
  } catch (error) {
    if (!(error instanceof FlywheelError)) throw error;
    // A refusal stands without its record; an escape must not go unnoticed.
    if (kind === "escape")
      say(`flywheel: THIS ESCAPE COULD NOT BE RECORDED: ${error.message}\n  next: ${error.next ?? "flywheel history"}\n`);
  }
}

/** A name that could not be told is no reason to lose the record. */
function chosenName(world: Surroundings): string {
  try {
    return world.chosen();
  } catch (error) {
    if (!(error instanceof FlywheelError)) throw error;
    return "default";
  }
}

function say(text: string): void {
  try {
    writeSync(2, text);
  } catch {
    // A closed stderr hears nothing; the plan still has to reach sh.
  }
}
