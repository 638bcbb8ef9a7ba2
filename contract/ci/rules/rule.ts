/** What a rule looks at, and how it says what it found. */
import type { StatusReport } from "../../api.ts";
import { type Endpoint, parseEndpoint, redacted, type Tool, withoutCredentials } from "../../endpoint.ts";
import type { Profile } from "../../profile.ts";
import { printable } from "../../text.ts";
import { isHeavy } from "../calls.ts";
import { type Call, type Job, type Place, type Repository, type Script, type Setting, situations, type Text } from "../model.ts";
import type { RcLine } from "../rc.ts";
import type { ParityLine, ParityRule, Verdict } from "../report.ts";

/** This machine, beside which CI is put. */
export interface Here {
  readonly status: StatusReport;
  /** What this shell's BAZEL_REMOTE_CACHE names in place of the attachment; undefined where it names none of its own. */
  readonly named: string | undefined;
  /** Whether builds of this shell may write to the cache, and under which instance name they read it. */
  readonly upload: boolean;
  readonly instanceName: string | undefined;
  /** PATH as the real tools get it: without the guard's directories. */
  readonly path: string;
  /** All rc files that Bazel reads here: the system's, the repository's, the user's. */
  readonly rc: readonly RcLine[];
  /** What USE_BAZEL_VERSION asks for; undefined where it is not set. */
  readonly bazelVersion: string | undefined;
  /** A log of a forge may be public: this machine's endpoints do not stand in one. */
  readonly endpoints: "shown" | "redacted";
}

export interface World {
  readonly profile: Profile;
  readonly repository: Repository;
  readonly here: Here;
}

export interface Rule {
  readonly id: ParityRule;
  look(world: World): readonly ParityLine[];
}

/** No text of a line is longer: characters. */
const longest = 400;

type Detail = Partial<Pick<ParityLine, "here" | "ci" | "places" | "why" | "next">>;

/** Makes the lines of one rule; whatever they speak of, they are printable. */
export function linesOf(rule: ParityRule): (verdict: Verdict, what: string, detail?: Detail) => ParityLine {
  const clean = (text: string | null | undefined): string | null => (text === null || text === undefined ? null : printable(text, longest));
  return (verdict, what, detail = {}) => ({
    rule,
    verdict,
    what: printable(what, longest),
    here: clean(detail.here),
    ci: clean(detail.ci),
    places: (detail.places ?? []).map(({ file, line }) => ({ file: printable(file, longest), line })),
    why: clean(detail.why),
    next: clean(detail.next),
  });
}

/** Each job once: as it runs on the trusted branch, else as it runs for others. */
export function jobsOnce({ jobs }: Repository): readonly Job[] {
  const once = new Map<string, Job>();
  for (const situation of situations) {
    // Jobs of one matrix differ in nothing but their order.
    const met = new Map<string, number>();
    for (const job of jobs[situation]) {
      const id = `${job.forge} ${job.place.file}:${job.place.line} ${job.name}`;
      const nth = met.get(id) ?? 0;
      met.set(id, nth + 1);
      const nthId = `${id} ${nth}`;
      if (!once.has(nthId)) once.set(nthId, job);
    }
  }
  return [...once.values()];
}

/** Every value that a job gives a variable: its own, and those of its commands. */
export function valuesOf(job: Job, name: string): readonly Setting[] {
  const own = job.environment.get(name);
  const ofCommands = job.commands.flatMap((command) => {
    const seen = command.environment.get(name);
    return [...command.settings.filter((setting) => setting.name === name), ...(seen === undefined ? [] : [seen])];
  });
  const ofCalls = job.calls.flatMap(({ environment }) => environment.get(name) ?? []);
  return distinctSettings([...(own === undefined ? [] : [own]), ...ofCommands, ...ofCalls]);
}

export function distinctSettings(settings: readonly Setting[]): readonly Setting[] {
  return [...new Map(settings.map((one) => [`${one.place.file}:${one.place.line}:${one.name}:${one.text}`, one])).values()];
}

/** Settings of several jobs by what they say. */
export function byText(settings: readonly Setting[]): ReadonlyMap<string, readonly Setting[]> {
  return Map.groupBy(distinctSettings(settings), ({ text }) => text);
}

export function placesOf(settings: readonly { readonly place: Place }[]): readonly Place[] {
  return [...new Map(settings.map(({ place }) => [`${place.file}:${place.line}`, place])).values()];
}

export function heavyCalls(of: Job | Script, tool: Tool): readonly Call[] {
  return of.calls.filter((call) => call.tool === tool && isHeavy(call));
}

/** The variables of the attachment, by which a CI shows that it has to do with a shared cache. */
const fleetVariable = /^(?:BAZEL_REMOTE_(?:CACHE|EXECUTOR)|ATTIC_(?:SERVER|CACHE|PUBLIC_KEY)|GF_[A-Z_]+)$/;

/** Whether the repository has to do with a shared cache at all: by its manifest, its CI, or what it names. */
export function takesPart({ repository }: World): boolean {
  const { manifest } = repository;
  if (manifest.state === "enrolled") return manifest.mode !== "compatibility-local-only";
  if (manifest.state === "invalid") return true;
  return jobsOnce(repository).some(
    (job) =>
      [...job.environment.keys()].some((name) => fleetVariable.test(name)) ||
      job.commands.some(({ settings }) => settings.some(({ name }) => fleetVariable.test(name))) ||
      job.calls.some(({ way }) => way !== "plain"),
  );
}

/** An endpoint as somebody wrote it, for messages. */
export function shownText(text: string): string {
  return printable(withoutCredentials(text), 160);
}

/** One of this machine's endpoints. */
export function shownHere({ here }: World, url: string, kind: Tool): string {
  const parsed = parseEndpoint(url, kind);
  return here.endpoints === "shown" || !parsed.ok ? shownText(url) : redacted(parsed.endpoint);
}

export function endpointsOf(urls: readonly string[], kind: Tool): readonly Endpoint[] {
  return urls.flatMap((url) => {
    const parsed = parseEndpoint(url, kind);
    return parsed.ok ? [parsed.endpoint] : [];
  });
}

/** `${{ vars.X }}`, `$CI_X`: what only the forge knows. */
export function unknownWords({ unknown }: Text): string {
  return `only the forge knows ${unknown.join(", ")}`;
}
