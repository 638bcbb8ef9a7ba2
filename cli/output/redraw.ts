/** A text that is drawn over itself: each frame in one write, each line in one row, so that nothing flickers or scrolls away. */
import type { Output } from "./output.ts";

const esc = "\u001b[";
/** Terminals that know it show a frame when it is whole; the others pass over it. */
const [begin, end] = [`${esc}?2026h`, `${esc}?2026l`];
/** A line that is too long is cut at the edge instead of taking two rows. */
const [cut, wrap] = [`${esc}?7l`, `${esc}?7h`];

export class Redraw {
  readonly #output: Output;
  /** Of the frame that stands there; undefined before the first, and where nobody knows, as after a resize. */
  #rows = 0;

  constructor(output: Output) {
    this.#output = output;
  }

  /** Draws it in place of what was drawn before; what does not fit the height is told. */
  draw(text: string): void {
    const height = Math.max(2, process.stdout.rows || 24);
    const lines = text.split("\n");
    const shown =
      lines.length < height ? lines : [...lines.slice(0, height - 2), `… ${lines.length - height + 2} more lines: flywheel status`];
    const up = this.#rows === 0 ? "" : `${esc}${this.#rows}A`;
    this.#output.raw(`${begin}${cut}${up}\r${shown.map((line) => `${line}${esc}K\n`).join("")}${esc}J${wrap}${end}`);
    this.#rows = shown.length;
  }

  /** After a resize the terminal has moved the rows about: the next frame begins on a clear screen. */
  clear(): void {
    this.#output.raw(`${esc}2J${esc}H`);
    this.#rows = 0;
  }
}
