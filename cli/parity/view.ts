/** The parity for a person. */
import { forges, placeWords } from "../../contract/ci/model.ts";
import type { ParityLine, ParityReport, Verdict } from "../../contract/ci/report.ts";
import type { Paint } from "../output/paint.ts";
import { wrapped } from "../output/wrap.ts";

/** Of one line no more places are shown; --json has all. */
const mostPlaces = 4;
/** Of one rule no more lines that are alike. */
const mostAlike = 8;

const headings: Readonly<Record<Verdict, string>> = {
  drift: "drift",
  unknown: "unknown",
  "differs-on-purpose": "differs on purpose",
  same: "same",
};

export function viewParity(report: ParityReport, paint: Paint, width: number): string {
  const lines: string[] = [...wrapped(`${report.repository} beside its CI (${ciWords(report)})`, "", { indent: 0, width }), ""];
  for (const verdict of ["same", "differs-on-purpose", "unknown", "drift"] as const) {
    const those = report.lines.filter((line) => line.verdict === verdict);
    if (those.length === 0) continue;
    lines.push(heading(verdict, paint));
    for (const [rule, of] of Map.groupBy(those, (line) => line.rule)) {
      for (const line of of.slice(0, mostAlike)) lines.push(...viewLine(line, width));
      if (of.length > mostAlike) lines.push(`    and ${of.length - mostAlike} more of ${rule}: flywheel parity --json`);
    }
    lines.push("");
  }
  lines.push(summary(report, paint));
  return lines.join("\n");
}

function heading(verdict: Verdict, paint: Paint): string {
  switch (verdict) {
    case "drift":
      return paint.red(headings[verdict]);
    case "unknown":
      return paint.yellow(headings[verdict]);
    case "differs-on-purpose":
    case "same":
      return paint.green(headings[verdict]);
  }
}

function viewLine(line: ParityLine, width: number): string[] {
  const lines = wrapped(line.what, "  ", { indent: 2, width });
  const row = (label: string, text: string | null): void => {
    if (text !== null) lines.push(...wrapped(text, `    ${label.padEnd(6)}`, { indent: 10, width }));
  };
  if (line.verdict === "same" && line.here === line.ci) row("both", line.ci);
  else {
    row("here", line.here);
    row("CI", line.ci);
  }
  const shown = line.places.slice(0, mostPlaces).map(placeWords);
  const more = line.places.length - shown.length;
  for (const place of shown) row("at", place);
  if (more > 0) row("", `and ${more} more`);
  row("why", line.why);
  row("next:", line.next);
  return lines;
}

function ciWords({ ci }: ParityReport): string {
  const names = { github: "GitHub", gitlab: "GitLab" } as const;
  const words = forges
    .filter((forge) => ci[forge].files.length > 0)
    .map((forge) => {
      const { files, jobs } = ci[forge];
      return `${names[forge]}: ${files.length} ${files.length === 1 ? "file" : "files"}, ${jobs} ${jobs === 1 ? "job" : "jobs"}`;
    });
  return words.length === 0 ? "none is described" : words.join("; ");
}

function summary({ lines }: ParityReport, paint: Paint): string {
  const count = (verdict: Verdict): number => lines.filter((line) => line.verdict === verdict).length;
  const [drift, unknown] = [count("drift"), count("unknown")];
  const open = unknown === 0 ? "" : `, ${unknown} unknown`;
  const alike = `${count("same")} the same, ${count("differs-on-purpose")} on purpose`;
  return drift === 0 ? `${paint.green("nothing drifts")}: ${alike}${open}` : `${paint.red(`${drift} drift`)}, ${alike}${open}`;
}
