/** A record as a page of Markdown, for a pull request or an issue. */
import { duration } from "../words.ts";
import type { EndpointIdentity, ProofBuild, ProofRecord } from "./record.ts";

export function proofMarkdown(record: ProofRecord): string {
  const { proved, productEvidence, parts, mode, profileState, profile, machine, companion, madeAt, tookMs, bazel, nix, ci } = record;
  const verdict = proved ? (productEvidence ? "proved" : "proved locally (not product evidence)") : "not proved";
  const rows: (readonly [string, string])[] = [
    ["made", `${madeAt}, in ${duration(tookMs)}, by flywheel ${companion.version}`],
    [
      "machine",
      `${machine.os} ${machine.arch}, ${machine.cores} cores, ${machine.memoryGiB} GiB, ${machine.context}${machine.runnerClass === null ? "" : ` (${machine.runnerClass})`}`,
    ],
    ["profile", `${profile}: ${mode}, ${profileState}`],
  ];
  if (bazel !== null) {
    rows.push(["Bazel", `${bazel.version ?? "of a version that it does not tell"}, uploads ${bazel.upload ? "allowed" : "off"}`]);
    rows.push(["Bazel cache", endpointWords(bazel.endpoint)]);
    rows.push(["targets", bazel.targets.map(code).join(" ")]);
    rows.push(["first build", buildWords(bazel.fill)]);
    rows.push(["rebuild", buildWords(bazel.rebuild)]);
  }
  if (nix !== null) {
    rows.push(["Nix", nix.version ?? "of a version that it does not tell"]);
    rows.push(["Nix cache", `${endpointWords(nix.endpoint)}${nix.publicKey === null ? "" : `, key ${code(nix.publicKey)}`}`]);
    if (nix.path !== null) rows.push(["store path", `${code(nix.path.path)} (${nix.path.chosen}), signature ${nix.signature}`]);
  }
  return `${[
    `# Proof of ${parts.join(" and ")}: ${verdict}`,
    "",
    "| | |",
    "|---|---|",
    ...rows.map(([name, value]) => `| ${name} | ${cell(value)} |`),
    ...list(
      "Why it is not proved",
      record.reasons.map(({ part, rule, message }) => `${part}: ${message} (${code(rule)})`),
    ),
    ...list("What was proved", record.shown),
    ...list("What was not", record.notShown),
    ...(ci === null
      ? []
      : [
          "",
          `## Beside CI's record of ${ci.madeAt}`,
          "",
          "| | here | CI | |",
          "|---|---|---|---|",
          ...ci.lines.map((each) => `| ${[each.what, each.here, each.ci, each.verdict].map(cell).join(" | ")} |`),
        ]),
  ].join("\n")}\n`;
}

function list(title: string, entries: readonly string[]): readonly string[] {
  return entries.length === 0 ? [] : ["", `## ${title}`, "", ...entries.map((entry) => `- ${entry.replaceAll("\n", " ")}`)];
}

function endpointWords(endpoint: EndpointIdentity | null): string {
  if (endpoint === null) return "none";
  const { url, digest, source, by, node } = endpoint;
  return [code(url), `sha256 ${digest}…`, `by ${by ?? source}`, ...(node === null ? [] : [node])].join(", ");
}

function buildWords(build: ProofBuild | null): string {
  if (build === null) return "not run";
  const { processes, exitCode, wallMs } = build;
  if (processes === null) return `exit ${exitCode}, ${duration(wallMs)}, nothing counted`;
  const { hits, other, misses, remote } = processes;
  return `${hits} hits of ${hits + other + misses}, ${misses} executed (${remote} remotely), ${duration(wallMs)}, exit ${exitCode}`;
}

function code(text: string): string {
  return `\`${text.replaceAll("`", "'")}\``;
}

/** A cell ends at a bar and at a line's end. */
function cell(text: string): string {
  return text.replaceAll("|", "\\|").replaceAll("\n", " ");
}
