/** Whether Bazel was told to keep its summary to itself: what looks like one is then an action's. */
import { optionsOf } from "./disk-cache.ts";
import type { Execution } from "./server-log.ts";

const name = "--ui_event_filters";

/** @param platform as `hasDiskCache` has it */
export function hidesInfo(execution: Execution, platform: string): boolean {
  const options = optionsOf(execution, platform);
  let shown = true;
  for (const [index, option] of options.entries()) {
    if (option === "--") break;
    const value = option.startsWith(`${name}=`) ? option.slice(name.length + 1) : option === name ? (options[index + 1] ?? "") : undefined;
    if (value === undefined) continue;
    const kinds = value.toLowerCase().split(",");
    // With a sign they change what is shown; without one they are all that is.
    if (kinds.some((kind) => /^[a-z]/.test(kind))) shown = kinds.includes("info");
    if (kinds.includes("-info")) shown = false;
    else if (kinds.includes("+info")) shown = true;
  }
  return !shown;
}
