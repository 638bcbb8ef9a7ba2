/** Reads along with what a shell writes to its terminal: where something may be put between, and what it asks of the terminal. */

const [bel, can, sub, esc, del] = [0x07, 0x18, 0x1a, 0x1b, 0x7f];
const code = (character: string): number => character.charCodeAt(0);
/** Escapes that begin a string, which ST or BEL ends: DCS, SOS, OSC, PM, APC, and the title of screen and tmux. */
const strings = new Set(["P", "X", "]", "^", "_", "k"].map(code));
/** No sequence that matters here is longer: a list of private modes of 128 characters, and what stands around it. */
const longestHead = 130;

/** What passed. */
export type Piece = { readonly kind: "bytes"; readonly bytes: Buffer } | { readonly kind: "prompt" };

export interface Heard {
  /** A control sequence: its parameters and final, as in `?1049h`. */
  control(sequence: string): void;
  /** The keypad was put into its application's mode (DECKPAM, `ESC =`), or taken out of it (`ESC >`). */
  keypad(mode: "application" | "usual"): void;
  /** The title was set. */
  title(): void;
}

type State = "ground" | "escape" | "intermediate" | "control" | "string" | "string-escape";

/**
 * Nothing is changed but one thing: the mark of a prompt is taken out, and told. Chunks may break anywhere; what may
 * be the beginning of a mark is kept back until the next one, and no terminal would show it before.
 */
export class OutputScanner {
  readonly #mark: Buffer;
  readonly #heard: Heard;
  #held: Buffer = Buffer.alloc(0);
  #state: State = "ground";
  #head = "";
  #partial: "none" | "character" = "none";

  /** @param mark what the start files write before a prompt: begins with ESC, and has no other */
  constructor(mark: Buffer, heard: Heard) {
    this.#mark = mark;
    this.#heard = heard;
  }

  /** Whether what passed so far ends between characters and sequences. */
  get between(): boolean {
    return this.#state === "ground" && this.#partial === "none";
  }

  push(chunk: Buffer): Piece[] {
    let rest = this.#held.length === 0 ? chunk : Buffer.concat([this.#held, chunk]);
    const pieces: Piece[] = [];
    for (let at = rest.indexOf(this.#mark); at !== -1; at = rest.indexOf(this.#mark)) {
      this.#pass(rest.subarray(0, at), pieces);
      pieces.push({ kind: "prompt" });
      rest = rest.subarray(at + this.#mark.length);
    }
    const last = rest.lastIndexOf(esc);
    const begun =
      last !== -1 && rest.length - last < this.#mark.length && this.#mark.subarray(0, rest.length - last).equals(rest.subarray(last));
    this.#held = begun ? Buffer.from(rest.subarray(last)) : Buffer.alloc(0);
    this.#pass(begun ? rest.subarray(0, last) : rest, pieces);
    return pieces;
  }

  /** What was kept back, once nothing more comes. */
  end(): Buffer {
    return this.#held;
  }

  #pass(bytes: Buffer, pieces: Piece[]): void {
    if (bytes.length === 0) return;
    pieces.push({ kind: "bytes", bytes });
    let at = 0;
    while (at < bytes.length) {
      if (this.#state === "ground") {
        // Text, by far the most of it, is skipped at the speed of memory.
        const next = bytes.indexOf(esc, at);
        if (next === -1) break;
        this.#state = "escape";
        at = next + 1;
      } else {
        this.#step(bytes[at] ?? 0);
        at += 1;
      }
    }
    this.#partial = this.#state === "ground" && endsInsideCharacter(bytes) ? "character" : "none";
  }

  #step(byte: number): void {
    if (byte === esc) {
      this.#state = this.#state === "string" ? "string-escape" : "escape";
      return;
    }
    if (byte === can || byte === sub) {
      this.#state = "ground";
      return;
    }
    switch (this.#state) {
      case "ground":
        return;
      case "string-escape":
      case "escape":
        this.#escaped(byte);
        return;
      case "intermediate":
        if (byte < 0x20 || byte >= 0x30) this.#state = "ground";
        return;
      case "control":
        // Control characters inside a sequence are acted on, and the sequence goes on.
        if (byte < 0x20 || byte === del) return;
        this.#note(byte);
        if (byte < 0x40) return;
        this.#state = "ground";
        this.#heard.control(this.#head);
        return;
      case "string":
        if (byte === bel) this.#state = "ground";
        else if (this.#head.length < 3) {
          this.#note(byte);
          if (this.#head === "]0;" || this.#head === "]2;") this.#heard.title();
        }
        return;
    }
  }

  /** The byte after ESC. */
  #escaped(byte: number): void {
    this.#head = "";
    if (byte === code("[")) this.#state = "control";
    else if (strings.has(byte)) {
      this.#state = "string";
      this.#note(byte);
      if (byte === code("k")) this.#heard.title();
    }
    // An intermediate byte: one more follows. Anything else ends it; after a string's ESC that is ST.
    else if (byte >= 0x20 && byte < 0x30) this.#state = "intermediate";
    else {
      this.#state = "ground";
      if (byte === code("=")) this.#heard.keypad("application");
      if (byte === code(">")) this.#heard.keypad("usual");
    }
  }

  #note(byte: number): void {
    if (this.#head.length < longestHead) this.#head += String.fromCharCode(byte);
  }
}

/** Whether the last bytes are the beginning of a UTF-8 character whose end is missing. */
function endsInsideCharacter(bytes: Buffer): boolean {
  for (let back = 1; back <= Math.min(3, bytes.length); back += 1) {
    const byte = bytes[bytes.length - back] ?? 0;
    if ((byte & 0xc0) === 0x80) continue;
    const length = byte >= 0xf0 ? 4 : byte >= 0xe0 ? 3 : byte >= 0xc0 ? 2 : 1;
    return length > back;
  }
  return false;
}
