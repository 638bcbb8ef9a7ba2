/** ^C and its kind while a proof is made: it ends early, and still cleans up. */
import { constants } from "node:os";

const heeded = ["SIGINT", "SIGTERM", "SIGHUP"] as const;

export interface Interruption {
  readonly signal: AbortSignal;
  /** As a shell gives it; undefined where nothing interrupted. */
  exitCode(): number | undefined;
  /** They end it again. */
  stop(): void;
}

/** From now on those signals no longer end this process. */
export function heedInterruption(): Interruption {
  const stop = new AbortController();
  let first: NodeJS.Signals | undefined;
  const heard = (signal: NodeJS.Signals): void => {
    first ??= signal;
    stop.abort();
  };
  for (const signal of heeded) process.on(signal, heard);
  return {
    signal: stop.signal,
    exitCode: () => (first === undefined ? undefined : 128 + constants.signals[first]),
    stop: () => {
      for (const signal of heeded) process.off(signal, heard);
    },
  };
}
