import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import type { Invocation } from "../../../contract/invocation.ts";
import { journalPath, type Paths, rotatedSpoolPath, spoolPath } from "../../../contract/paths.ts";
import { readHistory } from "../../../daemon/api/client/journal/history.ts";
import { appendInvocation, appendSpool } from "../../../daemon/api/client/spool.ts";
import { Journal, type JournalOptions } from "../../../daemon/journal/journal.ts";
import { counted, escaped, invocation } from "../../fixtures/journal/records.ts";
import { startProcess } from "../../fixtures/process.ts";

const noon = new Date(2026, 10, 20, 12);
const hoursBefore = (hours: number): string => new Date(noon.getTime() - hours * 3_600_000).toISOString();

let paths: Paths;
let faults: (string | undefined)[];
let notices: string[];
let opened: Journal[];

beforeEach(() => {
  const dir = mkdtempSync(join(tmpdir(), "gf-journal-"));
  paths = { config: join(dir, "config"), state: join(dir, "state"), runtime: join(dir, "run") };
  [faults, notices, opened] = [[], [], []];
});
afterEach(() => {
  for (const journal of opened) journal.close();
  rmSync(dirname(paths.state), { recursive: true, force: true });
});

function open(more: Partial<JournalOptions> = {}): Journal {
  const journal = new Journal({
    paths,
    now: () => noon,
    onFault: (fault) => faults.push(fault),
    onNotice: (notice) => notices.push(notice),
    ...more,
  });
  opened.push(journal);
  journal.open();
  return journal;
}

/** Resolves once that holds, looked at whenever the journal says that something came. */
function changing(more: Partial<JournalOptions> = {}): { journal: Journal; until: (holds: () => boolean) => Promise<void> } {
  let look = (): void => {};
  const journal = open({ ...more, onChange: () => look() });
  return {
    journal,
    until: (holds) =>
      new Promise((resolve) => {
        look = () => {
          if (holds()) resolve();
        };
        look();
      }),
  };
}

const ids = (journal: Journal, profile = "default"): readonly string[] => journal.recent(profile, 100).map(({ id }) => id);
const names = (): readonly string[] => readdirSync(dirname(journalPath(paths))).sort();

async function history(): Promise<readonly string[]> {
  const { entries } = await readHistory(paths, { kinds: ["invocation", "escape", "refusal"], most: 1000 }, noon);
  return entries.map((entry) => (entry.kind === "invocation" ? entry.id : entry.reason));
}

describe("records", () => {
  test("are there after the daemon is gone, the newest first, for their own profile", () => {
    const first = open();
    first.record(invocation("old", { startedAt: hoursBefore(2) }));
    first.record(invocation("new", { startedAt: hoursBefore(1) }));
    first.record(invocation("other", { profile: "work" }));
    first.close();
    const journal = open();
    expect(journal.recent("default", 8)).toEqual([
      invocation("new", { startedAt: hoursBefore(1) }),
      invocation("old", { startedAt: hoursBefore(2) }),
    ]);
    expect(journal.recent("default", 1)).toHaveLength(1);
    expect(ids(journal, "work")).toEqual(["other"]);
    expect(faults).toEqual([]);
  });

  test("are nobody else's to read", () => {
    open().record(invocation("a"));
    expect(statSync(dirname(journalPath(paths))).mode & 0o777).toBe(0o700);
    for (const name of names()) expect(statSync(join(dirname(journalPath(paths)), name)).mode & 0o777, name).toBe(0o600);
  });

  test("a file that others could read is closed to them", () => {
    open().close();
    chmodSync(journalPath(paths), 0o644);
    open();
    expect(statSync(journalPath(paths)).mode & 0o777).toBe(0o600);
  });

  const unknown: Partial<Invocation> = {
    endedAt: null,
    wallMs: null,
    exitCode: null,
    outcome: "unknown",
    tally: { state: "unknown", why: "Bazel's records are gone" },
  };

  test.each<[string, Partial<Invocation>, Partial<Invocation>, Partial<Invocation>]>([
    ["a second record tells more", unknown, { exitCode: 1, outcome: "failed" }, { exitCode: 1, outcome: "failed" }],
    [
      "what is unknown now was known before",
      { exitCode: 1, outcome: "failed" },
      unknown,
      { exitCode: 1, outcome: "failed", wallMs: 12_000 },
    ],
    [
      "exec stands before the daemon that came later",
      { recordedBy: "exec", exitCode: 3 },
      { exitCode: 0 },
      { recordedBy: "exec", exitCode: 3 },
    ],
    [
      "exec stands before the daemon that came first",
      { exitCode: 0 },
      { recordedBy: "exec", exitCode: 3 },
      { recordedBy: "exec", exitCode: 3 },
    ],
    [
      "what exec did not see the daemon may have",
      { recordedBy: "exec", ...unknown },
      { tally: counted({ hits: 7 }) },
      { recordedBy: "exec", tally: counted({ hits: 7 }) },
    ],
    [
      "doubtful figures give way to those that can be believed",
      { tally: counted({ hits: 7 }) },
      { tally: counted({ hits: 9 }, "a disk cache") },
      { tally: counted({ hits: 7 }) },
    ],
    ["a lost cache stays lost", { lost: { at: null, reason: "reset" } }, {}, { lost: { at: null, reason: "reset" } }],
  ])("of one invocation are one: %s", (_, earlier, later, whole) => {
    const journal = open();
    journal.record(invocation("a", earlier));
    journal.record(invocation("a", later));
    expect(journal.recent("default", 8)).toHaveLength(1);
    expect(journal.recent("default", 8)[0]).toMatchObject(whole);
  });

  test.each<[string, Partial<Invocation>]>([
    ["a time that is none", { startedAt: "yesterday" }],
    ["an end that is none", { endedAt: "soon" }],
    ["a negative count", { tally: counted({ hits: -1 }) }],
    ["a count that is no number of actions", { tally: counted({ misses: 1.5 }) }],
    ["a wall time without end", { wallMs: Number.POSITIVE_INFINITY }],
    ["an id that is too long", { id: "x".repeat(129) }],
    ["an id with an escape sequence", { id: "\u001b[2J" }],
  ])("%s: refused, and said", (_, more) => {
    const journal = open();
    journal.record(invocation("a", more));
    expect(ids(journal)).toEqual([]);
    expect(notices).toEqual([expect.stringContaining("was not kept")]);
  });

  test("texts are bounded and harmless, and hold no credentials", () => {
    const journal = open();
    const tally = { state: "unknown", why: "w".repeat(10_000) } as const;
    journal.record(invocation("a", { workspace: `/w\u001b[2J${"x".repeat(10_000)}`, tally, endpoint: "grpc://me:secret@cache:9092" }));
    const text = JSON.stringify(journal.recent("default", 1));
    expect(text.length).toBeLessThan(3_000);
    expect(text).not.toMatch(/\\u001b|secret/);
  });
});

describe("hit rates", () => {
  test("of today and of seven days; what is unknown or in doubt is counted, and never mixed in", () => {
    const journal = open();
    journal.record(invocation("today", { startedAt: hoursBefore(1), tally: counted({ hits: 3, misses: 1 }) }));
    journal.record(invocation("doubtful", { startedAt: hoursBefore(2), tally: counted({ hits: 50, misses: 50 }, "a disk cache") }));
    journal.record(invocation("unknown", { startedAt: hoursBefore(3), tally: { state: "unknown", why: "gone" } }));
    journal.record(invocation("week", { startedAt: hoursBefore(6 * 24), tally: counted({ hits: 5, other: 2, misses: 1 }) }));
    journal.record(invocation("month", { startedAt: hoursBefore(8 * 24), tally: counted({ hits: 1000 }) }));
    journal.record(invocation("elsewhere", { startedAt: hoursBefore(1), profile: "work" }));
    const rates = { today: { builds: 3, counted: 1, hits: 3, misses: 1 }, week: { builds: 4, counted: 2, hits: 8, misses: 4 } };
    expect(journal.hitRates("default", noon)).toEqual(rates);
    expect(journal.hitRates("nobody", noon).week).toEqual({ builds: 0, counted: 0, hits: 0, misses: 0 });
    // The day turns: nothing was written, and today is another.
    const tomorrow = new Date(noon.getTime() + 86_400_000);
    expect(journal.hitRates("default", tomorrow)).toMatchObject({ today: { builds: 0 }, week: { builds: 3 } });
    journal.record(invocation("again", { startedAt: hoursBefore(1), tally: counted({ hits: 1 }) }));
    expect(journal.hitRates("default", noon).today).toEqual({ builds: 4, counted: 2, hits: 4, misses: 1 });
  });
});

describe("the spool", () => {
  test("is taken in when it changes; escapes and refusals of today and the last ones are told", async () => {
    const { journal, until } = changing();
    appendSpool(paths, escaped("yesterday", { at: hoursBefore(24) }));
    appendSpool(paths, escaped("first", { at: hoursBefore(2) }));
    appendSpool(paths, escaped("second", { at: hoursBefore(1) }));
    appendSpool(paths, escaped("no", { kind: "refusal", at: hoursBefore(3) }));
    await until(() => journal.refusals(noon).today === 1);
    expect(journal.escapes(noon)).toEqual({ today: 2, last: { at: hoursBefore(1), reason: "second", command: "bazel build" } });
    expect(journal.refusals(noon).last).toMatchObject({ reason: "no" });
    expect(journal.escapes(new Date(noon.getTime() + 86_400_000)).today).toBe(0);
  });

  test("is taken in once, whoever restarts", async () => {
    appendSpool(paths, escaped("a"));
    open().close();
    appendSpool(paths, escaped("b"));
    open().close();
    open().close();
    expect(await history()).toEqual(["b", "a"]);
  });

  test("what exec recorded joins what the daemon knows", () => {
    const journal = open();
    journal.record(invocation("a", { exitCode: null, outcome: "unknown" }));
    appendInvocation(paths, invocation("a", { exitCode: 3, outcome: "failed", recordedBy: "exec" }));
    journal.takeSpool();
    expect(journal.recent("default", 8)).toEqual([invocation("a", { exitCode: 3, outcome: "failed", recordedBy: "exec" })]);
  });

  test("rotated between two lookings: both files are taken in, and the full one is removed when it has rested", async () => {
    const journal = open({ now: () => new Date() });
    const limits = { rotated: 100, most: 10_000 };
    appendSpool(paths, escaped("a"), limits);
    expect(existsSync(rotatedSpoolPath(paths))).toBe(true);
    appendSpool(paths, escaped("b"), { rotated: 10_000, most: 10_000 });
    journal.takeSpool();
    expect(await history()).toEqual(["b", "a"]);
    // A guard may have it open still.
    expect(existsSync(rotatedSpoolPath(paths))).toBe(true);
    utimesSync(rotatedSpoolPath(paths), 1, 1);
    journal.takeSpool();
    expect(existsSync(rotatedSpoolPath(paths))).toBe(false);
    expect(existsSync(spoolPath(paths))).toBe(true);
  });

  test("a full file that nobody took in is not replaced before there is twice as much", async () => {
    const limits = { rotated: 100, most: 500 };
    appendSpool(paths, escaped("oldest"), limits);
    appendSpool(paths, escaped("older"), limits);
    expect(await history()).toEqual(["older", "oldest"]);
    for (const reason of ["c", "d", "e"]) appendSpool(paths, escaped(reason), limits);
    expect(await history()).toEqual(["e", "d", "c", "older"]);
  });

  test("a guard that was killed while it rotated is made up for by the next", async () => {
    const { linkSync } = await import("node:fs");
    appendSpool(paths, escaped("a"));
    linkSync(spoolPath(paths), rotatedSpoolPath(paths));
    const limits = { rotated: 100, most: 10_000 };
    appendSpool(paths, escaped("b"), limits);
    expect(existsSync(spoolPath(paths))).toBe(false);
    appendSpool(paths, escaped("c"), { rotated: 10_000, most: 10_000 });
    open();
    expect(await history()).toEqual(["c", "b", "a"]);
  });

  test("a file that began with the same line is another file", async () => {
    const journal = open();
    appendSpool(paths, escaped("same"));
    journal.takeSpool();
    rmSync(spoolPath(paths));
    appendSpool(paths, escaped("same"));
    journal.takeSpool();
    expect(await history()).toEqual(["same", "same"]);
  });

  test("of a version that wrote no head is known by its first line", async () => {
    mkdirSync(dirname(spoolPath(paths)), { recursive: true });
    writeFileSync(spoolPath(paths), `${JSON.stringify(escaped("a"))}\n`);
    open().close();
    appendSpool(paths, escaped("b"));
    // As from a backup: another inode.
    writeFileSync(`${spoolPath(paths)}.copy`, readFileSync(spoolPath(paths)));
    renameSync(`${spoolPath(paths)}.copy`, spoolPath(paths));
    open().close();
    expect(await history()).toEqual(["b", "a"]);
  });

  test("what is no line is counted and told once, and holds nothing up", async () => {
    mkdirSync(dirname(spoolPath(paths)), { recursive: true });
    const lines = [
      JSON.stringify(escaped("a")),
      "broken",
      `{"v":9}`,
      "\0".repeat(200_000),
      "",
      JSON.stringify(escaped("b")),
      '{"v":1,"at":"cut o',
    ];
    writeFileSync(spoolPath(paths), lines.join("\n"));
    const { journal, until } = changing();
    await until(() => journal.escapes(noon).last?.reason === "b");
    const query = { kinds: ["escape"], most: 10 } as const;
    expect(await readHistory(paths, query, noon)).toMatchObject({ malformed: 3, entries: [{ reason: "b" }, { reason: "a" }] });
    // The last one was cut off by a crash; the next guard begins a line of its own.
    appendSpool(paths, escaped("c"));
    await until(() => journal.escapes(noon).last?.reason === "c");
    expect(await readHistory(paths, query, noon)).toMatchObject({ malformed: 4, entries: { length: 3 } });
    expect(notices.join()).toMatch(/1 line of the spool could not be read/);
    expect(faults).toEqual([]);
  });

  test("a long one is taken in part by part", async () => {
    mkdirSync(dirname(spoolPath(paths)), { recursive: true });
    writeFileSync(spoolPath(paths), Array.from({ length: 3000 }, (_, at) => `${JSON.stringify(escaped(`${at}`))}\n`).join(""));
    let turns = 0;
    const { journal, until } = changing();
    await until(() => {
      turns += 1;
      return journal.escapes(noon).last?.reason === "2999";
    });
    expect(turns).toBeGreaterThan(5);
    expect(await history()).toHaveLength(1000);
    expect(new Set(await history()).size).toBe(1000);
  });

  test("that is no file is said once, and the journal goes on", () => {
    mkdirSync(spoolPath(paths), { recursive: true });
    const journal = open();
    journal.takeSpool();
    journal.record(invocation("a"));
    expect(ids(journal)).toEqual(["a"]);
    expect(notices).toEqual([expect.stringMatching(/spool\.jsonl cannot be read/)]);
  });
});

describe("the bounds", () => {
  test("what is too old goes, at the next start", async () => {
    open().close();
    const journal = open();
    journal.record(invocation("kept", { startedAt: hoursBefore(399 * 24) }));
    journal.record(invocation("gone", { startedAt: hoursBefore(401 * 24) }));
    appendSpool(paths, escaped("gone too", { at: hoursBefore(401 * 24) }));
    journal.takeSpool();
    journal.close();
    open();
    await new Promise(setImmediate);
    expect(await history()).toEqual(["kept"]);
  });

  test("what is too much goes, the oldest first, and the file shrinks", async () => {
    const bytes = 600_000;
    const journal = open({ bounds: { days: 400, bytes } });
    const many = 1200;
    for (let at = 0; at < many; at += 1) {
      journal.record(invocation(`${at}`, { startedAt: new Date(noon.getTime() + at).toISOString(), workspace: `/${"x".repeat(300)}` }));
    }
    // Pruning takes a turn each.
    for (let turn = 0; turn < 20; turn += 1) await new Promise(setImmediate);
    const left = await history();
    expect(left.length).toBeGreaterThanOrEqual(200);
    expect(left.length).toBeLessThan(600);
    expect(left[0]).toBe(`${many - 1}`);
    expect(left).toEqual(left.map((_, at) => `${many - 1 - at}`));
    journal.close();
    expect(statSync(journalPath(paths)).size).toBeLessThan(2 * bytes);
  });
});

test("a reader in another process sees one moment of it while the writer writes and guards append", async () => {
  const fixture = (name: string): string => join(import.meta.dirname, `../../fixtures/journal/${name}.ts`);
  const node = ["--disable-warning=ExperimentalWarning"];
  const guard = await startProcess(process.execPath, [...node, fixture("appender"), paths.state, "a"], { ready: /^appended/ });
  const writer = await startProcess(process.execPath, [...node, fixture("writer"), paths.state, "w", "now"], { ready: /^kept/ });
  let seen = new Set<string>();
  try {
    for (let look = 0; look < 60 || seen.size < 500; look += 1) {
      const { entries, summary, malformed, fault } = await readHistory(paths, { kinds: ["invocation", "escape"], most: 100_000 }, noon);
      expect([fault, malformed]).toEqual([undefined, 0]);
      const keys = entries.map((entry) => (entry.kind === "invocation" ? entry.id : entry.reason));
      const now = new Set(keys);
      expect(now.size).toBe(keys.length);
      // What was there is there still, in the database or in the spool.
      expect([...seen].filter((key) => !now.has(key))).toEqual([]);
      expect(summary.week.hitRate.builds).toBe(entries.filter(({ kind }) => kind === "invocation").length);
      seen = now;
      // What they say is read, or they would wait.
      await new Promise(setImmediate);
    }
  } finally {
    await Promise.all([guard.kill(), writer.kill()]);
  }
});

test("a reader makes no journal, and shows what the spool has beyond it", async () => {
  appendSpool(paths, escaped("a", { at: hoursBefore(2) }));
  expect(await history()).toEqual(["a"]);
  expect(names()).toEqual(["spool.jsonl"]);
  const journal = open();
  journal.record(invocation("one", { startedAt: hoursBefore(1), tally: { state: "unknown", why: "gone" } }));
  journal.close();
  appendSpool(paths, escaped("b", { at: hoursBefore(0) }));
  appendInvocation(paths, invocation("one", { startedAt: hoursBefore(1), recordedBy: "exec", tally: counted({ hits: 1 }) }));
  const { entries, summary } = await readHistory(paths, { kinds: ["invocation", "escape"], most: 10 }, noon);
  expect(entries).toMatchObject([{ reason: "b" }, { id: "one", recordedBy: "exec", tally: { counts: { hits: 1 } } }, { reason: "a" }]);
  expect(summary.today).toEqual({ hitRate: { builds: 1, counted: 1, hits: 1, misses: 0 }, escapes: 2, refusals: 0 });
});

test("another daemon of the same state directory writes beside it", () => {
  const [one, other] = [open(), open()];
  one.record(invocation("a"));
  expect(other.recent("default", 8)).toHaveLength(1);
  appendSpool(paths, escaped("e"));
  one.takeSpool();
  other.takeSpool();
  other.record(invocation("b"));
  expect(ids(one).toSorted()).toEqual(["a", "b"]);
  const database = new DatabaseSync(journalPath(paths), { readOnly: true });
  expect(database.prepare("SELECT count(*) AS n FROM entries").get()).toEqual({ n: 1 });
  database.close();
  expect(faults).toEqual([]);
});
