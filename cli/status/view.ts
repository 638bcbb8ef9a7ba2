/** A status for a person: at most some twenty lines, the most telling first. */
import type { AttachmentReport, StatusReport, TailnetReport } from "../../contract/api.ts";
import { credentialWords } from "../../contract/credential-words.ts";
import { Exit } from "../../contract/exit.ts";
import { hitShare } from "../../contract/hit-share.ts";
import type { Tally } from "../../contract/invocation.ts";
import { printable } from "../../contract/text.ts";
import { latency, localTime, pathWords, percent, span } from "../../contract/words.ts";
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
    ...viewAttachment("bazel", report, paint),
    ...viewOthers("bazel", report),
    ...viewAttachment("nix", report, paint),
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
  if (report.running.length > 0) lines.push(`  running  ${viewRunning(report)}`);
  for (const { tool, command, lost } of report.running.filter((one) => one.lost !== null).slice(0, mostRunning)) {
    lines.push(paint.yellow(`           ${clean(tool)} ${clean(command)}: lost mid-build: ${clean(lost ?? "")}`));
  }
  lines.push(...viewBuilds(report, paint));
  lines.push(`  escapes  ${viewEscapes(report)}`);
  return lines.join("\n");
}

function viewAttachment(kind: "bazel" | "nix", status: StatusReport, paint: Paint): string[] {
  const report = status[kind];
  const label = `  ${kind.padEnd(7)}`;
  if (report.state === "attached") {
    const facts = [
      report.node === null ? undefined : clean(report.node),
      report.source === null ? undefined : `source ${report.source}`,
      report.latencyMs === null ? undefined : latency(report.latencyMs),
      report.health === "healthy" || report.health === "unknown" ? undefined : paint.yellow(report.health),
      report.proofAgeS === null ? undefined : `proved ${span(report.proofAgeS)} ago`,
      report.path === null ? undefined : pathWords(report.path),
      report.since === null ? undefined : `since ${localTime(report.since)}`,
    ].filter((fact) => fact !== undefined);
    const lines = [`${label}  ${paint.green("attached")}  ${clean(report.endpoint ?? "")}`, `           ${facts.join(", ")}`];
    lines.push(...viewCredential(report, paint));
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

function viewCredential({ credential }: AttachmentReport, paint: Paint): string[] {
  if (credential === undefined) return [];
  const { text, worry } = credentialWords(credential, new Date());
  const line = `           credential ${clean(text)}`;
  return worry ? [paint.yellow(line), `    next   ${clean(credential.next)}`] : [line];
}

/** No more of them are shown of a kind; --json has all. */
const mostOthers = 4;

/** Why the others are not the attached one, or what else was tried where none is; and what the user named that is no endpoint. */
function viewOthers(kind: "bazel" | "nix", report: StatusReport): string[] {
  const own = report[kind];
  const others = report.candidates.filter((one) => own.state === "attached" && one.kind === kind && !one.attached);
  // While detached no cache is asked: what failed before says nothing of now.
  const tried = own.state === "unattached" && !report.detached;
  const failed = report.candidates.filter((one) => tried && one.kind === kind && one.reason !== null && one.endpoint !== own.about);
  const mistaken = report.rejections.filter((one) => one.kind === kind && one.source === "operator" && one.subject !== own.about);
  const lines = [
    ...others
      .toSorted((a, b) => Number(b.standby) - Number(a.standby))
      .map((one) => `           ${one.standby ? "standby" : "not"} ${clean(one.endpoint)}: ${clean(one.why ?? "no reason is known")}`),
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

/** No more of them are named. */
const mostRunning = 2;

function viewRunning({ running }: StatusReport): string {
  const shown = running
    .slice(0, mostRunning)
    .map(({ tool, command, directory }) => `${clean(tool)} ${clean(command)} in ${clean(directory ?? "?")}`);
  const rest = running.length - shown.length;
  return `${shown.join(", ")}${rest > 0 ? `, and ${rest} more: flywheel status --json` : ""}`;
}

/** The last one that ended, and how the day went. */
function viewBuilds({ recent, hitRates }: StatusReport, paint: Paint): string[] {
  const [last] = recent;
  if (last === undefined) return [];
  const ago = last.endedAt === null ? `began ${localTime(last.startedAt)}` : `${span((Date.now() - Date.parse(last.endedAt)) / 1000)} ago`;
  const today = hitRates === null ? undefined : hitShare(hitRates.today);
  const day = today === undefined ? "" : `; today ${percent(today)} hits`;
  const outcome = last.outcome === "unknown" ? "" : `${last.outcome}, `;
  const lines = [`  builds   ${clean(last.tool)} ${clean(last.command)}: ${outcome}${viewTally(last.tally)}, ${ago}${day}`];
  if (last.lost !== null) lines.push(paint.yellow(`           lost mid-build: ${clean(last.lost.reason)}`));
  return lines;
}

function viewTally(tally: Tally): string {
  switch (tally.state) {
    case "unknown":
      return `hits unknown (${clean(tally.why)})`;
    case "counted": {
      const { hits, other, misses } = tally.counts;
      const share = hitShare(tally.counts);
      if (share === undefined) return "no actions ran";
      const doubt = tally.doubt === null ? "" : ` (doubtful: ${clean(tally.doubt)})`;
      return `${hits} of ${hits + other + misses} hits (${percent(share)})${doubt}`;
    }
    default:
      return tally satisfies never;
  }
}

/** Never rounded up to all of them. */
function viewEscapes(report: StatusReport): string {
  const { today, last } = report.escapes;
  if (last === null) return "none";
  return `${today} today, the last ${localTime(last.at)}: ${clean(last.command)} (${clean(last.reason)})`;
}

function clean(text: string): string {
  return printable(text, 200);
}
