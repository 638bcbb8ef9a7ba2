/** One shell in a pseudoterminal: every byte passes, both ways, and the terminal is afterwards as it was. */
import { constants } from "node:os";
import type { ReadStream } from "node:tty";
import { Modes } from "./modes.ts";
import { type End, type Program, type Pty, startInPty } from "./pty.ts";
import { OutputScanner } from "./scanner.ts";
import { inForeground, type Terminal } from "./terminal.ts";

/** As much may wait for a reader before the writer has to: bytes. */
const mostWaiting = 256 * 1024;
/** After the shell's end: silence that is taken for the end of its output, where a program in the background still holds the terminal. Milliseconds. */
const lastWords = 100;
/** How long a shell that was asked to end has for it, then again once its terminal is taken away. Milliseconds. */
const grace = { asked: 500, hungUp: 2_000 } as const;

/** These end this process as they end its shell. */
const fatal = ["SIGHUP", "SIGTERM"] as const;
/** These are the shell's alone; keys send none here, since the terminal is raw. */
const handedOn = ["SIGINT", "SIGQUIT", "SIGUSR2"] as const;

export interface Watcher {
  /** Called at each prompt: `title` is written as it is, `line` on a line of its own; empty for none. */
  beforePrompt(): { readonly title: string; readonly line: string };
  /** A program inside has set the title. */
  titleTaken(): void;
  /** Called whenever the output is between two sequences: what is written there. */
  between(): string;
}

export interface Surroundings {
  readonly terminal: Terminal;
  /** What the shell's start files write before a prompt. */
  readonly mark: Buffer;
  /** Written before everything, and after it. */
  readonly opening: string;
  readonly closing: string;
  readonly watcher: Watcher;
}

export interface Session {
  /** Something may have become due: written as soon as it can be. */
  poke(): void;
  readonly ended: Promise<End>;
}

/**
 * @param program started with the terminal's own modes and size
 * @throws FlywheelError `internal` where there is no pseudoterminal for this platform
 */
export function startSession(program: Program, { terminal, mark, opening, closing, watcher }: Surroundings): Session {
  const pty = startInPty(withModes(program, terminal.modes), terminal.size);
  const { input, output } = terminal;
  const modes = new Modes();
  const scanner = new OutputScanner(mark, {
    control: (sequence) => modes.heard(sequence),
    keypad: (mode) => modes.keypad(mode),
    title: () => watcher.titleTaken(),
  });
  terminal.raw();
  const giveBack = (): void => terminal.restore();
  // However this process ends, save by SIGKILL.
  process.on("exit", giveBack);

  let lineBegun = false;
  const write = (bytes: Buffer | string): void => {
    if (bytes.length > 0) output.write(bytes);
  };
  write(opening);
  // EIO is how it ends; 'close' follows.
  pty.stream.on("error", () => {});
  pty.stream.on("data", (chunk: Buffer) => {
    for (const piece of scanner.push(chunk)) {
      if (piece.kind === "bytes") {
        lineBegun = endsInLine(piece.bytes, lineBegun);
        write(piece.bytes);
        continue;
      }
      const { title, line } = watcher.beforePrompt();
      write(title);
      if (line !== "") write(`${lineBegun ? "\r\n" : ""}${line}\r\n`);
      lineBegun = false;
    }
    poke();
    if (output.writableLength > mostWaiting) pty.stream.pause();
  });
  output.on("drain", () => pty.stream.resume());
  input.on("data", (chunk: Buffer) => {
    pty.keys.write(chunk);
    if (pty.keys.waiting > mostWaiting) input.pause();
  });
  pty.keys.onDrained(() => input.resume());

  const poke = (): void => {
    if (scanner.between) write(watcher.between());
  };
  const hangUp = new HangUp(pty);
  // The terminal itself is gone.
  for (const gone of ["end", "error"] as const) input.on(gone, () => hangUp.by("SIGHUP"));
  output.on("error", () => hangUp.by("SIGHUP"));
  const release = follow(pty, terminal, hangUp);

  const finish = async (): Promise<End> => {
    const end = await Promise.race([pty.ended, hangUp.abandoned]);
    await read(pty.stream, () => hangUp.signal === undefined && !output.destroyed && (pty.stream.isPaused() || output.writableLength > 0));
    write(scanner.end());
    await Promise.race([written(output, modes.leftovers() + closing), hangUp.coming]);
    release();
    giveBack();
    process.off("exit", giveBack);
    input.destroy();
    output.destroy();
    const { signal } = hangUp;
    return signal === undefined ? end : killedBy(signal);
  };
  return { poke, ended: finish() };
}

/** sh sets the modes before the program can look at them: they are those of the terminal outside, erase character and all. */
function withModes({ file, args, ...rest }: Program, modes: string): Program {
  return { ...rest, file: "/bin/sh", args: ["-c", 'stty "$1" 2>/dev/null; shift; exec "$@"', "flywheel", modes, file, ...args] };
}

type Fatal = (typeof fatal)[number];

/** Ends the program by a signal, and where it does not end by that, by taking its terminal away, as a closed window does. */
class HangUp {
  readonly #pty: Pty;
  readonly #coming = Promise.withResolvers<void>();
  readonly #abandoned = Promise.withResolvers<End>();
  #signal: Fatal | undefined;

  constructor(pty: Pty) {
    this.#pty = pty;
  }

  /** What came, if anything did. */
  get signal(): Fatal | undefined {
    return this.#signal;
  }

  /** Settles when one comes. */
  get coming(): Promise<void> {
    return this.#coming.promise;
  }

  /** Settles where the program survives even that. */
  get abandoned(): Promise<End> {
    return this.#abandoned.promise;
  }

  by(signal: Fatal): void {
    if (this.#signal !== undefined) return;
    this.#signal = signal;
    this.#coming.resolve();
    const { pid, stream, ended } = this.#pty;
    kill(pid, signal);
    // One that is stopped hears nothing before it goes on.
    kill(pid, "SIGCONT");
    const taken = setTimeout(() => stream.destroy(), grace.asked);
    const given = setTimeout(() => this.#abandoned.resolve(killedBy(signal)), grace.asked + grace.hungUp);
    void ended.then(() => {
      clearTimeout(taken);
      clearTimeout(given);
    });
  }
}

function killedBy(signal: NodeJS.Signals): End {
  return { kind: "killed", signal: constants.signals[signal] };
}

/** Size and signals. @returns what ends that */
function follow(pty: Pty, terminal: Terminal, hangUp: HangUp): () => void {
  let ended = false;
  void pty.ended.then(() => {
    ended = true;
  });
  const resize = (): void => {
    if (!ended && !pty.stream.destroyed) pty.resize(terminal.size);
  };
  const listeners: [NodeJS.Signals, () => void][] = [
    ...fatal.map((signal): [NodeJS.Signals, () => void] => [signal, () => hangUp.by(signal)]),
    ...handedOn.map((signal): [NodeJS.Signals, () => void] => [signal, () => kill(pty.pid, signal)]),
    [
      "SIGTSTP",
      () => {
        terminal.restore();
        process.kill(process.pid, "SIGSTOP");
      },
    ],
    [
      "SIGCONT",
      () => {
        // Whoever had the terminal meanwhile left it in other modes.
        if (inForeground()) terminal.raw();
        resize();
      },
    ],
  ];
  terminal.onResize(resize);
  for (const [signal, listener] of listeners) process.on(signal, listener);
  return () => {
    for (const [signal, listener] of listeners) process.off(signal, listener);
  };
}

/**
 * Resolves once all that the program wrote was read.
 * @param stalled whether silence is only that of a slow reader, who is waited for
 */
function read(stream: ReadStream, stalled: () => boolean): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  if (stream.destroyed) return Promise.resolve();
  const timer = setTimeout(() => {
    if (stalled()) timer.refresh();
    else stream.destroy();
  }, lastWords);
  stream.on("data", () => timer.refresh());
  stream.once("close", resolve);
  return promise.finally(() => clearTimeout(timer));
}

/** Resolves once that is written, and all before it: 'drain' would tell only where there was much of it. */
function written(output: ReadStream, last: string): Promise<void> {
  if (output.destroyed) return Promise.resolve();
  const { promise, resolve } = Promise.withResolvers<void>();
  output.write(last, () => resolve());
  output.once("close", resolve);
  return promise;
}

/** Whether the cursor stands behind something on its line, as far as a few bytes can tell. */
function endsInLine(bytes: Buffer, before: boolean): boolean {
  const tail = bytes.subarray(-512).toString("latin1");
  // biome-ignore lint/suspicious/noControlCharactersInRegex: escape sequences are what this looks past
  const text = tail.replaceAll(/\u001b(?:\[[0-?]*[ -/]*[@-~]|\][^\u0007\u001b]*(?:\u0007|\u001b\\)|[ -/]*[0-~])/g, "");
  const line = /[^\r\n]*$/.exec(text)?.[0] ?? "";
  if (line !== "") return true;
  return text === "" ? before : false;
}

function kill(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal);
  } catch {
    // It is gone.
  }
}
