/** The completion of one shell, as text. */
import type { Command } from "../command.ts";
import { bashCompletion } from "./bash.ts";
import { fishCompletion } from "./fish.ts";
import { modelOf } from "./model.ts";
import { zshCompletion } from "./zsh.ts";

export const completionShells = ["bash", "zsh", "fish"] as const;
export type CompletionShell = (typeof completionShells)[number];

/** Where packages put it, below share/. */
export const completionFiles: Readonly<Record<CompletionShell, string>> = {
  bash: "bash-completion/completions/flywheel",
  zsh: "zsh/site-functions/_flywheel",
  fish: "fish/vendor_completions.d/flywheel.fish",
};

export function completionText(shell: CompletionShell, commands: readonly Command[]): string {
  const model = modelOf(commands);
  switch (shell) {
    case "bash":
      return bashCompletion(model);
    case "zsh":
      return zshCompletion(model);
    case "fish":
      return fishCompletion(model);
  }
}
