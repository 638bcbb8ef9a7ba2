/** Substrate mode and profile state, as CI declares them, beside what is attached here; and CI's environment by the contract. */
import { type ContractRule, checkContract } from "../../check.ts";
import { isProfileState, isSubstrateMode, profileStates, type SubstrateMode } from "../../mode.ts";
import type { Job, Setting } from "../model.ts";
import type { ParityLine } from "../report.ts";
import { cachesOf } from "./bazel-cache.ts";
import { byText, jobsOnce, linesOf, placesOf, type Rule, unknownWords, valuesOf, type World } from "./rule.ts";

const modeVariable = "GF_BAZEL_SUBSTRATE_MODE";
const stateVariable = "GF_FLYWHEEL_PROFILE_STATE";
const modeLine = linesOf("mode");
const stateLine = linesOf("profile-state");
const contractLine = linesOf("contract");

export const mode: Rule = {
  id: "mode",
  look(world) {
    const jobs = jobsOnce(world.repository);
    const declared = [...byText(jobs.flatMap((job) => valuesOf(job, modeVariable))).values()];
    if (declared.length > 0) return declared.flatMap((same) => comparedMode(world, same));
    // What is not declared is inferred, as every copy of the contract script does it.
    const named = jobs.flatMap(cachesOf).filter(({ text }) => text !== "");
    if (named.length > 0)
      return [againstHere(world, "shared-cache-backed", { ci: "shared-cache-backed, since it names a cache", places: placesOf(named) })];
    const { manifest } = world.repository;
    if (manifest.state !== "enrolled") return [];
    const places = [{ file: "tinyland.repo.json", line: 1 }];
    return [againstHere(world, manifest.mode, { ci: `${manifest.mode}, as tinyland.repo.json declares`, places })];
  },
};

function comparedMode(world: World, same: readonly Setting[]): readonly ParityLine[] {
  const [setting] = same;
  if (setting === undefined) return [];
  const { manifest } = world.repository;
  const detail = { ci: setting.text, places: placesOf(same) };
  if (setting.unknown.length > 0)
    return [modeLine("unknown", "the substrate mode", { ...detail, here: world.here.status.mode, why: unknownWords(setting) })];
  // The contract's rule speaks of a word that is no mode.
  if (!isSubstrateMode(setting.text)) return [];
  const lines = [againstHere(world, setting.text, detail)];
  if (manifest.state !== "enrolled" || manifest.mode === setting.text) return lines;
  const why = `tinyland.repo.json declares ${manifest.mode}: what a repository is held to`;
  return [
    ...lines,
    modeLine("drift", "CI's substrate mode is not the one that the repository declares", {
      ...detail,
      why,
      next: `say ${manifest.mode}, or change tinyland.repo.json`,
    }),
  ];
}

function againstHere({ here }: World, ci: SubstrateMode, detail: { ci: string; places: ParityLine["places"] }): ParityLine {
  const { status } = here;
  const what = "the substrate mode";
  const full = { ...detail, here: status.mode };
  if (status.mode === ci) return modeLine("same", what, full);
  switch (ci) {
    case "shared-cache-backed":
      return modeLine("drift", what, {
        ...full,
        why: status.bazel.reason ?? "no cache is attached here",
        next: status.bazel.next ?? "flywheel up",
      });
    case "executor-backed":
      return modeLine("drift", what, {
        ...full,
        why: "what CI's executor built has other keys than what this machine builds; the companion attaches caches alone",
        next: `keep the executor to jobs of its own; the others say ${modeVariable}: shared-cache-backed`,
      });
    case "compatibility-local-only":
      return modeLine("drift", what, {
        ...full,
        why: "CI builds alone: nothing that it builds is ever found here",
        next: `say ${modeVariable}: ${status.mode}, and give CI the cache`,
      });
  }
}

export const profileState: Rule = {
  id: "profile-state",
  look(world) {
    const settings = jobsOnce(world.repository).flatMap((job) => valuesOf(job, stateVariable));
    return [...byText(settings).values()].flatMap((same) => comparedState(world, same));
  },
};

function comparedState({ here }: World, same: readonly Setting[]): readonly ParityLine[] {
  const [setting] = same;
  if (setting === undefined) return [];
  const { status } = here;
  const what = "the profile state";
  const detail = { here: status.profileState, ci: setting.text, places: placesOf(same) };
  if (setting.unknown.length > 0) return [stateLine("unknown", what, { ...detail, why: unknownWords(setting) })];
  if (!isProfileState(setting.text)) {
    // The fleet's action copies the mode into it.
    const why = isSubstrateMode(setting.text)
      ? "it is a substrate mode; the contract takes it for no profile state"
      : "it is no profile state";
    const next = setting.text === "compatibility-local-only" ? "say unattached" : `say one of ${profileStates.join(", ")}`;
    return [stateLine("drift", what, { ...detail, why, next })];
  }
  if (setting.text === status.profileState) return [stateLine("same", what, detail)];
  if (status.profileState === "local-proof")
    return [stateLine("differs-on-purpose", what, { ...detail, why: "a local proof was asked for here, by both of the fleet's markers" })];
  if (status.profileState === "unattached")
    return [
      stateLine("drift", what, {
        ...detail,
        why: status.bazel.reason ?? "no cache is attached here",
        next: status.bazel.next ?? "flywheel up",
      }),
    ];
  return [stateLine("drift", what, { ...detail, why: "CI and this machine are not attached alike", next: `say ${status.profileState}` })];
}

/** Of these other rules speak, with more to say. */
const spokenOf: ReadonlySet<ContractRule> = new Set(["endpoint-stale", "state-unknown", "runner-class", "nix-stale"]);
/** They need to know for sure what is set and what is not. */
const presence: ReadonlySet<ContractRule> = new Set([
  "mode-disagrees",
  "state-unattached",
  "state-shared-cache-backed",
  "state-executor-backed",
  "executor-without-cache",
  "executor-separate",
  "executor-platform",
  "executor-digest",
]);

const contractVariables = [
  modeVariable,
  stateVariable,
  "BAZEL_REMOTE_CACHE",
  "BAZEL_REMOTE_EXECUTOR",
  "GF_BAZEL_LOCAL_PROOF",
  "GF_BAZEL_ALLOW_LOCALHOST_PROOF",
  "GF_BAZEL_ALLOW_SEPARATE_EXECUTOR_CACHE",
  "GF_BAZEL_REMOTE_EXECUTION_PLATFORM",
  "GF_BAZEL_REAPI_PROOF_IMAGE_DIGEST",
  "BAZEL_REPOSITORY_CACHE",
  "BAZEL_DISTDIR",
] as const;

/** The rules of `flywheel contract`, on each job's environment as far as the repository tells it. */
export const contract: Rule = {
  id: "contract",
  look: (world) => jobsOnce(world.repository).flatMap((job) => checkJob(world, job)),
};

function checkJob({ profile }: World, job: Job): readonly ParityLine[] {
  const settings = new Map(
    contractVariables.flatMap((name) => valuesOf(job, name).slice(-1)).map((setting) => [setting.name, setting] as const),
  );
  const unsure = ["BAZEL_REMOTE_CACHE", "BAZEL_REMOTE_EXECUTOR"].some((name) => (settings.get(name)?.unknown.length ?? 0) > 0);
  const known = [...settings.values()].filter(({ unknown }) => unknown.length === 0);
  const report = checkContract({
    environment: Object.fromEntries(known.map(({ name, text }) => [name, text])),
    profile,
    require: { cache: false, nix: false },
    endpoints: "redacted",
    machine: { nix: undefined, projectedToken: true },
  });
  return report.errors.flatMap(({ rule, variable, message, next }) => {
    // What the repository leaves open, the runner may give.
    const open = unsure || !settings.has("BAZEL_REMOTE_CACHE");
    if (spokenOf.has(rule) || (open && presence.has(rule))) return [];
    const place = settings.get(variable)?.place ?? job.place;
    return [contractLine("drift", `job ${job.name}: ${message}`, { places: [place], why: `rule ${rule} of flywheel contract`, next })];
  });
}
