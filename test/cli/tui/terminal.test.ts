/** What the screen does to its terminal: never more than it may, and nothing that stays. */
import { mkdirSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { execa } from "execa";
import { expect, test } from "vitest";
import type { StatusReport } from "../../../contract/api.ts";
import { built } from "../../fixtures/stage.ts";
import { start, type TestTerminal } from "../../fixtures/terminal/terminal.ts";
import { type ToldDaemon, toldDaemon } from "./daemon.ts";
import { attached, building, ended, localProof, running, unattachedAt } from "./reports.ts";

/** Everything that erases the whole screen: ED 2 and 3, and ED 0 from the first cell. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: escape sequences are what this counts
const fullClears = /\u001b\[[23]J|\u001b\[(?:1;1)?H\u001b\[0?J/g;

function clears(text: string): number {
  return [...text.matchAll(fullClears)].length;
}

/** The shell around it says what it found once it was over: whether lines are read and echoed as before. */
function topInShell(daemon: ToldDaemon, before = ""): TestTerminal {
  const script = `echo before it; ${before}"$0" top; code=$?; stty -a | grep -ow -e -icanon -e icanon -e -echo -e echo | tr '\\n' ' '; echo "ended with $code"`;
  return start(["/bin/sh", "-c", script, built.flywheel], { env: daemon.env, cwd: daemon.dir });
}

async function expectRestored(terminal: TestTerminal, code: number): Promise<void> {
  const screen = await terminal.untilText(`ended with ${code}`);
  expect(terminal.onAlternateScreen).toBe(false);
  expect(terminal.bracketsPastes).toBe(false);
  expect(screen[0]).toBe("before it");
  expect(terminal.written.lastIndexOf("\u001b[?25h")).toBeGreaterThan(terminal.written.lastIndexOf("\u001b[?25l"));
  expect(screen.join(" ")).toContain("icanon echo ended");
  expect(screen.join(" ")).not.toMatch(/-icanon|-echo/);
}

test("it never clears the screen after its first frame but for a resize, however much changes", async () => {
  await using daemon = await toldDaemon(attached);
  await using top = daemon.top();
  await top.untilText("pid 4242");
  const first = top.written.length;
  const reports: StatusReport[] = [localProof, building, unattachedAt("connect"), unattachedAt("authority"), attached];
  for (const [at, report] of [...reports, ...reports].entries()) {
    const pid = 5000 + at;
    daemon.tell({ ...report, daemon: { pid, version: "0.1.0", startedAt: "2026-11-20T07:00:00Z", faults: [] } });
    await top.untilText(`pid ${pid}`);
  }
  top.type("?");
  await top.untilText(/^ Keys/);
  top.type("?");
  await top.untilText("Candidates");
  expect(clears(top.written.slice(first))).toBe(0);
  expect(top.scrollback()).toEqual([]);
});

test("it draws itself anew at each size, never as high as the terminal, and says what it left out", async () => {
  await using daemon = await toldDaemon(unattachedAt("connect"));
  await using top = daemon.top();
  await top.untilText("pid 4242");
  for (const [cols, rows, seen] of [
    [60, 15, "not shown: builds (Tab)"],
    [250, 70, "whois"],
    [80, 24, "refusals"],
    [120, 12, "not shown:"],
    [30, 6, "✗ Bazel UNATTACHED"],
    [20, 3, "✗ Nix UNATTACHED"],
    [80, 24, "refusals"],
  ] as const) {
    const text = seen === "whois" ? "it was shared in from another tailnet" : seen;
    top.resize({ cols, rows });
    const screen = await top.until(
      `${text} at ${cols}×${rows}`,
      (now) => now.some((row) => row.includes(text)) && now.filter((row) => /UNATTACHED|U N A T|✗ unattached/.test(row)).length <= 2,
    );
    expect(screen.at(-1)).toBe("");
    expect(screen.filter((row) => row.includes("pid 4242")).length).toBeLessThanOrEqual(1);
  }
  expect(top.screen().filter((row) => row.includes("? help"))).toHaveLength(1);
});

for (const [name, end, code] of [
  ["q", (top: TestTerminal) => top.type("q"), 0],
  ["Ctrl-C", (top: TestTerminal) => top.type("\u0003"), 0],
] as const) {
  test(`the terminal is as it was after ${name}`, async () => {
    await using daemon = await toldDaemon(attached);
    await using shell = topInShell(daemon);
    await shell.untilText("pid 4242");
    expect(shell.onAlternateScreen).toBe(true);
    end(shell);
    await expectRestored(shell, code);
  });
}

for (const [signal, code] of [
  ["SIGTERM", 143],
  ["SIGHUP", 129],
  ["SIGINT", 130],
] as const) {
  test(`the terminal is as it was after ${signal}`, async () => {
    await using daemon = await toldDaemon(attached);
    // The shell that waits for it outlives the signal, which goes to flywheel alone.
    await using shell = topInShell(daemon, `trap : ${signal.slice(3)}; `);
    await shell.untilText("pid 4242");
    process.kill(await childOf(shell), signal);
    await expectRestored(shell, code);
  });
}

test("the terminal is as it was after a crash, and what happened is said there", async () => {
  await using daemon = await toldDaemon(attached);
  await using shell = topInShell(daemon);
  await shell.untilText("pid 4242");
  // No daemon says this: nothing of the screen is prepared for it.
  daemon.tell(JSON.parse(JSON.stringify({ ...attached, candidates: null })) as StatusReport);
  await expectRestored(shell, 1);
  expect(shell.screen().join(" ")).toContain("flywheel: the screen could not be drawn: ");
  expect(shell.screen().join(" ")).toContain("next: flywheel status");
});

test("Ctrl-Z gives the terminal to the shell, fg takes it again", async () => {
  await using daemon = await toldDaemon(attached);
  await using shell = start(["/bin/bash", "--norc", "--noprofile", "-i"], { env: { ...daemon.env, PS1: "$ " }, cwd: daemon.dir });
  await shell.untilText(/^\$/);
  shell.type(`${built.flywheel} top\r`);
  await shell.untilText("pid 4242");
  shell.type("\u001a");
  await shell.untilText(/Stopped/);
  expect(shell.onAlternateScreen).toBe(false);
  expect(shell.bracketsPastes).toBe(true); // bash's own
  shell.type("echo $((6*7))\r");
  await shell.untilText(/^42$/);
  shell.type("fg\r");
  await shell.until("drawn again", (screen, { onAlternateScreen }) => onAlternateScreen && screen.some((row) => row.includes("pid 4242")));
  shell.type("?");
  await shell.untilText(/^ Keys/);
  shell.type("\u001a");
  await shell.until(
    "stopped again",
    (screen, { onAlternateScreen }) => !onAlternateScreen && screen.filter((row) => row.includes("Stopped")).length === 2,
  );
  shell.type("fg\r");
  await shell.until("drawn again", (screen, { onAlternateScreen }) => onAlternateScreen && screen.some((row) => row.startsWith(" Keys")));
  shell.type("qq");
  await shell.until("back in bash", (screen, { onAlternateScreen }) => !onAlternateScreen && screen.findLast((row) => row !== "") === "$");
  shell.type("exit\r");
  expect((await shell.exit()).exitCode).toBe(0);
});

test("NO_COLOR: no colour at all, and every word and mark still there", async () => {
  await using daemon = await toldDaemon(unattachedAt("connect"));
  await using top = daemon.top({ env: { NO_COLOR: "1" } });
  const screen = await top.untilText("pid 4242");
  const coloured = top
    .cells()
    .flatMap((row) => row.filter(({ foreground, background }) => foreground.is !== "default" || background.is !== "default"));
  expect(coloured).toEqual([]);
  expect(screen.join("\n")).toContain("✗  U N A T T A C H E D");
  expect(screen.join("\n")).toContain("✗ connect 3/6");
});

test("each state has its colour, and text of its own on it: also on a light background", async () => {
  await using daemon = await toldDaemon(attached);
  await using top = daemon.top();
  for (const [report, word, colour] of [
    [attached, "A T T A C H E D", 2],
    [localProof, "L O C A L   P R O O F", 6],
    [{ ...attached, bazel: { ...attached.bazel, health: "degraded" } }, "D E G R A D E D", 3],
    [unattachedAt("route"), "U N A T T A C H E D", 1],
    [{ ...unattachedAt("route"), bazel: { ...unattachedAt("route").bazel, unsettled: true } }, "L O O K I N G", 3],
    [{ ...unattachedAt("route"), detached: true }, "D E T A C H E D", 1],
  ] as const) {
    daemon.tell(report);
    const screen = await top.until(word, ([, , row]) => row?.includes(`  ${word}`) === true);
    const cell = top.cells()[2]?.[screen[2]?.indexOf(word) ?? 0];
    expect(cell?.background, word).toEqual({ is: "palette", index: colour });
    expect(cell?.foreground.is, word).toBe("palette");
  }
});

test("what a tailnet or a cache calls itself can do nothing to the screen, and wide letters keep their columns", async () => {
  const hostile = "\u001b[2J\u001b]0;owned\u0007\u202ecache\u0000\r\n缓存节点".repeat(12);
  await using daemon = await toldDaemon({
    ...attached,
    bazel: { ...attached.bazel, node: hostile },
    tailnet: { ...attached.tailnet, name: hostile },
    recent: [ended({ workspace: `/home/me/${hostile}`, tool: "缓存" }), ended({ id: "2" })],
  });
  await using top = daemon.top();
  const screen = await top.untilText("pid 4242");
  expect(top.written).not.toContain("\u001b]0;");
  expect(clears(top.written)).toBe(0);
  expect(screen).toHaveLength(24);
  expect(top.scrollback()).toEqual([]);
  const [nix, other] = ["https://nix-cache.example.ts.net/main", "cache-2.example.ts.net"].map((text) => columnOf(top, text));
  expect(other).toBe(nix);
  expect(screen.find((row) => row.includes("缓存") && row.includes("11-20 11:40"))).toBeDefined();
});

/** The cell in which the text begins. */
function columnOf(top: TestTerminal, text: string): number | undefined {
  for (const row of top.cells()) {
    const found = row.findIndex((_cell, at) =>
      row
        .slice(at)
        .map((cell) => cell.text)
        .join("")
        .startsWith(text),
    );
    if (found >= 0) return found;
  }
  return undefined;
}

test("a screen reader hears sentences, each once, and again only what changed", async () => {
  await using daemon = await toldDaemon(attached);
  await using top = daemon.top({ cols: 160, env: { INK_SCREEN_READER: "true" } });
  await top.untilText("Bazel: attached: grpc://100.64.0.7:9092, node cache-1.example.ts.net, direct 192.0.2.7:41641.");
  expect(top.onAlternateScreen).toBe(false);
  expect(top.written).not.toMatch(/[─█▁▸]/);
  daemon.tell({ ...attached, bazel: { ...attached.bazel, proofAgeS: 0, latencyMs: 9 }, running: [running()] });
  await top.untilText("bazel build runs in /home/me/src/widgets.");
  const screen = top.screen().join("\n");
  expect(screen.match(/Bazel: attached/g)).toHaveLength(1);
  expect(screen.match(/Tailnet:/g)).toHaveLength(1);
  top.type("d");
  await top.untilText("detach? heavy commands are refused");
  top.type("nq");
  expect((await top.exit()).exitCode).toBe(0);
});

test("the ages count up by themselves", async () => {
  await using daemon = await toldDaemon(attached);
  await using top = daemon.top();
  await top.untilText("proved 3 s ago");
  await top.untilText("proved 4 s ago");
  await top.untilText("proved 5 s ago");
  expect(daemon.asked).toEqual([]);
});

test("the daemon goes, the screen says so; it comes, the screen is back by itself", async () => {
  await using daemon = await toldDaemon(attached);
  await using top = daemon.top();
  await top.untilText("pid 4242");
  for (const pid of [4343, 4444]) {
    await daemon.down();
    await top.untilText("N O   D A E M O N");
    daemon.tell({ ...attached, daemon: { pid, version: "0.1.0", startedAt: "2026-11-20T07:00:00Z", faults: [] } });
    await daemon.up();
    await top.untilText(`pid ${pid}`);
  }
});

test("flywheel alone is top on a terminal, and status where it is none, under CI, or with --json", async () => {
  await using daemon = await toldDaemon(attached);
  await using alone = start([built.flywheel], { env: daemon.env, cwd: daemon.dir });
  await alone.until("the screen", (screen, { onAlternateScreen }) => onAlternateScreen && screen.some((row) => row.includes("pid 4242")));
  for (const [args, env] of [
    [[], { CI: "1" }],
    [[], { TERM: "dumb" }],
    [["--json"], {}],
  ] as const) {
    await using status = start([built.flywheel, ...args], { env: { ...daemon.env, ...env }, cwd: daemon.dir, rows: 60, cols: 200 });
    expect((await status.exit()).exitCode).toBe(0);
    expect(status.written).not.toContain("\u001b[?1049h");
    expect(status.screen().join("\n")).toContain("grpc://100.64.0.7:9092");
  }
  const piped = await execa(built.flywheel, [], { env: daemon.env, extendEnv: false, stdin: "ignore" });
  expect(piped.stdout).toContain("shared-cache-backed");
  const refused = await execa(built.flywheel, ["top"], { env: daemon.env, extendEnv: false, stdin: "ignore", reject: false });
  expect(refused).toMatchObject({ exitCode: 2, stdout: "" });
  expect(refused.stderr).toContain("next: flywheel status");
});

test("status loads nothing of Ink, top does", async () => {
  await using daemon = await toldDaemon(attached);
  const loaded = async (name: string, run: (env: Readonly<Record<string, string>>) => Promise<unknown>): Promise<readonly string[]> => {
    const coverage = join(daemon.dir, name);
    mkdirSync(coverage);
    // Node writes down which scripts it ran.
    await run({ ...daemon.env, NODE_V8_COVERAGE: coverage });
    const files = readdirSync(coverage).map(
      (file) => JSON.parse(readFileSync(join(coverage, file), "utf8")) as { result: { url: string }[] },
    );
    return files.flatMap(({ result }) => result.map(({ url }) => url)).filter((url) => url.includes("/dist/lib/"));
  };
  const hasInk = (url: string): boolean => readFileSync(new URL(url), "utf8").includes("ink-virtual-text");
  const status = await loaded("status", (env) => execa(built.flywheel, ["status", "--json"], { env, extendEnv: false }));
  const top = await loaded("top", async (env) => {
    await using terminal = start([built.flywheel, "top"], { env, cwd: daemon.dir });
    await terminal.untilText("pid 4242");
    terminal.type("q");
    await terminal.exit();
  });
  expect(status.length).toBeGreaterThan(1);
  expect(status.filter(hasInk)).toEqual([]);
  expect(top.filter(hasInk)).toHaveLength(1);
});

test("stopped by another process, it gives the terminal back too", async () => {
  await using daemon = await toldDaemon(attached);
  await using shell = start(["/bin/bash", "--norc", "--noprofile", "-i"], { env: { ...daemon.env, PS1: "$ " }, cwd: daemon.dir });
  await shell.untilText(/^\$/);
  shell.type(`${built.flywheel} top\r`);
  await shell.untilText("pid 4242");
  process.kill(await childOf(shell), "SIGTSTP");
  await shell.untilText("Stopped");
  expect(shell.onAlternateScreen).toBe(false);
  shell.type("fg\r");
  await shell.until("drawn again", (screen, { onAlternateScreen }) => onAlternateScreen && screen.some((row) => row.includes("pid 4242")));
});

/** What the shell runs. */
async function childOf(shell: TestTerminal): Promise<number> {
  const { stdout } = await execa("pgrep", ["-P", String(shell.pid)]);
  return Number(stdout.trim().split("\n")[0]);
}
