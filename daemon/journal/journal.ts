/** The journal: what guarded commands did, and what was refused or went past the guard. One writer, the daemon. */
import { type FSWatcher, lstatSync, unlinkSync, watch } from "node:fs";
import { dirname } from "node:path";
import type { DatabaseSync } from "node:sqlite";
import type { EscapesReport } from "../../contract/api.ts";
import { messageOf } from "../../contract/errors.ts";
import { type HitRate, hitRateOf, type Invocation } from "../../contract/invocation.ts";
import { mergedInvocation, midnight, type SpoolEntry, storableInvocation, summaryOf } from "../../contract/journal.ts";
import { journalPath, type Paths, rotatedSpoolPath, spoolPath } from "../../contract/paths.ts";
import { entriesReport, hitRateFrom, invocationsOf, takenFiles } from "../api/client/journal/rows.ts";
import { readSpool } from "../api/client/spool.ts";
import { type SpoolFile, withSpool } from "../api/client/spool-files.ts";
import { faultOf, isDamage, openJournal, setAside } from "./database.ts";
import { LaterVersionError } from "./schema.ts";
import { type Taken, takePart } from "./take.ts";
import { type Bounds, prune, writeInvocation } from "./write.ts";

/** Milliseconds. */
const timing = {
  /** After a fault, how long until the next attempt. */
  again: 5_000,
  upgraded: 60_000,
  /** Between a line that was appended and its taking in, so that many are taken in at once. */
  gather: 25,
} as const;

const defaults = {
  bounds: { days: 400, bytes: 64 * 1_048_576 },
  /** A rotated spool that is in the journal is removed when nobody has written to it for so long: milliseconds. */
  rested: 10_000,
} as const;

/** Records that wait for a journal that can be written. */
const mostPending = 256;
/** How often what is beyond the bounds is looked for: records. */
const pruneEvery = 100;

export interface JournalOptions {
  readonly paths: Paths;
  readonly now?: () => Date;
  /** What the journal suffers from; undefined once it is mended. */
  readonly onFault: (fault: string | undefined) => void;
  /** Worth a line of the log. */
  readonly onNotice?: (message: string) => void;
  /** Something came from the spool, or from another daemon, that status shows. */
  readonly onChange?: () => void;
  readonly bounds?: Bounds;
  readonly rested?: number;
}

export interface HitRates {
  readonly today: HitRate;
  /** Today and the six days before. */
  readonly week: HitRate;
}

/** What was found out, until something changes or the day turns. */
interface Known {
  readonly day: number;
  readonly reports: Map<SpoolEntry["kind"], EscapesReport>;
  readonly rates: Map<string, HitRates>;
  readonly recent: Map<string, readonly Invocation[]>;
}

interface Opened {
  readonly database: DatabaseSync;
  /** Which file it is: another one may stand at its path by now. */
  readonly inode: number;
}

/** Nothing here throws. Where the journal cannot be written the records wait, and `onFault` says why; the spool keeps the rest. */
export class Journal {
  readonly #options: JournalOptions;
  readonly #now: () => Date;
  readonly #pending = new Map<string, Invocation>();
  #opened: Opened | undefined;
  #watcher: FSWatcher | undefined;
  #soon: NodeJS.Timeout | undefined;
  #again: NodeJS.Timeout | undefined;
  #next: NodeJS.Immediate | undefined;
  #known: Known | undefined;
  /** PRAGMA data_version: whether another process wrote. */
  #foreign = 0;
  #spoolSeen = "";
  #notBefore = 0;
  #sincePruned = 0;
  #fault: string | undefined;
  /** What `onFault` heard last. */
  #told: string | undefined;
  /** What was set aside in this daemon's life, as long as it is there. */
  #aside: { readonly file: string; readonly reason: string } | undefined;
  #closed = true;

  constructor(options: JournalOptions) {
    this.#options = options;
    this.#now = options.now ?? (() => new Date());
  }

  open(): void {
    this.#closed = false;
    this.#write(() => {});
    this.#listen();
    this.takeSpool();
    this.#pruneSoon();
  }

  /** What was written by then is there; what waits is lost, and was told as a fault. */
  close(): void {
    if (this.#pending.size > 0) this.#flush();
    this.#closed = true;
    this.#watcher?.close();
    this.#watcher = undefined;
    clearTimeout(this.#soon);
    clearTimeout(this.#again);
    clearImmediate(this.#next);
    this.#shut();
  }

  /** Kept once this returns, unless there is a fault. A record by `flywheel exec --record` stands before the daemon's. */
  record(invocation: Invocation): void {
    const storable = storableInvocation(invocation);
    if (storable === undefined) {
      this.#options.onNotice?.("the record of a command was not kept: a time or a count in it is none");
      return;
    }
    const waiting = this.#pending.get(storable.id);
    this.#pending.set(storable.id, waiting === undefined ? storable : mergedInvocation(waiting, storable));
    for (const id of this.#pending.keys()) {
      if (this.#pending.size <= mostPending) break;
      this.#pending.delete(id);
    }
    this.#flush();
  }

  /** Whatever the guards appended since: a bounded part at once, the rest in the next turns of the event loop. */
  takeSpool(): void {
    if (this.#closed) return;
    this.#tidyAside();
    if (this.#pending.size > 0) this.#flush();
    const { paths } = this.#options;
    try {
      const seen = [spoolPath(paths), rotatedSpoolPath(paths)].map(fingerprint).join(" ");
      if (seen === this.#spoolSeen) return;
      const taken = withSpool(paths, (files) => this.#takeFrom(files));
      if (taken === "failed") {
        this.#known = undefined;
        return;
      }
      if (taken === "all") this.#spoolSeen = seen;
      else this.#takeMore();
    } catch (error) {
      // Told by history, which cannot read it either.
      if (this.#spoolSeen !== "unreadable") this.#options.onNotice?.(messageOf(error));
      this.#spoolSeen = "unreadable";
    }
  }

  /** The newest first. */
  recent(profile: string, most: number): readonly Invocation[] {
    const known = this.#knownToday(this.#now());
    const key = `${most} ${profile}`;
    const cached = known.recent.get(key);
    if (cached !== undefined) return cached;
    const waiting = [...this.#pending.values()].filter((one) => one.profile === profile);
    const rows = this.#read((database) => invocationsOf(database, { profile, without: [...this.#pending.keys()] }, most)) ?? [];
    const recent = [...waiting, ...rows].toSorted((a, b) => Date.parse(b.startedAt) - Date.parse(a.startedAt)).slice(0, most);
    known.recent.set(key, recent);
    return recent;
  }

  hitRates(profile: string, now: Date): HitRates {
    const known = this.#knownToday(now);
    const cached = known.rates.get(profile);
    if (cached !== undefined) return cached;
    const since = (day: Date): HitRate => {
      const waiting = [...this.#pending.values()].filter((one) => one.profile === profile && Date.parse(one.startedAt) >= day.getTime());
      const chosen = { profile, since: day.getTime(), without: [...this.#pending.keys()] };
      const rows = this.#read((database) => hitRateFrom(database, chosen)) ?? hitRateOf([]);
      const more = hitRateOf(waiting);
      return {
        builds: rows.builds + more.builds,
        counted: rows.counted + more.counted,
        hits: rows.hits + more.hits,
        misses: rows.misses + more.misses,
      };
    };
    const rates = { today: since(midnight(now)), week: since(midnight(now, 6)) };
    known.rates.set(profile, rates);
    return rates;
  }

  escapes(now: Date): EscapesReport {
    return this.#report("escape", now);
  }

  refusals(now: Date): EscapesReport {
    return this.#report("refusal", now);
  }

  #report(kind: SpoolEntry["kind"], now: Date): EscapesReport {
    const known = this.#knownToday(now);
    const cached = known.reports.get(kind);
    if (cached !== undefined) return cached;
    const report =
      this.#read((database) => entriesReport(database, kind, { since: midnight(now).getTime() })) ?? this.#reportOfSpool(kind, now);
    known.reports.set(kind, report);
    return report;
  }

  /** Without a journal, what the spool still has. */
  #reportOfSpool(kind: SpoolEntry["kind"], now: Date): EscapesReport {
    try {
      return summaryOf(readSpool(this.#options.paths, { limit: 10_000 }).entries, kind, now);
    } catch {
      return { today: 0, last: null };
    }
  }

  #knownToday(now: Date): Known {
    const day = midnight(now).getTime();
    const foreign = this.#opened === undefined ? 0 : (this.#read(dataVersion) ?? 0);
    if (this.#known?.day !== day || foreign !== this.#foreign)
      this.#known = { day, reports: new Map(), rates: new Map(), recent: new Map() };
    this.#foreign = foreign;
    return this.#known;
  }

  #flush(): void {
    this.#known = undefined;
    const records = [...this.#pending.values()];
    const written = this.#write((database) => {
      for (const record of records) writeInvocation(database, record);
    });
    if (!written) return;
    this.#pending.clear();
    this.#sincePruned += records.length;
    if (this.#sincePruned >= pruneEvery) this.#pruneSoon();
  }

  /** One part of what is not in the journal yet. */
  #takeFrom(files: readonly SpoolFile[]): "all" | "a part" | "failed" {
    const { paths, rested = defaults.rested, onNotice, onChange } = this.#options;
    for (const file of files) {
      const finished = file.rotated && this.#now().getTime() - file.modified >= rested;
      let taken: Taken = { lines: 0, malformed: 0, more: false };
      const written = this.#write((database) => {
        taken = takePart(database, file, { finished });
      });
      if (!written) return "failed";
      const { lines, malformed, more } = taken;
      if (malformed > 0) onNotice?.(`${malformed} ${malformed === 1 ? "line" : "lines"} of the spool could not be read`);
      if (lines > 0) {
        this.#known = undefined;
        this.#sincePruned += lines;
        if (this.#sincePruned >= pruneEvery) this.#pruneSoon();
        onChange?.();
      }
      if (more) return "a part";
      if (finished) this.#removeTaken(paths, file);
    }
    return "all";
  }

  /** All of it is in the journal: while it is there, the guards do not rotate. */
  #removeTaken(paths: Paths, file: SpoolFile): void {
    const taken = this.#read((database) => takenFiles(database).get(file.id)?.taken);
    const there = lstatSync(rotatedSpoolPath(paths), { throwIfNoEntry: false });
    if (taken === undefined || there === undefined || there.ino !== file.inode || there.size !== taken) return;
    try {
      unlinkSync(rotatedSpoolPath(paths));
    } catch (error) {
      this.#options.onNotice?.(`${rotatedSpoolPath(paths)} cannot be removed (${messageOf(error)})`);
    }
  }

  #takeMore(): void {
    clearImmediate(this.#next);
    this.#next = setImmediate(() => this.takeSpool());
  }

  #takeSoon(): void {
    this.#soon ??= setTimeout(() => {
      this.#soon = undefined;
      this.takeSpool();
    }, timing.gather).unref();
  }

  /** The guards' appends, as the file system tells them; where it does not, status looks by itself. */
  #listen(): void {
    this.#watcher?.close();
    this.#watcher = undefined;
    try {
      const directory = dirname(journalPath(this.#options.paths));
      const watcher = watch(directory, { persistent: false }, (_, name) => {
        if (name === null || name.startsWith("spool")) this.#takeSoon();
      });
      watcher.on("error", () => watcher.close());
      this.#watcher = watcher;
    } catch {
      // The fault of opening says it, where there is one.
    }
  }

  #pruneSoon(): void {
    this.#sincePruned = 0;
    setImmediate(() => {
      if (this.#closed) return;
      let more = false;
      this.#write((database) => {
        more = prune(database, this.#options.bounds ?? defaults.bounds, this.#now());
      });
      this.#known = undefined;
      if (more) this.#pruneSoon();
    });
  }

  /** @returns whether it is in the journal, and will be there whatever happens */
  #write(work: (database: DatabaseSync) => void): boolean {
    if (this.#closed || performance.now() < this.#notBefore) return false;
    try {
      return this.#transaction(work);
    } catch (error) {
      if (!isDamage(error)) return this.#suffer(error);
    }
    // A damaged journal is moved out of the way, once; the next one is empty.
    try {
      return this.#transaction(work);
    } catch (error) {
      return this.#suffer(error);
    }
  }

  #transaction(work: (database: DatabaseSync) => void): boolean {
    try {
      const { database } = this.#open();
      database.exec("BEGIN IMMEDIATE");
      try {
        work(database);
        database.exec("COMMIT");
      } catch (error) {
        if (database.isTransaction) database.exec("ROLLBACK");
        throw error;
      }
    } catch (error) {
      if (isDamage(error)) this.#setAside(error);
      throw error;
    }
    this.#notBefore = 0;
    this.#tell(undefined);
    return true;
  }

  #open(): Opened {
    const { paths } = this.#options;
    const path = journalPath(paths);
    if (this.#opened !== undefined && this.#opened.inode === lstatSync(path, { throwIfNoEntry: false })?.ino) return this.#opened;
    // Somebody moved it away, and a journal that nobody finds is none.
    const moved = this.#opened !== undefined;
    this.#shut();
    const database = openJournal(paths);
    this.#opened = { database, inode: lstatSync(path).ino };
    this.#known = undefined;
    this.#spoolSeen = "";
    if (moved) this.#listen();
    return this.#opened;
  }

  #shut(): void {
    try {
      this.#opened?.database.close();
    } catch {
      // Damaged or full as it may be, it is not ours any more.
    }
    this.#opened = undefined;
  }

  #read<T>(question: (database: DatabaseSync) => T): T | undefined {
    if (this.#opened === undefined) return undefined;
    try {
      return question(this.#opened.database);
    } catch (error) {
      try {
        if (isDamage(error)) this.#setAside(error);
        else this.#suffer(error);
      } catch (thrown) {
        this.#suffer(thrown);
      }
      return undefined;
    }
  }

  #setAside(error: unknown): void {
    this.#shut();
    const reason = messageOf(error);
    const file = setAside(this.#options.paths, this.#now());
    this.#aside = { file, reason };
    this.#spoolSeen = "";
    this.#known = undefined;
    this.#options.onNotice?.(`the journal was damaged (${reason}): it is ${file} now, and a new one was begun`);
    this.#tell(this.#fault);
  }

  #suffer(error: unknown): false {
    // What has gone wrong once may be wrong in the connection.
    this.#shut();
    const later = error instanceof LaterVersionError;
    const wait = later ? timing.upgraded : timing.again;
    this.#notBefore = performance.now() + wait;
    clearTimeout(this.#again);
    this.#again = setTimeout(() => {
      this.#notBefore = 0;
      this.#write(() => {});
      this.takeSpool();
    }, wait).unref();
    const next = later ? "upgrade flywheel" : "what is recorded meanwhile waits in memory";
    this.#tell(`the journal ${journalPath(this.#options.paths)} cannot be written (${faultOf(error)}); ${next}`);
    return false;
  }

  #tidyAside(): void {
    if (this.#aside === undefined || lstatSync(this.#aside.file, { throwIfNoEntry: false }) !== undefined) return;
    this.#aside = undefined;
    this.#tell(this.#fault);
  }

  #tell(fault: string | undefined): void {
    this.#fault = fault;
    const aside =
      this.#aside === undefined ? undefined : `the journal was damaged (${this.#aside.reason}): what it held is in ${this.#aside.file}`;
    const told = fault ?? aside;
    if (told !== this.#told) this.#options.onFault(told);
    this.#told = told;
  }
}

function dataVersion(database: DatabaseSync): number {
  return Number(database.prepare("PRAGMA data_version").get()?.["data_version"]);
}

/** Changes with whatever is appended, and with the file. */
function fingerprint(path: string): string {
  const stats = lstatSync(path, { throwIfNoEntry: false });
  return stats === undefined ? "none" : `${stats.ino}:${stats.size}:${stats.mtimeMs}`;
}
