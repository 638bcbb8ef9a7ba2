/** One word for a cache, as large as the screen lets it be. */
import type { AttachmentReport } from "../../contract/api.ts";
import { isLoopback, parseEndpoint, type Tool } from "../../contract/endpoint.ts";
import { letters, lettersWidth } from "./letters.ts";
import { fitLine, type Line, span, type Tone } from "./line.ts";
import type { News } from "./scene.ts";

export interface Verdict {
  readonly word: "ATTACHED" | "LOCAL PROOF" | "DEGRADED" | "LOOKING" | "UNATTACHED" | "DETACHED" | "NO DAEMON";
  /** What tells them apart where there is no colour. */
  readonly mark: "✓" | "!" | "…" | "✗" | "?";
  readonly tone: Extract<Tone, `band-${string}`>;
}

const longestWord: Verdict["word"] = "LOCAL PROOF";
const labelWidth = longestWord.length + 4;

export const kindName: Readonly<Record<Tool, string>> = { bazel: "Bazel", nix: "Nix" };

export function verdictOf(kind: Tool, { link, report }: News): Verdict {
  if (link.state === "gone") return { word: "NO DAEMON", mark: "?", tone: "band-gone" };
  if (report === undefined) return { word: "LOOKING", mark: "…", tone: "band-warn" };
  const own = report[kind];
  if (own.state === "unattached") {
    if (report.detached) return { word: "DETACHED", mark: "✗", tone: "band-bad" };
    return own.unsettled ? { word: "LOOKING", mark: "…", tone: "band-warn" } : { word: "UNATTACHED", mark: "✗", tone: "band-bad" };
  }
  if (own.health === "degraded" || own.health === "down") return { word: "DEGRADED", mark: "!", tone: "band-warn" };
  if (isLocal(kind, own)) return { word: "LOCAL PROOF", mark: "!", tone: "band-proof" };
  return { word: "ATTACHED", mark: "✓", tone: "band-good" };
}

/** As daemon and guard judge it: a cache on this machine proves no shared one. */
function isLocal(kind: Tool, { source, endpoint }: AttachmentReport): boolean {
  if (source === "local-proof") return true;
  const parsed = parseEndpoint(endpoint ?? "", kind);
  return parsed.ok && isLoopback(parsed.endpoint.host);
}

/** The word on a band of its colour: three rows where there is room, in letters of three rows where there is still more. */
export function band(kind: Tool, verdict: Verdict, { cells, height }: { cells: number; height: 1 | 3 }): Line[] {
  const { word, mark, tone } = verdict;
  const name = kindName[kind];
  const row = (text: string): Line => fitLine([span(text, tone)], cells, tone);
  if (height === 1) return [row(` ${mark} ${name} ${word}`)];
  if (cells > labelWidth + lettersWidth(longestWord)) {
    const label = [` ${name}`, ` ${mark} ${word.toLowerCase()}`, ""];
    return letters(word).map((drawn, at) => row(`${(label[at] ?? "").padEnd(labelWidth)}${drawn}`));
  }
  return [row(` ${name}`), row(`   ${mark}  ${[...word].join(" ")}`), row("")];
}
