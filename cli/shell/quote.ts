/** Environments as shell code, quoted so that no value is more than a value. */
import type { ParityEnvironment } from "../../contract/parity.ts";

export const shells = ["bash", "zsh", "fish", "json", "direnv"] as const;
export type Shell = (typeof shells)[number];

/** bash, zsh and every POSIX shell: single quotes, which hold anything but themselves. */
export function posixQuoted(value: string): string {
  return `'${value.replaceAll("'", "'\\''")}'`;
}

/** For a line that a person may type: a plain path as it is. */
export function typed(path: string): string {
  return /^[A-Za-z0-9_@%+=:,./-]+$/.test(path) ? path : posixQuoted(path);
}

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
