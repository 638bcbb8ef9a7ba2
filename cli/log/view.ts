/** One line of pino's for a person. */
import { printable } from "../../contract/text.ts";
import { localTime } from "../../contract/words.ts";
import type { Paint } from "../output/paint.ts";

const hidden = new Set(["level", "time", "msg", "pid", "hostname", "v", "name"]);

export interface LogEntry {
  /** `info`, `error`; empty where the line names none. */
  readonly level: string;
  readonly time: Date | undefined;
  readonly message: string;
  readonly fields: readonly (readonly [string, unknown])[];
}

/** @returns undefined for a line that is no JSON object: cut by a crash or a full disk */
export function parseLogLine(line: string): LogEntry | undefined {
  let raw: unknown;
  try {
    raw = JSON.parse(line);
  } catch {
    return undefined;
  }
  if (typeof raw !== "object" || raw === null || Array.isArray(raw)) return undefined;
  const entry: Readonly<Record<string, unknown>> = Object.fromEntries(Object.entries(raw));
  const { time, msg } = entry;
  const date = typeof time === "number" || typeof time === "string" ? new Date(time) : undefined;
  return {
    level: levelOf(entry["level"]),
    time: date === undefined || Number.isNaN(date.getTime()) ? undefined : date,
    message: typeof msg === "string" ? msg : "",
    fields: Object.entries(entry).filter(([name]) => !hidden.has(name)),
  };
}

/** `2026-11-20 19:04:05 info  attached  endpoint=grpc://…`; a line that is no JSON is shown as it is, made printable. */
export function viewLogLine(line: string, paint: Paint): string {
  const entry = parseLogLine(line);
  if (entry === undefined) return printable(line, 2000);
  const fields = entry.fields.map(
    ([name, value]) => `${printable(name, 40)}=${printable(typeof value === "string" ? value : JSON.stringify(value), 400)}`,
  );
  return [
    paint.dim(entry.time === undefined ? "" : localTime(entry.time.toISOString())),
    levelWord(entry.level, paint),
    printable(entry.message, 1000),
    paint.dim(fields.join(" ")),
  ]
    .filter((part) => part !== "")
    .join(" ");
}

/** The line for a machine: itself, or where it is no JSON an object that holds it. */
export function jsonLogLine(line: string): string {
  return parseLogLine(line) === undefined ? JSON.stringify({ malformed: printable(line, 2000) }) : line;
}

/** pino's levels, as numbers or as its formatter's words. */
function levelOf(level: unknown): string {
  const words: Readonly<Record<string, string>> = { 10: "trace", 20: "debug", 30: "info", 40: "warn", 50: "error", 60: "fatal" };
  if (typeof level === "number") return words[level] ?? String(level);
  return typeof level === "string" ? printable(level, 10) : "";
}

function levelWord(word: string, paint: Paint): string {
  const padded = word.padEnd(5);
  if (word === "warn") return paint.yellow(padded);
  return word === "error" || word === "fatal" ? paint.red(padded) : padded;
}
