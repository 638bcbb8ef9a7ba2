/** Waiting in front of somebody. */
import type { Output } from "./output.ts";

/**
 * Does the work, and meanwhile says what is being waited for: after half a second, on standard error, on a terminal.
 * The line is gone before anything else is written, and before this resolves.
 * @param words as in `looking for a cache`
 */
export async function waitingFor<T>(output: Output, words: string, work: () => Promise<T>): Promise<T> {
  const progress = output.progress(words);
  try {
    return await work();
  } finally {
    progress?.stop();
  }
}
