/** The screen: the daemon's word, the clock and the keys, made into lines. */
import { type SuspendTerminal, useApp, useInput, useIsScreenReaderEnabled, usePaste, useStdout, useWindowSize } from "ink";
import { type ReactElement, useEffect, useEffectEvent, useRef, useState, useSyncExternalStore } from "react";
import { doing, type Notice, perform, type Where } from "./actions.ts";
import { type Build, buildsOf } from "./builds.ts";
import { type Subject, subjectsOf } from "./candidates.ts";
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
import { clean, type Moment, type Scene } from "./scene.ts";
import { ScreenReader } from "./screen-reader.tsx";
import { statusLine } from "./status-line.ts";
import { chosenKey, type Effect, firstUi, paneOf, paste, press, type Shown, type Ui } from "./ui.ts";

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
  // The latest, also between two keys of one piece, before anything was drawn.
  const typed = useRef(firstUi);
  const [ui, setUi] = useState(firstUi);
  const [notice, setNotice] = useNotice(news.link.state === "gone");
  const [busy, setBusy] = useState<string>();
  const beat = useBeat(busy !== undefined && !spoken);
  const log = useLog(ui.mode.name === "logs", where);
  const stop = useSuspension(suspendTerminal, suspend);
  const scene = { news, now };
  const seen = look(scene, ui);

  const change = (next: Ui): void => {
    typed.current = next;
    setUi(next);
  };

  const copy = (from: Ui): void => {
    const text = toCopy(scene, from);
    if (text === undefined) {
      setNotice({ text: "there is nothing to copy", tone: "strong" });
      return;
    }
    stdout.write(copySequence(text, where.env));
    setNotice({ text: `sent to the clipboard (OSC 52): ${text}`, tone: "good" });
  };

  const act = (effect: Effect, from: Ui): void => {
    switch (effect.act) {
      case "quit":
        exit();
        return;
      case "suspend":
        stop();
        return;
      case "copy":
        copy(from);
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
    for (const each of pressesOf(input, key)) {
      const pressed = press(typed.current, each, look(scene, typed.current).shown);
      change(pressed.ui);
      if (pressed.effect !== undefined) act(pressed.effect, pressed.ui);
    }
  });
  usePaste((text) => change(paste(typed.current, text)));

  const status = statusLine(ui.mode, columns, { doing: busy, beat, notice });
  const { subjects, builds } = seen;
  const frame: Frame = { scene, ui, size: { columns, rows }, profile: where.profile, subjects, builds, log, status };
  if (spoken) return <ScreenReader news={news} asked={askedLines(frame)} />;
  return <Lines lines={frameLines(frame)} colours={colours} />;
}

interface Seen extends Pick<Frame, "subjects" | "builds"> {
  readonly shown: Shown;
}

/** The rows that the filter leaves. */
function look(scene: Scene, { filter }: Ui): Seen {
  const subjects = subjectsOf(scene.news.report, filter);
  const builds = buildsOf(scene.news.report, filter);
  return { subjects, builds, shown: shownOf({ subjects, builds, scene }) };
}

/** The chosen row's endpoint, else what to type next. */
function toCopy(scene: Scene, ui: Ui): string | undefined {
  const { subjects, builds, shown } = look(scene, ui);
  const pane = paneOf(ui, shown);
  const key = chosenKey(ui, pane, shown);
  const text =
    pane === "candidates"
      ? subjectEndpoint(subjects.find((each) => each.key === key))
      : buildEndpoint(builds.find((each) => each.key === key));
  const found = text ?? nextSteps(scene.news)[0];
  return found === undefined ? undefined : clean(found);
}

function subjectEndpoint(subject: Subject | undefined): string | undefined {
  return subject?.is === "candidate" ? subject.candidate.endpoint : undefined;
}

function buildEndpoint(build: Build | undefined): string | undefined {
  if (build === undefined) return undefined;
  return (build.is === "running" ? build.running.endpoint : build.ended.endpoint) ?? undefined;
}

/** What a key asked for, as text alone. */
function askedLines({ ui, subjects, builds, scene, log, size, status }: Frame): readonly Line[] {
  const below = status === undefined ? [] : [status];
  switch (ui.mode.name) {
    case "help":
      return helpLines(size.columns);
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

/** One that goes away by itself, and with the daemon that it speaks of. */
function useNotice(gone: boolean): [Notice | undefined, (notice: Notice) => void] {
  const [notice, setNotice] = useState<Notice>();
  const [wasGone, setWasGone] = useState(gone);
  // While it is drawn: no frame has both.
  if (gone !== wasGone) {
    setWasGone(gone);
    if (gone) setNotice(undefined);
  }
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

/** What Ctrl-Z does, and what does the same when another process asks for it by SIGTSTP. */
function useSuspension(suspendTerminal: SuspendTerminal, suspend: () => Promise<void>): () => void {
  const suspending = useRef(false);
  const stop = useEffectEvent((): void => {
    if (suspending.current) return;
    suspending.current = true;
    void suspendTerminal(async () => {
      // Heard by nobody, the signal does what it does by itself.
      process.off("SIGTSTP", onSignal.current);
      await suspend();
      process.on("SIGTSTP", onSignal.current);
    }).finally(() => {
      suspending.current = false;
    });
  });
  const onSignal = useRef(() => {});
  useEffect(() => {
    const hear = (): void => stop();
    onSignal.current = hear;
    process.on("SIGTSTP", hear);
    return () => {
      process.off("SIGTSTP", hear);
    };
  }, []);
  return () => onSignal.current();
}
