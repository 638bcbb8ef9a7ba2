import { basename } from "node:path";
import type { Environment } from "../../contract/environment.ts";
import { FlywheelError } from "../../contract/errors.ts";
import { Exit } from "../../contract/exit.ts";
import { parityEnvironment } from "../../contract/parity-environment.ts";
import { defineCommand } from "../command.ts";
import { waitingFor } from "../output/progress.ts";
import { choiceWords } from "../profile.ts";
import { devshell, devshellSteps } from "../shell/devshell.ts";
import { environmentCode, type Shell, shells } from "../shell/quote.ts";
import { readStatus } from "../status/report.ts";

export default defineCommand({
  name: "env",
  summary: "print the environment that makes this shell what CI is",
  details:
    "Attached: the variables of the fleet's runners, read-only upload unless the profile says otherwise. Not attached: unsets what would contradict that. NIX_CONFIG keeps your lines; ATTIC_SERVER is left alone where ATTIC_TOKEN is set, so that nothing is pushed by accident.",
  options: {
    shell: { flag: "--shell <shell>", summary: `${shells.join(", ")} (by SHELL, else bash)`, choices: shells },
    devshell: {
      flag: "--devshell <step>",
      summary: `for nix/shell-hook.sh, without NIX_CONFIG: enter (starts the daemon, waits 2 s at most) or follow`,
      choices: devshellSteps,
    },
  },
  examples: [
    { line: 'eval "$(flywheel env)"', does: "bash and zsh" },
    { line: "flywheel env --shell fish | source", does: "fish" },
    { line: 'eval "$(flywheel env --shell direnv)"', does: "in an .envrc" },
    { line: "flywheel env --json", does: "{ schema, state, set, unset }" },
  ],
  exits: [{ code: Exit.failed, means: "the status could not be read" }],
  async run({ env, paths, profile, profileChoice, output }, options) {
    const shell = output.format === "json" ? "json" : (options.shell ?? detected(env));
    const step = options.devshell;
    const entered =
      step === undefined ? undefined : await waitingFor(output, "looking for a cache", () => devshell(step, { env, paths, profile }));
    const report = entered?.report ?? (await readStatus(paths, profile));
    const environment = entered?.environment ?? parityEnvironment(report, env);
    if (shell === "json") output.json({ schema: 1, profile, state: report.profileState, ...environment });
    else {
      const code = environmentCode(environment, shell);
      if (code !== "") output.line(code);
      // The hook's own, and not exported: which profile's files it has to follow here.
      if (step !== undefined) output.line(shell === "fish" ? `set -g _flywheel_profile ${profile}` : `_flywheel_profile=${profile}`);
    }
    const words = entered === undefined ? choiceWords(profileChoice) : entered.words;
    if (words !== undefined) output.notice(entered === undefined ? `flywheel: ${words}` : words);
    return Exit.ok;
  },
});

/** @throws FlywheelError `usage` for a shell that none of the forms is for */
function detected(env: Environment): Shell {
  const name = basename(env["SHELL"] || "bash").replace(/^-/, "");
  if (name === "sh" || name === "dash" || name === "ash" || name === "ksh") return "bash";
  const shell = shells.find((each) => each === name);
  if (shell !== undefined) return shell;
  throw new FlywheelError("usage", `SHELL names ${name}, which there is no form for`, { next: `flywheel env --shell ${shells.join("|")}` });
}
