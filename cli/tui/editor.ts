/** One line that somebody types. */

export interface Edit {
  readonly text: string;
  /** Where the next character goes. */
  readonly at: number;
}

export type Editing = "left" | "right" | "start" | "end" | "backspace" | "delete" | "clear" | "word";

export const emptyEdit: Edit = { text: "", at: 0 };

/** No endpoint and no filter is longer. */
const longest = 512;

export function insert({ text, at }: Edit, typed: string): Edit {
  // A paste's line ends and controls are no part of any endpoint.
  const added = typed.replaceAll(/\p{Cc}/gu, "").slice(0, Math.max(0, longest - text.length));
  return { text: text.slice(0, at) + added + text.slice(at), at: at + added.length };
}

export function edit({ text, at }: Edit, how: Editing): Edit {
  switch (how) {
    case "left":
      return { text, at: Math.max(0, at - 1) };
    case "right":
      return { text, at: Math.min(text.length, at + 1) };
    case "start":
      return { text, at: 0 };
    case "end":
      return { text, at: text.length };
    case "backspace":
      return at === 0 ? { text, at } : { text: text.slice(0, at - 1) + text.slice(at), at: at - 1 };
    case "delete":
      return { text: text.slice(0, at) + text.slice(at + 1), at };
    case "clear":
      return { text: text.slice(at), at: 0 };
    case "word": {
      const kept = text.slice(0, at).replace(/\S*\s*$/, "");
      return { text: kept + text.slice(at), at: kept.length };
    }
  }
}
