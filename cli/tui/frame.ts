/** The whole screen as lines: what there is room for, the most telling first, and what was left out. */
import { localTime } from "../../contract/words.ts";
import { type Build, buildRows, buildWidths } from "./builds.ts";
import { candidateRows, candidateWidths, type Subject } from "./candidates.ts";
import { width } from "./cells.ts";
import { buildDetail, subjectDetail } from "./detail.ts";
import { facts, tailnetLine } from "./facts.ts";
import { footer, helpLines } from "./help.ts";
import { beside, blank, fitLine, greyed, type Line, line, span } from "./line.ts";
import { nextLines } from "./next.ts";
import { escapesLine, rateLine, refusalsLine } from "./records.ts";
import { clean, type Scene } from "./scene.ts";
import { type Row, tableLines } from "./table.ts";
import { chosenKey, type Pane, paneOf, type Shown, type Ui } from "./ui.ts";
import { band, kindName, verdictOf } from "./verdict.ts";

export interface Size {
  readonly columns: number;
  readonly rows: number;
}

export interface Frame {
  readonly scene: Scene;
  readonly ui: Ui;
  readonly size: Size;
  readonly profile: string;
  readonly subjects: readonly Subject[];
  readonly builds: readonly Build[];
  /** The daemon's log, where it is shown. */
  readonly log: readonly Line[];
  /** A question, what is being done, or what became of it; undefined: nothing of the kind. */
  readonly status: Line | undefined;
}

/** Below this the two words are all. */
const least = { columns: 40, rows: 10 } as const;
const gap = 2;

/** @returns fewer lines than the terminal has rows, none wider than it: more would make it scroll */
export function frameLines(frame: Frame): Line[] {
  const { size } = frame;
  const lines = size.columns < least.columns || size.rows < least.rows ? tiny(frame) : whole(frame);
  return lines.slice(0, Math.max(1, size.rows - 1)).map((each) => cutLine(each, size.columns));
}

/** While a cache is attached, what it gives is worth more room than what else there is. */
export function shownOf({ subjects, builds, scene }: Pick<Frame, "subjects" | "builds" | "scene">): Shown {
  const first = scene.news.report?.bazel.state === "attached" && builds.length > 0 ? "builds" : "candidates";
  return { candidates: subjects.map(({ key }) => key), builds: builds.map(({ key }) => key), first };
}

function cutLine(of: Line, columns: number): Line {
  return of.length === 0 ? of : trimmed(fitLine(of, columns));
}

/** Without the blanks that only filled it. */
function trimmed(of: Line): Line {
  const last = of.at(-1);
  return last?.tone === "plain" && last.text.trim() === "" ? of.slice(0, -1) : of;
}

function tiny({ scene, size }: Frame): Line[] {
  const words = (["bazel", "nix"] as const).map((kind): Line => {
    const { word, mark, tone } = verdictOf(kind, scene.news);
    return [span(` ${mark} ${kindName[kind]} ${word} `, tone)];
  });
  return [...words, line(`${size.columns}×${size.rows} is small: enlarge to ${least.columns}×${least.rows}, or flywheel status`, "dim")];
}

function whole(frame: Frame): Line[] {
  const { scene, ui, size } = frame;
  const half = Math.floor((size.columns - gap) / 2);
  const bands = beside(
    band("bazel", verdictOf("bazel", scene.news), { cells: half, height: size.rows >= 20 ? 3 : 1 }),
    band("nix", verdictOf("nix", scene.news), { cells: half, height: size.rows >= 20 ? 3 : 1 }),
    { cells: half, gap },
  );
  const head = [title(frame), ...bands];
  const height = size.rows - 1 - head.length - 2;
  const { lines, leftOut } =
    ui.mode.name === "help" || ui.mode.name === "detail" || ui.mode.name === "logs"
      ? { lines: overlay(frame, height), leftOut: [] }
      : body(frame, { half, height });
  const filler = Array.from({ length: Math.max(0, height - lines.length) }, () => blank);
  return [...head, ...lines.slice(0, height), ...filler, frame.status ?? leftOutLine(leftOut), footer(scene.news, size.columns)];
}

function title({ scene, profile }: Frame): Line {
  const { link, report } = scene.news;
  const name = [span("flywheel", "strong"), span(profile === "default" ? "" : `  profile ${profile}`)];
  if (link.state === "gone") {
    const known = report === undefined ? "" : "; in grey what was known last";
    const since = localTime(link.since.toISOString()).slice(11);
    return [...name, span("  "), span(` ${clean(link.why)} `, "warn"), span(` since ${since}${known}`)];
  }
  if (report === undefined) return name;
  const daemon = report.daemon === null ? "" : `  pid ${report.daemon.pid}`;
  return [...name, span(`  ${report.profileState}`, "strong"), span(daemon, "dim")];
}

function leftOutLine(leftOut: readonly string[]): Line {
  return leftOut.length === 0 ? blank : line(`not shown: ${leftOut.join(", ")} (enlarge, or flywheel status)`, "dim");
}

interface Section {
  readonly name: string;
  readonly pane?: Pane;
  readonly least: number;
}

/** With its headline. */
function wantedHeight({ subjects, builds }: Frame, pane: Pane): number {
  return 1 + Math.max(1, pane === "candidates" ? subjects.length : builds.length);
}

/** In the order in which they are given room; the pane that keys go to is the first. */
function sectionsOf(frame: Frame): readonly Section[] {
  const pane = paneOf(frame.ui, shownOf(frame));
  const other = pane === "candidates" ? "builds" : "candidates";
  return [
    { name: pane, pane, least: Math.min(3, wantedHeight(frame, pane)) },
    { name: "tailnet", least: 1 },
    { name: `${other} (Tab)`, pane: other, least: Math.min(3, wantedHeight(frame, other)) },
    { name: "hits", least: 1 },
    { name: "escapes", least: 1 },
    { name: "refusals", least: 1 },
  ];
}

function body(frame: Frame, { half, height }: { half: number; height: number }): { lines: Line[]; leftOut: readonly string[] } {
  const { scene, size } = frame;
  const { report, link } = scene.news;
  const grey = (lines: Line[]): Line[] => (link.state === "gone" ? lines.map(greyed) : lines);
  const room = { cells: half, height: size.rows >= 24 ? 5 : 4 };
  const top = [
    ...grey(beside(facts("bazel", scene, room), facts("nix", scene, room), { cells: half, gap })),
    ...nextLines(scene.news).slice(0, size.rows >= 30 ? 6 : size.rows >= 20 ? 2 : 1),
  ];
  if (report === undefined) return { lines: top, leftOut: [] };
  const shown = new Set<string>();
  const leftOut: string[] = [];
  let left = height - top.length;
  for (const { name, least: wanted } of sectionsOf(frame)) {
    if (left < wanted) leftOut.push(name);
    else {
      shown.add(name);
      left -= wanted;
    }
  }
  const has = (name: string): boolean => shown.has(name);
  const panes = share(frame, shown, left);
  return {
    leftOut,
    lines: [
      ...top,
      ...grey([
        ...panes,
        ...(has("hits") ? [rateLine(report, size.columns)] : []),
        ...(has("escapes") ? [escapesLine(report)] : []),
        ...(has("refusals") ? [refusalsLine(report)] : []),
        ...(has("tailnet") ? [tailnetLine(report)] : []),
      ]),
    ],
  };
}

/** Both panes, with the rows that nothing else needs given to whichever has more to show. */
function share(frame: Frame, shown: ReadonlySet<string>, spare: number): Line[] {
  const heights = new Map<Pane, number>();
  let left = spare;
  for (const { name, pane, least: given } of sectionsOf(frame)) {
    if (pane === undefined || !shown.has(name)) continue;
    const height = Math.min(given + left, wantedHeight(frame, pane));
    heights.set(pane, height);
    left -= height - given;
  }
  return (["candidates", "builds"] as const).flatMap((pane) => {
    const height = heights.get(pane);
    return height === undefined ? [] : paneLines(frame, pane, height);
  });
}

function paneLines(frame: Frame, pane: Pane, height: number): Line[] {
  const { ui, size, scene } = frame;
  const rows: readonly Row[] = pane === "candidates" ? candidateRows(frame.subjects) : buildRows(frame.builds, scene.now);
  const widths = pane === "candidates" ? candidateWidths(frame.subjects, size.columns) : buildWidths(size.columns);
  const shown = shownOf(frame);
  const here = paneOf(ui, shown) === pane;
  const chosen = here ? chosenKey(ui, pane, shown) : undefined;
  const name = pane === "candidates" ? "Candidates" : "Builds";
  const filter = ui.filter === "" ? "" : ` with “${clean(ui.filter)}” (Esc: all)`;
  const head = ` ${here ? "▸ " : ""}${name} ${rows.length}${filter} `;
  const none = pane === "candidates" ? "  none: nothing named an endpoint" : "  none yet";
  const lines = rows.length === 0 ? [line(ui.filter === "" ? none : "  none that the filter leaves", "dim")] : [];
  return [
    [span("──", "dim"), span(head, here ? "strong" : "dim"), span("─".repeat(Math.max(0, size.columns - width(head) - 2)), "dim")],
    ...lines,
    ...tableLines(rows, { widths, height: height - 1, chosen }),
    ...Array.from({ length: Math.max(0, height - 1 - Math.max(lines.length, rows.length)) }, () => blank),
  ];
}

function overlay(frame: Frame, height: number): Line[] {
  const { mode } = frame.ui;
  const { lines, name, top } = overlayText(frame, height);
  const first = Math.max(0, Math.min(top, lines.length - (height - 1)));
  const more = lines.length - first - (height - 1);
  const how = mode.name === "logs" ? "Esc: back, j k: scroll" : more > 0 ? `${more} more ${more === 1 ? "line" : "lines"}: j` : "Esc: back";
  return [[span(` ${name} `, "strong"), span(`(${how})`, "dim")], ...lines.slice(first, first + height - 1)];
}

function overlayText(frame: Frame, height: number): { lines: readonly Line[]; name: string; top: number } {
  const { ui, size } = frame;
  switch (ui.mode.name) {
    case "logs":
      return { name: "The daemon's log", lines: frame.log, top: frame.log.length - (height - 1) - ui.mode.back };
    case "detail":
      return {
        name: paneOf(ui, shownOf(frame)) === "candidates" ? "Candidate" : "Build",
        lines: detailLines(frame, size.columns),
        top: ui.mode.top,
      };
    case "help":
      return { name: "Keys", lines: helpLines(size.columns), top: ui.mode.top };
    default:
      return { name: "", lines: [], top: 0 };
  }
}

function detailLines(frame: Frame, columns: number): Line[] {
  const shown = shownOf(frame);
  const pane = paneOf(frame.ui, shown);
  const key = chosenKey(frame.ui, pane, shown);
  const subject = pane === "candidates" ? frame.subjects.find((each) => each.key === key) : undefined;
  if (subject !== undefined) return subjectDetail(subject, columns);
  const build = frame.builds.find((each) => each.key === key);
  return build === undefined ? [line("it is not there any more", "dim")] : buildDetail(build, columns);
}
