/** The terminal's title: ours from each prompt on, until a program inside sets one of its own. */

/** Terminals that take a title, by the beginning of TERM; anything else might show it as text. */
const titled = /^(?:xterm|screen|tmux|rxvt|vte|gnome|konsole|alacritty|foot|kitty|ghostty|wezterm|contour|mintty|st-|iterm)/;

export function takesTitle(term: string | undefined): boolean {
  return titled.test(term ?? "");
}

/** XTWINOPS: the terminal remembers the title that it has, and gives it back. */
export const pushTitle = "\u001b[22;2t";
export const popTitle = "\u001b[23;2t";

export class Title {
  #wanted: string;
  #shown: string | undefined;
  #owner: "us" | "them" = "us";

  /** @param wanted no control characters */
  constructor(wanted: string) {
    this.#wanted = wanted;
  }

  want(text: string): void {
    this.#wanted = text;
  }

  /** A program inside has set one. */
  taken(): void {
    this.#owner = "them";
  }

  /** What to write now, between two sequences; empty where it is shown already, or not ours. */
  due(): string {
    if (this.#owner === "them" || this.#shown === this.#wanted) return "";
    this.#shown = this.#wanted;
    return `\u001b]2;${this.#wanted}\u0007`;
  }

  /** What to write before a prompt. A prompt that sets a title of its own does so after it. */
  atPrompt(): string {
    if (this.#owner === "them") this.#shown = undefined;
    this.#owner = "us";
    return this.due();
  }
}
