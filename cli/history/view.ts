/** The history for a person: one line an entry, which fits the terminal, and a summary of a few lines. */
import { hitShare } from "../../contract/hit-share.ts";
import type { HitRate, Invocation, Outcome } from "../../contract/invocation.ts";
import type { SpoolEntry } from "../../contract/journal.ts";
import { printable } from "../../contract/text.ts";
import { duration, localTime, percent, span } from "../../contract/words.ts";
import type { HistoryEntry, HistoryKind, HistorySummary, PeriodSummary } from "../../daemon/api/client/journal/history.ts";
import type { Paint } from "../output/paint.ts";

export interface Place {
  readonly home: string;
  /** Of the terminal; undefined where it is none, and nothing is shortened. */
  readonly columns: number | undefined;
  readonly paint: Paint;
}

const heading = ["when", "what", "command", "workspace", "cache", "time", "detail"] as const;
type Row = readonly [when: string, what: string, command: string, workspace: string, cache: string, time: string, detail: string];
const [workspaceColumn, timeColumn, detailColumn] = [3, 5, 6];

/** From these columns on a line has room for all that it tells, and then for the year and the seconds of its time. */
const fitting = 80;
const roomy = 120;
/** The least that is left of a shortened cell: characters. */
const least = { workspace: 14, detail: 16 } as const;
const gap = 2;

/** What was asked for, as far as it is not everything. */
export interface Asked {
  readonly kinds: readonly HistoryKind[];
  /** As it was written; undefined for any time, or any workspace. */
  readonly since: string | undefined;
  readonly workspace: string | undefined;
}

export function viewEntries(entries: readonly HistoryEntry[], asked: Asked, { home, columns, paint }: Place): string {
  if (entries.length === 0) return nothingWords(asked);
  const narrow = columns !== undefined && columns < fitting;
  const rows = [heading, ...entries.map((entry) => rowOf(entry, home, columns))].map((row) =>
    narrow ? row.with(workspaceColumn, "").with(timeColumn, "") : row,
  );
  const widths = widthsOf(rows, columns);
  const lines = rows.map((row) => {
    const cells = row.map((cell, at) => (at === workspaceColumn ? endOf : startOf)(cell, widths[at] ?? 0).padEnd(widths[at] ?? 0));
    const line = cells.filter((_, at) => widths[at] !== 0).join(" ".repeat(gap));
    return startOf(line.trimEnd(), columns ?? line.length);
  });
  return lines.map((line, at) => (at === 0 ? paint.dim(line) : paintOf(entries[at - 1], paint)(line))).join("\n");
}

const deeds: Readonly<Record<HistoryKind, string>> = {
  invocation: "ran with the shared cache",
  refusal: "was refused",
  escape: "went past the guard",
};

/** Denies no more than was asked for. */
function nothingWords({ kinds, since, workspace }: Asked): string {
  const chosen = (["invocation", "refusal", "escape"] as const).filter((kind) => kinds.includes(kind)).map((kind) => deeds[kind]);
  const deed = chosen.length < 3 ? chosen.join(" or ") : "ran with the shared cache, was refused, or went past the guard";
  const time = since === undefined ? "" : ` within ${printable(since, 40)}`;
  const place = workspace === undefined ? "" : ` in ${printable(workspace, 400)}`;
  const start = chosen.length < 3 || time !== "" || place !== "" ? "no such record" : "nothing is recorded";
  return `${start}: nothing ${deed}${place}${time}`;
}

/** What a terminal has no room for is taken from the workspace, then from the detail. A column that says nothing is none. */
function widthsOf(rows: readonly (readonly string[])[], columns: number | undefined): readonly number[] {
  const widths = heading.map((title, at) => {
    const widest = Math.max(...rows.slice(1).map((row) => row[at]?.length ?? 0));
    return widest === 0 ? 0 : Math.max(widest, title.length);
  });
  if (columns === undefined) return widths;
  const width = (at: number): number => widths[at] ?? 0;
  const gaps = gap * (widths.filter((each) => each > 0).length - 1);
  const room = columns - gaps - widths.reduce((sum, each) => sum + each, -width(workspaceColumn) - width(detailColumn));
  const workspace = Math.min(width(workspaceColumn), Math.max(least.workspace, room - Math.max(least.detail, width(detailColumn))));
  const detail = Math.min(width(detailColumn), Math.max(1, room - workspace));
  return widths.with(workspaceColumn, workspace).with(detailColumn, detail);
}

function rowOf(entry: HistoryEntry, home: string, columns: number | undefined): Row {
  const when = localTime(printable(entry.at, 40));
  const known = [
    columns !== undefined && columns < roomy ? when.slice(5, 16) : when,
    entry.kind === "invocation" ? outcomeWords(entry) : entry.kind,
    printable(`${entry.tool} ${entry.command}`.trim(), 60),
    fromHome(printable(entry.workspace, 400), home),
  ] as const;
  if (entry.kind !== "invocation") return [...known, "", "", printable(entry.reason, 400)];
  return [...known, cacheWords(entry), entry.wallMs === null ? "" : took(entry.wallMs), detailOf(entry)];
}

const outcomeWord: Readonly<Record<Outcome, string>> = { succeeded: "ok", failed: "failed", interrupted: "interrupted", unknown: "ran" };

function outcomeWords({ outcome, exitCode }: Invocation): string {
  const word = outcomeWord[outcome];
  return exitCode === null || exitCode === 0 ? word : `${word} (${exitCode})`;
}

function cacheWords({ tally }: Invocation): string {
  if (tally.state === "unknown") return "unknown";
  const { hits, other, misses } = tally.counts;
  const share = hitShare(tally.counts);
  if (share === undefined) return "no actions";
  return `${percent(share)} ${hits}/${hits + other + misses}${tally.doubt === null ? "" : "?"}`;
}

function detailOf({ tally, lost, endpoint }: Invocation): string {
  const words = [
    lost === null ? undefined : `lost mid-build: ${lost.reason}`,
    tally.state === "unknown" ? `unknown: ${tally.why}` : undefined,
    tally.state === "counted" && tally.doubt !== null ? `in doubt: ${tally.doubt}` : undefined,
    endpoint ?? undefined,
  ];
  return printable(words.filter((word) => word !== undefined).join("; "), 400);
}

function paintOf(entry: HistoryEntry | undefined, paint: Paint): (text: string) => string {
  const plain = (text: string): string => text;
  if (entry?.kind !== "invocation") return entry === undefined ? plain : paint.yellow;
  return entry.outcome === "failed" ? paint.red : plain;
}

/** @param workspace the summary's, where it is of one only */
export function viewSummary({ today, week, saved }: HistorySummary, workspace: string | undefined): string {
  const where = workspace === undefined ? "" : `, in ${printable(workspace, 400)}`;
  const time = saved.seconds === null ? "unknown" : `about ${span(saved.seconds)} these 7 days, of ${builds(saved.estimated)}`;
  return [
    `  today    ${periodWords(today)}${where}`,
    `  7 days   ${periodWords(week)}${where}`,
    `  saved    ${time} (${saved.method})`,
  ].join("\n");
}

function periodWords({ hitRate, escapes, refusals }: PeriodSummary): string {
  return [rateWords(hitRate), countOf(escapes, "escape"), countOf(refusals, "refusal")].join(", ");
}

function rateWords(rate: HitRate): string {
  if (rate.builds === 0) return "nothing ran";
  const share = hitShare(rate);
  const unknown = rate.builds - rate.counted;
  const left = unknown === 0 ? "" : `, ${unknown} of them unknown or in doubt, not counted`;
  if (share === undefined) return `hit rate unknown (${builds(rate.builds)}${left || ", none with actions"})`;
  return `${percent(share)} hits, ${rate.hits} of ${rate.hits + rate.misses} actions (${builds(rate.builds)}${left})`;
}

function builds(count: number): string {
  return countOf(count, "build");
}

function countOf(count: number, what: SpoolEntry["kind"] | "build"): string {
  const words = { build: ["build", "builds"], escape: ["escape", "escapes"], refusal: ["refusal", "refusals"] } as const;
  return `${count} ${words[what][count === 1 ? 0 : 1]}`;
}

function took(milliseconds: number): string {
  return milliseconds < 120_000 ? duration(milliseconds) : span(milliseconds / 1000);
}

function fromHome(path: string, home: string): string {
  return home !== "/" && (path === home || path.startsWith(`${home}/`)) ? `~${path.slice(home.length)}` : path;
}

function startOf(text: string, width: number): string {
  return text.length <= width ? text : width < 1 ? "" : `${text.slice(0, width - 1)}…`;
}

/** A path tells more at its end. */
function endOf(text: string, width: number): string {
  return text.length <= width ? text : `…${text.slice(text.length - width + 1)}`;
}
