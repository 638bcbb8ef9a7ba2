/** What documentation tells people to type: the code in Markdown, and the places that its code and links name. */
import type { Line, Place } from "./model.ts";

export interface CodeBlock {
  readonly text: string;
  readonly place: Place;
}

export interface Documentation {
  readonly blocks: readonly CodeBlock[];
  /** Code and links alone: what prose says of the past is no drift. */
  readonly lines: readonly Line[];
}

/** Languages of a fence whose content is typed, or may be. */
const shells = new Set(["", "sh", "bash", "shell", "zsh", "console", "shell-session", "shellsession", "text"]);

export function readMarkdown(text: string, file: string): Documentation {
  const blocks: CodeBlock[] = [];
  const lines: Line[] = [];
  let open: { readonly fence: string; readonly language: string; readonly from: number; readonly content: string[] } | undefined;
  for (const [at, raw] of text.split("\n").entries()) {
    const line = raw.replace(/\r$/, "");
    const place = { file, line: at + 1 };
    const fence = /^\s{0,12}(?:[-*]\s+)?(`{3,}|~{3,})\s*([A-Za-z0-9_-]*)/.exec(line.slice(0, 200));
    if (open !== undefined) {
      if (fence !== null && (fence[1] ?? "").startsWith(open.fence) && fence[2] === "") {
        if (shells.has(open.language)) blocks.push({ text: typed(open.content, open.language), place: { file, line: open.from } });
        open = undefined;
      } else {
        open.content.push(line);
        lines.push({ text: line, place });
      }
    } else if (fence !== null) open = { fence: fence[1] ?? "", language: (fence[2] ?? "").toLowerCase(), from: at + 2, content: [] };
    else {
      const code = [...line.slice(0, 2000).matchAll(/`([^`]+)`|\b([a-z][a-z0-9+.-]{0,15}:\/\/[^\s)>\]]+)/g)];
      if (code.length > 0) lines.push({ text: code.map(([, span, link]) => span ?? link).join(" "), place });
    }
  }
  return { blocks, lines };
}

/** A session shows what was typed behind `$`, and below it what came of it; lines are kept, so that their numbers are. */
function typed(content: readonly string[], language: string): string {
  const session = ["console", "shell-session", "shellsession"].includes(language) || content.some((line) => /^\s*\$ /.test(line));
  let continued = false;
  return content
    .map((line) => {
      const shown = session && !continued ? (/^\s*[$#%] (.*)$/.exec(line)?.[1] ?? "") : line;
      continued = session && shown.endsWith("\\");
      return shown;
    })
    .join("\n");
}
