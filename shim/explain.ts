/** `flywheel explain`: what the guard would do with a command line, and why, without doing it. */

import { readCommandLine } from "../contract/bazel/command-line.ts";
import { quickJudgement } from "../contract/bazel/quick.ts";
import type { Environment } from "../contract/environment.ts";
import { quickNixJudgement, readNixCommandLine } from "../contract/nix/command-line.ts";
import { isNixName, type NixClass } from "../contract/nix/commands.ts";
import { settingFlags, settingLines } from "../contract/nix/injection.ts";
import { patienceOf } from "./attachment.ts";
import { type Decision, decide, type Invocation } from "./decide.ts";
import { isShimName, type ShimName } from "./fast-path/names.ts";
import { readScript } from "./nix/script.ts";
import { findRealTool, noShim, type RealTool } from "./tool.ts";
import { surroundings } from "./world.ts";

export interface Explanation {
  readonly tool: string;
  readonly args: readonly string[];
  readonly class: NixClass;
  /** Whether sh alone could tell, as far as the command line goes. */
  readonly clearToFastPath: boolean;
  readonly decision: Decision;
  /** The command line as the tool would get it; null where it would not run. */
  readonly runs: readonly string[] | null;
  /** NIX_CONFIG as the tool would get it; null where it stays as it is. */
  readonly nixConfig: string | null;
  readonly realTool: RealTool;
}

/** @throws FlywheelError `tool-not-found` for a name that has no shim */
export async function explain(argv: { tool: string; args: readonly string[] }, env: Environment, cwd: string): Promise<Explanation> {
  const { tool: name, args } = argv;
  if (!isShimName(name)) throw noShim(name);
  const invocation: Invocation = { tool: name, args, env, cwd };
  const decision = await decide(invocation, surroundings(invocation, patienceOf("look", env)));
  const realTool = findRealTool(name, env);
  const inConfig = decision.kind === "settings" && decision.channel === "environment";
  return {
    tool: name,
    args,
    ...judged(name, args, cwd),
    decision,
    runs: wordsOf(decision, args, realTool.file ?? name),
    nixConfig: inConfig ? settingLines(env["NIX_CONFIG"] ?? "", decision.settings) : null,
    realTool,
  };
}

function judged(name: ShimName, args: readonly string[], cwd: string): { class: NixClass; clearToFastPath: boolean } {
  if (isNixName(name)) {
    const script = readScript(name, args, cwd);
    const { class: found } = readNixCommandLine(name, args, script);
    return { class: found, clearToFastPath: quickNixJudgement(name, args, script !== undefined).kind !== "unclear" };
  }
  const line = readCommandLine(args);
  return { class: line.kind === "pass" ? line.class : "heavy", clearToFastPath: quickJudgement(args).kind !== "unclear" };
}

function wordsOf(decision: Decision, args: readonly string[], tool: string): readonly string[] | null {
  switch (decision.kind) {
    case "refuse":
      return null;
    case "inject":
      return [tool, ...decision.startup, ...args.toSpliced(decision.at, 0, ...decision.flags)];
    case "settings":
      return [tool, ...(decision.channel === "flags" ? settingFlags(decision.settings) : []), ...args];
    case "run":
    case "escape":
      return [tool, ...args];
  }
}
