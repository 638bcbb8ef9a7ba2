/** The report for a person. */
import type { PolicyAdvice } from "../../contract/policy.ts";
import { localTime } from "../../contract/words.ts";
import type { Paint } from "../output/paint.ts";
import { wrapped } from "../output/wrap.ts";
import { viewNixAdvice } from "./nix.ts";
import { type Check, type CheckState, type DoctorReport, type Group, groups, type Ladder, type Step } from "./report.ts";

/** Of one group no more warnings of the same kind are shown; --json has all. */
const mostAlike = 6;

export function viewReport(report: DoctorReport, paint: Paint, width: number): string {
  const lines: string[] = [];
  for (const group of groups) {
    const checks = report.checks.filter((check) => check.group === group);
    if (checks.length > 0) lines.push(paint.bold(group), ...viewGroup(group, checks, report.ladders, paint, width), "");
  }
  if (report.policy !== null) lines.push(...viewPolicy(report.policy, paint, width), "");
  if (report.nixAdvice !== null) lines.push(...viewNixAdvice(report.nixAdvice, paint));
  lines.push(summary(report, paint));
  return lines.join("\n");
}

function viewGroup(group: Group, checks: readonly Check[], ladders: readonly Ladder[], paint: Paint, width: number): string[] {
  const lines: string[] = [];
  // The checks of candidates stand in the order of their ladders; those of --probe come behind.
  const shown = (check: Check, at: number): string[] =>
    viewCheck(check, group === "candidates" && check.id === "candidate" ? ladders[at] : undefined, paint, width);
  const rest = checks.slice(mostAlike).filter((check) => check.state !== "fail" && (group === "turned down" || group === "candidates"));
  for (const [at, check] of checks.entries()) if (!rest.includes(check)) lines.push(...shown(check, at));
  if (rest.length > 0) lines.push(`        and ${rest.length} more: flywheel doctor --json`);
  return lines;
}

function viewCheck(check: Check, ladder: Ladder | undefined, paint: Paint, width: number): string[] {
  const lines = wrapped(check.what, `  ${word(check.state, paint)}  `, { indent: 8, width });
  if (ladder !== undefined) lines.push(...viewSteps(ladder.steps, width));
  if (check.reason !== null) lines.push(...wrapped(check.reason, "        ", { indent: 8, width }));
  if (check.since !== null) lines.push(`        since ${localTime(check.since)}`);
  if (check.next !== null) lines.push(...wrapped(check.next, "        next: ", { indent: 14, width }));
  return lines;
}

function viewSteps(steps: readonly Step[], width: number): string[] {
  const those = (outcome: Step["outcome"]): string =>
    steps
      .filter((step) => step.outcome === outcome)
      .map((step) => step.rung)
      .join(", ");
  const parts = [
    ["passed", those("passed")],
    ["failed", those("failed")],
    ["not reached", those("not-reached")],
  ] as const;
  return wrapped(
    parts
      .filter(([, list]) => list !== "")
      .map(([outcome, list]) => `${outcome}: ${list}`)
      .join("; "),
    "        ",
    { indent: 8, width },
  );
}

function word(state: CheckState, paint: Paint): string {
  switch (state) {
    case "ok":
      return paint.green("ok  ");
    case "warn":
      return paint.yellow("warn");
    case "fail":
      return paint.red("fail");
  }
}

/** For the tailnet's operator: what makes the caches be found. */
export function viewPolicy({ kinds, tailscale, headscale }: PolicyAdvice, paint: Paint, width: number): string[] {
  const indented = (text: string): string[] => text.split("\n").map((line) => `    ${line}`);
  return [
    paint.bold("for the tailnet's operator"),
    ...wrapped(
      `What makes a ${kinds.join(" and a ")} cache of this profile be found. Discovery needs the tag, or the Service, and a rule that lets members reach it.`,
      "  ",
      { indent: 2, width },
    ),
    "",
    "  Tailscale: merge into the policy file",
    ...indented(tailscale.policy),
    "",
    ...tailscale.commands.flatMap((line) => indented(line)),
    "",
    "  headscale (tags only, it has no Services): merge into the policy file",
    ...indented(headscale.policy),
    "",
    ...headscale.commands.flatMap((line) => indented(line)),
  ];
}

function summary({ checks }: DoctorReport, paint: Paint): string {
  const count = (state: CheckState): number => checks.filter((check) => check.state === state).length;
  const [failed, warned] = [count("fail"), count("warn")];
  const warnings = warned === 0 ? "" : `, ${warned} ${warned === 1 ? "warning" : "warnings"}`;
  if (failed === 0) return `${paint.green("nothing is broken")}${warnings}`;
  return `${paint.red(`${failed} ${failed === 1 ? "check" : "checks"} failed`)}${warnings}`;
}
