/**
 * The journal under fault: its writer is killed 200 times at random moments, while guards append to the spool and rotate
 * it, and are killed too. Nothing that was acknowledged is lost, nothing is there twice, and nothing needs a hand. The
 * seed is fixed; GF_FAULTS_SEED names another.
 */
import { type ChildProcessWithoutNullStreams, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readdirSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { DatabaseSync } from "node:sqlite";
import { setTimeout as pause } from "node:timers/promises";
import { expect, it } from "vitest";
import { journalPath, type Paths, spoolPath } from "../../contract/paths.ts";
import { Journal } from "../../daemon/journal/journal.ts";
import { randomFrom } from "./random.ts";

const seed = Number(process.env["GF_FAULTS_SEED"] ?? 20261121);
const kills = 200;
/** When a writer that was let go is killed: milliseconds. */
const [soonest, latest] = [0, 150];
/** A guard is killed every so often. */
const killsOfGuards = 12;

interface Fixture {
  readonly child: ChildProcessWithoutNullStreams;
  /** What it has said so far. */
  readonly lines: string[];
  /** It said its first line. */
  readonly ready: Promise<unknown>;
  /** A writer has kept its first record; or it ended. */
  readonly kept: Promise<unknown>;
  readonly closed: Promise<unknown>;
}

function start(script: "writer" | "appender", state: string, name: string): Fixture {
  const file = join(import.meta.dirname, `../fixtures/journal/${script}.ts`);
  const child = spawn(process.execPath, ["--disable-warning=ExperimentalWarning", file, state, name]);
  child.stderr.pipe(process.stderr);
  child.stdin.on("error", () => {});
  const lines: string[] = [];
  const reader = createInterface({ input: child.stdout });
  const ready = once(reader, "line");
  const closed = once(child, "close");
  const first = Promise.withResolvers<void>();
  reader.on("line", (line) => {
    lines.push(line);
    if (line.startsWith("kept ")) first.resolve();
  });
  return { child, lines, ready, kept: Promise.race([first.promise, closed]), closed };
}

const told = (fixtures: readonly Fixture[], word: string): readonly string[] =>
  fixtures.flatMap(({ lines }) => lines.filter((line) => line.startsWith(`${word} `)).map((line) => line.slice(word.length + 1)));

it(`loses nothing acknowledged over ${kills} kills (seed ${seed})`, { timeout: 400_000 }, async () => {
  const random = randomFrom(seed);
  const state = mkdtempSync(join(tmpdir(), "gf-journal-"));
  const paths: Paths = { config: join(state, "config"), state, runtime: join(state, "run") };
  const [writers, guards]: [Fixture[], Fixture[]] = [[], []];
  const running = new Set<Fixture>();
  const begin = (script: "writer" | "appender", name: string): Fixture => {
    const fixture = start(script, state, name);
    running.add(fixture);
    void fixture.closed.then(() => running.delete(fixture));
    (script === "writer" ? writers : guards).push(fixture);
    return fixture;
  };
  try {
    let guard = begin("appender", "a0");
    const lasting = begin("appender", "b");
    await Promise.all([guard.ready, lasting.ready]);
    // The next one starts while this one works: what is waited for is the journal, not Node.
    let next = begin("writer", "w0");
    for (let round = 1; round <= kills; round += 1) {
      const writer = next;
      await writer.ready;
      next = begin("writer", `w${round}`);
      writer.child.stdin.write("go\n");
      // One in two is in the middle of its work, however slow the machine; the other may still be opening the journal.
      if (random() < 0.5) await writer.kept;
      await pause(soonest + random() * (latest - soonest));
      writer.child.kill("SIGKILL");
      await writer.closed;
      if (round % killsOfGuards === 0) {
        // Nothing that goes on around it makes an append fail.
        expect(guard.child.exitCode).toBeNull();
        guard.child.kill("SIGKILL");
        await guard.closed;
        guard = begin("appender", `a${round}`);
      }
    }
    next.child.kill("SIGKILL");
    for (const each of [guard, lasting]) {
      await each.ready;
      each.child.stdin.write("end\n");
      await each.closed;
      expect(each.child.exitCode).toBe(0);
    }

    // One that nobody kills takes in what is left.
    const faults: unknown[] = [];
    const complete = Promise.withResolvers<void>();
    const last = guards.flatMap(({ lines }) => lines.at(-1)?.slice("appended ".length) ?? []);
    const journal = new Journal({
      paths,
      onFault: (fault) => faults.push(fault),
      onChange: () => {
        if (!remaining()) complete.resolve();
      },
    });
    const remaining = (): boolean => last.some((key) => !keysIn(paths).has(key));
    journal.open();
    if (!remaining()) complete.resolve();
    await complete.promise;
    journal.close();
    expect(faults).toEqual([]);

    expect(told(writers, "fault")).toEqual([]);
    expect(told(writers, "notice")).toEqual([]);
    const kept = told(writers, "kept");
    const appended = told(guards, "appended");
    const found = keysIn(paths);
    expect([...kept, ...appended].filter((key) => !found.has(key))).toEqual([]);
    expect([...found].filter(([, count]) => count !== 1)).toEqual([]);
    // What is there and was not acknowledged was written in the moment of a kill: one each at most.
    expect(found.size - kept.length - appended.length).toBeLessThanOrEqual(kills + guards.length);
    const database = new DatabaseSync(journalPath(paths), { readOnly: true });
    expect(database.prepare("PRAGMA integrity_check").all()).toEqual([{ integrity_check: "ok" }]);
    database.close();
    expect(readdirSync(join(state, "journal")).filter((name) => name.includes("corrupt"))).toEqual([]);
    // It was a fight: kills in the middle of it, and rotations.
    expect(writers.filter(({ lines }) => lines.some((line) => line.startsWith("kept "))).length).toBeGreaterThan(kills / 4);
    expect(appended.length).toBeGreaterThan(500);
    expect(statSync(spoolPath(paths)).size).toBeLessThan(appended.length * 100);
    process.stdout.write(
      `seed ${seed}: ${kills} kills, ${kept.length} records and ${appended.length} lines acknowledged, ${found.size} found\n`,
    );
  } finally {
    for (const { child } of running) child.kill("SIGKILL");
    await Promise.all([...running].map(({ closed }) => closed));
    rmSync(state, { recursive: true, force: true });
  }
});

/** How often each record is in the journal: by its id, or an escape's reason. */
function keysIn(paths: Paths): ReadonlyMap<string, number> {
  const database = new DatabaseSync(journalPath(paths), { readOnly: true, timeout: 5_000 });
  try {
    const keys = new Map<string, number>();
    const rows = database.prepare(
      "SELECT id AS key FROM invocations UNION ALL SELECT json_extract(record, '$.reason') AS key FROM entries",
    );
    for (const row of rows.iterate()) {
      const key = String(row["key"]);
      keys.set(key, (keys.get(key) ?? 0) + 1);
    }
    return keys;
  } finally {
    database.close();
  }
}
