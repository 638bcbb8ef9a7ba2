/** On what runners CI's heavy jobs run: a class of the fleet, by the profile's patterns, or one that reaches no cache. */
import { isHeavy } from "../calls.ts";
import type { Job } from "../model.ts";
import type { ParityLine } from "../report.ts";
import { jobsOnce, linesOf, type Rule, takesPart, valuesOf } from "./rule.ts";

const line = linesOf("unclassified-runner");
const allowed = "GF_BAZEL_ALLOW_HOSTED_RUNNER";

export const unclassifiedRunner: Rule = {
  id: "unclassified-runner",
  look(world) {
    const patterns = world.profile.contract.runnerLabels.map((pattern) => new RegExp(pattern));
    if (patterns.length === 0 || !takesPart(world)) return [];
    return jobsOnce(world.repository)
      .filter((job) => job.calls.some(isHeavy))
      .flatMap((job) => judged(job, patterns));
  },
};

function judged(job: Job, patterns: readonly RegExp[]): readonly ParityLine[] {
  const labels = job.runner?.labels ?? [];
  const place = job.runner?.place ?? job.place;
  if (labels.some(({ text, unknown }) => unknown.length === 0 && patterns.some((pattern) => pattern.test(text)))) return [];
  const unknown = labels.flatMap((label) => label.unknown);
  const detail = { ci: labels.map(({ text }) => text).join(", ") || "no label", places: [place] };
  if (unknown.length > 0)
    return [
      line("unknown", `the runner of job ${job.name}`, { ...detail, why: `only the forge knows ${[...new Set(unknown)].join(", ")}` }),
    ];
  if (labels.length === 0) {
    const why = "a job without tags runs wherever a runner takes it";
    return [line("unknown", `the runner of job ${job.name}`, { ...detail, why, next: "name a runner class of the fleet" })];
  }
  if (valuesOf(job, allowed).some(({ text }) => text === "true"))
    return [line("differs-on-purpose", `job ${job.name} runs on a hosted runner`, { ...detail, why: `${allowed} says so` })];
  return [
    line("drift", `job ${job.name} builds on a runner of no class`, {
      ...detail,
      why: "such a runner reaches no shared cache: what it builds it builds alone",
      next: `name a runner class of the fleet, or set ${allowed}: "true" with a reason that you can defend`,
    }),
  ];
}
