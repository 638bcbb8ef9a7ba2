/** Bazel's cache identity: the same cache, by whatever route; and its instance name. */

import { type Endpoint, parseEndpoint, sameEndpoint } from "../../endpoint.ts";
import { isStale } from "../../stale.ts";
import type { Job, Setting } from "../model.ts";
import { flagsOf } from "../rc.ts";
import type { ParityLine } from "../report.ts";
import {
  byText,
  endpointsOf,
  heavyCalls,
  jobsOnce,
  linesOf,
  placesOf,
  type Rule,
  shownHere,
  shownText,
  unknownWords,
  valuesOf,
  type World,
} from "./rule.ts";

const line = linesOf("bazel-cache");
const what = "the Bazel cache";

export const bazelCache: Rule = {
  id: "bazel-cache",
  look(world) {
    const jobs = jobsOnce(world.repository);
    const named = jobs.flatMap(cachesOf).filter(({ text }) => text !== "");
    if (named.length > 0) return [...byText(named).values()].flatMap((settings) => compared(world, settings));
    const building = jobs.filter((job) => heavyCalls(job, "bazel").some(({ way }) => way !== "plain"));
    if (building.length === 0) return [];
    return [
      line("unknown", what, {
        here: hereWords(world),
        ci: "given by the runner: nothing in the repository names it",
        places: placesOf(building),
      }),
    ];
  },
};

/** BAZEL_REMOTE_CACHE, and what stands on a command line, where it is not that variable again. */
export function cachesOf(job: Job): readonly Setting[] {
  const flags = heavyCalls(job, "bazel").flatMap(({ args, place }) =>
    args.flatMap((arg, at) => {
      if (arg.text === "--remote_cache") {
        const value = args[at + 1];
        return value === undefined ? [] : [{ ...value, name: "--remote_cache", place }];
      }
      if (!arg.text.startsWith("--remote_cache=")) return [];
      return [{ ...arg, name: "--remote_cache", text: flagsOf([arg.text])[0]?.value ?? "", place }];
    }),
  );
  const named = valuesOf(job, "BAZEL_REMOTE_CACHE");
  return [...named, ...flags.filter(({ text }) => !named.some((one) => one.text === text))];
}

function compared(world: World, settings: readonly Setting[]): readonly ParityLine[] {
  const [setting] = settings;
  if (setting === undefined) return [];
  const { bazel } = world.here.status;
  const detail = { here: hereWords(world), ci: shownText(setting.text), places: placesOf(settings) };
  if (setting.unknown.length > 0) return [line("unknown", what, { ...detail, why: unknownWords(setting) })];
  const parsed = parseEndpoint(setting.text, "bazel");
  // The contract's rules, and the one about places that no longer exist, speak of these.
  if (!parsed.ok || isStale(setting.text, world.profile)) return [];
  const own = otherThanAttached(world);
  if (own !== undefined) {
    if (sameEndpoint(own, parsed.endpoint)) return [line("same", what, detail)];
    const why = "this shell names an endpoint of its own: whether it is CI's cache, only who set it knows";
    return [line("unknown", what, { ...detail, why, next: "unset BAZEL_REMOTE_CACHE" })];
  }
  if (endpointsOf([bazel.endpoint ?? "", ...bazel.aliases], "bazel").some((own) => sameEndpoint(own, parsed.endpoint)))
    return [line("same", what, detail)];
  return [byProfile(world, parsed.endpoint, detail)];
}

function byProfile(world: World, endpoint: Endpoint, detail: Parameters<typeof line>[2]): ParityLine {
  const { profile, here } = world;
  const { bazel, profileState } = here.status;
  const names = endpointsOf(profile.cluster.bazel, "bazel");
  if (names.length === 0) {
    const why = `profile ${profile.name} names no in-cluster cache, so nothing here says whose CI's is`;
    return line("unknown", what, { ...detail, why, next: 'name it in the profile: [cluster] bazel = ["…"]' });
  }
  if (!names.some((name) => sameEndpoint(name, endpoint))) {
    const why = `it is none of the caches of profile ${profile.name}: what CI puts there, this machine never sees`;
    return line("drift", what, { ...detail, why, next: `say ${names[0]?.url}, or leave it to the runner` });
  }
  if (bazel.state === "unattached") {
    return line("drift", what, { ...detail, why: bazel.reason ?? "no cache is attached here", next: bazel.next ?? "flywheel up" });
  }
  if (profileState === "local-proof")
    return line("unknown", what, { ...detail, why: "a local proof is attached here: whose cache stands behind it cannot be seen" });
  switch (bazel.source) {
    case "service":
    case "peer":
    case "cluster":
      return line("differs-on-purpose", what, {
        ...detail,
        why: "the route alone: CI's in-cluster name, the tailnet's address here; the profile makes both one cache",
      });
    case "operator":
      return line("unknown", what, { ...detail, why: "an operator named the endpoint here: whether it is CI's cache, only they know" });
    case "local-proof":
      return line("unknown", what, { ...detail, why: "a port-forward is attached here: what stands behind it cannot be seen" });
    case null:
      return line("unknown", what, { ...detail, why: "no daemon runs that could say who named the endpoint here", next: "flywheel up" });
    default:
      return bazel.source satisfies never;
  }
}

/** An endpoint that this shell's BAZEL_REMOTE_CACHE names, where it is not the attached one by another spelling. */
function otherThanAttached({ here }: World): Endpoint | undefined {
  const { bazel } = here.status;
  const [named] = endpointsOf(here.named === undefined ? [] : [here.named], "bazel");
  if (named === undefined) return undefined;
  return endpointsOf([bazel.endpoint ?? "", ...bazel.aliases], "bazel").some((one) => sameEndpoint(one, named)) ? undefined : named;
}

function hereWords(world: World): string {
  const { bazel } = world.here.status;
  const other = otherThanAttached(world);
  if (other !== undefined) return `${shownHere(world, other.url, "bazel")} (BAZEL_REMOTE_CACHE of this shell, not proved)`;
  if (bazel.endpoint === null) return "not attached";
  const named = [bazel.source, bazel.node].filter((word) => word !== null).join(" ");
  return `${shownHere(world, bazel.endpoint, "bazel")}${named === "" ? "" : ` (${named})`}`;
}

const instanceLine = linesOf("bazel-instance");

/** A cache keeps what each instance name was given apart. */
export const bazelInstance: Rule = {
  id: "bazel-instance",
  look({ repository, here }) {
    const own = here.instanceName ?? "";
    const settings = jobsOnce(repository).flatMap((job) => valuesOf(job, "BAZEL_REMOTE_INSTANCE_NAME"));
    return [...byText(settings).values()].flatMap((same) => {
      const [first] = same;
      if (first === undefined) return [];
      const detail = { here: own || "none", ci: first.text || "none", places: placesOf(same) };
      const name = "the instance name in the cache";
      if (first.unknown.length > 0) return [instanceLine("unknown", name, { ...detail, why: unknownWords(first) })];
      if (first.text === own) return [instanceLine("same", name, detail)];
      const why = "what one instance name was given, another does not find";
      return [
        instanceLine("drift", name, {
          ...detail,
          why,
          next: `say ${own || "nothing"} in CI, or instance_name = "${first.text}" in the profile`,
        }),
      ];
    });
  },
};
