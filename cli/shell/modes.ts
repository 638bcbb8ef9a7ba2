/** What programs asked the terminal for and did not take back: a shell that is killed leaves nothing of it behind. */

/** Private modes that are off where a shell starts, in the order in which they are taken back: mouse, focus, paste, keys, the alternate screens. */
const usuallyOff = [
  "9",
  "1000",
  "1001",
  "1002",
  "1003",
  "1004",
  "1005",
  "1006",
  "1015",
  "1016",
  "2004",
  "2026",
  "1",
  "66",
  "47",
  "1047",
  "1049",
];

export class Modes {
  readonly #on = new Set<string>();
  #cursor: "shown" | "hidden" = "shown";
  /** What becomes of a line that is longer than the terminal is wide. */
  #longLines: "wrapped" | "cut" = "wrapped";
  #keypad: "usual" | "application" = "usual";
  /** How often the keyboard's mode was pushed (the protocol of kitty). */
  #keyboards = 0;
  #otherKeys: "usual" | "modified" = "usual";

  /** @param sequence a control sequence without its introducer, as in `?1049h` */
  heard(sequence: string): void {
    const [, mode, final] = /^\?([\d;]+)([hl])$/.exec(sequence) ?? [];
    if (mode !== undefined) {
      for (const each of mode.split(";")) {
        if (each === "25") this.#cursor = final === "h" ? "shown" : "hidden";
        else if (each === "7") this.#longLines = final === "h" ? "wrapped" : "cut";
        else if (!usuallyOff.includes(each)) continue;
        else if (final === "h") this.#on.add(each);
        else this.#on.delete(each);
      }
    } else if (/^>\d*u$/.test(sequence)) this.#keyboards += 1;
    else if (/^<\d*u$/.test(sequence)) this.#keyboards = Math.max(0, this.#keyboards - Math.max(1, Number(sequence.slice(1, -1))));
    else if (/^>4(?:;\d*)?m$/.test(sequence)) this.#otherKeys = /^>4;[1-9]/.test(sequence) ? "modified" : "usual";
  }

  keypad(mode: "usual" | "application"): void {
    this.#keypad = mode;
  }

  /** What takes all of it back; empty where nothing is left. */
  leftovers(): string {
    const sequences = usuallyOff.filter((mode) => this.#on.has(mode)).map((mode) => `\u001b[?${mode}l`);
    if (this.#longLines === "cut") sequences.push("\u001b[?7h");
    if (this.#keypad === "application") sequences.push("\u001b>");
    if (this.#cursor === "hidden") sequences.push("\u001b[?25h");
    if (this.#keyboards > 0) sequences.push(`\u001b[<${this.#keyboards}u`);
    if (this.#otherKeys === "modified") sequences.push("\u001b[>4m");
    return sequences.length === 0 ? "" : `${sequences.join("")}\u001b[0m`;
  }
}
