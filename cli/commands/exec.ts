import { Exit } from "../../contract/exit.ts";
import { defineCommand } from "../command.ts";
import { refuseBrokenWords, replaceProcess, shimOf } from "../tool.ts";

export default defineCommand({
  name: "exec",
  summary: "run a tool under the guard, without a shim on PATH",
  details: "As if the workspace were enrolled: heavy commands get the attached cache, or are refused.",
  arguments: [{ name: "<tool...>", summary: "bazel, nix or another guarded name, and its arguments", completes: "tool" }],
  options: {},
  examples: [{ line: "flywheel exec -- bazel build //...", does: "guarded, wherever the workspace is" }],
  exits: [
    { code: Exit.refused, means: "refused: not attached" },
    { code: Exit.notFound, means: "there is no such tool; else the tool's own code" },
  ],
  async run({ env }, _options, [tool = "", ...args]) {
    refuseBrokenWords(args, `call the shim itself: PATH="$(flywheel shim path):$PATH" GF_GUARD_SCOPE=all ${tool} …`);
    return replaceProcess(shimOf(tool), args, { ...env, GF_GUARD_SCOPE: "all" });
  },
});
