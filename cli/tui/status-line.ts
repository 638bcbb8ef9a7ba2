/** The line above the keys: a question, what is being done, or what became of it. */
import type { Notice } from "./actions.ts";
import { cut, width } from "./cells.ts";
import type { Edit } from "./editor.ts";
import { type Line, line, span } from "./line.ts";
import type { Mode } from "./ui.ts";
import { kindName } from "./verdict.ts";

const spinner = ["⠋", "⠙", "⠹", "⠸", "⠼", "⠴", "⠦", "⠧", "⠇", "⠏"] as const;

/** @param beat counts up while something is being done */
export function statusLine(
  mode: Mode,
  cells: number,
  now: { doing: string | undefined; beat: number; notice: Notice | undefined },
): Line | undefined {
  const question = questionLine(mode, cells);
  if (question !== undefined) return question;
  if (now.doing !== undefined) return [span(`${spinner[now.beat % spinner.length] ?? ""} `, "proof"), span(`${now.doing} …`)];
  return now.notice === undefined ? undefined : line(now.notice.text, now.notice.tone);
}

function questionLine(mode: Mode, cells: number): Line | undefined {
  switch (mode.name) {
    case "filter":
      return typed("/", mode.edit, "", cells);
    case "attach": {
      const other = mode.kind === "bazel" ? "Nix" : "Bazel";
      if (mode.fault !== undefined) return line(mode.fault, "bad");
      return typed(`attach ${kindName[mode.kind]}: `, mode.edit, `  (Tab: ${other}, Esc: leave)`, cells);
    }
    case "confirm-attach":
      return question(`attach ${kindName[mode.kind]} to ${mode.endpoint}?`, cells);
    case "confirm-detach":
      return question(detaching.find((words) => width(words) + answers.length <= cells) ?? detaching[1], cells);
    case "main":
    case "help":
    case "detail":
    case "logs":
      return undefined;
  }
}

/** What `d` does, in all its words and in as many as 80 columns hold. */
const detaching = [
  "detach? heavy commands are refused until you press u; endpoints that you attached are forgotten",
  "detach? heavy commands fail until you press u; your endpoints are forgotten",
] as const;

const answers = " y/N";

/** The answers are always there to be seen. */
function question(text: string, cells: number): Line {
  return [span(cut(text, cells - answers.length), "strong"), span(answers)];
}

/** What is typed, with the place of the next character in inverse; the end of it where it is too long. */
function typed(label: string, { text, at }: Edit, hint: string, cells: number): Line {
  const room = Math.max(8, cells - width(label) - 2);
  const from = Math.max(0, at - room);
  const shown = [
    span(label, "strong"),
    span(text.slice(from, at)),
    span(text.slice(at, at + 1) || " ", "chosen"),
    span(text.slice(at + 1)),
  ];
  return [...shown, span(hint, "dim")];
}
