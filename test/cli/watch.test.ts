/** `status --watch` and the line about waiting, built, on a real pseudo-terminal and through pipes, with a daemon that comes, goes and hangs. */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { createInterface } from "node:readline";
import xterm from "@xterm/headless";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { StatusReport } from "../../contract/api.ts";
import { type RunningCache, startCache } from "../fixtures/caches/start.ts";
import { startTerminal, type Terminal } from "../fixtures/pty-line/pty.ts";
import { built, makeStage, type Stage } from "../fixtures/stage.ts";
import { makeFakeBazel } from "../fixtures/tools/fake-bazel.ts";

let cache: RunningCache;
let stage: Stage;
beforeAll(async () => {
  cache = await startCache({ kind: "grpc" });
  const tools = join(cache.dir, "tools");
  makeFakeBazel(tools);
  const nodes = [{ name: "cache", addresses: ["127.0.0.1"], tags: ["tag:bazel-cache"] }];
  stage = await makeStage([tools], { grpcPorts: [cache.port], httpPorts: [], tailnet: { nodes } });
  await stage.flywheel(["up"]);
});
afterAll(async () => {
  await stage.dispose();
  await cache.dispose();
});

function terminal(
  file: string,
  args: readonly string[],
  more: { rows?: number; cols?: number; env?: Readonly<Record<string, string>> } = {},
): Terminal {
  const { env, ...size } = more;
  return startTerminal(file, args, { env: { ...stage.env, TERM: "xterm-256color", ...env }, cwd: stage.dir, ...size });
}

/** What stands on the screen when all of it has been drawn. */
async function screenOf(output: string, { cols, rows }: { readonly cols: number; readonly rows: number }): Promise<string[]> {
  const screen = new xterm.Terminal({ cols, rows, allowProposedApi: true });
  await new Promise<void>((resolve) => screen.write(output, resolve));
  return Array.from({ length: rows }, (_, row) => screen.buffer.active.getLine(row)?.translateToString(true) ?? "");
}

describe("status --watch on a terminal", () => {
  it("draws each change in place, counts ages on, outlives the daemon, and ends at Ctrl-C with 0", async () => {
    const size = { cols: 100, rows: 30 };
    await using watching = terminal(built.flywheel, ["status", "--watch"], size);
    await watching.until(/attached.*grpc:/);
    const first = Number(/proved (\d+) s ago/.exec(watching.output())?.[1]);
    await watching.until(new RegExp(`proved ${first + 1} s ago`));
    await stage.down();
    await watching.until(/the daemon has stopped; this waits for one: flywheel up/);
    await stage.flywheel(["up"]);
    const { length } = watching.output();
    await watching.until(new RegExp(`^[^]{${length},}attached.*grpc:[^]*escapes[^]*2026l$`));
    watching.write("\u0003");
    const { exitCode, output } = await watching.ended;
    expect(exitCode).toBe(0);
    const rows = await screenOf(output, size);
    // In place: however often it was drawn, it stands there once, from the first row.
    expect(rows[0]).toMatch(/^flywheel {2}local-proof/);
    expect(rows.filter((row) => row.startsWith("flywheel  "))).toHaveLength(1);
    expect(rows.join("\n")).not.toContain("this waits for one");
    // Never a moment without content: nothing is cleared but what stands behind the new lines.
    expect(output).not.toContain("\u001b[2J");
  });

  it("on a small screen says what is left out, and is whole again after a resize", async () => {
    await using watching = terminal(built.flywheel, ["status", "-w"], { cols: 60, rows: 6 });
    await watching.until(/… \d+ more lines: flywheel status/);
    const rows = await screenOf(watching.output(), { cols: 60, rows: 6 });
    expect(rows[0]).toMatch(/^flywheel {2}local-proof/);
    expect(rows[4]).toMatch(/^… \d+ more lines: flywheel status$/);
    watching.resize(100, 40);
    await watching.until(/escapes {2}none/);
    watching.write("\u0003");
    expect((await watching.ended).exitCode).toBe(0);
  });
});

function piped(args: readonly string[]): {
  readonly child: ChildProcess;
  line(test: (line: string) => boolean): Promise<string>;
  stderr(): string;
} {
  const child = spawn(built.flywheel, args, { env: stage.env, cwd: stage.dir, stdio: ["ignore", "pipe", "pipe"] });
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  let stderr = "";
  child.stderr.setEncoding("utf8").on("data", (text: string) => {
    stderr += text;
  });
  const line = async (test: (line: string) => boolean): Promise<string> => {
    for (;;) {
      const next = await lines.next();
      if (next.done === true) throw new Error(`it ended without that line: ${stderr}`);
      if (test(next.value)) return next.value;
    }
  };
  return { child, line, stderr: () => stderr };
}

describe("status --watch through a pipe", () => {
  it("prints one JSON object a line as it changes", async () => {
    const { child, line, stderr } = piped(["status", "--watch", "--json"]);
    const read = (text: string) => JSON.parse(text) as StatusReport;
    expect(read(await line(() => true))).toMatchObject({ schema: 1, bazel: { state: "attached" }, configuration: null });
    const detached = line((text) => read(text).detached);
    await stage.flywheel(["detach"]);
    expect(read(await detached)).toMatchObject({ profileState: "unattached" });
    const gone = line((text) => read(text).daemon === null);
    await stage.down();
    await gone;
    const back = line((text) => read(text).bazel.state === "attached");
    await stage.flywheel(["up"]);
    await back;
    child.kill("SIGINT");
    expect(await once(child, "exit")).toEqual([0, null]);
    expect(stderr()).toBe("");
  });

  it("prints whole frames with their time, no escape sequence, and ends when its reader goes away", async () => {
    const { child, line } = piped(["status", "--watch"]);
    expect(await line(() => true)).toMatch(/^── \d{4}-\d\d-\d\d \d\d:\d\d:\d\d ──$/);
    expect(await line((text) => text.includes("escapes"))).toBe("  escapes  none");
    child.stdout?.destroy();
    const ended = once(child, "exit");
    await stage.flywheel(["detach"]);
    await stage.flywheel(["up"]);
    expect(await ended).toEqual([0, null]);
  });
});

describe("while the daemon hangs", () => {
  const line = /\rasking the daemon … \d\.\d s/;
  let pid: number;
  beforeAll(async () => {
    pid = (JSON.parse((await stage.flywheel(["status", "--json"])).stdout) as StatusReport).daemon?.pid ?? 0;
    process.kill(pid, "SIGSTOP");
  });
  afterAll(() => void process.kill(pid, "SIGCONT"));

  it("a terminal is told what is waited for, and the line is gone before the answer", async () => {
    await using waiting = terminal(built.flywheel, ["status"]);
    const { output, exitCode } = await waiting.ended;
    expect(output).toMatch(line);
    // No earlier than half a second.
    expect(/… (\d\.\d) s/.exec(output)?.[1]).toMatch(/^0\.[5-9]$/);
    expect(exitCode).toBe(0);
    const rows = await screenOf(output, { cols: 100, rows: 30 });
    expect(rows[0]).toMatch(/^flywheel {2}/);
    expect(rows.join("\n")).not.toContain("asking");
  });

  it.each([
    { args: ["detach"], words: "asking the daemon" },
    { args: ["down"], words: "asking the daemon to stop" },
    { args: ["trust", "tailnet"], words: "asking which tailnet this is" },
    { args: ["attach", "grpc://127.0.0.1:1"], words: "proving the endpoint" },
    { args: ["up"], words: "looking for a cache" },
    // Of another profile nothing is published, so that the daemon has to be asked.
    { args: ["--profile", "gloriousflywheel", "doctor"], words: "looking around" },
    { args: ["explain", "--", "bazel", "build", "//x"], words: "asking what is attached", env: { GF_PROFILE: "gloriousflywheel" } },
    { args: ["env", "--devshell", "enter", "--shell", "bash"], words: "looking for a cache" },
  ])("so is whoever calls $args", async ({ args, words, env = {} }) => {
    await using waiting = terminal(built.flywheel, args, { env });
    const { output } = await waiting.ended;
    expect(output).toMatch(new RegExp(`\\r${words} … 0\\.[5-9] s`));
    const rows = await screenOf(output, { cols: 100, rows: 30 });
    expect(rows.join("\n")).not.toMatch(/ … \d/);
  });

  it.each([{ CI: "true" }, { TERM: "dumb" }])("not with %o", async (env) => {
    await using waiting = terminal(built.flywheel, ["status"], { env });
    expect((await waiting.ended).output).not.toContain("asking");
  });

  it("a pipe sees nothing of it", async () => {
    const { stderr } = await stage.flywheel(["status"]);
    expect(stderr).toBe("");
    expect((await stage.flywheel(["detach"])).stderr).not.toContain("asking");
  });

  it("the guard says that it waits, takes the line back, and refuses; through a pipe it says only that", async () => {
    // Another profile: nothing is published for it, so that sh asks the guard.
    const env = { GF_PROFILE: "gloriousflywheel" };
    await using waiting = terminal(join(built.shim, "bazel"), ["build", "//x"], { env });
    const { output, exitCode } = await waiting.ended;
    expect(exitCode).toBe(78);
    expect(output).toMatch(/\rflywheel: waiting for an attachment … 0\.[5-9] s/);
    // biome-ignore lint/suspicious/noControlCharactersInRegex: what takes the line back
    expect(output).toMatch(/ s\r\u001b\[Kflywheel: refused bazel build: /);
    const child = spawn(join(built.shim, "bazel"), ["build", "//x"], {
      env: { ...stage.env, ...env },
      cwd: stage.dir,
      stdio: ["ignore", "pipe", "pipe"],
    });
    const said: string[] = [];
    for (const stream of [child.stdout, child.stderr]) stream.setEncoding("utf8").on("data", (text: string) => said.push(text));
    await once(child, "close");
    expect(said.join("")).toMatch(/^flywheel: refused bazel build: /);
  });
});
