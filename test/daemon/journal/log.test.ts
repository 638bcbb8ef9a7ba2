import { mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { type SpoolEntry, summaryOf } from "../../../contract/journal.ts";
import { createLog, LogFile } from "../../../daemon/journal/log.ts";

let dir: string;
let file: string;
let faults: (string | undefined)[];
const open = (limit?: number): LogFile => new LogFile(file, (fault) => faults.push(fault), limit);
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), "gf-log-"));
  file = join(dir, "state/daemon.log");
  faults = [];
});
afterEach(() => rmSync(dir, { recursive: true, force: true }));

test("lines are on the disk as soon as they are logged, for the user alone", () => {
  const log = createLog(open(), "info");
  log.info("first");
  log.debug("unseen");
  log.warn("second");
  const lines = readFileSync(file, "utf8")
    .trimEnd()
    .split("\n")
    .map((line) => JSON.parse(line));
  expect(lines).toEqual([expect.objectContaining({ msg: "first", pid: process.pid }), expect.objectContaining({ msg: "second" })]);
  expect(statSync(file).mode & 0o777).toBe(0o600);
  expect(statSync(join(dir, "state")).mode & 0o777).toBe(0o700);
});

test("it is rotated when it is full, and when it is found full", () => {
  const line = `${"x".repeat(99)}\n`;
  const log = open(1_000);
  for (let count = 0; count < 25; count += 1) log.write(line);
  log.close();
  expect(statSync(file).size).toBeLessThanOrEqual(1_000);
  expect(statSync(`${file}.1`).size).toBe(1_100);
  writeFileSync(file, "y".repeat(2_000));
  open(1_000).write(line);
  expect(readFileSync(file, "utf8")).toBe(line);
  expect(readFileSync(`${file}.1`, "utf8")).toBe("y".repeat(2_000));
});

test("what cannot be written is lost and said once; a symbolic link is not followed", () => {
  mkdirSync(join(dir, "state"));
  symlinkSync(join(dir, "elsewhere"), file);
  const log = open();
  log.write("one\n");
  log.write("two\n");
  expect(faults).toEqual([expect.stringContaining("daemon.log cannot be written (ELOOP)")]);
});

const entry = (kind: SpoolEntry["kind"], at: Date, reason: string): SpoolEntry => ({
  v: 1,
  at: at.toISOString(),
  kind,
  tool: "bazel",
  command: "test",
  workspace: "/w",
  profile: "default",
  reason,
});

test("escapes are counted since midnight, and refusals by themselves", () => {
  const now = new Date(2026, 10, 20, 0, 30);
  const minutesAgo = (minutes: number): Date => new Date(now.getTime() - minutes * 60_000);
  const entries = [
    entry("refusal", minutesAgo(1), "no"),
    entry("escape", minutesAgo(10), "late"),
    entry("escape", minutesAgo(40), "early"),
  ];
  expect(summaryOf(entries, "escape", now)).toEqual({
    today: 1,
    last: { at: minutesAgo(10).toISOString(), reason: "late", command: "bazel test" },
  });
  expect(summaryOf(entries, "refusal", now)).toMatchObject({ today: 1, last: { reason: "no" } });
  expect(summaryOf([], "escape", now)).toEqual({ today: 0, last: null });
});
