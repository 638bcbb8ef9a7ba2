import type { StatusReport } from "../../contract/api.ts";
import { FlywheelError } from "../../contract/errors.ts";
import { Exit } from "../../contract/exit.ts";
import type { Paths } from "../../contract/paths.ts";
import { printable } from "../../contract/text.ts";
import { version } from "../../contract/version.ts";
import { duration } from "../../contract/words.ts";
import type { DaemonClient } from "../../daemon/api/client/connection.ts";
import { isNewer } from "../../daemon/api/client/skew.ts";
import { defineCommand } from "../command.ts";
import { runningDaemon } from "../daemon.ts";
import { waitingFor } from "../output/progress.ts";
import { choiceWords } from "../profile.ts";
import { exitOf, viewStatus } from "../status/view.ts";
import { wholeNumber } from "../values.ts";

export default defineCommand({
  name: "up",
  summary: "start the daemon and attach",
  details:
    "Waits until Bazel is attached or until it is clear why not. Ends a `flywheel detach`, and has a daemon that runs already read config.toml and the profiles again.",
  options: { timeout: { flag: "--timeout <seconds>", summary: "how long to wait, 1 to 300 (15)" } },
  examples: [
    { line: "flywheel up", does: "attach, and say how long it took" },
    { line: "flywheel up --json", does: "the status, as `flywheel status --json`" },
  ],
  exits: [
    { code: Exit.failed, means: "the daemon could not be started, or its configuration could not be read" },
    { code: Exit.notAttached, means: "Bazel is not attached; the reason is said" },
  ],
  async run({ paths, profile, profileChoice, output }, { timeout }) {
    const seconds = wholeNumber("--timeout", timeout, { least: 1, most: 300 }) ?? 15;
    const started = performance.now();
    const deadline = started + seconds * 1000;
    const report = await waitingFor(output, "looking for a cache", () =>
      attach(paths, profile, deadline).catch((error: unknown) => {
        // The daemon that answered was shutting down, so start another.
        if (error instanceof FlywheelError && error.code === "daemon-unreachable") return attach(paths, profile, deadline);
        throw error;
      }),
    );
    if (output.format === "json") output.json(report);
    else {
      output.text(viewStatus(report, output.paint));
      const words = choiceWords(profileChoice);
      if (words !== undefined) output.text(`  ${words}`);
      const running = report.daemon?.version;
      // Its service unit starts it, and would again: ensureDaemon leaves it (autostart.ts).
      if (running !== undefined && isNewer(version, running)) {
        output.notice(`the daemon's service runs flywheel ${printable(running, 40)}, older than this ${version}: flywheel service install`);
      }
      const took = duration(performance.now() - started);
      if (report.bazel.state === "attached") output.line(`  attached in ${took}`);
      else output.line(`  not attached after ${took}`);
    }
    return exitOf(report);
  },
});

/** Has a daemon attach, started where there is none. */
async function attach(paths: Paths, profile: string, deadline: number): Promise<StatusReport> {
  const daemon = await runningDaemon(paths);
  // One that ran already knows the configuration as it was when it started.
  await daemon.reload();
  const first = await daemon.up(profile);
  return first.bazel.unsettled ? settled(daemon, profile, first, deadline) : first;
}

/** The first status that is not still coming, or the last one before the deadline. */
async function settled(daemon: DaemonClient, profile: string, first: StatusReport, deadline: number): Promise<StatusReport> {
  const stop = new AbortController();
  const timer = setTimeout(() => stop.abort(), Math.max(0, deadline - performance.now()));
  let last = first;
  try {
    for await (const report of daemon.watch(profile, stop.signal)) {
      last = report;
      if (!report.bazel.unsettled) return report;
    }
  } catch (error) {
    if (!stop.signal.aborted) throw error;
  } finally {
    clearTimeout(timer);
    stop.abort();
  }
  if (performance.now() < deadline)
    throw new FlywheelError("daemon-unreachable", "the daemon stopped while it was being waited for", { next: "flywheel logs" });
  return last;
}
