/** Colour: only on a terminal, never under NO_COLOR (no-color.org), always under FORCE_COLOR (as Node reads it). */
import type { Environment } from "../../contract/environment.ts";

const codes = { bold: [1, 22], dim: [2, 22], red: [31, 39], green: [32, 39], yellow: [33, 39], cyan: [36, 39] } as const;
type Style = keyof typeof codes;
export type Paint = Readonly<Record<Style, (text: string) => string>>;

export function paint(env: Environment, terminal: boolean): Paint {
  const style = colourful(env, terminal)
    ? (name: Style) => (text: string) => `\u001b[${codes[name][0]}m${text}\u001b[${codes[name][1]}m`
    : () => (text: string) => text;
  return {
    bold: style("bold"),
    dim: style("dim"),
    red: style("red"),
    green: style("green"),
    yellow: style("yellow"),
    cyan: style("cyan"),
  };
}

function colourful(env: Environment, terminal: boolean): boolean {
  const force = env["FORCE_COLOR"];
  if (force !== undefined) return force !== "0" && force !== "false";
  if (env["NO_COLOR"]) return false;
  return terminal && env["TERM"] !== "dumb";
}
