/** A table with one row chosen: as many rows as there is room for, always with the chosen one among them. */
import { padded } from "./cells.ts";
import { type Line, span, type Tone } from "./line.ts";

export interface Cell {
  readonly text: string;
  readonly tone?: Tone;
}

export interface Row {
  /** What it is chosen by, from one report to the next. */
  readonly key: string;
  readonly cells: readonly Cell[];
}

export interface Shape {
  /** Cells of each column; one space stands behind each. */
  readonly widths: readonly number[];
  readonly height: number;
  /** The key of the chosen row, where this table is the one that keys go to. */
  readonly chosen: string | undefined;
}

export function tableLines(rows: readonly Row[], { widths, height, chosen }: Shape): Line[] {
  const at = Math.max(
    0,
    rows.findIndex(({ key }) => key === chosen),
  );
  const first = Math.max(0, Math.min(at - Math.floor(height / 2), rows.length - height));
  return rows.slice(first, first + height).map(({ key, cells }) => [
    span(key === chosen ? "▸ " : "  ", "strong"),
    ...cells.map(({ text, tone }, column) =>
      // Inverse would hide the colours; without colour it is what shows the row.
      span(`${padded(text, widths[column] ?? 0)} `, key === chosen && column === 0 ? "chosen" : (tone ?? "plain")),
    ),
  ]);
}
