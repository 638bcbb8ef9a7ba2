import { existsSync } from "node:fs";
import { type ContractReport, checkContract } from "../../contract/check.ts";
import { Exit } from "../../contract/exit.ts";
import { projectedTokenPath } from "../../contract/reapi.ts";
import { loadProfile } from "../../daemon/api/client/settings.ts";
import { defineCommand } from "../command.ts";
import { askNix } from "../nix-settings.ts";
import type { Output } from "../output/output.ts";
import { waitingFor } from "../output/progress.ts";

export default defineCommand({
  name: "contract",
  summary: "check this environment against the fleet's attachment contract",
  details:
    "Every rule of every copy of the fleet's contract script, all errors at once. It judges the variables, not the caches: what passes is consistent, and only `flywheel status` tells what is proved. The last line of a success is `Status: <mode>`.",
  options: {
    strict: { flag: "--strict", summary: "a cache is required, and on a runner one of the fleet's classes" },
    strictNix: { flag: "--strict-nix", summary: "the Nix cache and its key are required too" },
    showEndpoints: { flag: "--show-endpoints", summary: "print endpoints as they are (never in GitHub Actions)" },
  },
  examples: [
    { line: "flywheel contract", does: "is the environment free of contradictions?" },
    { line: "flywheel contract --strict", does: "may cache-backed work run in it?" },
    { line: "flywheel contract --json", does: "each error with a stable rule id" },
  ],
  exits: [{ code: Exit.failed, means: "the contract is broken" }],
  async run({ env, paths, profile, output }, { strict, strictNix, showEndpoints }) {
    const report = checkContract({
      environment: env,
      profile: loadProfile(paths, profile),
      require: { cache: strict, nix: strictNix },
      endpoints: showEndpoints ? "shown" : "redacted",
      machine: {
        nix: strictNix ? await waitingFor(output, "asking nix", () => askNix(env)) : undefined,
        projectedToken: existsSync(projectedTokenPath),
      },
    });
    if (output.format === "json") output.json(report);
    else show(report, output);
    return report.exitCode;
  },
});

/** On standard output, errors included, as the fleet's scripts do it. */
function show(report: ContractReport, output: Output): void {
  const unset = "unset";
  const rows: readonly (readonly [string, string])[] = [
    ["context", report.context],
    ["mode", report.mode],
    ["declared mode", report.declaredMode ?? unset],
    ["profile state", report.profileState ?? unset],
    ["remote cache", report.cache ?? unset],
    ["executor", report.executor ?? unset],
    ["runner class", report.runnerClass ?? unset],
    ["credentials", report.credentials],
    ["nix", report.nix.seenIn === null ? report.nix.state : `${report.nix.state} (seen in ${report.nix.seenIn})`],
  ];
  for (const [name, value] of rows) output.line(`  ${name.padEnd(14)} ${value}`);
  for (const error of report.errors) {
    output.line();
    output.line(`${output.paint.red("error:")} ${error.message} [${error.rule}]`);
    output.line(`  next: ${error.next}`);
  }
  output.line();
  output.line(
    report.ok ? `Status: ${report.mode}` : `${report.errors.length} ${report.errors.length === 1 ? "rule is" : "rules are"} broken`,
  );
}
