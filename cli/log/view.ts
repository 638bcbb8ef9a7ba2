/** One line of pino's for a person. */
import { printable } from "../../contract/text.ts";
import { localTime } from "../../contract/words.ts";
import type { Paint } from "../output/paint.ts";

const hidden = new Set(["level", "time", "msg", "pid", "hostname", "v", "name"]);

/** `2026-11-20 19:04:05 info  attached  endpoint=grpc://…`; a line that is no JSON is shown as it is, made printable. */
export function viewLogLine(line: string, paint: Paint): string {
  const entry = parsed(line);
  if (entry === undefined) return printable(line, 2000);
  const { time, msg } = entry;
  const when = typeof time === "number" || typeof time === "string" ? localTime(new Date(time).toJSON() ?? String(time)) : "";
  const fields = Object.entries(entry)
    .filter(([name]) => !hidden.has(name))
    .map(([name, value]) => `${printable(name, 40)}=${printable(typeof value === "string" ? value : JSON.stringify(value), 400)}`);
  return [
    paint.dim(printable(when, 40)),
    levelWord(entry["level"], paint),
    printable(typeof msg === "string" ? msg : "", 1000),
    paint.dim(fields.join(" ")),
  ]
    .filter((part) => part !== "")
    .join(" ");
}

function parsed(line: string): Readonly<Record<string, unknown>> | undefined {
  try {
    const raw: unknown = JSON.parse(line);
    return typeof raw === "object" && raw !== null && !Array.isArray(raw) ? Object.fromEntries(Object.entries(raw)) : undefined;
  } catch {
    return undefined;
  }
}

/** pino's levels, as numbers or as its formatter's words. */
function levelWord(level: unknown, paint: Paint): string {
  const words: Readonly<Record<string, string>> = { 10: "trace", 20: "debug", 30: "info", 40: "warn", 50: "error", 60: "fatal" };
  const word = typeof level === "number" ? (words[level] ?? String(level)) : typeof level === "string" ? printable(level, 10) : "";
  const padded = word.padEnd(5);
  if (word === "warn") return paint.yellow(padded);
  return word === "error" || word === "fatal" ? paint.red(padded) : padded;
}
