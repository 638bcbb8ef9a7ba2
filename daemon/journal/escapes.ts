/** The escapes that status shows, read from the spool only when it changed. */
import { statSync } from "node:fs";
import type { EscapesReport } from "../../contract/api.ts";
import type { SpoolEntry } from "../../contract/journal.ts";
import { type Paths, spoolPath } from "../../contract/paths.ts";
import { printable } from "../../contract/text.ts";
import { readSpool } from "../api/client/spool.ts";

/** More escapes than these are not told apart: so many in a day say enough. */
const mostCounted = 2_000;

/** @param now decides what today is, by local time */
export function summarizeEscapes(entries: readonly SpoolEntry[], now: Date): EscapesReport {
  const escapes = entries.filter((entry) => entry.kind === "escape");
  const midnight = new Date(now.getFullYear(), now.getMonth(), now.getDate()).getTime();
  const today = escapes.filter((entry) => Date.parse(entry.at) >= midnight).length;
  const last = escapes[0];
  if (last === undefined) return { today, last: null };
  const command = printable(`${last.tool} ${last.command}`.trim(), 200);
  return { today, last: { at: printable(last.at, 40), reason: printable(last.reason), command } };
}

export class Escapes {
  readonly #paths: Paths;
  #entries: readonly SpoolEntry[] = [];
  #seen = "";

  constructor(paths: Paths) {
    this.#paths = paths;
  }

  /** Never throws: a spool that cannot be read counts as empty. */
  report(): EscapesReport {
    try {
      const stats = statSync(spoolPath(this.#paths), { throwIfNoEntry: false });
      const seen = stats === undefined ? "" : `${stats.ino} ${stats.size} ${stats.mtimeMs}`;
      if (seen !== this.#seen) this.#entries = readSpool(this.#paths, { limit: mostCounted }).entries;
      this.#seen = seen;
    } catch {
      this.#entries = [];
    }
    return summarizeEscapes(this.#entries, new Date());
  }
}
