/** `flywheel logs`: what the daemon's log meets while somebody reads it. */
import { execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { appendFileSync, renameSync, truncateSync, unlinkSync } from "node:fs";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { type Home, makeHome } from "./flywheel.ts";

let home: Home;
beforeEach(() => {
  home = makeHome();
});
afterEach(() => home.remove());

const line = (msg: string): string => `${JSON.stringify({ level: 30, time: 1_790_000_000_000, msg })}\n`;
const messages = (stdout: string): readonly string[] =>
  stdout
    .trimEnd()
    .split("\n")
    .map((text) => text.replace(/^.*info +/, ""));

/** A reader that follows: its lines one by one, until `end`. */
async function following(args: readonly string[] = []): Promise<{ next(): Promise<string>; end(): Promise<void> }> {
  const child = spawn(process.execPath, [join(import.meta.dirname, "../../cli/main.ts"), "logs", "-f", ...args], {
    env: home.env,
    stdio: ["ignore", "pipe", "inherit"],
  });
  const exited = once(child, "exit");
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  return {
    next: async () => messages(String((await lines.next()).value))[0] ?? "",
    end: async () => {
      child.kill("SIGINT");
      await exited;
    },
  };
}

describe("the last lines", () => {
  test("reach over a rotation", async () => {
    home.write("state/daemon.log.1", line("a") + line("b"));
    home.write("state/daemon.log", line("c"));
    expect(messages((await home.flywheel(["logs", "-n", "2"])).stdout)).toEqual(["b", "c"]);
    expect(messages((await home.flywheel(["logs"])).stdout)).toEqual(["a", "b", "c"]);
  });

  test("a file larger than is read begins with a whole line", async () => {
    const long = line("x".repeat(1000));
    home.write("state/daemon.log", long.repeat(Math.ceil((9 * 1_048_576) / long.length)));
    const { stdout } = await home.flywheel(["logs", "--json", "-n", "100000"]);
    expect(stdout.startsWith(long)).toBe(true);
  });

  test("--json: a line that was cut is an object all the same", async () => {
    home.write("state/daemon.log", `{"level":30,"msg":"cu\n${line("whole")}\u001b[31m\n`);
    const lines = (await home.flywheel(["logs", "--json"])).stdout.trimEnd().split("\n");
    expect(lines.map((text) => JSON.parse(text))).toEqual([
      { malformed: '{"level":30,"msg":"cu' },
      JSON.parse(line("whole")),
      { malformed: "" },
    ]);
  });

  test("a pipe in its place is an error, and no wait", async () => {
    home.write("state/x", "");
    execFileSync("mkfifo", [join(home.state, "daemon.log")]);
    expect(await home.flywheel(["logs"])).toMatchObject({ exitCode: 1, stderr: expect.stringContaining("daemon.log is no file") });
  });
});

describe("-f", () => {
  test("what came between the last look and a rotation is not lost, however large the new file is", async () => {
    const file = home.write("state/daemon.log", line("first"));
    const reader = await following();
    try {
      expect(await reader.next()).toBe("first");
      // At once, so that no look falls between them; the new file is longer than the old one was.
      appendFileSync(file, line("before"));
      renameSync(file, `${file}.1`);
      home.write("state/daemon.log", line("after 1") + line("after 2") + line("after 3") + line("after 4"));
      for (const expected of ["before", "after 1", "after 2", "after 3", "after 4"]) expect(await reader.next()).toBe(expected);
      appendFileSync(file, line("later"));
      expect(await reader.next()).toBe("later");
    } finally {
      await reader.end();
    }
  });

  test("goes on when the file is emptied, and when it is removed and made again", async () => {
    const file = home.write("state/daemon.log", line("a longer first line"));
    const reader = await following();
    try {
      expect(await reader.next()).toBe("a longer first line");
      truncateSync(file);
      appendFileSync(file, line("emptied"));
      expect(await reader.next()).toBe("emptied");
      unlinkSync(file);
      home.write("state/daemon.log", line("again"));
      expect(await reader.next()).toBe("again");
    } finally {
      await reader.end();
    }
  });

  test("begins where there is no log yet, and with -n 0 shows only what comes", async () => {
    home.write("state/other", "");
    const fresh = await following();
    const file = home.write("state/daemon.log", line("one"));
    expect(await fresh.next()).toBe("one");
    await fresh.end();
    const none = await following(["-n", "0", "--json"]);
    // Written until it is seen: when the reader is ready, nothing tells.
    const writer = setInterval(() => appendFileSync(file, line("two")), 50);
    try {
      expect(JSON.parse(await none.next())).toMatchObject({ msg: "two" });
    } finally {
      clearInterval(writer);
      await none.end();
    }
  });
});
