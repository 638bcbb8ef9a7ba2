/** The daemon, its log, and the versions of what runs. */
import { type DaemonReport, type RunningReport, rereadNext } from "../../contract/api.ts";
import { FlywheelError } from "../../contract/errors.ts";
import { logPath, type Paths } from "../../contract/paths.ts";
import { printable } from "../../contract/text.ts";
import { version } from "../../contract/version.ts";
import { localTime } from "../../contract/words.ts";
import { lastLines } from "../log/file.ts";
import { type LogEntry, parseLogLine } from "../log/view.ts";
import type { Facts } from "./facts.ts";
import { type Check, checksOf } from "./report.ts";

const { ok, warn, fail } = checksOf("daemon");

/** Errors of the log count for this long: milliseconds. */
const lately = 3_600_000;
/** So much of the log's end is looked at: lines. */
const logLines = 1000;

export function checkDaemon({ status, paths }: Facts): readonly Check[] {
  return [...(status.ok ? answering(status.value.daemon, status.value, paths) : [silent(status.error)]), ...checkLog(paths)];
}

function answering(
  daemon: DaemonReport | null,
  status: { tailnet: { next: string | null }; running: readonly RunningReport[] },
  paths: Paths,
): Check[] {
  if (daemon === null) {
    // The words are those of the status without a daemon; which of the two it is, its next step tells.
    const next = status.tailnet.next;
    if (next === null || next === "flywheel up")
      return [
        warn("daemon", "no daemon is running", {
          reason: "what it would know is missing below; the guard starts one when a heavy command needs it",
          next: "flywheel up",
        }),
      ];
    return [fail("daemon", "the daemon does not answer", { reason: `its socket is in ${paths.runtime}`, next })];
  }
  return [
    ok("daemon", `running, pid ${daemon.pid}, version ${printable(daemon.version, 40)}`, { since: daemon.startedAt }),
    ...daemon.faults.map((fault) =>
      warn("daemon-fault", printable(fault, 600), { next: fault.endsWith(rereadNext) ? rereadNext : "flywheel logs" }),
    ),
    ...(status.running.length === 0
      ? []
      : [
          ok("running", `${status.running.length} guarded ${status.running.length === 1 ? "command runs" : "commands run"} now`, {
            reason: status.running.map((one) => printable(`${one.tool} ${one.command} (pid ${one.pid})`, 80)).join(", "),
          }),
        ]),
  ];
}

function silent(error: FlywheelError): Check {
  return fail("daemon", "the daemon cannot be asked", { reason: printable(error.message, 400), next: error.next ?? "flywheel logs" });
}

function checkLog(paths: Paths): Check[] {
  const file = logPath(paths);
  let lines: readonly string[] | undefined;
  try {
    lines = lastLines(file, logLines);
  } catch (error) {
    if (!(error instanceof FlywheelError)) throw error;
    return [warn("log", printable(error.message, 400), { next: error.next ?? `look at ${file}` })];
  }
  if (lines === undefined) return [];
  const errors = lines
    .map(parseLogLine)
    .filter((entry): entry is LogEntry => entry !== undefined && (entry.level === "error" || entry.level === "fatal"))
    .filter((entry) => entry.time !== undefined && Date.now() - entry.time.getTime() < lately);
  const last = errors.at(-1);
  if (last === undefined) return [ok("log", "no errors in its log within the last hour")];
  return [
    warn("log", `${errors.length} ${errors.length === 1 ? "error" : "errors"} in its log within the last hour`, {
      since: errors[0]?.time?.toISOString() ?? null,
      reason: `the last, ${localTime(last.time?.toISOString() ?? "")}: ${printable(last.message, 300)}`,
      next: "flywheel logs",
    }),
  ];
}

export function checkVersions({ status }: Facts): readonly Check[] {
  const versions = checksOf("versions");
  const daemon = status.ok ? status.value.daemon : null;
  const checks = [versions.ok("versions", `flywheel ${version}, Node ${process.versions.node}, ${process.platform} ${process.arch}`)];
  if (daemon !== null && daemon.version !== version) {
    checks.push(
      versions.warn("version-skew", `the daemon that runs is version ${printable(daemon.version, 40)}, this is ${version}`, {
        since: daemon.startedAt,
        next: "flywheel down && flywheel up",
      }),
    );
  }
  return checks;
}
