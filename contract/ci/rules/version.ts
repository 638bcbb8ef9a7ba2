/** The Bazel that CI asks for, and the one that runs here: its version is part of every action's key. */
import type { Setting } from "../model.ts";
import type { ParityLine } from "../report.ts";
import { byText, heavyCalls, jobsOnce, linesOf, placesOf, type Rule, unknownWords, valuesOf } from "./rule.ts";

const line = linesOf("bazel-version");
const what = "the Bazel version";
const variable = "USE_BAZEL_VERSION";

export const bazelVersion: Rule = {
  id: "bazel-version",
  look(world) {
    const { repository, here } = world;
    const jobs = jobsOnce(repository).filter((job) => heavyCalls(job, "bazel").length > 0);
    if (jobs.length === 0) return [];
    const asked = jobs.flatMap((job) => valuesOf(job, variable).filter(({ text }) => text !== ""));
    const following = jobs.some((job) => valuesOf(job, variable).every(({ text }) => text === ""));
    const own = here.bazelVersion ?? repository.bazelVersion?.text;
    const lines = [...byText(asked).values()].flatMap((same) => compared(own, here.bazelVersion !== undefined, same));
    if (!following) return lines;
    const file = repository.bazelVersion;
    if (file === undefined) {
      const why = "the repository has no .bazelversion: CI's runner and this machine may each have another Bazel";
      return [
        ...lines,
        line("unknown", what, {
          here: own ?? "whatever is on PATH",
          ci: "whatever the runner has",
          places: placesOf(jobs),
          why,
          next: "write the version into .bazelversion",
        }),
      ];
    }
    return [...lines, ...compared(own, here.bazelVersion !== undefined, [file])];
  },
};

function compared(own: string | undefined, byVariable: boolean, same: readonly Setting[]): readonly ParityLine[] {
  const [setting] = same;
  if (setting === undefined) return [];
  const here = own === undefined ? "whatever is on PATH" : `${own}${byVariable ? ` (${variable})` : ""}`;
  const detail = { here, ci: setting.text, places: placesOf(same) };
  if (setting.unknown.length > 0) return [line("unknown", what, { ...detail, why: unknownWords(setting) })];
  if (own === undefined)
    return [line("unknown", what, { ...detail, why: "nothing here asks for a version", next: `write ${setting.text} into .bazelversion` })];
  if (setting.text === own) return [line("same", what, detail)];
  const next = byVariable ? `unset ${variable}, or set it to ${setting.text}` : `let .bazelversion and CI's ${variable} say the same`;
  return [line("drift", what, { ...detail, why: "two Bazels give their actions different keys", next })];
}
