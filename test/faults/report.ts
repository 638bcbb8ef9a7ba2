/** What a machine tells whoever started it, one JSON line each. */
import type { Violation } from "./invariants.ts";

export interface StepReport {
  readonly step: number;
  readonly guards: readonly ("attached" | "refused")[];
  readonly ms: number;
}

export interface Counts {
  /** Proofs that really arrived. */
  readonly proofs: number;
  readonly dials: number;
  /** Daemons that were seen. */
  readonly daemons: number;
  /** Guarded commands that had no reason to be refused when they began. */
  readonly oughtToRun: number;
}

export interface MachineReport {
  readonly done: number;
  readonly violations: readonly Violation[];
  /** Of the machine, where something was violated. */
  readonly state: string;
  readonly counts: Counts;
}

/** Ways to break what the run watches, each to be seen by one of its checks. */
export const sabotages = ["unproved", "unguarded", "refusing", "dialling", "dying", "hanging", "noisy"] as const;
export type Sabotage = (typeof sabotages)[number];

export function isStep(report: StepReport | MachineReport): report is StepReport {
  return "step" in report;
}
