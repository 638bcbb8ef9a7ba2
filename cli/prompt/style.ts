/** The words of the prompt, their colours, and how each shell's prompt takes a colour. */
import type { ProfileState } from "../../contract/mode.ts";

/** `unattached`: nothing is attached, or nobody says so any more. `unknown`: what is published may not be believed. */
export type Word = "attached" | "executor-backed" | "local-proof" | "unattached" | "unknown" | "escape";

export const wordOfState: Readonly<Record<ProfileState, Word>> = {
  "shared-cache-backed": "attached",
  "executor-backed": "executor-backed",
  "local-proof": "local-proof",
  unattached: "unattached",
};

const colours = { green: 32, cyan: 36, yellow: 33, red: 31 } as const;
type Colour = keyof typeof colours;

export const colourOf: Readonly<Record<Word, Colour>> = {
  attached: "green",
  "executor-backed": "green",
  "local-proof": "cyan",
  unattached: "yellow",
  unknown: "red",
  escape: "red",
};

export const styles = ["bash", "zsh", "fish", "tmux", "ansi"] as const;
export type Style = (typeof styles)[number];

/** What stands around the text so that the shell still knows how wide it is. */
export function around(style: Style, colour: Colour): readonly [before: string, after: string] {
  const [before, after] = [`\u001b[${colours[colour]}m`, "\u001b[39m"];
  switch (style) {
    case "bash":
      // readline's own marks: bash reads `\[` and `\]` before it runs what stands in $(…), never in its output.
      return [`\u0001${before}\u0002`, `\u0001${after}\u0002`];
    case "zsh":
      return [`%F{${colour}}`, "%f"];
    case "tmux":
      return [`#[fg=${colour}]`, "#[fg=default]"];
    case "fish":
    case "ansi":
      return [before, after];
  }
}

/** A percent sign of the format's own: zsh reads the output once more. */
export function percent(style: Style | undefined): string {
  return style === "zsh" ? "%%" : "%";
}
