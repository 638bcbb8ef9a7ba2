/** The status as it changes, through the daemon's end and its return. */
import { setTimeout as delay } from "node:timers/promises";
import type { AttachmentReport, StatusReport } from "../../contract/api.ts";
import type { Paths } from "../../contract/paths.ts";
import { type Absence, absenceOf, recordedPid } from "../../daemon/api/client/absence.ts";
import { DaemonClient } from "../../daemon/api/client/connection.ts";
import { statusWithoutDaemon } from "./report.ts";

/** How often a daemon that went away is looked for, by the file with its pid, and one that hangs is asked again: milliseconds. */
const look = { gone: 500, hung: 2_000 } as const;

export interface Sight {
  readonly report: StatusReport;
  /** Why the daemon did not say it; undefined where it did. */
  readonly absence: Absence | undefined;
  /** When it was seen, on performance.now()'s clock. */
  readonly at: number;
}

/**
 * Yields what is known now, then each change, until the signal aborts. Starts no daemon; where none answers it yields what
 * the published files still say, and waits for one.
 * @throws FlywheelError as the daemon's client does, but not for a daemon that is absent
 */
export async function* watchStatus(paths: Paths, profile: string, signal: AbortSignal): AsyncGenerator<Sight, void, undefined> {
  const client = new DaemonClient(paths);
  while (!signal.aborted) {
    let pid = recordedPid(paths);
    let answered = false;
    let absence: Absence = { kind: "none", words: "the daemon has stopped", next: "flywheel up" };
    try {
      for await (const report of client.watch(profile, signal)) {
        answered = true;
        yield { report, absence: undefined, at: performance.now() };
      }
    } catch (error) {
      const found = absenceOf(error, paths);
      if (found === undefined) throw error;
      absence = found;
    }
    // One that never answered may only be starting: its pid stands there already.
    if (!answered) pid = undefined;
    const asked = performance.now();
    // A socket whose service would start a daemon is not touched: whoever ended it did not mean this.
    do {
      if (signal.aborted) return;
      yield { report: await statusWithoutDaemon(paths, profile, absence), absence, at: performance.now() };
      await delay(look.gone, undefined, { signal }).catch(() => {});
    } while (absence.kind === "none" ? !cameBack(paths, pid) : performance.now() - asked < look.hung);
  }
}

/** Whether another daemon has written down its pid than the one that was there. */
function cameBack(paths: Paths, before: number | undefined): boolean {
  const now = recordedPid(paths);
  return now !== undefined && now !== before;
}

/** What a change is: all but the ages and latencies, which are another at each look. */
export function substanceOf({ report, absence }: Sight): string {
  const stable = (attachment: AttachmentReport): unknown => ({
    ...attachment,
    verifiedAt: null,
    proofAgeS: null,
    latencyMs: null,
    trail: [],
    path: attachment.path === null ? null : { ...attachment.path },
    // Without a daemon it counts down.
    next: absence === undefined ? attachment.next : null,
    reason: absence === undefined ? attachment.reason : (attachment.reason?.replaceAll(/\d+/g, "") ?? null),
  });
  const candidates = report.candidates.map((candidate) => ({ ...candidate, latencyMs: null, provedAt: null }));
  return JSON.stringify([{ ...report, bazel: stable(report.bazel), nix: stable(report.nix), candidates }, absence]);
}

/** The report as it is a while later: the proofs have aged. */
export function aged(report: StatusReport, milliseconds: number): StatusReport {
  const older = <R extends AttachmentReport>(attachment: R): R =>
    attachment.proofAgeS === null ? attachment : { ...attachment, proofAgeS: attachment.proofAgeS + Math.floor(milliseconds / 1000) };
  return { ...report, bazel: older(report.bazel), nix: older(report.nix) };
}
