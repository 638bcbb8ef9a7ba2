/** What is said, one sentence after the other, and below it what was asked for: no boxes, no bars, nothing that moves. */
import { Static, Text } from "ink";
import { type ReactElement, useRef } from "react";
import { type Line, lineText } from "./line.ts";
import type { News } from "./scene.ts";
import { newSentences, sentences } from "./spoken.ts";

interface Said {
  readonly id: number;
  readonly text: string;
}

export function ScreenReader({ news, asked }: { readonly news: News; readonly asked: readonly Line[] }): ReactElement {
  const told = useRef<ReadonlyMap<string, string>>(new Map());
  const said = useRef<readonly Said[]>([]);
  const now = sentences(news);
  const fresh = newSentences(told.current, now);
  told.current = now;
  if (fresh.length > 0) said.current = [...said.current, ...fresh.map((text, at) => ({ id: said.current.length + at, text }))];
  return (
    <>
      <Static items={[...said.current]}>{({ id, text }) => <Text key={id}>{text}</Text>}</Static>
      <Text>{[...asked.map(lineText), "Keys: ? help, q quit."].join("\n")}</Text>
    </>
  );
}
