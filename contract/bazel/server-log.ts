/**
 * The log of a Bazel server, `<output_base>/java.log`: which commands it was asked for, when each came and was
 * done. It holds the caller's environment too, which is neither kept nor shown. Pure; never throws.
 */

/** One command of a server. Times are milliseconds of the server's local time, read as if that were UTC. */
export interface Execution {
  /** The thread that runs it: with `arrived`, unique. */
  readonly thread: number;
  readonly command: string;
  readonly arrived: number;
  /** When its client was started: it had a server to find, or to start, before it could ask. */
  readonly began: number;
  /** Undefined while it runs, and for ever where the server died under it. */
  readonly finished: number | undefined;
  /** Options of rc files, `1:build:ci=--disk_cache=/x`, in their order. */
  readonly overrides: readonly string[];
  /** The directory it was called in and its arguments, joined by `, `: nothing tells a comma of theirs from one between them. */
  readonly called: string;
  /** Bazel's own name for how it failed, `BUILD_FAILURE`: 4 and newer say it. */
  readonly exit: string | undefined;
}

export interface ServerLog {
  /** In the order of arrival. */
  readonly executions: readonly Execution[];
  /** Of the first and the last line with a time. */
  readonly first: number | undefined;
  readonly last: number | undefined;
}

interface Open {
  readonly thread: number;
  readonly arrived: number;
  /** The request, by lines: a string that grows would be copied for each of them. */
  readonly lines: string[];
  /** Of all lines: characters. */
  length: number;
  /** Whether the directory, which comes behind the environment, was met. */
  placed: boolean;
  finished: number | undefined;
  exit: string | undefined;
}

const longestRequest = 1_048_576;

/** @param text a log, or the end of one from any byte on */
export function readServerLog(text: string): ServerLog {
  const all: Open[] = [];
  const running = new Map<number, Open>();
  /** Whose request goes on in the next line: a variable of the environment may have many. */
  let open: Open | undefined;
  let [first, last]: [number | undefined, number | undefined] = [undefined, undefined];
  for (const line of text.split("\n")) {
    const match = /^(\d\d)(\d\d)(\d\d) (\d\d):(\d\d):(\d\d)\.(\d{3}):[A-Z]+ (\d{1,9}) \[(\S{1,300})\] (.*)$/.exec(line);
    if (match === null) {
      if (open !== undefined && !goesOn(open, line)) open = undefined;
      continue;
    }
    open = undefined;
    const [year = 0, month = 0, day = 0, hour = 0, minute = 0, second = 0, milli = 0, thread = 0] = match.slice(1, 9).map(Number);
    const [, , , , , , , , , place = "", message = ""] = match;
    const at = Date.UTC(2000 + year, month - 1, day, hour, minute, second, milli);
    first ??= at;
    last = at;
    if (place.endsWith(".GrpcServerImpl.executeCommand") && message.startsWith("[")) {
      const one: Open = { thread, arrived: at, lines: [], length: 0, placed: false, finished: undefined, exit: undefined };
      all.push(one);
      running.set(thread, one);
      if (goesOn(one, message)) open = one;
    } else if (place.endsWith(".BlazeCommandDispatcher.exec")) {
      const exit = /^Exit status was (?:DetailedExitCode\{exitCode=)?([A-Z_]{1,64})\b/.exec(message)?.[1];
      const one = running.get(thread);
      if (exit !== undefined && one !== undefined) one.exit = exit;
    } else if (place.endsWith(".CommandManager$RunningCommand.close") && message.startsWith("Finished command ")) {
      const one = running.get(thread);
      if (one !== undefined) one.finished = at;
      running.delete(thread);
    }
  }
  return { executions: all.map(executionOf), first, last };
}

/** Takes the next line of a request. The directory and the arguments come last. @returns whether more may follow */
function goesOn(open: Open, line: string): boolean {
  open.lines.push(line);
  open.length += line.length + 1;
  open.placed ||= line.includes(", --client_cwd=");
  return !(open.placed && line.endsWith("]")) && open.length < longestRequest;
}

function executionOf({ thread, arrived, finished, exit, lines }: Open): Execution {
  const words = lines
    .join("\n")
    .replace(/\]\s*$/, "")
    .slice(1);
  const command = words.split(", ", 1)[0] ?? "";
  // The client's order: what it measured, the rc files' options, the environment, the directory, the arguments.
  const environment = words.indexOf(", --client_env=");
  const directory = words.lastIndexOf(", --client_cwd=");
  const head = words.slice(0, environment < 0 ? Math.max(0, directory) : environment);
  const waited = Number(/, --startup_time=(\d{1,9})\b/.exec(head)?.[1] ?? 0);
  return {
    ...{ thread, command, arrived, began: arrived - waited, finished, exit },
    overrides: [...head.matchAll(/, --default_override=(\S*?=.*?)(?=, --|$)/gs)].map((match) => match[1] ?? ""),
    called: directory < 0 ? "" : words.slice(directory + ", --client_cwd=".length),
  };
}

/** What the guard appends, and the user may have written himself: it says nothing of whose command line it is. */
const ours =
  /^--(?:remote_cache=|remote_accept_cached$|remote_upload_local_results=|remote_executor=|nobuild_event_\w+_file_path_conversion$)/;

/** A command line as its user wrote it, whether the guard has added its own by then or not. */
export function plainCall(directory: string, args: readonly string[]): string {
  return plain([directory, ...args].join(", "));
}

/** @param call of `plainCall` */
export function isCalledAs({ called }: Execution, call: string): boolean {
  return plain(called) === call;
}

function plain(called: string): string {
  return called
    .split(", ")
    .filter((word) => !ours.test(word))
    .join(", ");
}

/** Whether it was called there, and was given that cache last. */
export function isGiven({ called }: Execution, directory: string, endpoint: string): boolean {
  if (!called.startsWith(`${directory}, `)) return false;
  return (
    called
      .split(", ")
      .findLast((word) => word.startsWith("--remote_cache="))
      ?.endsWith(`=${endpoint}`) === true
  );
}
