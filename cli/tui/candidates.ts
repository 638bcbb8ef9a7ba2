/** The candidates: on which rung each stands, and why it is not the one; and what was turned down before anything was dialled. */
import type { CandidateReport, CredentialReport, RejectionReport, StatusReport } from "../../contract/api.ts";
import { rungs } from "../../contract/candidate.ts";
import { latency } from "../../contract/words.ts";
import { width } from "./cells.ts";
import { matches } from "./filter.ts";
import { clean } from "./scene.ts";
import type { Cell, Row } from "./table.ts";

export type Subject =
  | {
      readonly is: "candidate";
      readonly key: string;
      readonly candidate: CandidateReport;
      /** Of the attached one alone. */
      readonly credential: CredentialReport | undefined;
    }
  | { readonly is: "rejection"; readonly key: string; readonly rejection: RejectionReport };

/** The attached ones first, then who stands by, then the rest as the daemon ranks them. */
export function subjectsOf(report: StatusReport | undefined, filter: string): Subject[] {
  if (report === undefined) return [];
  const candidates = report.candidates
    .map((candidate): Subject => {
      const key = `${candidate.kind} ${candidate.endpoint} ${candidate.source}`;
      return { is: "candidate", key, candidate, credential: candidate.attached ? report[candidate.kind].credential : undefined };
    })
    .toSorted((a, b) => orderOf(a) - orderOf(b));
  const rejections = report.rejections.map(
    (rejection, at): Subject => ({ is: "rejection", key: `rejected ${at} ${rejection.subject}`, rejection }),
  );
  return [...candidates, ...rejections].filter((subject) => matches(filter, wordsOf(subject)));
}

function orderOf(subject: Subject): number {
  if (subject.is === "rejection") return 3;
  return subject.candidate.attached ? 0 : subject.candidate.standby ? 1 : 2;
}

function wordsOf(subject: Subject): readonly (string | null)[] {
  switch (subject.is) {
    case "candidate": {
      const { kind, endpoint, source, node, rung, reason, why } = subject.candidate;
      return [kind, endpoint, source, node, rung, reason, why];
    }
    case "rejection": {
      const { kind, source, subject: what, reason } = subject.rejection;
      return [kind, source, what, reason];
    }
  }
}

/** `connect 3/6`: where the ladder broke off. */
export function standing(candidate: CandidateReport): string {
  if (candidate.attached) return "✓ attached";
  if (candidate.rung !== null) return `✗ ${candidate.rung} ${rungs.indexOf(candidate.rung) + 1}/${rungs.length}`;
  if (candidate.standby) return "✓ standby";
  return candidate.provedAt === null ? "… not tried" : "✓ proved";
}

export function candidateRows(subjects: readonly Subject[]): Row[] {
  return subjects.map((subject) => ({ key: subject.key, cells: cellsOf(subject) }));
}

function cellsOf(subject: Subject): readonly Cell[] {
  switch (subject.is) {
    case "candidate": {
      const { candidate } = subject;
      return [
        { text: candidate.kind },
        { text: clean(candidate.endpoint), ...(candidate.attached && { tone: "strong" }) },
        { text: standing(candidate), tone: candidate.attached ? "good" : candidate.rung === null ? "plain" : "bad" },
        { text: candidate.latencyMs === null ? "" : latency(candidate.latencyMs) },
        { text: candidate.source },
        { text: clean(candidate.attached ? "" : (candidate.why ?? candidate.reason ?? "no reason is known")) },
      ];
    }
    case "rejection": {
      const { rejection } = subject;
      return [
        { text: rejection.kind },
        { text: clean(rejection.subject) },
        { text: "✗ turned down", tone: "bad" },
        { text: "" },
        { text: rejection.source },
        { text: clean(rejection.reason) },
      ];
    }
  }
}

export function candidateWidths(subjects: readonly Subject[], columns: number): readonly number[] {
  const names = subjects.map((subject) =>
    width(clean(subject.is === "candidate" ? subject.candidate.endpoint : subject.rejection.subject)),
  );
  const kind = 5;
  const standingWidth = 18;
  const latencyWidth = columns < 100 ? 0 : 7;
  const source = columns < 100 ? 0 : 11;
  const name = Math.min(Math.max(8, ...names), Math.floor(columns * 0.42));
  const taken = 2 + kind + 1 + name + 1 + standingWidth + 1 + latencyWidth + 1 + source + 1;
  return [kind, name, standingWidth, latencyWidth, source, Math.max(0, columns - taken - 1)];
}
