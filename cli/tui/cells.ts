/** Text measured and cut by the cells that a terminal gives it, not by its characters. */

const graphemes = new Intl.Segmenter(undefined, { granularity: "grapheme" });

/** East Asian Wide and Fullwidth of UAX #11, as ranges of whole blocks, and what is shown as an emoji. */
const wide =
  /^(?:\p{Emoji_Presentation}|[\u1100-\u115f\u2329\u232a\u2e80-\u303e\u3041-\ua4cf\ua960-\ua97c\uac00-\ud7a3\uf900-\ufaff\ufe10-\ufe19\ufe30-\ufe6f\uff01-\uff60\uffe0-\uffe6]|[\u{17000}-\u{18cff}\u{1b000}-\u{1b2ff}\u{20000}-\u{3fffd}])|\ufe0f/u;
const zero = /^[\p{Mn}\p{Me}\p{Cf}]+$/u;
const plain = /^[ -~]*$/;

/** How many cells the text takes. */
export function width(text: string): number {
  if (plain.test(text)) return text.length;
  let cells = 0;
  for (const { segment } of graphemes.segment(text)) cells += widthOf(segment);
  return cells;
}

/** The text in at most so many cells, with `…` where some of it is left out. */
export function cut(text: string, cells: number): string {
  if (cells <= 0) return "";
  if (width(text) <= cells) return text;
  let kept = "";
  let used = 0;
  for (const { segment } of graphemes.segment(text)) {
    const more = widthOf(segment);
    if (used + more > cells - 1) break;
    kept += segment;
    used += more;
  }
  return `${kept}…`;
}

/** The text in exactly so many cells. */
export function padded(text: string, cells: number): string {
  const short = cut(text, cells);
  return short + " ".repeat(Math.max(0, cells - width(short)));
}

/** Words in lines of so many cells; what does not fit into the last one is cut. */
export function fold(text: string, cells: number, most: number): string[] {
  const lines: string[] = [];
  let line = "";
  for (const word of text.split(/ +/)) {
    const longer = line === "" ? word : `${line} ${word}`;
    // A last line that is too long is cut below, so that its reader sees that there is more.
    if (width(longer) <= cells || line === "" || lines.length === most - 1) line = longer;
    else {
      lines.push(line);
      line = word;
    }
  }
  return [...lines, line].slice(0, most).map((each) => cut(each, cells));
}

function widthOf(grapheme: string): number {
  if (zero.test(grapheme)) return 0;
  return wide.test(grapheme) ? 2 : 1;
}
