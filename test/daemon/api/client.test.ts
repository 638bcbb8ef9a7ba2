import { execFile } from "node:child_process";
import {
  chmodSync,
  chownSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterEach, beforeEach, expect, test } from "vitest";
import { parseSpoolLine, type SpoolEntry } from "../../../contract/journal.ts";
import { attachmentPath, type Paths, spoolPath } from "../../../contract/paths.ts";
import { type Published, serializePublished } from "../../../contract/published.ts";
import { noTrust } from "../../../contract/trust.ts";
import { readClock } from "../../../daemon/api/client/clock.ts";
import { ensureRuntimeDirectory, inspectRuntimeDirectory } from "../../../daemon/api/client/directory.ts";
import { readPublished } from "../../../daemon/api/client/published.ts";
import { loadConfig, loadProfile } from "../../../daemon/api/client/settings.ts";
import { appendInvocation, appendSpool, readSpool } from "../../../daemon/api/client/spool.ts";
import { changeTrust, readTrust } from "../../../daemon/api/client/trust.ts";
import { invocation } from "../../fixtures/journal/records.ts";

const run = promisify(execFile);
const root = join(import.meta.dirname, "../../..");
const nobody = 65_534;

let dir: string;
let paths: Paths;

beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), "gf-client-"));
  paths = { config: join(dir, "config"), state: join(dir, "state"), runtime: join(dir, "run") };
});
afterEach(() => rmSync(dir, { recursive: true, force: true }));

test("the clock is the boot's where there is a /proc", () => {
  const clock = readClock();
  if (process.platform !== "linux") return expect(clock.source).toBe("wall");
  expect(clock).toEqual({ source: "boot", bootId: expect.stringMatching(/^[0-9a-f-]{36}$/), seconds: expect.any(Number) });
  expect(Math.abs(clock.seconds - Number(readFileSync("/proc/uptime", "utf8").split(".")[0]))).toBeLessThanOrEqual(1);
});

test("the runtime directory is made private, and one that others could use is refused", () => {
  ensureRuntimeDirectory(join(dir, "a/b/run"));
  expect(statSync(join(dir, "a/b/run")).mode & 0o777).toBe(0o700);
  expect(statSync(join(dir, "a")).mode & 0o777).toBe(0o700);
  expect(inspectRuntimeDirectory(paths.runtime)).toMatchObject({ ok: false, fault: "absent" });
  symlinkSync(join(dir, "a"), paths.runtime);
  expect(inspectRuntimeDirectory(paths.runtime)).toMatchObject({ ok: false, fault: "symlink" });
  rmSync(paths.runtime);
  writeFileSync(paths.runtime, "");
  expect(() => ensureRuntimeDirectory(paths.runtime)).toThrow(expect.objectContaining({ code: "runtime-directory-unsafe" }));
  rmSync(paths.runtime);
  mkdirSync(paths.runtime);
  for (const mode of [0o777, 0o770, 0o705, 0o755]) {
    chmodSync(paths.runtime, mode);
    expect(inspectRuntimeDirectory(paths.runtime)).toMatchObject({ ok: false, fault: "mode", next: `chmod 700 ${paths.runtime}` });
  }
  const spaced = join(dir, "a b");
  mkdirSync(spaced);
  chmodSync(spaced, 0o755);
  expect(inspectRuntimeDirectory(spaced)).toMatchObject({ next: `chmod 700 '${spaced}'` });
});

test.runIf(process.getuid?.() === 0)("as an ordinary user: another's runtime directory, and one that cannot be made", async () => {
  chmodSync(dir, 0o755);
  mkdirSync(paths.runtime, { mode: 0o700 });
  const script = `
    const { ensureRuntimeDirectory } = await import(${JSON.stringify(join(root, "daemon/api/client/directory.ts"))});
    for (const path of process.argv.slice(1)) {
      try { ensureRuntimeDirectory(path); console.log("ok"); } catch (error) { console.log(error.code, error.message); }
    }`;
  const own = join(dir, "own");
  mkdirSync(own);
  chownSync(own, nobody, nobody);
  const args = ["--input-type=module", "-e", script, paths.runtime, join(dir, "new"), join(own, "run")];
  const { stdout } = await run(process.execPath, args, { uid: nobody, gid: nobody, cwd: "/", env: {} });
  const [foreign, unmakable, fine] = stdout.split("\n");
  expect(foreign).toMatch(/^runtime-directory-unsafe .*belongs to another user \(uid 0\)/);
  expect(unmakable).toMatch(/^runtime-directory-unsafe .*cannot be created \(EACCES\)/);
  expect(fine).toBe("ok");
});

function publish(change: Partial<Published> = {}): string {
  const now = readClock();
  const published: Published = {
    kind: "bazel",
    profile: "default",
    state: "unattached",
    mode: "compatibility-local-only",
    endpoint: undefined,
    aliases: [],
    verified: now.seconds,
    validUntil: now.seconds + 45,
    clock: now.source,
    bootId: now.bootId,
    pid: 1,
    upload: false,
    slow: false,
    reason: "nothing",
    ...change,
  };
  const file = attachmentPath(paths, "default", "bazel");
  mkdirSync(join(paths.runtime, "attachment/default"), { recursive: true, mode: 0o700 });
  chmodSync(paths.runtime, 0o700);
  writeFileSync(file, serializePublished(published), { mode: 0o600 });
  return file;
}

test("a published file is live, stale, absent or unbelievable", () => {
  const read = (now = readClock()) => readPublished(paths, "default", "bazel", now);
  expect(read()).toEqual({ state: "absent" });
  const file = publish();
  const now = readClock();
  expect(read(now)).toMatchObject({ state: "live", published: { reason: "nothing" } });
  expect(read({ ...now, seconds: now.seconds + 60 })).toMatchObject({ state: "stale", fault: expect.stringContaining("lease ended") });
  expect(read({ ...now, bootId: "00000000-0000-0000-0000-000000000000" })).toMatchObject({ state: "stale" });
  expect(readPublished(paths, "default", "nix", now)).toEqual({ state: "absent" });
  publish({ profile: "other" });
  expect(read()).toMatchObject({ state: "unbelievable" });
  writeFileSync(file, `${readFileSync(file, "utf8")}reason $(touch /tmp/x)\n`);
  expect(read()).toMatchObject({ state: "unbelievable", fault: expect.stringContaining("doubled") });
  writeFileSync(file, "x".repeat(9_000));
  expect(read()).toMatchObject({ state: "unbelievable", fault: expect.stringContaining("too long") });
});

test("a published file that others could have written is unbelievable", () => {
  const read = () => readPublished(paths, "default", "bazel", readClock());
  const file = publish();
  chmodSync(file, 0o622);
  expect(read()).toMatchObject({ state: "unbelievable", fault: expect.stringContaining("written by other users") });
  rmSync(file);
  symlinkSync("/etc/passwd", file);
  expect(read()).toMatchObject({ state: "unbelievable", fault: expect.stringContaining("symbolic link") });
  rmSync(file);
  publish();
  chmodSync(join(paths.runtime, "attachment"), 0o777);
  expect(read()).toMatchObject({ state: "unbelievable" });
  chmodSync(join(paths.runtime, "attachment"), 0o700);
  expect(read()).toMatchObject({ state: "live" });
  chmodSync(paths.runtime, 0o750);
  expect(read()).toMatchObject({ state: "unbelievable" });
});

test("settings: absent is the default, malformed names file and line, too large is refused", () => {
  expect(loadConfig(paths).guard.scope).toBe("enrolled");
  expect(loadProfile(paths, "default").name).toBe("default");
  expect(() => loadProfile(paths, "nobody")).toThrow(/no profile named nobody/);
  expect(() => loadProfile(paths, "../config")).toThrow(/no profile name/);
  mkdirSync(paths.config);
  const file = join(paths.config, "config.toml");
  writeFileSync(file, '[guard]\nscope = "some"\n');
  expect(() => loadConfig(paths)).toThrow(
    expect.objectContaining({ code: "config-invalid", message: expect.stringContaining(`${file}:2:`) }),
  );
  truncateSync(file, 2_000_000);
  expect(() => loadConfig(paths)).toThrow(/larger than 1 MiB/);
  rmSync(file);
  mkdirSync(file);
  expect(() => loadConfig(paths)).toThrow(/cannot be read/);
});

test("trust is changed in one step, kept private, and a malformed file is never overwritten", async () => {
  expect(readTrust(paths)).toEqual(noTrust);
  const entry = { profile: "default", name: "a", magicDnsSuffix: "b.ts.net", at: "now" };
  await changeTrust(paths, (trust) => ({ ...trust, tailnets: [...trust.tailnets, entry] }));
  expect(readTrust(paths).tailnets).toEqual([entry]);
  const file = join(paths.config, "trust.json");
  expect(statSync(file).mode & 0o777).toBe(0o600);
  writeFileSync(file, '{"v":1,"tailnets":[]}');
  await expect(changeTrust(paths, () => noTrust)).rejects.toMatchObject({ code: "config-invalid", message: expect.stringContaining(file) });
  expect(readFileSync(file, "utf8")).toBe('{"v":1,"tailnets":[]}');
});

const entry: SpoolEntry = {
  v: 1,
  at: "2026-11-20T12:00:00.000Z",
  kind: "escape",
  tool: "bazel",
  command: "build",
  workspace: "/w",
  profile: "default",
  reason: "because",
};

test("the spool is read newest first; broken lines are counted and cost nothing else", () => {
  expect(readSpool(paths, { limit: 10 })).toEqual({ entries: [], malformed: 0 });
  appendSpool(paths, entry);
  writeFileSync(spoolPath(paths), '{"v":1,"at":"cut o', { flag: "a" });
  appendSpool(paths, { ...entry, reason: "second" });
  const { entries, malformed } = readSpool(paths, { limit: 10 });
  expect(entries.map((one) => one.reason)).toEqual(["second", "because"]);
  expect(malformed).toBe(1);
  expect(statSync(spoolPath(paths)).mode & 0o777).toBe(0o600);
  expect(readSpool(paths, { limit: 1 }).entries).toHaveLength(1);
});

test("an entry that is too long is cut, and stays one line", () => {
  const long = "\u0001\n".repeat(5_000);
  appendSpool(paths, { ...entry, reason: long, workspace: long, command: long, tool: long });
  const text = readFileSync(spoolPath(paths), "utf8");
  expect(text.length).toBeLessThanOrEqual(4096);
  expect(readSpool(paths, { limit: 1 }).entries[0]?.reason.startsWith("\u0001\n")).toBe(true);
});

test("what ran is appended beside it, and is none of the entries; a file begins with a line that no other has", () => {
  const long = "\ud800".repeat(5_000);
  const lost = { at: null, reason: long };
  appendInvocation(paths, invocation("a", { workspace: long, tally: { state: "unknown", why: long }, lost }));
  appendSpool(paths, entry);
  expect(readSpool(paths, { limit: 10 })).toEqual({ entries: [entry], malformed: 0 });
  const lines = readFileSync(spoolPath(paths), "utf8").trimEnd().split("\n");
  expect(lines.map((line) => parseSpoolLine(line)?.kind)).toEqual(["spool", "invocation", "escape"]);
  for (const line of lines) expect(line.length).toBeLessThan(8192);
  expect(() => appendInvocation(paths, invocation("b", { startedAt: "never" }))).toThrow(expect.objectContaining({ code: "internal" }));
  truncateSync(spoolPath(paths));
  appendSpool(paths, entry);
  expect(readFileSync(spoolPath(paths), "utf8").split("\n")[0]).not.toBe(lines[0]);
});

test("guards that append at once mix no lines", async () => {
  const script = `
    const { appendSpool } = await import(${JSON.stringify(join(root, "daemon/api/client/spool.ts"))});
    for (let i = 0; i < 100; i += 1) appendSpool(${JSON.stringify(paths)}, { ...${JSON.stringify(entry)}, reason: "x".repeat(i * 10) });`;
  await Promise.all([1, 2, 3].map(() => run(process.execPath, ["--input-type=module", "-e", script])));
  const { entries, malformed } = readSpool(paths, { limit: 1_000 });
  expect({ entries: entries.length, malformed }).toEqual({ entries: 300, malformed: 0 });
});

test("the spool is rotated when it is full", () => {
  appendSpool(paths, entry);
  truncateSync(spoolPath(paths), 5 * 1_048_576);
  appendSpool(paths, { ...entry, reason: "last of the old" });
  appendSpool(paths, { ...entry, reason: "first of the new" });
  expect(readSpool(paths, { limit: 10 }).entries.map((one) => one.reason)).toEqual(["first of the new"]);
  expect(statSync(spoolPath(paths).replace(".jsonl", ".1.jsonl")).size).toBeGreaterThan(5 * 1_048_576);
});

test("a state directory that cannot be written is said so", () => {
  writeFileSync(paths.state, "");
  expect(() => appendSpool(paths, entry)).toThrow(expect.objectContaining({ code: "state-directory-unusable" }));
});
