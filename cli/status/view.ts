/** A status for a person: at most some fifteen lines, the most telling first. */
import type { AttachmentReport, StatusReport, TailnetReport } from "../../contract/api.ts";
import { Exit } from "../../contract/exit.ts";
import { printable } from "../../contract/text.ts";
import { latency, localTime, span } from "../../contract/words.ts";
import type { Paint } from "../output/paint.ts";

/** 0 attached, 3 not: the mode is the Bazel attachment's, so it decides. */
export function exitOf(report: StatusReport): typeof Exit.ok | typeof Exit.notAttached {
  return report.bazel.state === "attached" ? Exit.ok : Exit.notAttached;
}

export function viewStatus(report: StatusReport, paint: Paint): string {
  const state = report.bazel.state === "attached" ? paint.green(report.profileState) : paint.yellow(report.profileState);
  const profile = report.profile === "default" ? "" : `  (profile ${report.profile})`;
  const lines = [
    `${paint.bold("flywheel")}  ${state}${profile}`,
    ...viewAttachment("bazel", report.bazel, paint),
    ...viewOthers("bazel", report),
    ...viewAttachment("nix", report.nix, paint),
    ...viewOthers("nix", report),
    `  tailnet  ${viewTailnet(report.tailnet)}`,
  ];
  if (report.tailnet.next !== null && !report.tailnet.trusted) lines.push(`    next   ${clean(report.tailnet.next)}`);
  if (report.profileState === "local-proof")
    lines.push(paint.yellow("  local proof: the cache is on this machine; this proves no shared cache"));
  if (report.detached) lines.push("  detached by `flywheel detach`; `flywheel up` ends that");
  lines.push(
    `  daemon   ${report.daemon === null ? "none answers" : `pid ${report.daemon.pid}, since ${localTime(report.daemon.startedAt)}`}`,
  );
  for (const fault of report.daemon?.faults ?? []) lines.push(paint.yellow(`           ${printable(fault, 400)}`));
  lines.push(`  escapes  ${viewEscapes(report)}`);
  return lines.join("\n");
}

function viewAttachment(kind: "bazel" | "nix", report: AttachmentReport, paint: Paint): string[] {
  const label = `  ${kind.padEnd(7)}`;
  if (report.state === "attached") {
    const facts = [
      report.node === null ? undefined : clean(report.node),
      report.source === null ? undefined : `source ${report.source}`,
      report.latencyMs === null ? undefined : latency(report.latencyMs),
      report.health === "healthy" || report.health === "unknown" ? undefined : paint.yellow(report.health),
      report.proofAgeS === null ? undefined : `proved ${span(report.proofAgeS)} ago`,
    ].filter((fact) => fact !== undefined);
    const lines = [`${label}  ${paint.green("attached")}  ${clean(report.endpoint ?? "")}`, `           ${facts.join(", ")}`];
    if (report.next !== null) lines.push(`           ${clean(report.next)}`);
    return lines;
  }
  const word = report.unsettled ? "looking" : "unattached";
  const rung = report.rung === null ? "" : `${report.rung}: `;
  const lines = [`${label}  ${paint.yellow(word)}  ${rung}${clean(report.reason ?? "no reason is known")}`];
  if (report.proofAgeS !== null) lines.push(`           last proved ${span(report.proofAgeS)} ago`);
  if (report.next !== null) lines.push(`    next   ${clean(report.next)}`);
  return lines;
}

/** No more of them are shown of a kind; --json has all. */
const mostOthers = 4;

/** What else was tried where nothing is attached, and what the user named that is no endpoint, attached or not. */
function viewOthers(kind: "bazel" | "nix", report: StatusReport): string[] {
  const own = report[kind];
  const failed = report.candidates.filter(
    (one) =>
      own.state === "unattached" &&
      one.kind === kind &&
      one.reason !== null &&
      one.reason !== own.reason?.replace(/; \d+ more failed too$/, ""),
  );
  const mistaken = report.rejections.filter(
    (one) => one.kind === kind && one.source === "operator" && own.reason?.endsWith(one.reason) !== true,
  );
  const lines = [
    ...failed.map((one) => `           also ${clean(one.endpoint)}: ${one.rung === null ? "" : `${one.rung}: `}${clean(one.reason ?? "")}`),
    ...mistaken.map(
      (one) => `           not ${clean(one.subject)}: ${clean(one.reason)}${one.next === null ? "" : `; ${clean(one.next)}`}`,
    ),
  ];
  return lines.length <= mostOthers
    ? lines
    : [...lines.slice(0, mostOthers), `           and ${lines.length - mostOthers} more: flywheel status --json`];
}

function viewTailnet(tailnet: TailnetReport): string {
  if (tailnet.reason !== null && tailnet.name === null) return clean(tailnet.reason);
  const where = tailnet.systemSocket || tailnet.via === null ? "" : `, read from ${clean(tailnet.via)}`;
  const trust = tailnet.trusted ? "trusted" : "not trusted";
  return `${clean(tailnet.name ?? "no name")} (${clean(tailnet.backendState ?? "unknown")}, ${trust}${where})`;
}

function viewEscapes(report: StatusReport): string {
  const { today, last } = report.escapes;
  if (last === null) return "none";
  return `${today} today, the last ${localTime(last.at)}: ${clean(last.command)} (${clean(last.reason)})`;
}

function clean(text: string): string {
  return printable(text, 200);
}
