/** Judges an endpoint for one invocation: what the operator put into the environment of a single command. */
import type { ProbeReport, ProbeRequest } from "../../contract/api.ts";
import type { Candidate, ProbeResult } from "../../contract/candidate.ts";
import { printable } from "../../contract/text.ts";
import type { Judged } from "../discovery/operator.ts";

/** Milliseconds that a verdict holds, and how many are remembered. */
const memory = { span: 10_000, most: 32 } as const;

/** Turns a probe's outcome into what the API says of it. */
export function probeReport(url: string, result: ProbeResult): ProbeReport {
  const endpoint = printable(url, 512);
  if (result.ok) return { ok: true, endpoint, latencyMs: result.latencyMs };
  const { rung, reason, next, over } = result;
  return { ok: false, endpoint, rung, reason, next: next ?? null, ...(over !== undefined && { over }) };
}

export class Judge {
  readonly #verdicts = new Map<
    string,
    { readonly at: number; readonly report: Promise<ProbeReport>; readonly candidate: Candidate | undefined }
  >();

  /**
   * @param judged the verdict of the rules for operator endpoints; one that they turn down is not dialled
   * @param probe climbs the ladder; never throws
   */
  judge(request: ProbeRequest, judged: Judged, probe: (candidate: Candidate) => Promise<ProbeResult>): Promise<ProbeReport> {
    const key = JSON.stringify([request.profile, request.kind, request.endpoint, request.localProof]);
    const now = performance.now();
    const known = this.#verdicts.get(key);
    if (known !== undefined && now - known.at < memory.span) return known.report;
    const candidate = judged.ok ? judged.candidate : undefined;
    const report = judged.ok
      ? probe(judged.candidate).then((result) => probeReport(judged.candidate.endpoint.url, result))
      : Promise.resolve(turnedDown(judged.rejection));
    this.#verdicts.delete(key);
    this.#verdicts.set(key, { at: now, report, candidate });
    for (const oldest of this.#verdicts.keys()) {
      if (this.#verdicts.size <= memory.most) break;
      this.#verdicts.delete(oldest);
    }
    return report;
  }

  /** Other rules hold now: what was judged by the old ones is forgotten. */
  forget(): void {
    this.#verdicts.clear();
  }

  /** Candidates whose verdict still holds: their connections are worth keeping. */
  get candidates(): readonly Candidate[] {
    const from = performance.now() - memory.span;
    return [...this.#verdicts.values()].flatMap(({ at, candidate }) => (candidate !== undefined && at > from ? [candidate] : []));
  }
}

/** The rules stand before the ladder; their no is shown on its first rung. */
export function turnedDown(rejection: { readonly subject: string; readonly reason: string; readonly next?: string }): ProbeReport {
  return { ok: false, endpoint: rejection.subject, rung: "resolve", reason: rejection.reason, next: rejection.next ?? null };
}
