/** What may stand where the journal was: damaged, foreign, later, or on a disk that takes nothing. */
import { execFileSync } from "node:child_process";
import {
  appendFileSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { journalPath, type Paths } from "../../../contract/paths.ts";
import { readHistory } from "../../../daemon/api/client/journal/history.ts";
import { appendSpool } from "../../../daemon/api/client/spool.ts";
import { Journal, type JournalOptions } from "../../../daemon/journal/journal.ts";
import { LaterVersionError, type Migration, migrate, versionOf } from "../../../daemon/journal/schema.ts";
import { escaped, invocation } from "../../fixtures/journal/records.ts";

let dir: string;
let paths: Paths;
let file: string;
let faults: (string | undefined)[];
let notices: string[];
let opened: Journal[];

beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), "gf-journal-"));
  paths = { config: join(dir, "config"), state: join(dir, "state"), runtime: join(dir, "run") };
  file = journalPath(paths);
  [faults, notices, opened] = [[], [], []];
});
afterEach(() => {
  vi.useRealTimers();
  for (const journal of opened) journal.close();
  rmSync(dir, { recursive: true, force: true });
});

function open(more: Partial<JournalOptions> = {}): Journal {
  const journal = new Journal({ paths, onFault: (fault) => faults.push(fault), onNotice: (notice) => notices.push(notice), ...more });
  opened.push(journal);
  journal.open();
  return journal;
}

/** A journal with some records, closed: all of it is in the one file. */
function written(): void {
  const journal = open();
  for (let at = 0; at < 200; at += 1) journal.record(invocation(`old-${at}`));
  journal.close();
  expect(faults).toEqual([]);
}

const aside = (): readonly string[] => readdirSync(dirname(file)).filter((name) => name.startsWith("journal.db.corrupt-"));

/** Everything but the first page, which has the header and the tables' names. */
function garbage(): void {
  const { size } = statSync(file);
  const bytes = readFileSync(file);
  bytes.fill(0xa5, 4096, size);
  writeFileSync(file, bytes);
}

describe("a damaged journal is set aside under a name that is told, and a new one begun", () => {
  test.each<[string, () => void]>([
    ["no database at all", () => writeFileSync(file, "This is not a database, but some words of a person.\n".repeat(200))],
    ["a header that was overwritten", () => writeFileSync(file, Buffer.concat([Buffer.alloc(100, 7), readFileSync(file).subarray(100)]))],
    ["pages that are garbage", garbage],
    ["cut in the middle", () => truncateSync(file, 4096 * 3)],
    ["cut within its first page", () => truncateSync(file, 600)],
    ["a directory", () => replaced(() => mkdirSync(file))],
    ["a FIFO", () => replaced(() => execFileSync("mkfifo", [file]))],
    ["a symbolic link", () => replaced(() => symlinkSync("/dev/null", file))],
    ["a directory where its -wal should be", () => mkdirSync(`${file}-wal`)],
    ["another program's database", () => replaced(foreign)],
    ["a table less", () => altered("DROP TABLE entries")],
    ["a column less", () => altered("ALTER TABLE spool DROP COLUMN malformed")],
  ])("%s", async (_, damage) => {
    written();
    damage();
    appendSpool(paths, escaped("told meanwhile"));
    const journal = open();
    journal.record(invocation("new"));
    journal.takeSpool();
    expect(journal.escapes(new Date()).last).toMatchObject({ reason: "told meanwhile" });
    expect(journal.recent("default", 8).map(({ id }) => id)).toEqual(["new"]);
    const [name] = aside();
    expect(name).toMatch(/^journal\.db\.corrupt-\d{8}T\d{6}Z$/);
    expect(faults).toEqual([expect.stringContaining(`what it held is in ${dirname(file)}/journal.db.corrupt-`)]);
    expect(notices).toEqual([expect.stringContaining("a new one was begun")]);
    journal.close();
    // The new one is whole, and another start has nothing to say.
    [faults, notices] = [[], []];
    expect(open().recent("default", 8)).toHaveLength(1);
    expect([faults, notices]).toEqual([[], []]);
    const { entries, fault } = await readHistory(paths, { kinds: ["invocation", "escape"], most: 10 }, new Date());
    expect([entries.length, fault]).toEqual([2, undefined]);
  });

  test("while the daemon runs: what is recorded in that moment is in the new one", () => {
    const journal = open();
    for (let at = 0; at < 200; at += 1) journal.record(invocation(`old-${at}`));
    // Past SQLite: what it has in memory is little, and soon it reads again.
    const database = new DatabaseSync(file);
    database.exec("PRAGMA wal_checkpoint(TRUNCATE)");
    database.close();
    garbage();
    for (let at = 0; at < 50; at += 1) journal.record(invocation(`new-${at}`, { profile: `p${at}` }));
    expect(aside()).toHaveLength(1);
    expect(journal.recent("p49", 1)).toHaveLength(1);
    const fault = faults.at(-1);
    expect(fault).toMatch(/the journal was damaged \(.*malformed.*\)/);
    // Whoever has looked at it, or removed it, has heard enough.
    for (const name of aside()) rmSync(join(dirname(file), name));
    journal.takeSpool();
    expect(faults.at(-1)).toBeUndefined();
  });

  test("the last three are kept", () => {
    for (let times = 0; times < 5; times += 1) {
      mkdirSync(dirname(file), { recursive: true });
      writeFileSync(file, `garbage ${times} `.repeat(200));
      open({ now: () => new Date(Date.UTC(2026, 10, 20, 12, times)) }).close();
    }
    expect(aside()).toEqual([2, 3, 4].map((minute) => `journal.db.corrupt-20261120T120${minute}00Z`));
  });
});

describe("what is not damaged", () => {
  test("garbage beside it: an index of the log that is made anew, a log that is not its own", () => {
    written();
    writeFileSync(`${file}-shm`, Buffer.alloc(32_768, 0xa5));
    writeFileSync(`${file}-wal`, Buffer.alloc(50_000, 0xa5));
    expect(open().recent("default", 1000)).toHaveLength(200);
    expect([faults, aside()]).toEqual([[], []]);
  });

  test("a copy that was made after a crash, with its log", () => {
    const journal = open();
    for (let at = 0; at < 20; at += 1) journal.record(invocation(`old-${at}`));
    const other = { ...paths, state: join(dir, "copy") };
    mkdirSync(dirname(journalPath(other)), { recursive: true });
    for (const suffix of ["", "-wal"]) copyFileSync(`${file}${suffix}`, `${journalPath(other)}${suffix}`);
    expect(open({ paths: other }).recent("default", 100)).toHaveLength(20);
    expect(faults).toEqual([]);
  });

  test("an empty file is a new journal", () => {
    mkdirSync(dirname(file), { recursive: true });
    writeFileSync(file, "");
    open().record(invocation("a"));
    expect([faults, aside()]).toEqual([[], []]);
  });

  test("taken away while the daemon runs: the next record stands where people look", () => {
    const journal = open();
    journal.record(invocation("lost with its file"));
    rmSync(dirname(file), { recursive: true });
    journal.record(invocation("a"));
    expect(existsSync(file)).toBe(true);
    expect(journal.recent("default", 8).map(({ id }) => id)).toEqual(["a"]);
    expect(faults).toEqual([]);
  });
});

test("of a later version: untouched, said, and the daemon goes on with what the spool has", async () => {
  written();
  altered("PRAGMA user_version = 99");
  const before = readFileSync(file);
  appendSpool(paths, escaped("now", { at: new Date().toISOString() }));
  const journal = open();
  journal.record(invocation("new"));
  expect(journal.recent("default", 8).map(({ id }) => id)).toEqual(["new"]);
  expect(journal.hitRates("default", new Date("2026-11-20T12:00:00Z")).week).toMatchObject({ builds: 1, hits: 90 });
  expect(journal.escapes(new Date())).toMatchObject({ today: 1, last: { reason: "now" } });
  expect(faults).toEqual([
    expect.stringMatching(/journal\.db cannot be written \(it is of version 99, and this flywheel knows 1\); upgrade flywheel/),
  ]);
  journal.close();
  expect(readFileSync(file).equals(before)).toBe(true);
  expect(aside()).toEqual([]);
  const { entries, fault } = await readHistory(paths, { kinds: ["invocation", "escape"], most: 10 }, new Date());
  expect(entries).toMatchObject([{ reason: "now" }]);
  expect(fault).toMatch(/it is of version 99/);
});

describe("migrations", () => {
  const steps: readonly Migration[] = [
    (database) => database.exec("CREATE TABLE a (x INTEGER) STRICT; INSERT INTO a VALUES (1)"),
    (database) => database.exec("ALTER TABLE a ADD COLUMN y INTEGER; UPDATE a SET y = x + 1"),
    (database) => database.exec("INSERT INTO a VALUES (3, 4)"),
  ];
  const rows = (database: DatabaseSync): unknown =>
    database
      .prepare("SELECT * FROM a")
      .all()
      .map((row) => ({ ...row }));

  test("from each version on", () => {
    for (const known of [0, 1, 2, 3]) {
      const database = new DatabaseSync(":memory:");
      migrate(database, steps.slice(0, known));
      expect(versionOf(database)).toBe(known);
      migrate(database, steps);
      expect([versionOf(database), rows(database)]).toEqual([
        3,
        [
          { x: 1, y: 2 },
          { x: 3, y: 4 },
        ],
      ]);
      database.close();
    }
  });

  test("a step that fails leaves the version before it, whole", () => {
    const database = new DatabaseSync(":memory:");
    const failing: Migration = (one) => one.exec("INSERT INTO a VALUES (5, 6); SELECT * FROM nowhere");
    expect(() => migrate(database, [...steps.slice(0, 2), failing])).toThrow(/nowhere/);
    expect([versionOf(database), rows(database)]).toEqual([2, [{ x: 1, y: 2 }]]);
    migrate(database, steps);
    expect(versionOf(database)).toBe(3);
    database.close();
  });

  test("a later version is not touched", () => {
    const database = new DatabaseSync(":memory:");
    migrate(database, steps);
    expect(() => migrate(database, steps.slice(0, 2))).toThrow(LaterVersionError);
    expect(versionOf(database)).toBe(3);
    database.close();
  });
});

describe("a full disk", () => {
  const unmounted = mountFault();

  test("records wait, it is said, and when there is room again all of them are written without anybody's doing", async ({ skip }) => {
    skip(unmounted !== undefined, unmounted);
    const disk = join(dir, "state");
    mkdirSync(disk);
    execFileSync("mount", ["-t", "tmpfs", "-o", "mode=0700,size=512k", "tmpfs", disk]);
    try {
      vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout", "performance"] });
      const journal = open();
      journal.record(invocation("before"));
      fill(disk);
      let count = 0;
      // What the journal's own files have room for still goes in.
      while (faults.length === 0 && count < 250) journal.record(invocation(`r${count++}`, { workspace: `/${"x".repeat(900)}` }));
      expect(faults).toEqual([
        expect.stringMatching(/journal\.db cannot be written \(.*(?:full|disk).*\); what is recorded meanwhile waits/),
      ]);
      journal.record(invocation("during"));
      expect(journal.recent("default", 300).map(({ id }) => id)).toContain("during");
      rmSync(join(disk, "ballast"));
      vi.advanceTimersByTime(6_000);
      expect(faults.at(-1)).toBeUndefined();
      expect(faults).toHaveLength(2);
      journal.close();
      const again = open();
      expect(again.recent("default", 300)).toHaveLength(count + 2);
      again.close();
      expect(aside()).toEqual([]);
    } finally {
      for (const journal of opened) journal.close();
      execFileSync("umount", ["-l", disk]);
    }
  });

  test("at the start, and a file system that is read-only: a fault, and a daemon", ({ skip }) => {
    skip(unmounted !== undefined, unmounted);
    written();
    const disk = join(dir, "readonly");
    mkdirSync(disk);
    execFileSync("mount", ["-t", "tmpfs", "-o", "size=512k", "tmpfs", disk]);
    try {
      const other = { ...paths, state: disk };
      mkdirSync(dirname(journalPath(other)));
      copyFileSync(file, journalPath(other));
      execFileSync("mount", ["-o", "remount,ro", disk]);
      const journal = open({ paths: other });
      journal.record(invocation("new"));
      expect(faults).toEqual([expect.stringMatching(/cannot be written \(.*(?:EROFS|read-only|readonly)/i)]);
      expect(journal.recent("default", 8).map(({ id }) => id)).toEqual(["new"]);
      journal.close();
    } finally {
      execFileSync("umount", ["-l", disk]);
    }
  });
});

function fill(directory: string): void {
  const block = Buffer.alloc(4096, 1);
  expect(() => {
    for (;;) appendFileSync(join(directory, "ballast"), block);
  }).toThrow(expect.objectContaining({ code: "ENOSPC" }));
}

function mountFault(): string | undefined {
  if (process.geteuid?.() !== 0) return "needs root, to mount";
  const directory = mkdtempSync(join(tmpdir(), "gf-mount-"));
  try {
    execFileSync("mount", ["-t", "tmpfs", "-o", "size=64k", "tmpfs", directory], { stdio: "ignore" });
    execFileSync("umount", [directory]);
    return undefined;
  } catch {
    return "may not mount here";
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

function altered(sql: string): void {
  const database = new DatabaseSync(file);
  database.exec(`PRAGMA journal_mode = DELETE; ${sql}`);
  database.close();
}

function replaced(put: () => unknown): void {
  rmSync(file);
  put();
}

function foreign(): void {
  const database = new DatabaseSync(file);
  database.exec("CREATE TABLE cookies (name TEXT)");
  database.close();
}
