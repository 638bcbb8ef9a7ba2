/**
 * What `flywheel top` costs: its first frame as a whole process, and a minute of being left open, idle and while a build
 * runs. `node test/bench/top.ts [seconds]`; Linux, since it reads /proc.
 */
import { readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import type { StatusReport } from "../../contract/api.ts";
import { type ToldDaemon, toldDaemon } from "../cli/tui/daemon.ts";
import { attached, running } from "../cli/tui/reports.ts";
import type { TestTerminal } from "../fixtures/terminal/terminal.ts";
import { median } from "./measure.ts";

const seconds = Number(process.argv[2] ?? 60);
if (!Number.isInteger(seconds) || seconds < 1) {
  process.stderr.write("usage: node test/bench/top.ts [seconds]\n");
  process.exit(2);
}
const rounds = 10;
/** USER_HZ: what /proc counts time in, on every architecture that Node runs on. */
const ticksPerSecond = 100;
/** How often the daemon has something new: seconds, as its lease is renewed, and oftener while a build runs. */
const news = { idle: 15, building: 5 } as const;

const print = (what: string, figure: string): void => void process.stdout.write(`${what.padEnd(52)} ${figure.padStart(12)}\n`);

await using daemon = await toldDaemon(attached);
const compiled = join(daemon.dir, ".cache");
await firstFrames("first frame, nothing compiled before", () => rmSync(compiled, { recursive: true, force: true }));
await firstFrames("first frame, warm", () => {});
await leftOpen("idle", attached, news.idle);
await leftOpen("a build running", { ...attached, running: [running()] }, news.building);

async function firstFrames(name: string, before: () => void): Promise<void> {
  const drawn: number[] = [];
  const told: number[] = [];
  for (let round = 0; round < rounds; round += 1) {
    before();
    const started = performance.now();
    await using top = daemon.top();
    await top.until("the first cell", (screen) => screen.some((row) => row !== ""));
    drawn.push(performance.now() - started);
    await top.untilText("pid 4242");
    told.push(performance.now() - started);
    top.type("q");
    await top.exit();
  }
  print(`${name}, median of ${rounds}`, `${median(drawn).toFixed(0)} ms`);
  print("  until the daemon's word is drawn", `${median(told).toFixed(0)} ms`);
}

async function leftOpen(name: string, report: StatusReport, everyS: number): Promise<void> {
  daemon.tell(report);
  await using top = daemon.top();
  await top.untilText("pid 4242");
  // What starting costs is over by then.
  await pause(3_000);
  const before = { cpu: cpuSeconds(top), bytes: Buffer.byteLength(top.written) };
  const renewing = renew(daemon, report, everyS);
  await pause(seconds * 1000);
  clearInterval(renewing);
  const share = ((cpuSeconds(top) - before.cpu) / seconds) * 100;
  print(`${name}, ${seconds} s: of a core`, `${share.toFixed(2)} %`);
  print("  written a minute", `${Math.round(((Buffer.byteLength(top.written) - before.bytes) / seconds) * 60)} bytes`);
  print("  resident", `${residentMiB(top).toFixed(0)} MiB`);
  top.type("q");
  await top.exit();
}

function renew(of: ToldDaemon, report: StatusReport, everyS: number): NodeJS.Timeout {
  let round = 0;
  return setInterval(() => {
    round += 1;
    const trail = [...report.bazel.trail, 1.8 + (round % 3) / 10].slice(-40);
    of.tell({ ...report, bazel: { ...report.bazel, proofAgeS: 0, trail } });
  }, everyS * 1000);
}

/** proc_pid_stat(5): utime and stime, behind the name in parentheses. */
function cpuSeconds({ pid }: TestTerminal): number {
  const fields = readFileSync(`/proc/${pid}/stat`, "utf8")
    .replace(/^.*\) /s, "")
    .split(" ");
  return (Number(fields[11]) + Number(fields[12])) / ticksPerSecond;
}

function residentMiB({ pid }: TestTerminal): number {
  return Number(/^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1]) / 1024;
}
