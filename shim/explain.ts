/** `flywheel explain`: what the guard would do with a command line, and why, without doing it. */

import { readCommandLine } from "../contract/bazel/command-line.ts";
import { quickJudgement } from "../contract/bazel/quick.ts";
import type { Environment } from "../contract/environment.ts";
import { FlywheelError } from "../contract/errors.ts";
import { type Decision, decide, type Invocation } from "./decide.ts";
import { bazelNames } from "./fast-path.ts";
import { findRealTool, type RealTool } from "./tool.ts";
import { surroundings } from "./world.ts";

export interface Explanation {
  readonly tool: string;
  readonly args: readonly string[];
  readonly class: "light" | "medium" | "heavy";
  /** Whether sh alone could tell, as far as the command line goes. */
  readonly clearToFastPath: boolean;
  readonly decision: Decision;
  /** The command line as the tool would get it; null where it would not run. */
  readonly runs: readonly string[] | null;
  readonly realTool: RealTool;
}

/** @throws FlywheelError `usage` for a name that has no shim */
export async function explain(argv: { tool: string; args: readonly string[] }, env: Environment, cwd: string): Promise<Explanation> {
  const name = bazelNames.find((each) => each === argv.tool);
  if (name === undefined) {
    throw new FlywheelError("usage", `${argv.tool} has no shim`, { next: `flywheel explain -- ${bazelNames[0]} build //…` });
  }
  const invocation: Invocation = { tool: name, args: argv.args, env, cwd };
  const decision = await decide(invocation, surroundings(invocation, "look"));
  const line = readCommandLine(argv.args);
  const realTool = findRealTool(name, env);
  return {
    tool: name,
    args: argv.args,
    class: line.kind === "pass" ? line.class : "heavy",
    clearToFastPath: quickJudgement(argv.args).kind !== "unclear",
    decision,
    runs: wordsOf(decision, argv.args, realTool.file ?? name),
    realTool,
  };
}

function wordsOf(decision: Decision, args: readonly string[], tool: string): readonly string[] | null {
  switch (decision.kind) {
    case "refuse":
      return null;
    case "inject":
      return [tool, ...args.toSpliced(decision.at, 0, ...decision.flags)];
    case "run":
    case "escape":
      return [tool, ...args];
  }
}
