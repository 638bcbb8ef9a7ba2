/** Everything that is known of one candidate or one build, nothing cut. */
import { rungs } from "../../contract/candidate.ts";
import { credentialWords } from "../../contract/credential-words.ts";
import type { Invocation } from "../../contract/invocation.ts";
import { duration, latency, localTime } from "../../contract/words.ts";
import type { Build } from "./builds.ts";
import { type Subject, standing } from "./candidates.ts";
import { fold } from "./cells.ts";
import { type Line, line, span } from "./line.ts";
import { clean } from "./scene.ts";

type Field = readonly [name: string, value: string | null];

export function subjectDetail(subject: Subject, cells: number): Line[] {
  switch (subject.is) {
    case "candidate": {
      const { candidate, credential } = subject;
      const broke = candidate.rung === null ? undefined : rungs.indexOf(candidate.rung);
      const ladder = rungs.map((rung, at) => (broke === undefined || at < broke ? `✓ ${rung}` : at === broke ? `✗ ${rung}` : `· ${rung}`));
      const climbed = candidate.provedAt === null && broke === undefined ? "not climbed yet" : ladder.join(", ");
      return fieldLines(
        [
          ["endpoint", candidate.endpoint],
          ["kind", candidate.kind],
          ["source", candidate.source],
          ["node", candidate.node],
          ["standing", standing(candidate)],
          ["ladder", climbed],
          ["credential", credential === undefined ? null : credentialWords(credential, new Date()).text],
          ["reason", candidate.reason],
          ["why not", candidate.why],
          ["next", candidate.next],
          ["health", candidate.health],
          ["latency", candidate.latencyMs === null ? null : latency(candidate.latencyMs)],
          ["since", candidate.since === null ? null : localTime(candidate.since)],
          ["proved", candidate.provedAt === null ? "never" : localTime(candidate.provedAt)],
        ],
        cells,
      );
    }
    case "rejection": {
      const { rejection } = subject;
      return fieldLines(
        [
          ["subject", rejection.subject],
          ["kind", rejection.kind],
          ["source", rejection.source],
          ["standing", "turned down before anything was dialled"],
          ["reason", rejection.reason],
          ["next", rejection.next],
        ],
        cells,
      );
    }
  }
}

export function buildDetail(build: Build, cells: number): Line[] {
  switch (build.is) {
    case "running": {
      const { running } = build;
      return fieldLines(
        [
          ["command", `${running.tool} ${running.command}`],
          ["directory", running.directory],
          ["started", localTime(running.startedAt)],
          ["pid", String(running.pid)],
          ["endpoint", running.endpoint],
          ["cache", running.lost === null ? "there" : `lost mid-build: ${running.lost}`],
        ],
        cells,
      );
    }
    case "ended": {
      const { ended } = build;
      return fieldLines(
        [
          ["command", `${ended.tool} ${ended.command}`],
          ["workspace", ended.workspace],
          ["profile", ended.profile],
          ["endpoint", ended.endpoint],
          ["started", localTime(ended.startedAt)],
          ["ended", ended.endedAt === null ? "nobody saw it" : localTime(ended.endedAt)],
          ["took", ended.wallMs === null ? "unknown" : duration(ended.wallMs)],
          ["outcome", ended.outcome],
          ["exit code", ended.exitCode === null ? "unknown" : String(ended.exitCode)],
          ...tallyFields(ended),
          ["cache", ended.lost === null ? null : `lost mid-build: ${ended.lost.reason}`],
          ["recorded", `by ${ended.recordedBy}, as ${ended.id}`],
        ],
        cells,
      );
    }
  }
}

function tallyFields({ tally }: Invocation): Field[] {
  if (tally.state === "unknown") return [["figures", `unknown: ${tally.why}`]];
  const { hits, other, misses, local, internal } = tally.counts;
  return [
    ["figures", `${hits} hits, ${other} from another cache, ${misses} misses (${local} of them here), ${internal} internal`],
    ["read from", tally.source],
    ["doubt", tally.doubt],
  ];
}

function fieldLines(fields: readonly Field[], cells: number): Line[] {
  const label = 11;
  return fields.flatMap(([name, value]) => {
    if (value === null) return [];
    const [first = "", ...rest] = fold(clean(value), Math.max(10, cells - label), 20);
    return [[span(name.padEnd(label), "dim"), span(first)], ...rest.map((text) => line(`${" ".repeat(label)}${text}`))];
  });
}
