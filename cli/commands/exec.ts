import { Exit } from "../../contract/exit.ts";
import { defineCommand } from "../command.ts";
import { withChosenProfile } from "../profile.ts";
import { refuseBrokenWords, replaceProcess, shimOf } from "../tool.ts";

export default defineCommand({
  name: "exec",
  summary: "run a tool under the guard, without a shim on PATH",
  details:
    "As if the workspace were enrolled: heavy commands get the attached cache, or are refused. With --record, flywheel stays beside the tool instead of becoming it, and `flywheel history` then knows the exit code and every figure. Bazel is asked for its build events, unless it writes them to a file of yours already, which is read; `nix build` and its kind show plain lines instead of a progress bar.",
  arguments: [{ name: "<tool...>", summary: "bazel, nix or another guarded name, and its arguments", completes: "tool" }],
  options: { record: { flag: "--record", summary: "stay beside the tool, and write down how it went" } },
  examples: [
    { line: "flywheel exec -- bazel build //...", does: "guarded, wherever the workspace is" },
    { line: "flywheel exec --record -- nix build", does: "what was substituted, what was built, how long it took" },
  ],
  exits: [
    { code: Exit.refused, means: "refused: not attached" },
    { code: Exit.notFound, means: "there is no such tool; else the tool's own code" },
  ],
  async run(context, options, [tool = "", ...args]) {
    refuseBrokenWords(args, `call the shim itself: PATH="$(flywheel shim path):$PATH" GF_GUARD_SCOPE=all ${tool} …`);
    if (options.record) return (await import("../record/record.ts")).record(tool, args, context);
    return replaceProcess(shimOf(tool), args, { ...withChosenProfile(context.env, context.profileChoice), GF_GUARD_SCOPE: "all" });
  },
});
