/** Environments as shell code, quoted so that no value is more than a value. */
import type { ParityEnvironment } from "../../contract/parity-environment.ts";
import { posixQuoted } from "../../contract/quote.ts";

export const shells = ["bash", "zsh", "fish", "json", "direnv"] as const;
export type Shell = (typeof shells)[number];

/** fish: inside single quotes the backslash escapes itself and the quote. */
export function fishQuoted(value: string): string {
  return `'${value.replaceAll("\\", "\\\\").replaceAll("'", "\\'")}'`;
}

/** The lines to evaluate; names are the fleet's own and need no quotes. */
export function environmentCode(environment: ParityEnvironment, shell: Exclude<Shell, "json">): string {
  const set = Object.entries(environment.set);
  switch (shell) {
    case "bash":
    case "zsh":
    case "direnv":
      return [
        ...environment.unset.map((name) => `unset ${name}`),
        ...set.map(([name, value]) => `export ${name}=${posixQuoted(value)}`),
      ].join("\n");
    case "fish":
      return [
        ...environment.unset.map((name) => `set -e ${name}`),
        ...set.map(([name, value]) => `set -gx ${name} ${fishQuoted(value)}`),
      ].join("\n");
  }
}
