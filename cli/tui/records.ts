/** Hit rates over days, and what went past the guard or was refused by it. */
import type { EscapesReport, StatusReport } from "../../contract/api.ts";
import { hitShare } from "../../contract/hit-share.ts";
import type { HitRate } from "../../contract/invocation.ts";
import { localTime, percent } from "../../contract/words.ts";
import { type Line, line, span } from "./line.ts";
import { shareBar } from "./marks.ts";
import { clean } from "./scene.ts";

/** Where it is narrow, the shares alone. */
export function rateLine({ hitRates }: StatusReport, columns: number): Line {
  if (hitRates === null) return line("hits      unknown without a daemon", "dim");
  return [span("hits      today "), ...rateWords(hitRates.today, columns), span("   7 days "), ...rateWords(hitRates.week, columns)];
}

function rateWords(rate: HitRate, columns: number): Line {
  const share = hitShare(rate);
  if (rate.builds === 0) return [span("no builds", "dim")];
  if (share === undefined) return [span(`unknown, ${rate.builds} build${rate.builds === 1 ? "" : "s"}`, "dim")];
  const counted = rate.counted === rate.builds ? `${rate.builds}` : `${rate.counted} of ${rate.builds}`;
  const bar = [span(`${shareBar(share, 10)} `), span(percent(share), "strong")];
  if (columns < 110) return bar;
  return [...bar, span(` of ${rate.hits + rate.misses} in ${counted} build${rate.builds === 1 ? "" : "s"}`, "dim")];
}

export function escapesLine({ escapes }: StatusReport): Line {
  return recordLine("escapes", escapes, escapes.today > 0 ? "warn" : "plain");
}

export function refusalsLine({ refusals }: StatusReport): Line {
  return recordLine("refusals", refusals, "plain");
}

function recordLine(name: string, { today, last }: EscapesReport, tone: "warn" | "plain"): Line {
  const label = span(name.padEnd(10));
  if (last === null) return [label, span("none", "dim")];
  return [
    label,
    span(tone === "warn" ? ` ${today} TODAY ` : `${today} today`, tone),
    span(`, the last ${localTime(last.at)}: ${clean(last.command)} (${clean(last.reason)})`, "dim"),
  ];
}
