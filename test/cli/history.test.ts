import { mkdirSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { type Asked, viewEntries, viewSummary } from "../../cli/history/view.ts";
import { paint } from "../../cli/output/paint.ts";
import type { Invocation } from "../../contract/invocation.ts";
import type { SpoolEntry } from "../../contract/journal.ts";
import { journalPath, type Paths } from "../../contract/paths.ts";
import type { HistoryEntry } from "../../daemon/api/client/journal/history.ts";
import { appendInvocation, appendSpool } from "../../daemon/api/client/spool.ts";
import { Journal } from "../../daemon/journal/journal.ts";
import { counted, escaped, invocation } from "../fixtures/journal/records.ts";
import { type Home, makeHome } from "./flywheel.ts";

let home: Home;
let paths: Paths;
beforeEach(() => {
  home = makeHome();
  paths = { config: home.config, state: home.state, runtime: home.runtime };
});
afterEach(() => home.remove());

const ago = (hours: number): string => new Date(Date.now() - hours * 3_600_000).toISOString();

/** What a daemon leaves behind. */
function kept(records: readonly Invocation[]): void {
  const faults: unknown[] = [];
  const journal = new Journal({ paths, onFault: (fault) => faults.push(fault) });
  journal.open();
  for (const record of records) journal.record(record);
  journal.close();
  expect(faults).toEqual([]);
}

interface Report {
  readonly schema: number;
  readonly entries: readonly { readonly kind: string; readonly id?: string; readonly reason?: string }[];
  readonly malformed: number;
  readonly fault: string | null;
  readonly summary: unknown;
}

async function report(...args: readonly string[]): Promise<Report> {
  const { exitCode, stdout, stderr } = await home.flywheel(["history", "--json", ...args]);
  expect([exitCode, stderr]).toEqual([0, ""]);
  return JSON.parse(stdout) as Report;
}

async function listed(...args: readonly string[]): Promise<readonly (string | undefined)[]> {
  return (await report(...args)).entries.map((entry) => entry.id ?? entry.reason);
}

describe("without a daemon ever", () => {
  const spooled = (kind: SpoolEntry["kind"], hours: number, reason: string): string =>
    `${JSON.stringify(escaped(reason, { kind, at: ago(hours) }))}\n`;

  beforeEach(() => {
    const lines = [spooled("escape", 72, "old"), spooled("refusal", 0.1, "down"), "broken\n", spooled("escape", 0, "new \u001b]0;x\u0007")];
    home.write("state/journal/spool.jsonl", lines.join(""), 0o600);
  });

  test("a table, the newest first, a summary, and what could not be read", async () => {
    const { exitCode, stdout, stderr } = await home.flywheel(["history"]);
    expect(exitCode).toBe(0);
    const [table = "", summary = ""] = stdout.split("\n\n");
    expect(table.split("\n").map((row) => row.trimEnd().split(/ {2,}/).at(-1))).toEqual(["detail", "new", "down", "old"]);
    expect(summary).toMatch(
      /^ {2}today {4}nothing ran, [12] escapes?, [01] refusals?\n {2}7 days {3}nothing ran, 2 escapes, 1 refusal\n {2}saved {4}unknown \(no build had hits\)\n$/,
    );
    expect(stderr).toBe("1 line of the spool could not be read\n");
    // Who only reads makes no journal.
    expect(() => readFileSync(journalPath(paths))).toThrow(/ENOENT/);
  });

  test.each([
    [["--escapes"], 2],
    [["--refusals"], 1],
    [["--builds"], 0],
    [["--since", "24h"], 2],
    [["--escapes", "--since", "1d"], 1],
    [["-n", "1"], 1],
    [["--escapes", "--refusals"], 3],
    [["--summary"], 0],
  ])("%j", async (args, count) => {
    const told = await report(...args);
    expect(told).toMatchObject({ schema: 2, malformed: 1, fault: null, summary: { week: { escapes: 2, refusals: 1 } } });
    expect(told.entries).toHaveLength(count);
  });

  test("entries are what they were in schema 1", async () => {
    const { entries } = await report("-n", "1");
    expect(entries).toEqual([escaped("new ", { at: expect.any(String) as unknown as string })]);
  });
});

describe("what ran", () => {
  const failed = { startedAt: ago(2), exitCode: 1, outcome: "failed" } as const;

  test("is listed with what went past the guard, by time; a directory's own, and below", async () => {
    const real = join(home.dir, "src/widgets");
    mkdirSync(join(real, "deep"), { recursive: true });
    symlinkSync(join(home.dir, "src"), join(home.dir, "link"));
    kept([
      invocation("a", { startedAt: ago(3), workspace: real }),
      invocation("b", failed),
      invocation("c", { startedAt: ago(1), workspace: `${real}-not` }),
    ]);
    appendSpool(paths, escaped("past", { at: ago(1.5), workspace: `${real}/deep` }));
    appendInvocation(paths, invocation("d", { startedAt: ago(0.5), recordedBy: "exec", workspace: real }));
    expect(await listed()).toEqual(["d", "c", "past", "b", "a"]);
    expect(await listed("--builds")).toEqual(["d", "c", "b", "a"]);
    expect(await listed("--since", "2h")).toEqual(["d", "c", "past"]);
    expect(await listed("-n", "2", "--builds")).toEqual(["d", "c"]);
    expect(await listed("--workspace", "src/widgets")).toEqual(["d", "past", "a"]);
    expect(await listed("--workspace", "link/widgets")).toEqual(["d", "past", "a"]);
    expect(await listed("--workspace", "/")).toHaveLength(5);
    expect(await listed("--workspace", "nowhere")).toEqual([]);
    expect((await report("--builds", "-n", "1")).entries).toEqual([
      {
        ...invocation("d", { recordedBy: "exec", workspace: real }),
        kind: "invocation",
        at: expect.any(String),
        startedAt: expect.any(String),
      },
    ]);
  });

  test("the summary: what is unknown or in doubt is counted, and not mixed in; time saved says how it was estimated", async () => {
    const without = [1, 2, 3].map((at) =>
      invocation(`p${at}`, { startedAt: ago(20 * 24), wallMs: 100_000, tally: counted({ misses: 100 }) }),
    );
    kept([
      ...without,
      invocation("hit", { startedAt: ago(0), wallMs: 60_000, tally: counted({ hits: 960, misses: 40 }) }),
      invocation("doubt", { startedAt: ago(0), tally: counted({ hits: 5000 }, "a disk cache answers too") }),
      invocation("unknown", { startedAt: ago(0), tally: { state: "unknown", why: "Bazel's log is gone" } }),
    ]);
    const { stdout } = await home.flywheel(["history", "--summary"]);
    const rate = "96 % hits, 960 of 1000 actions (3 builds, 2 of them unknown or in doubt, not counted), 0 escapes, 0 refusals";
    expect(stdout).toBe(
      `  today    ${rate}\n  7 days   ${rate}\n  saved    about 15 min these 7 days, of 1 build (an estimate: hits × the median wall time of an executed action in this command's builds with few hits, less what fetching took)\n`,
    );
    const { summary } = await report("--summary");
    const period = { hitRate: { builds: 3, counted: 1, hits: 960, misses: 40 }, escapes: 0, refusals: 0 };
    expect(summary).toMatchObject({ today: period, week: period, saved: { seconds: 940, builds: 1, estimated: 1 } });
  });

  test("a database that cannot be read: said, with what the spool has", async () => {
    kept([invocation("a")]);
    writeFileSync(journalPath(paths), "garbage".repeat(1000));
    appendSpool(paths, escaped("there"));
    const { exitCode, stdout, stderr } = await home.flywheel(["history"]);
    expect(exitCode).toBe(0);
    expect(stdout).toContain("there");
    expect(stderr).toMatch(/journal\.db cannot be read: file is not a database\n {2}shown is what the spool has\n$/);
  });

  test("nothing at all", async () => {
    const { stdout } = await home.flywheel(["history"]);
    expect(stdout).toMatch(/^nothing is recorded: /);
  });

  test("nothing of what was asked for denies no more than that", async () => {
    appendSpool(paths, { ...escaped("there"), kind: "refusal" });
    const said = async (...args: string[]): Promise<string> => (await home.flywheel(["history", ...args])).stdout.split("\n")[0] ?? "";
    expect(await said("--escapes")).toBe("no such record: nothing went past the guard");
    expect(await said("--builds", "--escapes", "--since", "7d")).toBe(
      "no such record: nothing ran with the shared cache or went past the guard within 7d",
    );
    expect(await said("--workspace", "/nowhere")).toBe(
      "no such record: nothing ran with the shared cache, was refused, or went past the guard in /nowhere",
    );
    expect(await said("--refusals")).not.toContain("nothing");
  });

  test("status without a daemon counts what is in the database and in the spool", async () => {
    appendSpool(paths, escaped("taken in", { at: ago(0) }));
    kept([]);
    appendSpool(paths, escaped("beyond", { at: ago(0) }));
    const status = JSON.parse((await home.flywheel(["status", "--json"])).stdout) as unknown;
    expect(status).toMatchObject({ escapes: { today: 2, last: { reason: "beyond" } }, refusals: { today: 0, last: null } });
  });
});

describe("the view", () => {
  const plain = paint({}, false);
  const everything: Asked = { kinds: ["invocation", "escape", "refusal"], since: undefined, workspace: undefined };
  const view = (entries: readonly HistoryEntry[], columns: number | undefined): readonly string[] =>
    viewEntries(entries, everything, { home: "/home/me", columns, paint: plain }).split("\n");
  const listedAs = (more: Partial<Invocation>): HistoryEntry => {
    const one = invocation("a", more);
    return { kind: "invocation", at: one.startedAt, ...one };
  };

  test.each<[string, Partial<Invocation>, RegExp]>([
    ["a share of hits", {}, /ok +bazel build +~\/src\/widgets +90 % 90\/100 +12\.00 s +grpc:\/\/100\.64\.0\.7:9092$/],
    ["nearly all is not all", { tally: counted({ hits: 999, misses: 1 }) }, / 99 % 999\/1000 /],
    ["hardly any is not none", { tally: counted({ hits: 1, misses: 999 }) }, / 1 % 1\/1000 /],
    ["all", { tally: counted({ hits: 10 }) }, / 100 % 10\/10 /],
    ["another cache's are no hits", { tally: counted({ hits: 5, other: 5 }) }, / 50 % 5\/10 /],
    ["nothing to do", { tally: counted({ internal: 2 }) }, / no actions /],
    ["figures in doubt", { tally: counted({ hits: 1 }, "a disk cache") }, / 100 % 1\/1\? .*in doubt: a disk cache; grpc:/],
    ["figures that nobody knows", { tally: { state: "unknown", why: "no log" } }, / unknown .*unknown: no log; grpc:/],
    ["a failure", { outcome: "failed", exitCode: 1 }, / failed \(1\) /],
    ["an interruption", { outcome: "interrupted", exitCode: 8 }, / interrupted \(8\) /],
    ["an end that nobody saw", { outcome: "unknown", exitCode: null, wallMs: null }, / ran +bazel build +\S+ +90 % 90\/100 +grpc:/],
    ["a cache that was lost", { lost: { at: null, reason: "connection reset" } }, /lost mid-build: connection reset; grpc:/],
    ["what could harm a terminal", { workspace: "/w\u001b[2J" }, / \/w +90 %/],
  ])("%s", (_, more, expected) => {
    expect(view([listedAs(more)], undefined)[1]).toMatch(expected);
  });

  test.each([40, 60, 80, 120, 250])("fits %d columns, and keeps the end of a path", (columns) => {
    const long = { workspace: `/home/me/${"very/".repeat(20)}deep/widgets`, tally: { state: "unknown", why: "w".repeat(200) } } as const;
    const lines = view([listedAs(long), listedAs({}), escaped("r".repeat(300)), escaped("short")], columns);
    for (const line of lines) expect(line.length, line).toBeLessThanOrEqual(columns);
    if (columns >= 80) expect(lines[1]).toMatch(/…\S*widgets +unknown/);
    if (columns >= 60) expect(lines[3]).toMatch(/ r{4,}…$/);
  });

  test("a pipe gets all of it", () => {
    expect(view([escaped("r".repeat(300))], undefined)[1]).toContain("r".repeat(300));
  });

  test("a summary of one workspace says so", () => {
    const hitRate = { builds: 1, counted: 1, hits: 0, misses: 0 };
    const period = { hitRate, escapes: 1, refusals: 2 };
    const saved = { seconds: null, builds: 0, estimated: 0, method: "no build had hits" };
    expect(viewSummary({ today: period, week: period, saved }, "/w").split("\n")[0]).toBe(
      "  today    hit rate unknown (1 build, none with actions), 1 escape, 2 refusals, in /w",
    );
  });
});
