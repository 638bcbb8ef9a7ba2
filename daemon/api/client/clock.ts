/** The clock that leases are measured by (contract/published.ts says why and which). */
import { readFileSync } from "node:fs";
import type { Clock } from "../../../contract/published.ts";

/**
 * Now: whole seconds since boot with the boot's id where there is a /proc, as sh reads them;
 * elsewhere the wall clock, whose boot id is `none`. Never throws.
 */
export function readClock(): Clock {
  try {
    const seconds = /^(\d{1,12})\./.exec(readFileSync("/proc/uptime", "utf8"))?.[1];
    const bootId = readFileSync("/proc/sys/kernel/random/boot_id", "utf8").trim();
    if (seconds !== undefined && bootId !== "") return { source: "boot", bootId, seconds: Number(seconds) };
  } catch {
    // No /proc: macOS, or a sandbox without it.
  }
  return { source: "wall", bootId: "none", seconds: Math.floor(Date.now() / 1000) };
}
