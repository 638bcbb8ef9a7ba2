/** The keys, as `?` shows them and as the last line reminds of them. */
import { fold, width } from "./cells.ts";
import { blank, type Line, line, span } from "./line.ts";
import type { News } from "./scene.ts";

interface Hint {
  readonly keys: string;
  readonly does: string;
  /** For the last line. */
  readonly short?: string;
}

const hints: readonly Hint[] = [
  { keys: "?", does: "this help", short: "help" },
  { keys: "q, Ctrl-C", does: "quit" },
  { keys: "↑ ↓, j k", does: "choose a candidate or a build (g G: the first, the last)" },
  { keys: "Tab, ← →, h l", does: "the other pane; l is the log, so Tab or → go there" },
  { keys: "Enter", does: "everything that is known of the chosen one", short: "detail" },
  { keys: "Esc", does: "back; ends a filter" },
  { keys: "/", does: "filter candidates and builds: each word must be there", short: "filter" },
  { keys: "r", does: "prove the attachment again, now", short: "verify" },
  { keys: "a", does: "attach an endpoint that you name (asks; Tab: Bazel or Nix)", short: "attach" },
  { keys: "d", does: "detach: heavy commands are refused until up (asks)", short: "detach" },
  { keys: "u", does: "up: start the daemon, end a detach, look for a cache" },
  { keys: "l", does: "the daemon's log, as it is written", short: "log" },
  { keys: "c", does: "copy the chosen endpoint, else what to type next (OSC 52)", short: "copy" },
  { keys: "Ctrl-Z", does: "suspend; fg comes back" },
];

/** A mark and its words stand in one line. */
const states = ["✓ ATTACHED", "! LOCAL PROOF", "! DEGRADED", "… LOOKING", "✗ UNATTACHED", "✗ DETACHED", "? NO DAEMON"]
  .map((state) => state.replaceAll(" ", "\u00a0"))
  .join(", ");

const legend = [
  `Bazel and Nix: ${states}`,
  "A build's bar: what of it the shared cache gave; a ? behind it: that may not be the shared cache's.",
  "A latency's bars: the last proofs, between their least and their most; × is one that failed.",
  "All of this as text: flywheel status. Builds, escapes and refusals of before: flywheel history.",
];

const keyCells = 16;

/** In as many lines as they need in so many cells. */
export function helpLines(cells: number): Line[] {
  const folded = (text: string, room: number): string[] => fold(text, room, Number.POSITIVE_INFINITY);
  return [
    ...hints.flatMap(({ keys, does }) =>
      folded(does, cells - keyCells).map((text, at): Line => [span((at === 0 ? keys : "").padEnd(keyCells), "strong"), span(text)]),
    ),
    blank,
    ...legend.flatMap((text) => folded(text, cells)).map((text) => line(text.replaceAll("\u00a0", " "), "dim")),
  ];
}

/** The last line: as many keys as it holds, `q quit` always. */
export function footer(news: News, cells: number): Line {
  const wanted = hints.flatMap(({ keys, short }) => (short === undefined ? [] : [`${keys} ${short}`]));
  const first = news.link.state === "gone" || news.report?.detached === true ? ["u up"] : [];
  const last = "q quit";
  let text = "";
  for (const hint of [...first, ...wanted]) {
    if (width(text) + width(hint) + 2 + width(last) > cells) break;
    text += `${hint}  `;
  }
  return line(`${text}${last}`, "dim");
}
