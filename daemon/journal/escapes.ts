/** The escapes and refusals that status shows, read from the spool only when it changed. */
import { statSync } from "node:fs";
import type { EscapesReport } from "../../contract/api.ts";
import { type SpoolEntry, summaryOf } from "../../contract/journal.ts";
import { type Paths, spoolPath } from "../../contract/paths.ts";
import { readSpool } from "../api/client/spool.ts";

/** More escapes than these are not told apart: so many in a day say enough. */
const mostCounted = 2_000;

export class Escapes {
  readonly #paths: Paths;
  #entries: readonly SpoolEntry[] = [];
  #seen = "";

  constructor(paths: Paths) {
    this.#paths = paths;
  }

  /** Never throws: a spool that cannot be read counts as empty. */
  report(): { readonly escapes: EscapesReport; readonly refusals: EscapesReport } {
    try {
      const stats = statSync(spoolPath(this.#paths), { throwIfNoEntry: false });
      const seen = stats === undefined ? "" : `${stats.ino} ${stats.size} ${stats.mtimeMs}`;
      if (seen !== this.#seen) this.#entries = readSpool(this.#paths, { limit: mostCounted }).entries;
      this.#seen = seen;
    } catch {
      this.#entries = [];
    }
    const now = new Date();
    return { escapes: summaryOf(this.#entries, "escape", now), refusals: summaryOf(this.#entries, "refusal", now) };
  }
}
