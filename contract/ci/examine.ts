/** All rules, as one table, and the report that they come to. */
import type { forges, Place } from "./model.ts";
import { type ParityLine, type ParityReport, paritySchema, verdicts } from "./report.ts";
import { bazelCache, bazelInstance } from "./rules/bazel-cache.ts";
import { nixDevelopBazel, rawBazel } from "./rules/commands.ts";
import { actionEnv, ciAlone, ciFlags, diskCache, strictActionEnv, undefinedConfig } from "./rules/flags.ts";
import { contract, mode, profileState } from "./rules/mode.ts";
import { flakeBazel, modeRederived, privateNames } from "./rules/names.ts";
import { nixCache, nixKey } from "./rules/nix.ts";
import { stalePlace } from "./rules/places.ts";
import { generatedRc, rcEndpoint, rcPlaceholder, rcUpload } from "./rules/rc.ts";
import { jobsOnce, placesOf, type Rule, type World } from "./rules/rule.ts";
import { unclassifiedRunner } from "./rules/runner.ts";
import { notRead } from "./rules/unread.ts";
import { pullRequestUpload, upload } from "./rules/upload.ts";
import { bazelVersion } from "./rules/version.ts";

/** The parity set first, then what drifts by itself. */
export const rules: readonly Rule[] = [
  bazelCache,
  bazelInstance,
  nixCache,
  nixKey,
  mode,
  profileState,
  upload,
  ciFlags,
  strictActionEnv,
  actionEnv,
  bazelVersion,
  contract,
  stalePlace,
  pullRequestUpload,
  ciAlone,
  undefinedConfig,
  diskCache,
  rcPlaceholder,
  rcEndpoint,
  rcUpload,
  generatedRc,
  nixDevelopBazel,
  rawBazel,
  unclassifiedRunner,
  modeRederived,
  privateNames,
  flakeBazel,
  notRead,
];

/** @param root the repository's, as it is shown */
export function examine(world: World, root: string): ParityReport {
  const lines = merged(rules.flatMap((rule) => rule.look(world)));
  const jobs = jobsOnce(world.repository);
  const described = (forge: (typeof forges)[number]) => ({
    files: world.repository.described[forge],
    jobs: jobs.filter((job) => job.forge === forge).length,
  });
  return {
    schema: paritySchema,
    ok: lines.every(({ verdict }) => verdict !== "drift"),
    profile: world.profile.name,
    repository: root,
    ci: { github: described("github"), gitlab: described("gitlab") },
    lines: verdicts.flatMap((verdict) => lines.filter((line) => line.verdict === verdict)),
  };
}

/** What is found in several places is one line. */
function merged(lines: readonly ParityLine[]): readonly ParityLine[] {
  const groups = Map.groupBy(lines, ({ rule, verdict, what, here, ci, why }) => JSON.stringify([rule, verdict, what, here, ci, why]));
  return [...groups.values()].flatMap((same) => {
    const [first] = same;
    return first === undefined
      ? []
      : [{ ...first, places: sorted(placesOf(same.flatMap(({ places }) => places.map((place) => ({ place }))))) }];
  });
}

function sorted(places: readonly Place[]): readonly Place[] {
  return places.toSorted((a, b) => (a.file === b.file ? a.line - b.line : a.file < b.file ? -1 : 1));
}
