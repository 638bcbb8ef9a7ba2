/** What the screen is made of: lines of spans, each with what it means. How that looks is lines.tsx's. */
import { cut, width } from "./cells.ts";

export type Tone =
  | "plain"
  | "dim"
  | "strong"
  | "good"
  | "warn"
  | "bad"
  | "proof"
  | "chosen"
  | "band-good"
  | "band-warn"
  | "band-bad"
  | "band-proof"
  | "band-gone";

export interface Span {
  readonly text: string;
  readonly tone: Tone;
}

export type Line = readonly Span[];

export const blank: Line = [];

export function span(text: string, tone: Tone = "plain"): Span {
  return { text, tone };
}

export function line(text: string, tone: Tone = "plain"): Line {
  return [span(text, tone)];
}

export function lineText(of: Line): string {
  return of.map(({ text }) => text).join("");
}

/** The line in exactly so many cells. */
export function fitLine(of: Line, cells: number, filler: Tone = "plain"): Line {
  const fitted: Span[] = [];
  let left = cells;
  for (const { text, tone } of of) {
    if (left <= 0) break;
    const short = cut(text, left);
    fitted.push(span(short, tone));
    left -= width(short);
  }
  return left > 0 ? [...fitted, span(" ".repeat(left), filler)] : fitted;
}

/** Two blocks next to each other, each padded to the longer one's height. */
export function beside(left: readonly Line[], right: readonly Line[], { cells, gap }: { cells: number; gap: number }): Line[] {
  const height = Math.max(left.length, right.length);
  return Array.from({ length: height }, (_none, at) => [
    ...fitLine(left[at] ?? blank, cells),
    span(" ".repeat(gap)),
    ...fitLine(right[at] ?? blank, cells),
  ]);
}

/** What was known before, shown as what is not known any more. */
export function greyed(of: Line): Line {
  return of.map(({ text, tone }) => (tone.startsWith("band-") ? span(text, "band-gone") : span(text, "dim")));
}
