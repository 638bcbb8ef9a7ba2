/** A terminal's screen as a picture: its cells as text on a dark ground. The same screen gives the same bytes. */
import type { Cell, Colour } from "../fixtures/terminal/terminal.ts";

/** Of one cell, and around all of them: pixels. */
const cell = { width: 8, height: 17 } as const;
const margin = 12;

const ground = "#1c1f24";
const ink = "#d7dae0";
/** The first eight of the palette; nothing of ours uses another. */
const palette = ["#1c1f24", "#e0565b", "#5fb46a", "#e5c07b", "#5b9ee0", "#b57bd6", "#4fb9c4", "#f3f4f6"] as const;

interface Run {
  readonly at: number;
  readonly cells: readonly Cell[];
}

export function screenSvg(rows: readonly (readonly Cell[])[], title: string): string {
  const columns = rows[0]?.length ?? 0;
  const [width, height] = [columns * cell.width + 2 * margin, rows.length * cell.height + 2 * margin];
  const drawn = rows.flatMap((row, y) => runsOf(row).flatMap((run) => drawRun(run, y)));
  return `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}" viewBox="0 0 ${width} ${height}" role="img" font-family="ui-monospace, 'DejaVu Sans Mono', Menlo, Consolas, monospace" font-size="13">
<title>${escaped(title)}</title>
<rect width="${width}" height="${height}" rx="8" fill="${ground}"/>
${drawn.join("\n")}
</svg>
`;
}

/** Neighbours that look alike. */
function runsOf(row: readonly Cell[]): Run[] {
  const runs: { at: number; cells: Cell[] }[] = [];
  for (const [at, each] of row.entries()) {
    const last = runs.at(-1);
    if (last !== undefined && looks(last.cells[0]) === looks(each)) last.cells.push(each);
    else runs.push({ at, cells: [each] });
  }
  return runs;
}

function looks(of: Cell | undefined): string {
  return of === undefined ? "" : JSON.stringify({ ...of, text: "" });
}

function drawRun({ at, cells }: Run, y: number): string[] {
  const [first] = cells;
  if (first === undefined) return [];
  const front = first.inverse ? colour(first.background, ground) : colour(first.foreground, ink);
  const back = first.inverse ? colour(first.foreground, ink) : colour(first.background, ground);
  const [x, top] = [margin + at * cell.width, margin + y * cell.height];
  const drawn =
    back === ground ? [] : [`<rect x="${x}" y="${top}" width="${cells.length * cell.width}" height="${cell.height}" fill="${back}"/>`];
  const text = cells.map((each) => each.text).join("");
  const bare = text.trimEnd();
  if (bare.trim() === "") return drawn;
  const lead = bare.length - bare.trimStart().length;
  const look = [first.bold ? ' font-weight="bold"' : "", first.dim ? ' opacity="0.6"' : ""].join("");
  const words = bare.trimStart();
  // Whatever the font that is at hand, each letter stays in its cell.
  const length = (bare.length - lead) * cell.width;
  return [
    ...drawn,
    `<text x="${x + lead * cell.width}" y="${top + 13}" textLength="${length}" lengthAdjust="spacingAndGlyphs" xml:space="preserve" fill="${front}"${look}>${escaped(words)}</text>`,
  ];
}

function colour(of: Colour, otherwise: string): string {
  switch (of.is) {
    case "default":
      return otherwise;
    case "palette":
      return palette[of.index] ?? otherwise;
    case "rgb":
      return `#${of.rgb.toString(16).padStart(6, "0")}`;
  }
}

function escaped(text: string): string {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");
}
