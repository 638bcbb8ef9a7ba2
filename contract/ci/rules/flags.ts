/** With which options CI's Bazel takes from the cache, and whether its actions get the keys that this machine's get. */
import { type Call, type Job, type Place, placeWords } from "../model.ts";
import { booleanOf, type Flag, lastFlag, type Options, optionsOf } from "../rc.ts";
import type { ParityLine } from "../report.ts";
import { heavyCalls, jobsOnce, linesOf, placesOf, type Rule, takesPart, type World } from "./rule.ts";

/** The configs that the fleet's wrappers ask for; one of them is there. */
const wrapperConfigs = ["ci-cached", "flywheel"];

const flagsLine = linesOf("ci-flags");
const configLine = linesOf("undefined-config");
const diskLine = linesOf("disk-cache");
const aloneLine = linesOf("ci-alone");
const actionLine = linesOf("action-env");

interface Built {
  readonly job: Job;
  readonly call: Call;
  readonly options: Options;
}

/** Each Bazel call of CI's with what its options come to. A wrapper adds its config. */
export function builds({ repository }: World): readonly Built[] {
  const defined = wrapperConfigs.find((config) => repository.rc.some((line) => line.config === config));
  return jobsOnce(repository).flatMap((job) =>
    heavyCalls(job, "bazel").map((call) => {
      const given = call.args.map(({ text }) => text);
      const added = call.way === "wrapper" ? [`--config=${defined ?? wrapperConfigs[0]}`, "--remote_upload_local_results=false"] : [];
      return { job, call, options: optionsOf(repository.rc, call.command, [...added, ...given]) };
    }),
  );
}

export const ciFlags: Rule = {
  id: "ci-flags",
  look(world) {
    const attached = builds(world).filter(({ call, options }) => call.way !== "plain" || hasCache(options));
    const groups = Map.groupBy(attached, ({ call, options }) => wordsOf(call, options));
    return [...groups].map(([ci, of]) => {
      const here = "the guard adds --remote_cache, --remote_accept_cached and the upload policy to each build";
      const why = "the same cache, read with each place's own flags: what is downloaded of it does not change its keys";
      return flagsLine("differs-on-purpose", "the flags that take from the cache", {
        here,
        ci,
        places: placesOf(of.map(({ call }) => call)),
        why,
      });
    });
  },
};

/** Of the options that decide how a cache is used, those that are set, and where. */
const telling = [
  "remote_download_minimal",
  "remote_download_toplevel",
  "remote_download_outputs",
  "remote_timeout",
  "disk_cache",
  "remote_accept_cached",
];

function wordsOf(call: Call, { configs, flags }: Options): string {
  const by = call.way === "wrapper" ? `${call.name} with ` : "";
  const asked = configs.map((config) => `--config=${config}`);
  const set = telling.flatMap((name) => {
    const flag = lastFlag(flags, name);
    return flag === undefined ? [] : [`--${name}=${flag.value}`];
  });
  return by + ([...asked, ...set].join(" ") || "no flags of its own");
}

function hasCache({ flags }: Options): boolean {
  const cache = lastFlag(flags, "remote_cache", "remote_http_cache");
  return cache !== undefined && cache.value !== "";
}

export const undefinedConfig: Rule = {
  id: "undefined-config",
  look: (world) =>
    builds(world).flatMap(({ call, options }) =>
      options.undefinedConfigs
        // What is computed may be any.
        .filter((config) => /^[A-Za-z0-9_.-]+$/.test(config))
        .map((config) =>
          configLine("drift", `no rc file of the repository defines --config=${config}`, {
            places: [call.place],
            ci: `${call.name} ${call.command}`,
            why: "Bazel ends with an error, or takes another machine's definition",
            next: `add build:${config} to .bazelrc`,
          }),
        ),
    ),
};

export const diskCache: Rule = {
  id: "disk-cache",
  look: (world) => [...builds(world).flatMap(ofOptions), ...(takesPart(world) ? jobsOnce(world.repository).flatMap(ofActions) : [])],
};

const diskWhy = "hits of a disk cache pass for the shared cache's: Bazel before 5 prints both alike";

function ofOptions({ call, options }: Built): readonly ParityLine[] {
  if (call.way === "plain" && !hasCache(options)) return [];
  const disk = lastFlag(options.flags, "disk_cache");
  const refused = lastFlag(options.flags, "remote_accept_cached");
  const lines: ParityLine[] = [];
  if (disk !== undefined && disk.value !== "" && disk.value !== "true") {
    const detail = { ci: `--disk_cache=${disk.value}`, places: [originOf(disk, call)], why: diskWhy };
    lines.push(diskLine("drift", "CI reads a disk cache beside the shared one", { ...detail, next: "end CI's config with --disk_cache=" }));
  }
  if (refused !== undefined && booleanOf(refused) === false) {
    const detail = { ci: "--noremote_accept_cached", places: [originOf(refused, call)] };
    const why = "it writes to the cache, and takes nothing from it";
    lines.push(diskLine("drift", "CI does not accept what is cached", { ...detail, why, next: "take --noremote_accept_cached out" }));
  }
  return lines;
}

/** Actions that set Bazel up keep a disk cache of their own where they are asked to. */
function ofActions({ foreign }: Job): readonly ParityLine[] {
  return foreign.flatMap(({ name, inputs }) => {
    const asked = inputs.get("disk-cache");
    if (!name.includes("setup-bazel") || asked === undefined || asked.unknown.length > 0 || /^(?:false|)$/.test(asked.text)) return [];
    const detail = { ci: `${name} with disk-cache: ${asked.text}`, places: [asked.place], why: diskWhy };
    return [diskLine("drift", "CI reads a disk cache beside the shared one", { ...detail, next: "disk-cache: false" })];
  });
}

function originOf(flag: Flag, call: Call): Place {
  return flag.origin === undefined ? call.place : { file: flag.origin.file, line: flag.origin.line };
}

export const ciAlone: Rule = {
  id: "ci-alone",
  look(world) {
    if (!takesPart(world)) return [];
    return builds(world)
      .filter(({ call, options }) => call.way === "plain" && !call.inNixShell && !hasCache(options) && !call.args.some(mayHoldOptions))
      .map(({ job, call }) =>
        aloneLine("drift", `job ${job.name} builds alone`, {
          ci: `${call.name} ${call.command}`,
          places: [call.place],
          why: "Bazel reads no BAZEL_REMOTE_CACHE by itself, and nothing here gives it the cache",
          next: `flywheel exec -- bazel ${call.command} …, or the fleet's wrapper`,
        }),
      );
  },
};

/** `$BAZEL_FLAGS`, `${{ inputs.flags }}`: what they hold nobody here knows. */
function mayHoldOptions({ text, unknown }: { readonly text: string; readonly unknown: readonly string[] }): boolean {
  return unknown.length > 0 && !/^(?:\/\/|@|:|--[a-z_]+=)/.test(text);
}

/** Variables that each action is given are part of its key: set under CI's config alone, they part CI's results from everybody's. */
export const actionEnv: Rule = {
  id: "action-env",
  look(world) {
    const plainOptions = optionsOf(world.here.rc, "build", []);
    const own = new Set(plainOptions.flags.filter(isActionEnv).map(words));
    const calls = builds(world);
    const found = calls.flatMap(({ call, options }) =>
      options.flags.filter((flag) => isActionEnv(flag) && !own.has(words(flag))).map((flag) => ({ flag, place: originOf(flag, call) })),
    );
    // What a user's own rc file gives each action, CI does not know of.
    const users = plainOptions.flags.filter((flag) => isActionEnv(flag) && flag.origin?.file.startsWith("/") === true);
    const ours = users.map((flag) =>
      actionLine("drift", "this machine's actions get a variable that CI's do not get", {
        here: words(flag),
        ci: "not set",
        places: originPlace(flag).map(({ place }) => place),
        why: "it is part of every action's key: neither finds what the other built",
        next: "take it out of your own rc file",
      }),
    );
    const theirs = [...Map.groupBy(found, ({ flag }) => words(flag))].map(([ci, of]) =>
      actionLine("drift", "CI's actions get a variable that this machine's do not get", {
        here: "not set",
        ci,
        places: placesOf(of),
        why: "it is part of every action's key: neither finds what the other built",
        next: "set it for both, outside of CI's config, or for neither",
      }),
    );
    return calls.length === 0 ? [] : [...theirs, ...ours];
  },
};

function isActionEnv({ name }: Flag): boolean {
  return name === "action_env" || name === "host_action_env";
}

function words({ name, value }: Flag): string {
  // What the variable holds is nobody's business here.
  return `--${name}=${value.replace(/=.*/s, "=…")}`;
}

const strictNames = ["incompatible_strict_action_env", "experimental_strict_action_env"];
/** From this Bazel on it is the default. */
const strictByDefault = 9;
const strictLine = linesOf("strict-action-env");

export const strictActionEnv: Rule = {
  id: "strict-action-env",
  look(world) {
    const calls = builds(world);
    if (calls.length === 0) return [];
    const { here } = world;
    const version = here.bazelVersion ?? world.repository.bazelVersion?.text;
    const ciVersion = world.repository.bazelVersion?.text;
    const own = strictness(optionsOf(here.rc, "build", []), version);
    const groups = Map.groupBy(
      calls,
      ({ options, job }) => strictness(options, job.environment.get("USE_BAZEL_VERSION")?.text ?? ciVersion).words,
    );
    return [...groups].map(([ci, of]) => {
      const [first] = of;
      const strict = first === undefined ? false : strictness(first.options, ciVersion).strict;
      const flagPlaces = of.flatMap(({ options }) => originPlace(lastFlag(options.flags, ...strictNames)));
      const places = flagPlaces.length > 0 ? placesOf(flagPlaces) : placesOf(of.map(({ call }) => call));
      const what = "the strict action environment";
      const next = 'add "build --incompatible_strict_action_env" to .bazelrc';
      if (own.strict && strict) return strictLine("same", what, { here: own.words, ci, places });
      const why = "without it PATH is part of every shell action's key: machines with other PATHs share nothing";
      return strictLine("drift", what, {
        here: own.strict ? own.words : `${own.words}; PATH=${here.path}`,
        ci: strict ? ci : `${ci}; ${pathWords(of.map(({ job }) => job))}`,
        places,
        why,
        next,
      });
    });
  },
};

function strictness({ flags }: Options, version: string | undefined): { readonly strict: boolean; readonly words: string } {
  const flag = lastFlag(flags, ...strictNames);
  const set = booleanOf(flag);
  if (set !== undefined)
    return { strict: set, words: `${set ? "on" : "off"}${flag?.origin === undefined ? "" : ` (${placeWords(flag.origin)})`}` };
  const major = Number(/^(\d{1,3})(?:\.|$)/.exec(version ?? "")?.[1]);
  return major >= strictByDefault
    ? { strict: true, words: `on, the default of Bazel ${version}` }
    : { strict: false, words: "not asked for" };
}

function originPlace(flag: Flag | undefined): readonly { readonly place: Place }[] {
  return flag?.origin === undefined ? [] : [{ place: { file: flag.origin.file, line: flag.origin.line } }];
}

function pathWords(jobs: readonly Job[]): string {
  const set = jobs.flatMap((job) => job.environment.get("PATH") ?? []).find(({ unknown }) => unknown.length === 0);
  return set === undefined ? "PATH is the runner's, which the repository does not tell" : `PATH=${set.text}`;
}
