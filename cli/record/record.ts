/** `flywheel exec --record`: stays beside a guarded tool, and writes down how it went. */
import { randomUUID } from "node:crypto";
import { type FSWatcher, watch, writeSync } from "node:fs";
import { join } from "node:path";
import { isatty } from "node:tty";
import { stripVTControlCharacters } from "node:util";
import { FlywheelError } from "../../contract/errors.ts";
import { hitShare } from "../../contract/hit-share.ts";
import type { Invocation } from "../../contract/invocation.ts";
import { isNixName } from "../../contract/nix/commands.ts";
import { largestMark, parseMark, type RunningMark, runningDirectory } from "../../contract/running.ts";
import { printable } from "../../contract/text.ts";
import { duration, percent } from "../../contract/words.ts";
import { readBounded } from "../../daemon/api/client/bounded.ts";
import { isErrno } from "../../daemon/api/client/errno.ts";
import { appendInvocation } from "../../daemon/api/client/spool.ts";
import { recordVariable } from "../../shim/fast-path/names.ts";
import { findWorkspace } from "../../shim/scope.ts";
import type { Context } from "../context.ts";
import { withChosenProfile } from "../profile.ts";
import { environmentOf, replaceProcess, shimOf } from "../tool.ts";
import { bazelRecorder } from "./bazel.ts";
import { type Ending, runBeside } from "./child.ts";
import { nixRecorder } from "./nix.ts";
import type { Recorder } from "./recorder.ts";

/** @returns the tool's exit code; one that a signal ended ends this process by the same */
export async function record(tool: string, args: readonly string[], context: Context): Promise<number> {
  const { env, cwd, home, paths, profile, profileChoice, output } = context;
  const shim = shimOf(tool);
  const id = randomUUID();
  const { root } = findWorkspace(cwd, env["PWD"]);
  const toolEnv = { ...withChosenProfile(env, profileChoice), GF_GUARD_SCOPE: "all" };
  let pid: number | undefined;
  let mark: RunningMark | undefined;
  // Looked for when it is written, and where that was not heard of, at the end.
  const look = (): RunningMark | undefined => {
    if (pid !== undefined) mark ??= markOf(join(paths.runtime, runningDirectory), pid, id);
    return mark;
  };
  const endpoint = (): string | undefined => look()?.endpoint;
  const recorder: Recorder | undefined = isNixName(tool)
    ? nixRecorder(tool, args, { show, endpoint, marked: () => look() !== undefined })
    : bazelRecorder(args, { cwd, root, home: env["HOME"] || home, runtime: paths.runtime }, id);
  // What builds nothing has nothing to record.
  if (recorder === undefined) return replaceProcess(shim, args, toolEnv);
  let ending: Ending;
  let watcher: FSWatcher | undefined;
  try {
    ending = await runBeside({
      file: shim,
      args: recorder.args,
      env: environmentOf({ ...toolEnv, [recordVariable]: id }),
      stderr: recorder.stderr,
      onStarted: (child) => {
        pid = child.pid;
        watcher = watched(join(paths.runtime, runningDirectory), look);
        recorder.follow(child);
      },
    });
    const reading = await recorder.read(ending);
    if (reading.ran) {
      const invocation: Invocation = {
        id,
        tool,
        command: printable(recorder.command, 64),
        workspace: printable(root, 1024),
        profile,
        endpoint: reading.endpoint === undefined ? (endpoint() ?? null) : reading.endpoint,
        startedAt: ending.startedAt.toISOString(),
        endedAt: new Date(ending.startedAt.getTime() + ending.wallMs).toISOString(),
        wallMs: ending.wallMs,
        exitCode: ending.code,
        outcome: reading.outcome,
        tally: reading.tally,
        lost: null,
        recordedBy: "exec",
      };
      output.notice(`flywheel: ${keep(invocation, context)} ${sentence(invocation)}`);
    }
  } finally {
    watcher?.close();
    recorder.close();
  }
  // Only now: nothing behind it runs.
  if (ending.signal !== undefined) process.kill(process.pid, ending.signal);
  return ending.code;
}

/** Past Node's stream, which would leave a pipe that the tool writes to as well non-blocking. */
function show(line: string): void {
  const plain = isatty(2) ? line : stripVTControlCharacters(line);
  for (let rest: Uint8Array = Buffer.from(`${plain}\n`); rest.length > 0; ) {
    try {
      rest = rest.subarray(writeSync(2, rest));
    } catch (error) {
      // Somebody else left it non-blocking: its reader is slow. Anything else: nobody reads it any more.
      if (!isErrno(error) || error.code !== "EAGAIN") return;
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 5);
    }
  }
}

/** What could not be written down is said: the record was asked for. */
function keep(invocation: Invocation, { paths, output }: Context): "recorded" | "NOT RECORDED:" {
  try {
    appendInvocation(paths, invocation);
    return "recorded";
  } catch (error) {
    if (!(error instanceof FlywheelError)) throw error;
    output.notice(`flywheel: ${error.message}${error.next === undefined ? "" : `\n  next: ${error.next}`}`);
    return "NOT RECORDED:";
  }
}

/** The daemon may have taken the mark away by the time that the tool's end is heard of here. */
function watched(directory: string, look: () => void): FSWatcher | undefined {
  try {
    return watch(directory, { persistent: false }, look).on("error", () => {});
  } catch {
    // Where there is none, no daemon takes anything away.
    return undefined;
  }
}

/** Another command may have had the number: only a mark that names this record is this one's. */
function markOf(directory: string, pid: number, record: string): RunningMark | undefined {
  try {
    const mark = parseMark(String(pid), readBounded(join(directory, String(pid)), largestMark).toString("utf8"));
    return mark?.record === record ? mark : undefined;
  } catch {
    return undefined;
  }
}

/** `bazel build: 18 hits of 20 (90 %), 2 misses, 1.24 s, exit 0`. */
function sentence({ tool, command, tally, wallMs, exitCode }: Invocation): string {
  const facts: string[] = [];
  if (tally.state === "unknown") facts.push(`hits unknown (${tally.why})`);
  else {
    const { hits, misses, other } = tally.counts;
    const share = hitShare(tally.counts);
    facts.push(
      share === undefined ? "no actions ran" : `${hits} ${hits === 1 ? "hit" : "hits"} of ${hits + misses + other} (${percent(share)})`,
    );
    if (misses > 0) facts.push(misses === 1 ? "1 miss" : `${misses} misses`);
    if (other > 0) facts.push(`${other} from another cache`);
    if (tally.doubt !== null) facts.push(`not to be believed: ${tally.doubt}`);
  }
  return `${tool === command ? tool : `${tool} ${command}`}: ${[...facts, duration(wallMs ?? 0), `exit ${exitCode}`].join(", ")}`;
}
