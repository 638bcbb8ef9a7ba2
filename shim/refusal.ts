/** What the guard says. The first line is fixed, so that people and programs can look for it. */
import type { FlywheelError } from "../contract/errors.ts";
import { typed } from "../contract/quote.ts";
import { printable } from "../contract/text.ts";
import type { Invocation, Refusal } from "./decide.ts";
import { withoutRecording } from "./recording.ts";

/** The error's own next step; status says only that heavy commands are refused for a file, doctor what is wrong with all of them. */
export function nextOf(error: FlywheelError): readonly string[] {
  const own = error.next === undefined ? [] : [error.next];
  return error.code === "config-invalid" ? [...own, "flywheel doctor"] : own;
}

/** The text of a refusal for stderr. To a program that drives Bazel (it passes --tool_tag), only the first line. */
export function refusalText(refusal: Refusal, invocation: Invocation): string {
  const first = `flywheel: refused ${subject(invocation.tool, refusal.command)}: ${refusal.reason}`;
  if (invocation.args.some((word) => word.startsWith("--tool_tag="))) return `${first}\n`;
  // Parentheses: no shell runs the words that stand for others when they are pasted.
  const repeated =
    pasteable([invocation.tool, ...withoutRecording(invocation)]) ?? `${subject(invocation.tool, refusal.command)} (the same words)`;
  const next = [...refusal.next, "flywheel status", `flywheel compat --reason "…" -- ${repeated}   (builds alone, recorded)`];
  const since = refusal.since === undefined ? [] : [`  since: ${refusal.since}`];
  const lines = [first, ...since, ...refusal.tried.slice(0, 6).map((line) => `  tried: ${line}`), ...next.map((line) => `  next: ${line}`)];
  return `${lines.join("\n")}\n`;
}

/** A longer command line is not repeated: characters. */
const longestRepeated = 400;

/** The whole command line, startup options too: another output base is another build. Undefined where it is none to repeat. */
function pasteable(words: readonly string[]): string | undefined {
  const line = words.map(typed).join(" ");
  return line.length <= longestRepeated && printable(line, line.length) === line ? line : undefined;
}

export function escapeText(tool: string, command: string, reason: string): string {
  return `flywheel: escape: ${subject(tool, command)} runs without the shared cache (${reason})\n`;
}

/** The tool and its command; nix-build and its kind are their own. */
function subject(tool: string, command: string): string {
  return tool === command ? tool : `${tool} ${command || "command"}`;
}
