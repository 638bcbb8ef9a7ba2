/** `flywheel shell` on a terminal: the session, the title and the line before a prompt, and how it ends. */
import { realpathSync } from "node:fs";
import { constants } from "node:os";
import { setTimeout as pause } from "node:timers/promises";
import type { Environment } from "../../contract/environment.ts";
import type { Context } from "../context.ts";
import { readStatus } from "../status/report.ts";
import type { Entered } from "./environment.ts";
import { Follower } from "./follow.ts";
import { shellVariable } from "./nested.ts";
import type { ShellProgram } from "./program.ts";
import type { End } from "./pty.ts";
import { startSession } from "./session.ts";
import { Terminal } from "./terminal.ts";
import { popTitle, pushTitle, Title, takesTitle } from "./title.ts";
import { statusLine, summary, titleWords } from "./words.ts";

export interface Shown {
  /** A line about the attachment before each prompt. */
  readonly status: "shown" | "hidden";
  readonly title: "ours" | "left-alone";
}

/** How long the last look at the status may keep somebody who has left: milliseconds. */
const lastLook = 500;

/**
 * @returns the shell's exit code; where a signal ended it, this process dies by the same
 * @throws FlywheelError `internal` where there is no pseudoterminal for this platform
 */
export async function runShell(
  { env, output, paths, profile }: Context,
  shell: ShellProgram,
  { environment, report }: Entered,
  shown: Shown,
): Promise<number> {
  const startedAt = new Date();
  const terminal = new Terminal();
  const title = shown.title === "ours" && takesTitle(env["TERM"]) ? new Title(titleWords(report)) : undefined;
  const paint = output.noticePaint;
  const told = { [shellVariable]: String(process.pid), ...shell.told };
  const session = startSession(
    { file: shell.file, args: shell.args, env: { ...environment, ...told }, cwd: directoryNow(env) },
    {
      terminal,
      mark: shell.mark,
      opening: title === undefined ? "" : pushTitle,
      closing: title === undefined ? "" : popTitle,
      watcher: {
        beforePrompt: () => {
          follower.poke();
          const line = shown.status === "shown" ? statusLine(follower, { paint, columns: terminal.size.columns || 80 }) : "";
          return { title: title?.atPrompt() ?? "", line };
        },
        titleTaken: () => title?.taken(),
        between: () => title?.due() ?? "",
      },
    },
  );
  const follower = new Follower(paths, profile, {
    report,
    changed: () => {
      title?.want(titleWords(follower.report));
      session.poke();
    },
  });
  const end = await session.ended;
  follower.close();
  const last = await within(lastLook, readStatus(paths, profile));
  const words = last === undefined ? undefined : summary(report, last, startedAt);
  if (words !== undefined) output.notice(words);
  return endedAs(end);
}

/** The working directory as the user's shell names it, links and all, where that is still the same place. */
function directoryNow(env: Environment): string {
  const here = process.cwd();
  const named = env["PWD"];
  try {
    return named?.startsWith("/") === true && realpathSync(named) === realpathSync(here) ? named : here;
  } catch {
    return here;
  }
}

/** @returns undefined where it fails, or takes longer */
async function within<T>(milliseconds: number, promise: Promise<T>): Promise<T | undefined> {
  const stop = new AbortController();
  try {
    return await Promise.race([promise, pause(milliseconds, undefined, { signal: stop.signal })]);
  } catch {
    return undefined;
  } finally {
    stop.abort();
  }
}

/** By these a process leaves a picture of its memory behind, and that would be ours. */
const withCore: readonly number[] = (
  ["SIGQUIT", "SIGILL", "SIGTRAP", "SIGABRT", "SIGBUS", "SIGFPE", "SIGSEGV", "SIGSYS", "SIGXCPU", "SIGXFSZ"] as const
).map((name) => constants.signals[name]);

async function endedAs(end: End): Promise<number> {
  if (end.kind === "exited") return end.code;
  if (!withCore.includes(end.signal)) {
    process.kill(process.pid, end.signal);
    // It comes at once, unless it is one that this process was told to ignore.
    await pause(1_000);
  }
  return 128 + end.signal;
}
