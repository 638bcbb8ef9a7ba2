/** Lines as Ink draws them, and what each tone looks like: on a dark and on a light background, and without colour. */
import { Box, Text, type TextProps } from "ink";
import { memo, type ReactElement } from "react";
import { type Line, lineText, type Span, type Tone } from "./line.ts";

type Look = Pick<TextProps, "color" | "backgroundColor" | "bold" | "dimColor" | "inverse">;

/** Colour is never all that tells: words and marks do. Yellow is only ever a background, since no light one shows it. */
const coloured: Readonly<Record<Tone, Look>> = {
  plain: {},
  dim: { dimColor: true },
  strong: { bold: true },
  good: { color: "green", bold: true },
  warn: { color: "black", backgroundColor: "yellow", bold: true },
  bad: { color: "red", bold: true },
  proof: { color: "cyan" },
  chosen: { inverse: true },
  "band-good": { color: "black", backgroundColor: "green", bold: true },
  "band-warn": { color: "black", backgroundColor: "yellow", bold: true },
  "band-bad": { color: "white", backgroundColor: "red", bold: true },
  "band-proof": { color: "black", backgroundColor: "cyan", bold: true },
  "band-gone": { inverse: true, dimColor: true },
};

/** Under NO_COLOR (no-color.org): bold, dim and inverse are none. */
const uncoloured: Readonly<Record<Tone, Look>> = {
  ...coloured,
  good: { bold: true },
  warn: { inverse: true, bold: true },
  bad: { bold: true },
  proof: {},
  "band-good": { inverse: true, bold: true },
  "band-warn": { inverse: true, bold: true },
  "band-bad": { inverse: true, bold: true },
  "band-proof": { inverse: true, bold: true },
};

export type Colours = "shown" | "none";

interface LinesProps {
  readonly lines: readonly Line[];
  readonly colours: Colours;
}

export function Lines({ lines, colours }: LinesProps): ReactElement {
  return (
    <Box flexDirection="column">
      {lines.map((each, at) => (
        // biome-ignore lint/suspicious/noArrayIndexKey: a row of the screen is its place on it
        <Row key={at} line={each} colours={colours} />
      ))}
    </Box>
  );
}

const Row = memo(
  function Row({ line, colours }: { readonly line: Line; readonly colours: Colours }): ReactElement {
    const looks = colours === "shown" ? coloured : uncoloured;
    if (lineText(line) === "") return <Text> </Text>;
    return (
      <Text wrap="truncate-end">
        {joined(line).map(({ text, tone }, at) => (
          // biome-ignore lint/suspicious/noArrayIndexKey: a span is its place in the line
          <Text key={at} {...looks[tone]}>
            {text}
          </Text>
        ))}
      </Text>
    );
  },
  (before, after) => before.colours === after.colours && sameLine(before.line, after.line),
);

/** Neighbours that look alike as one: each span costs Ink something in every frame. */
function joined(line: Line): Line {
  const spans: Span[] = [];
  for (const each of line) {
    const last = spans.at(-1);
    if (last?.tone === each.tone) spans[spans.length - 1] = { text: last.text + each.text, tone: each.tone };
    else spans.push(each);
  }
  return spans;
}

function sameLine(a: Line, b: Line): boolean {
  return a.length === b.length && a.every(({ text, tone }, at) => text === b[at]?.text && tone === b[at]?.tone);
}
