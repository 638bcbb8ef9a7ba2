/** What `flywheel shell` says of the attachment: in the title, in the line before a prompt, and when it ends. */
import type { StatusReport } from "../../contract/api.ts";
import { printable } from "../../contract/text.ts";
import { latency, span } from "../../contract/words.ts";
import type { Paint } from "../output/paint.ts";

/** @param report undefined while no daemon answers */
export function titleWords(report: StatusReport | undefined): string {
  if (report === undefined || report.daemon === null) return "flywheel: not attached (no daemon)";
  const { bazel, profileState } = report;
  if (bazel.state === "attached") {
    const where = bazel.node ?? bazel.endpoint ?? "";
    return printable(`flywheel: ${profileState} (${where})`, 120);
  }
  return bazel.unsettled ? "flywheel: looking for a cache" : "flywheel: not attached";
}

/** What was heard last: undefined where no daemon answers, and how long ago it was, in milliseconds. */
interface Heard {
  readonly report: StatusReport | undefined;
  readonly ageMs: number;
}

/** One line, no longer than the terminal is wide. */
export function statusLine(heard: Heard, { paint, columns }: { paint: Paint; columns: number }): string {
  const words = printable(statusWords(heard), Math.max(1, columns - 2));
  return heard.report?.bazel.state === "attached" ? paint.dim(words) : paint.yellow(words);
}

function statusWords({ report, ageMs }: Heard): string {
  if (report === undefined) return "flywheel: not attached: no daemon answers; next: flywheel up";
  const { bazel, profileState } = report;
  if (bazel.state === "unattached") {
    if (bazel.unsettled) return "flywheel: still looking for a cache";
    return `flywheel: not attached: ${bazel.reason ?? "no reason is known"}; next: ${bazel.next ?? "flywheel status"}`;
  }
  const facts = [
    `${bazel.endpoint ?? ""}${bazel.node === null ? "" : ` on ${bazel.node}`}`,
    bazel.health === "healthy" || bazel.health === "unknown" ? undefined : bazel.health,
    bazel.latencyMs === null ? undefined : latency(bazel.latencyMs),
    bazel.proofAgeS === null ? undefined : `proved ${span(Math.round(bazel.proofAgeS + ageMs / 1000))} ago`,
  ].filter((fact) => fact !== undefined);
  return `flywheel: ${profileState}: ${facts.join(", ")}`;
}

/**
 * What happened since a shell began that its user should know of; undefined where nothing did. The counts are the
 * machine's: nobody knows in which shell it was.
 */
export function summary(first: StatusReport, last: StatusReport, startedAt: Date): string | undefined {
  const since = startedAt.toISOString();
  const more = (kind: "escapes" | "refusals"): number => {
    const { today, last: latest } = last[kind];
    if (latest === null || latest.at < since) return 0;
    // Counted since midnight, which may have come meanwhile.
    return today >= first[kind].today && today > 0 ? Math.max(1, today - first[kind].today) : today;
  };
  const lost = [...last.running, ...last.recent].filter((each) => each.lost !== null && each.startedAt >= since).length;
  const facts = [
    counted(more("refusals"), "was refused", "were refused"),
    counted(more("escapes"), "ran without the cache", "ran without the cache"),
    counted(lost, "lost the cache on the way", "lost the cache on the way"),
  ].filter((fact) => fact !== undefined);
  return facts.length === 0 ? undefined : `flywheel: while this shell was open, ${facts.join(", ")}; next: flywheel history`;
}

function counted(count: number, one: string, many: string): string | undefined {
  if (count === 0) return undefined;
  return count === 1 ? `1 command ${one}` : `${count} commands ${many}`;
}
