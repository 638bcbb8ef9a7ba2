import { Exit } from "../../contract/exit.ts";
import { printable } from "../../contract/text.ts";
import type { Decision } from "../../shim/decide.ts";
import { type Explanation, explain } from "../../shim/explain.ts";
import { defineCommand } from "../command.ts";
import { waitingFor } from "../output/progress.ts";
import { withChosenProfile } from "../profile.ts";

export default defineCommand({
  name: "explain",
  summary: "say what the guard would do with a command line, and why, without doing it",
  arguments: [{ name: "<tool...>", summary: "bazel, nix or another guarded name, and its arguments", completes: "tool" }],
  options: {},
  examples: [{ line: "flywheel explain -- bazel build //...", does: "its class, the decision, and the command line that would run" }],
  exits: [
    { code: Exit.failed, means: "it would be refused" },
    { code: Exit.notFound, means: "no guarded tool has that name" },
  ],
  async run({ env, cwd, profileChoice, output }, _options, [tool = "", ...args]) {
    const chosen = withChosenProfile(env, profileChoice);
    const explanation = await waitingFor(output, "asking what is attached", () => explain({ tool, args }, chosen, cwd));
    if (output.format === "json") output.json({ schema: 1, ...explanation });
    else output.line(view(explanation));
    return explanation.decision.kind === "refuse" ? Exit.failed : Exit.ok;
  },
});

function view({ class: commandClass, clearToFastPath, decision, runs, nixConfig, realTool }: Explanation): string {
  const lines = [
    `  class      ${commandClass}${decision.command === "" ? "" : ` (${printable(decision.command, 40)})`}`,
    `  path       ${clearToFastPath && settled(decision) ? "fast: sh can read this by itself" : "slow: sh asks flywheel guard"}`,
    ...viewDecision(decision),
    `  real tool  ${realTool.file ?? "none on PATH"}`,
  ];
  if (runs !== null) lines.push(`  would run  ${runs.map((word) => printable(word, 400)).join(" ")}`);
  if (nixConfig !== null)
    lines.push(...nixConfig.split("\n").map((line, index) => `  ${index === 0 ? "NIX_CONFIG" : "          "} ${printable(line, 400)}`));
  return lines.join("\n");
}

/** Whether sh may come to this decision alone: it never refuses, says nothing, and knows no credential. */
function settled(decision: Decision): boolean {
  if (
    decision.kind === "inject" &&
    (decision.startup.length > 0 || decision.flags.some((flag) => /^--(?:credential_helper|tls_client)/.test(flag)))
  )
    return false;
  if (decision.kind === "settings" && decision.cache?.netrc !== undefined) return false;
  return decision.kind !== "refuse" && decision.kind !== "escape" && decision.notice === undefined;
}

function viewDecision(decision: Decision): string[] {
  switch (decision.kind) {
    case "run":
      return [`  decision   runs as it is: ${printable(decision.why)}`, ...nextLines(decision.next ?? [])];
    case "inject":
      return [`  decision   gets the attached cache: ${printable(decision.why)}`];
    case "settings":
      return [
        `  decision   ${decision.cache === undefined ? "enters without" : "gets"} the attached cache: ${printable(decision.why)}`,
        ...(decision.cache?.netrc === undefined
          ? []
          : [`  netrc      with what is kept for ${decision.cache.endpoint.url}: the daemon writes it once a command needs it`]),
      ];
    case "escape":
      return [`  decision   runs alone, recorded: ${printable(decision.reason)}`];
    case "refuse":
      return [
        `  decision   refused: ${printable(decision.reason)}`,
        ...decision.tried.map((line) => `    tried    ${printable(line)}`),
        ...nextLines(decision.next),
      ];
  }
}

function nextLines(next: readonly string[]): string[] {
  return next.map((line) => `    next     ${printable(line)}`);
}
