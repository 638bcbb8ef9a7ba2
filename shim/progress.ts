/** A line that moves on standard error while something takes longer than half a second, where somebody watches. */
import type { Environment } from "../contract/environment.ts";

/** Nothing is drawn sooner, and it is drawn anew so often: milliseconds. */
const patience = { silent: 500, redraw: 100 } as const;

export interface Progress {
  /** Makes room for other words; the line comes back below them. */
  erase(): void;
  /** Takes the line away for good. */
  stop(): void;
}

/** Whether somebody watches: never in CI, nor on a terminal that cannot take a line back. */
export function watched(env: Environment, terminal: boolean): boolean {
  return terminal && !env["CI"] && env["TERM"] !== "dumb";
}

/**
 * @param words what is being waited for, short enough for any terminal's line
 * @param write to standard error
 */
export function startProgress(words: string, write: (text: string) => void): Progress {
  const started = performance.now();
  let drawn = false;
  const timer = setInterval(() => {
    const waited = performance.now() - started;
    if (waited < patience.silent) return;
    drawn = true;
    write(`\r${words} … ${(waited / 1000).toFixed(1)} s`);
  }, patience.redraw);
  const erase = (): void => {
    if (drawn) write("\r\u001b[K");
    drawn = false;
  };
  return {
    erase,
    stop: () => {
      clearInterval(timer);
      erase();
    },
  };
}
