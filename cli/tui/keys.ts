/** What was typed, in this screen's words: Ink's flags as one key each. */
import type { Key } from "ink";
import type { Editing } from "./editor.ts";

export type Press =
  | { readonly is: "text"; readonly text: string }
  | { readonly is: "edit"; readonly how: Editing }
  | { readonly is: "up" | "down" | "page-up" | "page-down" | "tab" | "enter" | "escape" | "interrupt" | "suspend" };

/** @returns what it means, several where they came at once; none for a key that means nothing here */
export function pressesOf(input: string, key: Key): readonly Press[] {
  if (key.ctrl) return controlPress(input);
  if (key.upArrow) return [{ is: "up" }];
  if (key.downArrow) return [{ is: "down" }];
  if (key.leftArrow) return [{ is: "edit", how: "left" }];
  if (key.rightArrow) return [{ is: "edit", how: "right" }];
  if (key.pageUp) return [{ is: "page-up" }];
  if (key.pageDown) return [{ is: "page-down" }];
  if (key.home) return [{ is: "edit", how: "start" }];
  if (key.end) return [{ is: "edit", how: "end" }];
  if (key.tab) return [{ is: "tab" }];
  if (key.return) return [{ is: "enter" }];
  if (key.escape) return [{ is: "escape" }];
  if (key.backspace) return [{ is: "edit", how: "backspace" }];
  if (key.delete) return [{ is: "edit", how: "delete" }];
  // Keys that came in one piece (a slow line, tmux send-keys) are still one after the other.
  return [...input].flatMap(characterPress);
}

/** What a control character is, that came among others. */
function characterPress(each: string): readonly Press[] {
  switch (each) {
    case "\r":
    case "\n":
      return [{ is: "enter" }];
    case "\t":
      return [{ is: "tab" }];
    case "\b":
    case "\u007f":
      return [{ is: "edit", how: "backspace" }];
    default:
      // Ctrl and a letter is that letter's place in the alphabet.
      return each < " " ? controlPress(String.fromCharCode(96 + each.charCodeAt(0))) : [{ is: "text", text: each }];
  }
}

function controlPress(input: string): readonly Press[] {
  switch (input) {
    case "c":
      return [{ is: "interrupt" }];
    case "z":
      return [{ is: "suspend" }];
    case "a":
      return [{ is: "edit", how: "start" }];
    case "e":
      return [{ is: "edit", how: "end" }];
    case "u":
      return [{ is: "edit", how: "clear" }];
    case "w":
      return [{ is: "edit", how: "word" }];
    default:
      return [];
  }
}
