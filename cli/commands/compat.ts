import { FlywheelError } from "../../contract/errors.ts";
import { Exit } from "../../contract/exit.ts";
import { printable } from "../../contract/text.ts";
import { defineCommand } from "../command.ts";
import { withChosenProfile } from "../profile.ts";
import { refuseBrokenWords, replaceProcess, shimOf } from "../tool.ts";

/** As much as one line of the journal has room for: characters. */
const longestReason = 500;

export default defineCommand({
  name: "compat",
  summary: "run a tool alone, without the shared cache, and record why",
  details: "The way past a refusal, for one invocation: nothing is injected, and `flywheel history` and `status` show it.",
  arguments: [{ name: "<tool...>", summary: "bazel, nix or another guarded name, and its arguments", completes: "tool" }],
  options: { reason: { flag: "--reason <words>", summary: "why; needed" } },
  examples: [{ line: 'flywheel compat --reason "cache is down for maintenance" -- bazel build //...', does: "builds alone, recorded" }],
  exits: [{ code: Exit.notFound, means: "there is no such tool; else the tool's own code" }],
  async run({ env, profileChoice }, { reason }, [tool = "", ...args]) {
    const words = reason?.trim() ?? "";
    const next = 'flywheel compat --reason "…" -- bazel build //…';
    if (words === "") throw new FlywheelError("usage", "an escape needs a reason", { next });
    if (words.includes("\ufffd") || printable(words, longestReason) !== words) {
      throw new FlywheelError("usage", `a reason is one line of at most ${longestReason} printable characters`, { next });
    }
    refuseBrokenWords(args, `call the shim itself: PATH="$(flywheel shim path):$PATH" GF_GUARD_BYPASS="…" ${tool} …`);
    return replaceProcess(shimOf(tool), args, { ...withChosenProfile(env, profileChoice), GF_GUARD_BYPASS: words });
  },
});
