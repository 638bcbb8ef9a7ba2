/** The screen: the daemon's word, the clock and the keys, made into lines. */
import { useApp, useInput, useIsScreenReaderEnabled, usePaste, useStdout, useWindowSize } from "ink";
import { type ReactElement, useEffect, useRef, useState, useSyncExternalStore } from "react";
import { doing, type Notice, perform, type Where } from "./actions.ts";
import { buildsOf } from "./builds.ts";
import { subjectsOf } from "./candidates.ts";
import { copySequence } from "./clipboard.ts";
import { buildDetail, subjectDetail } from "./detail.ts";
import type { Feed } from "./feed.ts";
import { type Frame, frameLines, shownOf } from "./frame.ts";
import { helpLines } from "./help.ts";
import { pressesOf } from "./keys.ts";
import type { Line } from "./line.ts";
import { type Colours, Lines } from "./lines.tsx";
import { tailLog } from "./log-tail.ts";
import { nextSteps } from "./next.ts";
import { clean, type Moment } from "./scene.ts";
import { ScreenReader } from "./screen-reader.tsx";
import { statusLine } from "./status-line.ts";
import { chosenKey, type Effect, firstUi, paneOf, paste, press } from "./ui.ts";

/** Milliseconds. */
const timing = { tick: 1_000, beat: 120, notice: 8_000 } as const;

interface AppProps {
  readonly feed: Feed;
  readonly where: Where;
  readonly colours: Colours;
  /** Gives the terminal back, stops this process, and returns once it goes on. */
  readonly suspend: () => Promise<void>;
}

export function App({ feed, where, colours, suspend }: AppProps): ReactElement {
  const { exit, suspendTerminal } = useApp();
  const { stdout } = useStdout();
  const { columns, rows } = useWindowSize();
  const spoken = useIsScreenReaderEnabled();
  const news = useSyncExternalStore(feed.subscribe, feed.news);
  // Not by itself where each new frame would be spoken.
  const now = useNow(spoken ? undefined : timing.tick);
  const [ui, setUi] = useState(firstUi);
  const [notice, setNotice] = useNotice();
  const [busy, setBusy] = useState<string>();
  const beat = useBeat(busy !== undefined && !spoken);
  const log = useLog(ui.mode.name === "logs", where);
  const subjects = subjectsOf(news.report, ui.filter);
  const builds = buildsOf(news.report, ui.filter);
  const scene = { news, now };
  const shown = shownOf({ subjects, builds, scene });

  const copy = (): void => {
    const pane = paneOf(ui, shown);
    const key = chosenKey(ui, pane, shown);
    const subject = pane === "candidates" ? subjects.find((each) => each.key === key) : undefined;
    const build = pane === "builds" ? builds.find((each) => each.key === key) : undefined;
    const endpoint =
      subject?.is === "candidate" ? subject.candidate.endpoint : build?.is === "running" ? build.running.endpoint : build?.ended.endpoint;
    const text = endpoint ?? nextSteps(news)[0];
    if (text === undefined) {
      setNotice({ text: "there is nothing to copy", tone: "strong" });
      return;
    }
    stdout.write(copySequence(clean(text), where.env));
    setNotice({ text: `copied, if this terminal allows it (OSC 52): ${clean(text)}`, tone: "good" });
  };

  const act = (effect: Effect): void => {
    switch (effect.act) {
      case "quit":
        exit();
        return;
      case "suspend":
        void suspendTerminal(suspend);
        return;
      case "copy":
        copy();
        return;
      default:
        if (busy !== undefined) return;
        setBusy(doing(effect));
        void perform(effect, where).then((outcome) => {
          setBusy(undefined);
          setNotice(outcome);
        });
    }
  };

  useInput((input, key) => {
    let next = ui;
    for (const each of pressesOf(input, key)) {
      const pressed = press(next, each, shown);
      next = pressed.ui;
      if (pressed.effect !== undefined) act(pressed.effect);
    }
    setUi(next);
  });
  usePaste((text) => setUi((before) => paste(before, text)));

  const status = statusLine(ui.mode, columns, { doing: busy, beat, notice });
  const frame: Frame = { scene, ui, size: { columns, rows }, profile: where.profile, subjects, builds, log, status };
  if (spoken) return <ScreenReader news={news} asked={askedLines(frame)} />;
  return <Lines lines={frameLines(frame)} colours={colours} />;
}

/** What a key asked for, as text alone. */
function askedLines({ ui, subjects, builds, scene, log, size, status }: Frame): readonly Line[] {
  const below = status === undefined ? [] : [status];
  switch (ui.mode.name) {
    case "help":
      return helpLines();
    case "logs":
      return log.slice(-10);
    case "detail": {
      const shown = shownOf({ subjects, builds, scene });
      const key = chosenKey(ui, paneOf(ui, shown), shown);
      const subject = subjects.find((each) => each.key === key);
      const build = builds.find((each) => each.key === key);
      return subject !== undefined ? subjectDetail(subject, size.columns) : build !== undefined ? buildDetail(build, size.columns) : below;
    }
    default:
      return below;
  }
}

function moment(): Moment {
  return { steady: performance.now(), wall: Date.now() };
}

/** The time of this frame; a new frame once a tick. */
function useNow(tickMs: number | undefined): Moment {
  const [, setTicks] = useState(0);
  useEffect(() => {
    if (tickMs === undefined) return;
    const timer = setInterval(() => setTicks((ticks) => ticks + 1), tickMs);
    return () => clearInterval(timer);
  }, [tickMs]);
  return moment();
}

function useBeat(active: boolean): number {
  const [beat, setBeat] = useState(0);
  useEffect(() => {
    if (!active) return;
    const timer = setInterval(() => setBeat((before) => before + 1), timing.beat);
    return () => clearInterval(timer);
  }, [active]);
  return beat;
}

/** One that goes away by itself. */
function useNotice(): [Notice | undefined, (notice: Notice) => void] {
  const [notice, setNotice] = useState<Notice>();
  const timer = useRef<NodeJS.Timeout>(undefined);
  useEffect(() => () => clearTimeout(timer.current), []);
  return [
    notice,
    (next) => {
      clearTimeout(timer.current);
      setNotice(next);
      timer.current = setTimeout(() => setNotice(undefined), timing.notice);
    },
  ];
}

function useLog(open: boolean, { paths }: Where): readonly Line[] {
  const [lines, setLines] = useState<readonly Line[]>([]);
  useEffect(() => {
    if (!open) return;
    const end = new AbortController();
    void tailLog(paths, end.signal, setLines);
    return () => end.abort();
  }, [open, paths]);
  return lines;
}
