/** Notices what ends the worth of a proof without a word from any cache: the machine slept, a clock jumped, the network is another. */
import { readClock } from "./api/client/clock.ts";
import { networkPrint } from "./network.ts";

/** Milliseconds. */
const every = 5_000;
/** More than this between two clocks is no rounding: milliseconds. */
const slack = 4_000;

export type Upheaval = "woke" | "network changed";

export interface MachineWatch {
  /** Whether the machine slept since the last look; tells at once where it did. Whoever is asked something looks first. */
  look(): void;
  close(): void;
}

/**
 * Linux' boot clock counts sleep, the clock of timers does not (clock_gettime(2)); elsewhere the clock of leases is
 * the wall's, which may jump either way, and the clock of timers may count sleep: then a timer is late. A stopped
 * process looks the same, and its proofs have aged as much.
 * @param tell called at most one look after the event
 */
export function watchMachine(tell: (event: Upheaval) => void): MachineWatch {
  const offset = (): number => readClock().seconds * 1000 - performance.now();
  let before = offset();
  let looked = performance.now();
  let network = networkPrint();
  /** @param longest how long ago the last look may be: milliseconds */
  const slept = (longest: number): boolean => {
    const now = offset();
    const jumped = Math.abs(now - before) > slack || performance.now() - looked > longest;
    before = now;
    looked = performance.now();
    return jumped;
  };
  const timer = setInterval(() => {
    const woke = slept(every + slack);
    const print = networkPrint();
    const moved = print !== network;
    network = print;
    if (woke) tell("woke");
    else if (moved) tell("network changed");
  }, every);
  timer.unref();
  return {
    look: () => {
      if (slept(Number.POSITIVE_INFINITY)) tell("woke");
    },
    close: () => clearInterval(timer),
  };
}
