/** What `flywheel doctor` says, as data: `--json` prints it, the view words it. */
import type { Health } from "../../contract/attachment.ts";
import type { Rung, SourceName } from "../../contract/candidate.ts";
import type { Tool } from "../../contract/endpoint.ts";
import type { NixAdvice } from "../../contract/nix/trust.ts";
import type { PolicyAdvice } from "../../contract/policy.ts";
import { printable } from "../../contract/text.ts";

export const doctorSchema = 1;

/** In the order in which they are shown. */
export const groups = [
  "daemon",
  "service",
  "versions",
  "directories",
  "configuration",
  "credentials",
  "tailnet",
  "attachment",
  "candidates",
  "turned down",
  "shim",
  "workspace",
  "repositories",
  "environment",
] as const;
export type Group = (typeof groups)[number];

/** `warn` is worth a look and costs nothing yet; only `fail` makes the answer no. */
export type CheckState = "ok" | "warn" | "fail";

export interface Check {
  /** Stable, for machines; several checks of one kind share it. */
  readonly id: string;
  readonly group: Group;
  readonly state: CheckState;
  readonly what: string;
  /** ISO 8601. */
  readonly since: string | null;
  readonly reason: string | null;
  /** What to type or do. */
  readonly next: string | null;
}

export interface Step {
  readonly rung: Rung;
  readonly outcome: "passed" | "failed" | "not-reached";
}

/** How far one candidate climbed. */
export interface Ladder {
  readonly kind: Tool;
  readonly endpoint: string;
  readonly source: SourceName;
  readonly node: string | null;
  readonly health: Health;
  readonly attached: boolean;
  readonly standby: boolean;
  readonly steps: readonly Step[];
  readonly latencyMs: number | null;
  /** ISO 8601, as in the status. */
  readonly since: string | null;
  readonly provedAt: string | null;
  readonly reason: string | null;
  readonly next: string | null;
  /** Why it is not the attached one; null for the attached one. */
  readonly why: string | null;
}

export interface DoctorReport {
  readonly schema: typeof doctorSchema;
  /** Nothing failed. */
  readonly ok: boolean;
  readonly profile: string;
  readonly checks: readonly Check[];
  readonly ladders: readonly Ladder[];
  /** Only where discovery found nothing. */
  readonly policy: PolicyAdvice | null;
  /** Only where this machine's Nix would ignore the cache. */
  readonly nixAdvice: NixAdvice | null;
}

type Detail = Partial<Pick<Check, "since" | "reason" | "next">>;

/** No line of a check is longer: characters. */
const longestText = 1000;

function clean(text: string | null | undefined): string | null {
  return text === null || text === undefined ? null : printable(text, longestText);
}

/** Makes the checks of one group; whatever they speak of, they are printable. */
export function checksOf(group: Group): Readonly<Record<CheckState, (id: string, what: string, detail?: Detail) => Check>> {
  const make =
    (state: CheckState) =>
    (id: string, what: string, detail: Detail = {}): Check => ({
      id,
      group,
      state,
      what: printable(what, longestText),
      since: detail.since ?? null,
      reason: clean(detail.reason),
      next: clean(detail.next),
    });
  return { ok: make("ok"), warn: make("warn"), fail: make("fail") };
}
