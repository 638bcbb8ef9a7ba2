/** Lines that fit. */

/**
 * Words in lines of at most `width`; one that is longer stands alone and whole, so that it can be copied.
 * @param first what the first line begins with, as wide as `indent` once its colours are gone
 */
export function wrapped(text: string, first: string, { indent, width }: { indent: number; width: number }): string[] {
  const lines: string[] = [];
  let line = "";
  for (const each of text.split(" ")) {
    if (line !== "" && indent + shownLength(line) + 1 + shownLength(each) > width) {
      lines.push(line);
      line = each;
    } else line = line === "" ? each : `${line} ${each}`;
  }
  lines.push(line);
  return lines.map((each, at) => (at === 0 ? `${first}${each}` : `${" ".repeat(indent)}${each}`));
}

/** A text of many lines, each of them broken where it is too long; what follows stands below where its words began. */
export function fitted(text: string, width: number): string {
  return text
    .split("\n")
    .flatMap((line) => {
      if (shownLength(line) <= width) return [line];
      // A label and the gap behind it, as in `  bazel    `.
      const [, label = "", words = ""] = /^(\s*(?:\S+\s{2,})?)(.*)$/.exec(line) ?? [];
      return wrapped(words, label, { indent: shownLength(label), width });
    })
    .join("\n");
}

function shownLength(text: string): number {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: the colours of paint.ts
  return text.replaceAll(/\u001b\[\d+m/g, "").length;
}
