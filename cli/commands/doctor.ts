import { fleetEnvironment } from "../../contract/environment.ts";
import { FlywheelError } from "../../contract/errors.ts";
import { Exit } from "../../contract/exit.ts";
import { policyAdvice } from "../../contract/policy.ts";
import { loadProfile } from "../../daemon/api/client/settings.ts";
import { defineCommand } from "../command.ts";
import { examine } from "../doctor/examine.ts";
import { readFacts } from "../doctor/facts.ts";
import { doctorSchema } from "../doctor/report.ts";
import { viewPolicy, viewReport } from "../doctor/view.ts";
import type { Output } from "../output/output.ts";
import { waitingFor } from "../output/progress.ts";

export default defineCommand({
  name: "doctor",
  summary: "look at everything, and say what is wrong, since when, and what to do",
  details:
    "Starts no daemon and changes nothing. Where discovery finds no cache, it prints what the tailnet's operator would add. `--gather` writes an archive for a bug report: names, addresses, tokens and home directories are replaced, what goes in is listed first, and nothing is sent anywhere.",
  options: {
    policy: { flag: "--policy", summary: "print the tailnet operator's policy lines, and nothing else" },
    probe: {
      flag: "--probe",
      summary: "also prove, now, each endpoint that config, attach or this shell names, and the profile's Nix substituter",
    },
    redact: { flag: "--redact", summary: "hide endpoints, names and addresses; always on where CI is set" },
    gather: { flag: "--gather", summary: "write an archive for a bug report" },
    output: { flag: "-o, --output <file>", summary: "with --gather: where (flywheel-doctor-<time>.tar.gz here)", completes: "file" },
    yes: { flag: "--yes", summary: "with --gather: do not ask" },
  },
  examples: [
    { line: "flywheel doctor", does: "every check, each candidate's ladder, and what to type next" },
    { line: "flywheel doctor --policy", does: "tags, grants and Services for the tailnet's policy file" },
    { line: "flywheel doctor --json", does: "the same as data; ok is false where a check failed" },
    { line: "flywheel doctor --gather", does: "list what an archive would hold, ask, and write it" },
  ],
  exits: [{ code: Exit.failed, means: "a check failed; with --gather: nothing was written" }],
  async run(context, { policy, probe, redact, gather, output: file, yes }) {
    if (!gather && (file !== undefined || yes)) {
      throw new FlywheelError("usage", "--output and --yes belong to --gather", { next: "flywheel doctor --gather" });
    }
    if (policy && (gather || probe)) {
      throw new FlywheelError("usage", "--policy stands alone", { next: "flywheel doctor --policy" });
    }
    if (policy) {
      const advice = policyAdvice(loadProfile(context.paths, context.profile), ["bazel", "nix"]);
      if (context.output.format === "json") context.output.json({ schema: doctorSchema, profile: context.profile, policy: advice });
      else context.output.line(viewPolicy(advice, context.output.paint, widthOf(context.output)).join("\n"));
      return Exit.ok;
    }
    const facts = await waitingFor(context.output, "looking around", () => readFacts(context));
    const proved = probe
      ? await waitingFor(context.output, "proving each endpoint", async () => (await import("../doctor/probe.ts")).proveNamed(facts))
      : [];
    const report = examine(facts, proved);
    if (gather) {
      const { gather } = await import("../doctor/gather.ts");
      return (await gather(context, { facts, report }, { file, yes })) ? Exit.ok : Exit.failed;
    }
    // A runner's log may be public.
    const hidden = redact || fleetEnvironment(context.env).context !== "developer-machine";
    const shown = hidden ? (await import("../doctor/redact.ts")).redactedReport(facts, report) : report;
    if (context.output.format === "json") context.output.json(shown);
    else context.output.line(viewReport(shown, context.output.paint, widthOf(context.output)));
    return report.ok ? Exit.ok : Exit.failed;
  },
});

/** The terminal's width; 80 columns where the report goes elsewhere. */
function widthOf(output: Output): number {
  return output.columns ?? 80;
}
