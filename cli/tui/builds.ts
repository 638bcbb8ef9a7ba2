/** Guarded commands: those that run, and the last that ended, with what the shared cache gave each. */
import type { RunningReport, StatusReport } from "../../contract/api.ts";
import { hitShare } from "../../contract/hit-share.ts";
import type { Invocation, Outcome } from "../../contract/invocation.ts";
import { span as ageWords, localTime, percent } from "../../contract/words.ts";
import { matches } from "./filter.ts";
import { shareBar } from "./marks.ts";
import { clean, type Moment, secondsSince } from "./scene.ts";
import type { Cell, Row } from "./table.ts";

export type Build =
  | { readonly is: "running"; readonly key: string; readonly running: RunningReport }
  | { readonly is: "ended"; readonly key: string; readonly ended: Invocation };

export function buildsOf(report: StatusReport | undefined, filter: string): Build[] {
  if (report === undefined) return [];
  const running = report.running.map((each): Build => ({ is: "running", key: `running ${each.pid} ${each.startedAt}`, running: each }));
  const ended = report.recent.map((each): Build => ({ is: "ended", key: each.id, ended: each }));
  return [...running, ...ended].filter((build) => matches(filter, wordsOf(build)));
}

function wordsOf(build: Build): readonly (string | null)[] {
  switch (build.is) {
    case "running": {
      const { tool, command, directory, endpoint, lost } = build.running;
      return ["running", tool, command, directory, endpoint, lost === null ? null : "lost mid-build"];
    }
    case "ended": {
      const { tool, command, workspace, endpoint, outcome, lost } = build.ended;
      return [tool, command, workspace, endpoint, outcome, lost === null ? null : "lost mid-build"];
    }
  }
}

export function buildRows(builds: readonly Build[], now: Moment): Row[] {
  return builds.map((build) => ({ key: build.key, cells: cellsOf(build, now) }));
}

function cellsOf(build: Build, now: Moment): readonly Cell[] {
  switch (build.is) {
    case "running": {
      const { tool, command, directory, startedAt, endpoint, lost } = build.running;
      return [
        { text: `▶ ${clean(tool)} ${clean(command)}`, tone: "strong" },
        { text: clean(lastPart(directory ?? "?")) },
        lost === null ? { text: "running", tone: "good" } : { text: "lost mid-build", tone: "bad" },
        { text: clean(lost ?? endpoint ?? ""), ...(lost !== null && { tone: "bad" }) },
        { text: ageWords(secondsSince(startedAt, now)) },
        { text: "" },
      ];
    }
    case "ended": {
      const { ended } = build;
      const { mark, tone } = outcomeMark(ended.outcome);
      return [
        { text: `${mark} ${clean(ended.tool)} ${clean(ended.command)}`, tone },
        { text: clean(lastPart(ended.workspace)) },
        ended.lost === null ? { text: hitWords(ended) } : { text: "lost mid-build", tone: "bad" },
        { text: countWords(ended) },
        { text: ended.wallMs === null ? "" : ageWords(ended.wallMs / 1000) },
        { text: localTime(ended.startedAt).slice(5, 16), tone: "dim" },
      ];
    }
  }
}

function outcomeMark(outcome: Outcome): { readonly mark: string; readonly tone: "plain" | "bad" } {
  switch (outcome) {
    case "succeeded":
      return { mark: "✓", tone: "plain" };
    case "failed":
      return { mark: "✗", tone: "bad" };
    case "interrupted":
      return { mark: "‖", tone: "plain" };
    case "unknown":
      return { mark: "?", tone: "plain" };
  }
}

/** `████████░░ 82 %`, with a `?` behind what may not be the shared cache's. */
function hitWords({ tally }: Invocation): string {
  if (tally.state === "unknown") return "hits unknown";
  const share = hitShare(tally.counts);
  if (share === undefined) return "no actions ran";
  return `${shareBar(share, 10)} ${percent(share)}${tally.doubt === null ? "" : "?"}`;
}

function countWords({ tally }: Invocation): string {
  if (tally.state === "unknown") return clean(tally.why);
  const { hits, misses, other } = tally.counts;
  const all = hits + misses + other;
  return all === 0 ? "" : `${hits} hit, ${all - hits} not`;
}

/** The end of a path, which is what people call it by. */
function lastPart(path: string): string {
  return path.split("/").findLast((part) => part !== "") ?? path;
}

export function buildWidths(columns: number): readonly number[] {
  const narrow = columns < 100;
  const [what, where, hit, age, when] = [narrow ? 15 : 24, narrow ? 8 : 24, 16, 6, columns < 72 ? 0 : 11];
  const counts = Math.max(0, columns - 2 - what - where - hit - age - when - 6);
  return [what, where, hit, Math.min(counts, 60), age, when];
}
