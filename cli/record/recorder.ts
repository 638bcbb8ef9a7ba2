/** What a recorder adds to a tool's command line, and reads once the tool has ended. */
import type { ChildProcess } from "node:child_process";
import type { Outcome, Tally } from "../../contract/invocation.ts";
import type { Ending } from "./child.ts";

export interface Recorder {
  readonly command: string;
  readonly args: readonly string[];
  readonly stderr: "inherit" | "pipe";
  /** Follows the tool while it runs. */
  follow(child: ChildProcess): void;
  read(ending: Ending): Promise<Reading>;
  /** Removes what was laid aside for it. */
  close(): void;
}

export interface Reading {
  /** Whether the tool came to do anything: a refusal is the guard's to record. */
  readonly ran: boolean;
  /** That it was given; undefined where its records do not say. */
  readonly endpoint: string | null | undefined;
  readonly outcome: Outcome;
  readonly tally: Tally;
}

/** @param interruptedBy the tool's own exit code for an interrupt */
export function outcomeOf({ code, signal }: Ending, interruptedBy: number | undefined): Outcome {
  if (code === 0) return "succeeded";
  return signal !== undefined || code === interruptedBy ? "interrupted" : "failed";
}
