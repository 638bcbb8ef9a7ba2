/**
 * Strips what a terminal would act on (C0 and C1 controls, escape sequences, bidirectional overrides,
 * line separators) from a string that came from the tailnet or a cache, and bounds its length.
 */
export function printable(text: string, limit = 256): string {
  const clean = text
    // CSI and OSC sequences first, so that their parameters do not stay behind as text.
    // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what this removes
    .replaceAll(/\u001b\[[0-?]*[ -/]*[@-~]|\u001b\][^\u0007\u001b]*(?:\u0007|\u001b\\)?/g, "")
    .replaceAll(/[\p{Cc}\u2028\u2029\u200e\u200f\u202a-\u202e\u2066-\u2069]/gu, "");
  return clean.length > limit ? `${clean.slice(0, limit)}…` : clean;
}

/**
 * A line of the user's own, to be judged before it is written: what a terminal would act on stands there as its number,
 * `\x1b`, instead of being taken out. A tab stays.
 */
export function visible(line: string): string {
  return line.replaceAll(/(?!\t)[\p{Cc}\u2028\u2029\u200e\u200f\u202a-\u202e\u2066-\u2069]/gu, (character) => {
    const number = character.charCodeAt(0).toString(16);
    return number.length > 2 ? `\\u${number}` : `\\x${number.padStart(2, "0")}`;
  });
}
