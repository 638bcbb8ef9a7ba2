/** Values of options, from text. */
import { FlywheelError } from "../contract/errors.ts";
import { printable } from "../contract/text.ts";

/** @throws FlywheelError `usage` */
export function wholeNumber(flag: string, text: string | undefined, range: { least: number; most: number }): number | undefined {
  if (text === undefined) return undefined;
  const value = Number(text);
  if (/^\d{1,9}$/.test(text) && value >= range.least && value <= range.most) return value;
  throw new FlywheelError("usage", `${flag}: expected a whole number from ${range.least} to ${range.most}, found ${printable(text, 40)}`, {
    next: `for example ${flag} ${Math.min(Math.max(20, range.least), range.most)}`,
  });
}

const unitSeconds: Readonly<Record<string, number>> = { s: 1, m: 60, h: 3600, d: 86_400, w: 604_800 };

/**
 * `90s`, `30m`, `24h`, `7d`, `2w` as seconds.
 * @throws FlywheelError `usage`
 */
export function seconds(flag: string, text: string): number {
  const match = /^(\d{1,6})([smhdw])$/.exec(text);
  const unit = unitSeconds[match?.[2] ?? ""];
  if (match === null || unit === undefined) {
    throw new FlywheelError("usage", `${flag}: expected a span such as 30m, 24h or 7d, found ${printable(text, 40)}`, {
      next: `for example ${flag} 24h`,
    });
  }
  return Number(match[1]) * unit;
}

/** @throws FlywheelError `usage` */
export function oneOf<const T extends string>(flag: string, text: string, words: readonly T[]): T {
  const word = words.find((each) => each === text);
  if (word !== undefined) return word;
  throw new FlywheelError("usage", `${flag}: expected one of ${words.join(", ")}, found ${printable(text, 40)}`, {
    next: `for example ${flag} ${words[0]}`,
  });
}
