/** Notices that the machine slept: Linux' boot clock counts sleep, the clock of timers does not (clock_gettime(2)). */
import { readClock } from "./api/client/clock.ts";

/** Milliseconds. */
const look = 5_000;
/** More than this between the two clocks is no rounding: seconds. */
const slept = 4;

/** Calls back after each sleep, at most one look late. @returns what ends that */
export function onWake(callback: () => void): () => void {
  const offset = (): number => readClock().seconds - performance.now() / 1000;
  let before = offset();
  const timer = setInterval(() => {
    const now = offset();
    if (now - before > slept) callback();
    before = now;
  }, look);
  timer.unref();
  return () => clearInterval(timer);
}
