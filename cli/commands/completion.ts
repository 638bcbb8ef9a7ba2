import { FlywheelError } from "../../contract/errors.ts";
import { Exit } from "../../contract/exit.ts";
import { defineCommand } from "../command.ts";
import { completionShells, completionText } from "../completion/text.ts";
import { valueKinds, valuesOf } from "../completion/values.ts";
import { allCommands } from "../registry.ts";
import { oneOf } from "../values.ts";

export default defineCommand({
  name: "completion",
  summary: "print the completion for bash, zsh or fish",
  details:
    "Commands, options and their values; endpoints that the daemon knows, and the profiles of this machine; behind `exec --` and its kind the tool's own completion. Completing starts no daemon.",
  arguments: [{ name: "[shell]", summary: "which", choices: completionShells }],
  options: {
    values: { flag: "--values <kind>", summary: "print the values that are offered instead: endpoint or profile", choices: valueKinds },
  },
  examples: [
    { line: 'eval "$(flywheel completion bash)"', does: "in .bashrc" },
    { line: 'eval "$(flywheel completion zsh)"', does: "in .zshrc, behind compinit" },
    { line: "flywheel completion fish | source", does: "in config.fish" },
  ],
  async run({ paths, profile, output }, { values }, [shell]) {
    if (values !== undefined) {
      if (shell !== undefined) throw new FlywheelError("usage", "--values stands alone", { next: "flywheel completion --values profile" });
      const found = await valuesOf(values, paths, profile);
      if (output.format === "json") output.json({ schema: 1, values: found });
      else for (const value of found) output.line(value);
      return Exit.ok;
    }
    if (shell === undefined) {
      throw new FlywheelError("usage", "for which shell?", { next: `flywheel completion ${completionShells.join("|")}` });
    }
    const text = completionText(oneOf("shell", shell, completionShells), await allCommands());
    if (output.format === "json") output.json({ schema: 1, shell, text });
    else output.raw(text);
    return Exit.ok;
  },
});
