/** Numbers, times and paths in a reader's words. */
import type { PathReport } from "./api.ts";
import { printable } from "./text.ts";

/** `3 s`, `12 min`, `4 h`, `2 d`. */
export function span(seconds: number): string {
  const whole = Math.max(0, Math.round(seconds));
  if (whole < 120) return `${whole} s`;
  if (whole < 120 * 60) return `${Math.floor(whole / 60)} min`;
  if (whole < 48 * 3600) return `${Math.floor(whole / 3600)} h`;
  return `${Math.floor(whole / 86_400)} d`;
}

/** `0.42 s`, for a duration that somebody waited for. */
export function duration(milliseconds: number): string {
  return `${(milliseconds / 1000).toFixed(2)} s`;
}

export function latency(milliseconds: number): string {
  return milliseconds < 10 ? `${milliseconds.toFixed(1)} ms` : `${Math.round(milliseconds)} ms`;
}

/** `82 %` of a share from 0 to 1: neither all nor nothing unless it is. */
export function percent(share: number): string {
  const whole = Math.round(share * 100);
  return `${share > 0 && share < 1 ? Math.min(99, Math.max(1, whole)) : whole} %`;
}

/** `direct 192.0.2.7:41641`, `relayed by DERP fra`: how packets reach a node. */
export function pathWords(path: PathReport): string {
  switch (path.via) {
    case "direct":
      return `direct ${printable(path.address, 200)}`;
    case "peer-relay":
      return `relayed by peer ${printable(path.address, 200)}`;
    case "derp":
      return `relayed by DERP ${printable(path.region, 40)}`;
    default:
      return path satisfies never;
  }
}

/** `2026-11-20 19:04:05`, local time; the text itself where it is no time. */
export function localTime(iso: string): string {
  const time = new Date(iso);
  if (Number.isNaN(time.getTime())) return iso;
  const two = (value: number): string => String(value).padStart(2, "0");
  const date = `${time.getFullYear()}-${two(time.getMonth() + 1)}-${two(time.getDate())}`;
  return `${date} ${two(time.getHours())}:${two(time.getMinutes())}:${two(time.getSeconds())}`;
}

/** Rows with aligned columns, two spaces apart; the last column is not padded. */
export function table(rows: readonly (readonly string[])[]): string {
  const widths: number[] = [];
  for (const row of rows) for (const [index, cell] of row.entries()) widths[index] = Math.max(widths[index] ?? 0, cell.length);
  return rows
    .map((row) => row.map((cell, index) => (index === row.length - 1 ? cell : cell.padEnd(widths[index] ?? 0))).join("  "))
    .join("\n");
}
