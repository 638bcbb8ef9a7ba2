/** A yes that a person gives, or that `--yes` gave for them. */
import { FlywheelError } from "../../contract/errors.ts";
import type { Output } from "./output.ts";

/** What became of a question whether to make a change: with `--dry-run` the change was only to be shown. */
export type Decision = "agreed" | "declined" | "dry-run";

/**
 * @returns whether to go on
 * @throws FlywheelError `usage` where nobody can be asked and `--yes` was not given
 */
export async function confirmed(output: Output, question: string, given: { yes: boolean }): Promise<boolean> {
  if (given.yes) return true;
  if (!output.interactive) {
    throw new FlywheelError("usage", "this needs a yes, and there is no terminal to ask on", { next: "repeat it with --yes" });
  }
  const { createInterface } = await import("node:readline/promises");
  const lines = createInterface({ input: process.stdin, output: process.stderr });
  try {
    const answer = await lines.question(`${question} [y/N] `);
    return /^y(es)?$/i.test(answer.trim());
  } catch (error) {
    // Ctrl-C and Ctrl-D at the question are a no.
    if (!(error instanceof Error) || error.name !== "AbortError") throw error;
    output.notice("");
    return false;
  } finally {
    lines.close();
  }
}
