/**
 * Bounds: whatever stands in the place of a file that is read costs a message, not the machine; a tailnet of 100,000
 * peers costs no more than its useful part; and nothing is written outside our own directories.
 *
 * Shown elsewhere: a LocalAPI that answers without end or hangs (test/daemon/tailnet/client.test.ts), a cache that
 * does (test/daemon/probe/http.test.ts, grpc.test.ts), a request's body, connections and slow readers of the socket
 * (test/daemon/api/server.test.ts), a message of the bus (test/daemon/tailnet/client.test.ts).
 */
import { execFileSync } from "node:child_process";
import { closeSync, ftruncateSync, mkdirSync, openSync, rmSync, symlinkSync } from "node:fs";
import { dirname, join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { type Home, makeHome, type Ran } from "../cli/flywheel.ts";
import { longestHang } from "../fixtures/guarded.ts";

const sparse = "a sparse file of 1 TiB";

/** What may come to stand where a file is expected. */
const intruders: readonly (readonly [string, (path: string) => void])[] = [
  ["a FIFO that nobody writes to", (path) => execFileSync("mkfifo", [path])],
  ["a link to /dev/zero", (path) => symlinkSync("/dev/zero", path)],
  [
    sparse,
    (path) => {
      const opened = openSync(path, "w", 0o600);
      ftruncateSync(opened, 2 ** 40);
      closeSync(opened);
    },
  ],
  ["a directory", (path) => mkdirSync(path)],
];

let home: Home;
beforeEach(() => {
  home = makeHome();
  for (const directory of [home.config, home.state, home.runtime]) mkdirSync(directory, { mode: 0o700 });
  mkdirSync(join(home.dir, "work/.git"), { recursive: true });
});
afterEach(() => home.remove());

/** The guard's slow path, which starts no daemon where CI is set. */
const build = (): Promise<Ran> =>
  home.flywheel(["guard", "--tool", "bazel", "--", "build", "//x"], {
    cwd: join(home.dir, "work"),
    env: { CI: "1", GF_GUARD_SCOPE: "all", PWD: join(home.dir, "work") },
  });

/** Of these only the end is read, however long they are. */
const readAtTheEnd: readonly string[] = ["state/journal/spool.jsonl", "state/daemon.log"];

interface Reading {
  /** Below the home. */
  readonly file: string;
  readonly read: () => Promise<Ran>;
  /** What is said of it, and with which exit code. */
  readonly code: number;
  readonly says: RegExp;
}

const readings: readonly Reading[] = [
  { file: "config/config.toml", read: build, code: 0, says: /refused bazel build: .*config\.toml cannot be read/ },
  { file: "config/profiles/default.toml", read: build, code: 0, says: /refused bazel build: .*default\.toml cannot be read/ },
  {
    file: "config/trust.json",
    read: () => home.flywheel(["trust", "key", keyOf("a"), "--yes"]),
    code: 1,
    says: /trust\.json cannot be read/,
  },
  { file: "work/tinyland.repo.json", read: build, code: 0, says: /refused bazel build: .*tinyland\.repo\.json cannot be read/ },
  { file: "work/.env.flywheel.local", read: build, code: 0, says: /refused bazel build: .*\.env\.flywheel\.local: it (cannot be read|is)/ },
  {
    file: "work/.env.flywheel.local",
    read: () => home.flywheel(["trust", "file", join(home.dir, "work/.env.flywheel.local"), "--yes"]),
    code: 1,
    says: /\.env\.flywheel\.local cannot be read/,
  },
  { file: "run/attachment/default/bazel", read: () => home.flywheel(["status"]), code: 3, says: /unattached/ },
  { file: "state/journal/spool.jsonl", read: () => home.flywheel(["history"]), code: 1, says: /spool\.jsonl cannot be read/ },
  { file: "state/daemon.log", read: () => home.flywheel(["logs"]), code: 1, says: /daemon\.log is no file/ },
  {
    file: ".bashrc",
    read: () => home.flywheel(["shim", "install", "--shell", "bash", "--dry-run"]),
    code: 1,
    says: /\.bashrc cannot be read/,
  },
];

function keyOf(name: string): string {
  return `${name}:${"A".repeat(43)}=`;
}

describe.each(intruders)("%s", (what, put) => {
  test.each(readings)("as $file: a message, and no hang", async ({ file, read, code, says }) => {
    const path = join(home.dir, file);
    mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
    rmSync(path, { recursive: true, force: true });
    put(path);
    const started = performance.now();
    const ran = await read();
    expect(performance.now() - started, what).toBeLessThan(longestHang);
    if (what !== sparse || !readAtTheEnd.includes(file)) {
      expect(`${ran.stdout}${ran.stderr}`).toMatch(says);
      expect(ran.exitCode, ran.stderr).toBe(code);
    }
    expect(ran.stderr).not.toMatch(/^ {4}at /m);
  });
});
