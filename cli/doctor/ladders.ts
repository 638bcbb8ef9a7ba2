/** Candidates and their ladders: how far each one climbed, and why it is not the attached one. */
import type { CandidateReport, RejectionReport, StatusReport } from "../../contract/api.ts";
import { rungs } from "../../contract/candidate.ts";
import { printable } from "../../contract/text.ts";
import { latency } from "../../contract/words.ts";
import { type Check, checksOf, type Ladder, type Step } from "./report.ts";

/** @returns the ladders of both kinds, the attached one first, then those that stand by, then by how far they came */
export function laddersOf(status: StatusReport): readonly Ladder[] {
  return status.candidates.map(ladderOf).toSorted((a, b) => order(a) - order(b));
}

function order({ kind, attached, standby, steps }: Ladder): number {
  const passed = steps.filter((step) => step.outcome === "passed").length;
  return (kind === "bazel" ? 0 : 100) + (attached ? 0 : standby ? 1 : 10 - passed);
}

function ladderOf(candidate: CandidateReport): Ladder {
  const { kind, source, health, attached, standby, latencyMs, since, provedAt } = candidate;
  return {
    kind,
    source,
    health,
    attached,
    standby,
    latencyMs,
    since,
    provedAt,
    endpoint: printable(candidate.endpoint, 512),
    node: candidate.node === null ? null : printable(candidate.node),
    steps: stepsOf(candidate),
    reason: candidate.reason === null ? null : printable(candidate.reason, 400),
    next: candidate.next === null ? null : printable(candidate.next, 400),
    why: shownWhy(candidate),
  };
}

/** A probe climbs in order: what lies below the rung that failed was passed, what lies above was not reached. */
export function stepsOf({
  rung,
  health,
  provedAt,
  reason,
}: Pick<CandidateReport, "rung" | "health" | "provedAt" | "reason">): readonly Step[] {
  const failed = rung === null ? -1 : rungs.indexOf(rung);
  const probed = rung !== null || (reason === null && (provedAt !== null || health === "healthy" || health === "degraded"));
  return rungs.map((each, at) => {
    if (!probed) return { rung: each, outcome: "not-reached" };
    if (failed === -1 || at < failed) return { rung: each, outcome: "passed" };
    return { rung: each, outcome: at === failed ? "failed" : "not-reached" };
  });
}

/** The daemon's own word (daemon/attachment/why.ts), or ours for one that has none. */
function shownWhy({ attached, why, rung, reason, health }: CandidateReport): string | null {
  if (attached) return null;
  if (why !== null) return printable(why, 400);
  if (rung !== null || reason !== null) return "it failed its last probe";
  return health === "unknown" ? "it was not probed yet" : "another one is attached";
}

export function checkLadders(ladders: readonly Ladder[], status: StatusReport): readonly Check[] {
  const { ok, warn, fail } = checksOf("candidates");
  return ladders.map((ladder) => {
    const { attached, standby, health, why } = ladder;
    const from = ladder.node === null ? ladder.source : `${ladder.source} ${ladder.node}`;
    const speed = ladder.latencyMs === null ? "" : `, ${latency(ladder.latencyMs)}`;
    const what = `${ladder.kind} ${ladder.endpoint} (${from}${speed}): ${attached ? "attached" : standby ? "stands by" : health}`;
    const failed = ladder.steps.find((step) => step.outcome === "failed");
    const reason = failed === undefined ? (ladder.reason ?? why) : `${failed.rung}: ${ladder.reason ?? "no reason is known"}`;
    const detail = { since: ladder.since, reason, next: ladder.next };
    if (failed === undefined && (attached || standby || health === "healthy" || health === "unknown")) return ok("candidate", what, detail);
    return status[ladder.kind].state === "attached" || status.detached || ladder.kind === "nix"
      ? warn("candidate", what, detail)
      : fail("candidate", what, detail);
  });
}

/** What was looked at and turned down before anything was dialled; not again what the tailnet's own check says. */
export function checkRejections({ rejections, tailnet }: StatusReport): readonly Check[] {
  const { warn } = checksOf("turned down");
  const found = new Map<string, { readonly one: RejectionReport; readonly kinds: string[] }>();
  for (const one of rejections.filter(({ reason }) => reason !== tailnet.reason)) {
    const key = JSON.stringify([one.source, one.subject, one.reason, one.next]);
    const same = found.get(key);
    if (same === undefined) found.set(key, { one, kinds: [one.kind] });
    else if (!same.kinds.includes(one.kind)) same.kinds.push(one.kind);
  }
  return [...found.values()].map(({ one, kinds }) =>
    warn("rejection", `${kinds.join(" and ")} ${one.source} ${printable(one.subject, 200)}`, {
      reason: printable(one.reason, 400),
      next: one.next === null ? null : printable(one.next, 400),
    }),
  );
}
