/** What passes through `flywheel shell`: bytes, keys, sizes, signals, exactly as they would without it. */
import { createCipheriv, createHash } from "node:crypto";
import { readFileSync, readlinkSync } from "node:fs";
import { setTimeout as pause } from "node:timers/promises";
import { execa } from "execa";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { startInPty } from "../../../cli/shell/pty.ts";
import { programOnPath, required } from "../../fixtures/peers.ts";
import { built } from "../../fixtures/stage.ts";
import { ask, followingShells, type House, makeHouse, prompt, ready } from "./house.ts";

let house: House;
beforeEach(() => {
  house = makeHouse();
});
afterEach(() => house[Symbol.dispose]());

/** The same on each run, and like nothing that compresses or repeats. */
function pseudoRandom(length: number): Buffer {
  return createCipheriv("aes-128-ctr", Buffer.alloc(16, 1), Buffer.alloc(16, 2)).update(Buffer.alloc(length));
}

const sha256 = (bytes: Buffer): string => createHash("sha256").update(bytes).digest("hex");

describe("many bytes", () => {
  const megabytes = 50;
  const whole = pseudoRandom(megabytes * 1_048_576);

  /** The shell in a terminal that nothing interprets: 50 MB of noise would ask an emulator for answers. */
  function raw() {
    const env = { ...house.env, SHELL: "/usr/bin/bash" };
    const pty = startInPty({ file: built.flywheel, args: ["shell"], env, cwd: house.dir }, { columns: 80, rows: 24 });
    pty.stream.on("error", () => {});
    const chunks: Buffer[] = [];
    pty.stream.on("data", (chunk: Buffer) => void chunks.push(chunk));
    /** Resolves with all that came once it ends so. */
    const until = async (end: string, least = 0): Promise<Buffer> => {
      const { promise, resolve, reject } = Promise.withResolvers<Buffer>();
      const timer = setTimeout(() => reject(new Error(`never came to ${end}: ${Buffer.concat(chunks).subarray(-300)}`)), 60_000);
      const look = (): void => {
        const length = chunks.reduce((sum, chunk) => sum + chunk.length, 0);
        const tail = Buffer.concat(chunks.slice(-8));
        if (length >= least && tail.includes(end)) resolve(Buffer.concat(chunks));
      };
      pty.stream.on("data", look);
      look();
      return promise.finally(() => {
        clearTimeout(timer);
        pty.stream.off("data", look);
      });
    };
    return {
      pty,
      until,
      [Symbol.asyncDispose]: async () => {
        pty.stream.destroy();
        await pty.ended;
      },
    };
  }

  test("50 MB come out as they went in, while the reader stalls; and memory does not grow", { timeout: 120_000 }, async () => {
    house.write("noise", whole);
    await using session = raw();
    await session.until(prompt);
    const before = memoryOf(session.pty.pid);
    session.pty.keys.write("stty -opost; printf 'be''gin'; cat noise; printf 'e''nd'; stty opost\r");
    await session.until("begin");
    session.pty.stream.pause();
    await readingStops(session.pty.pid);
    expect(memoryOf(session.pty.pid) - before).toBeLessThan(24 * 1_048_576);
    session.pty.stream.resume();
    const written = await session.until("end", whole.length);
    const from = written.indexOf("begin") + "begin".length;
    const got = written.subarray(from, from + whole.length);
    expect([got.length, sha256(got)]).toEqual([whole.length, sha256(whole)]);
    expect(written.subarray(from + whole.length, from + whole.length + 3).toString()).toBe("end");
    expect(memoryOf(session.pty.pid) - before).toBeLessThan(48 * 1_048_576);
  });

  // What a terminal keeps that nobody reads (64 KiB) and up to more than flywheel itself keeps (256 KiB).
  test.each([64, 72, 270])("%i KiB written right before the end are there, however late they are read", async (size) => {
    const last = whole.subarray(0, size * 1024);
    house.write("last", last);
    await using session = raw();
    await session.until(prompt);
    session.pty.keys.write("stty -opost -echo; printf 'be''gin'; read line; cat last; exit 0\r");
    await session.until("begin");
    session.pty.stream.pause();
    session.pty.keys.write("\n");
    // Nobody holds the terminal inside any more; and then as long as a reader may well take.
    while ((await execa("pgrep", ["-P", String(session.pty.pid)], { reject: false })).stdout !== "") await pause(20);
    await pause(300);
    session.pty.stream.resume();
    expect(await session.pty.ended).toEqual({ kind: "exited", code: 0 });
    const written = await session.until("", last.length);
    const from = written.indexOf("begin") + "begin".length;
    expect(written.subarray(from).includes(last)).toBe(true);
  });

  test("a paste of 50 MB arrives whole, however late it is read; and memory does not grow", { timeout: 120_000 }, async () => {
    await using session = raw();
    await session.until(prompt);
    const before = memoryOf(session.pty.pid);
    session.pty.keys.write(
      `stty raw -echo; printf 'be''gin'; while ! [ -e late ]; do sleep 0.1; done; head -c ${whole.length} | sha256sum; stty sane; printf 'e''nd'\r`,
    );
    await session.until("begin");
    session.pty.keys.write(whole);
    await readingStops(session.pty.pid);
    expect(memoryOf(session.pty.pid) - before).toBeLessThan(24 * 1_048_576);
    house.write("late", "");
    const written = await session.until("end");
    expect(written.subarray(written.indexOf("begin")).toString()).toContain(sha256(whole));
  });
});

/** Resident, in bytes. */
function memoryOf(pid: number): number {
  return Number(/^VmRSS:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1]) * 1024;
}

/** Resolves once a process has read nothing for a while: nobody tells when another one blocks. */
async function readingStops(pid: number): Promise<void> {
  const read = (): string => /^rchar: (\d+)/m.exec(readFileSync(`/proc/${pid}/io`, "utf8"))?.[1] ?? "";
  for (let last = "", same = 0; same < 5; await pause(50)) {
    const now = read();
    same = now === last ? same + 1 : 0;
    last = now;
  }
}

test("a bracketed paste of 1 MB is one line of bash's, and nothing of it runs before Enter", { timeout: 60_000 }, async () => {
  const text = "x".repeat(1_048_576);
  await using outer = house.flywheel("bash");
  await ready(outer);
  outer.type(`\u001b[200~pasted='${text}'\n\u001b[201~`);
  outer.type("\r");
  expect(await ask(outer, `echo "$\{#pasted}"`)).toBe(String(text.length));
});

test("colours, characters cut in two, bytes that are no UTF-8, strange sequences: all untouched", async () => {
  house.write(
    "show",
    Buffer.concat([
      Buffer.from("\u001b[38;2;1;2;3mé☃😀\u001b[0m\u001b]8;;http://x\u0007l\u001b]8;;\u0007"),
      Buffer.from([0xff, 0xc3, 0x28, 0x80, 0x9b]),
      Buffer.from("\u001b_Gi=1;AAAA\u001b\\\u001b]7717;prompt;0\u0007\u001b]0;t\u0007"),
    ]),
  );
  await using plain = house.plain("bash");
  await using outer = house.flywheel("bash");
  const shown = await ask(outer, "cat show");
  expect(shown).toBe(readFileSync(`${house.dir}/show`, "latin1"));
  expect(shown).toBe(await ask(plain, "cat show"));
});

test("the terminal inside has the modes of the one outside, also those that its user chose", async () => {
  await using outer = house.open("/bin/sh", ["-c", 'stty erase ^H intr ^X -ixon; stty -g; exec "$0" shell', built.flywheel], {
    env: { SHELL: "/usr/bin/bash" },
  });
  await ready(outer);
  const outside = /^[0-9a-f:]{40,}$/m.exec(outer.screen().replaceAll(/\n(?=[0-9a-f:]+(?:\n|$))/g, ""))?.[0];
  expect(outside).toBeDefined();
  // By a program of its own: readline gives the terminal back before it runs one.
  expect(await ask(outer, "stty -g")).toBe(outside);
});

test("a new size is known inside, and told by SIGWINCH; TERM and COLORTERM are what they were", async () => {
  await using outer = house.flywheel("bash", [], { env: { TERM: "xterm-direct", COLORTERM: "truecolor" } });
  expect(await ask(outer, "stty size")).toBe("24 80");
  expect(await ask(outer, 'echo "$TERM $COLORTERM"')).toBe("xterm-direct truecolor");
  outer.type("sh -c 'trap \"stty size; kill \\$!; exit\" WINCH; echo arm''ed; sleep 60 & wait'\r");
  await outer.until("armed");
  outer.resize(100, 40);
  await outer.until("40 100");
  expect(await ask(outer, "stty size")).toBe("40 100");
});

describe.each(followingShells)("%s and its jobs", (shell) => {
  test("Ctrl-Z stops a program, bg and fg go on, Ctrl-C ends it, Ctrl-D leaves", async ({ skip }) => {
    required(programOnPath(shell), skip);
    await using outer = house.flywheel(shell);
    await ready(outer);
    outer.type("sleep 987\r");
    await running(outer.pid, "sleep 987");
    outer.type("\u001a");
    await outer.until(/[Ss]topped|suspended/);
    expect(await ask(outer, "jobs")).toMatch(/sleep 987/);
    await ready(outer);
    outer.type("bg\r");
    await running(outer.pid, "sleep 987");
    await ready(outer);
    outer.type("fg\r");
    await running(outer.pid, "sleep 987", "in front");
    outer.type("\u0003");
    await ready(outer);
    expect(await ask(outer, "jobs | wc -l | tr -d ' '")).toBe("0");
    await ready(outer);
    outer.type("\u0004");
    expect((await outer.ended).kind).toBe("exited");
  });
});

/** Resolves once a program beneath that process runs with those words, and with `in front` has the terminal. */
async function running(pid: number, words: string, where: "anywhere" | "in front" = "anywhere"): Promise<void> {
  for (const deadline = performance.now() + 10_000; performance.now() < deadline; await pause(20)) {
    const { stdout } = await execa("ps", ["-e", "-o", "stat=,args="], { reject: false });
    const row = stdout.split("\n").find((line) => line.trim().replace(/^\S+\s+/, "") === words);
    if (row === undefined || /^\s*T/.test(row)) continue;
    if (where === "anywhere" || /^\s*\S*\+/.test(row)) return;
  }
  throw new Error(`${words} does not run ${where} beneath ${pid}`);
}

test("Ctrl-C reaches what runs, its exit code the shell, and the shell goes on", async () => {
  await using outer = house.flywheel("bash");
  await ready(outer);
  outer.type("sh -c 'trap \"echo caught; kill \\$!; exit 8\" INT; echo wait''ing; sleep 60 & wait'; echo co''de $?\r");
  await outer.until("waiting");
  outer.type("\u0003");
  await outer.until("code 8");
  expect(outer.screen()).toContain("caught");
  expect(await ask(outer, "echo still here")).toBe("still here");
});

test("stopped as a whole and continued: nothing is lost, and the terminal is raw again", async () => {
  await using outer = house.flywheel("bash");
  await ready(outer);
  const tty = readlinkSync(`/proc/${outer.pid}/fd/0`);
  process.kill(outer.pid, "SIGSTOP");
  // As a shell does that gets its terminal back.
  await execa("stty", ["-F", tty, "sane"]);
  outer.type("sleep 986\r");
  process.kill(outer.pid, "SIGCONT");
  await running(outer.pid, "sleep 986", "in front");
  expect((await execa("stty", ["-F", tty, "-a"])).stdout).toContain("-icanon");
  outer.type("\u0003");
  expect(await ask(outer, "echo went on")).toBe("went on");
});
