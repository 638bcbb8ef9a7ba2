/** The end of the daemon's log, as it grows. */
import { messageOf } from "../../contract/errors.ts";
import { logPath, type Paths } from "../../contract/paths.ts";
import { follow, tail } from "../log/file.ts";
import { parseLogLine, viewLogLine } from "../log/view.ts";
import { paint } from "../output/paint.ts";
import { type Line, line } from "./line.ts";

/** So many lines can be scrolled back to. */
const kept = 500;
const uncoloured = paint({ NO_COLOR: "1" }, false);

/** Hands on the last lines at once, and again whenever there are more, until the signal aborts. Never throws. */
export async function tailLog(paths: Paths, signal: AbortSignal, show: (lines: readonly Line[]) => void): Promise<void> {
  let lines: readonly Line[] = [];
  let told = false;
  const add = (text: string): void => {
    lines = [...lines, logLine(text)].slice(-kept);
    if (told) show(lines);
  };
  try {
    const file = logPath(paths);
    const position = tail(file, kept, add);
    told = true;
    show(position === undefined ? [line(`there is no log at ${file} yet`, "dim")] : lines);
    await follow(file, position, add, signal);
  } catch (error) {
    if (!signal.aborted) show([...lines, line(messageOf(error), "bad")]);
  }
}

function logLine(text: string): Line {
  const level = parseLogLine(text)?.level;
  const tone = level === "error" || level === "fatal" ? "bad" : level === "warn" ? "strong" : "plain";
  return line(viewLogLine(text, uncoloured), tone);
}
