/** Letters of three rows, for a word that is read from across the room. */

/** Five dots high, three wide, one line a row; only what the words of verdict.ts need. */
const dots: Readonly<Record<string, string>> = {
  A: "010101111101101",
  C: "011100100100011",
  D: "110101101101110",
  E: "111100110100111",
  F: "111100110100100",
  G: "011100101101011",
  H: "101101111101101",
  I: "111010010010111",
  K: "101101110101101",
  L: "100100100100111",
  M: "101111111101101",
  N: "111101101101101",
  O: "111101101101111",
  P: "110101110100100",
  R: "110101110101101",
  T: "111010010010010",
  U: "101101101101111",
  " ": "000000000000000",
};

const wide = 3;
/** By the dot above and the dot below. */
const halves = { "00": " ", "10": "▀", "01": "▄", "11": "█" } as const;

export function lettersWidth(word: string): number {
  return word.length * (wide + 1);
}

/** The word in three lines, two dots of a letter in each cell. */
export function letters(word: string): readonly [string, string, string] {
  const row = (at: number): string =>
    [...word]
      .map((letter) => {
        const glyph = dots[letter] ?? dots[" "] ?? "";
        const dot = (y: number, x: number): "0" | "1" => (glyph[y * wide + x] === "1" ? "1" : "0");
        const cell = (x: number): string => halves[`${dot(at * 2, x)}${dot(at * 2 + 1, x)}`];
        return `${cell(0)}${cell(1)}${cell(2)} `;
      })
      .join("");
  return [row(0), row(1), row(2)];
}
