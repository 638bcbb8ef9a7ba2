/** Who may write to the cache: pull requests and other branches never, the trusted branch if it likes; this machine by its profile. */
import { type Call, type Job, type Place, placeWords, type Setting, type Situation } from "../model.ts";
import { booleanOf, type Flag, lastFlag, optionsOf } from "../rc.ts";
import type { ParityLine } from "../report.ts";
import { distinctSettings, heavyCalls, linesOf, placesOf, type Rule, unknownWords, valuesOf, type World } from "./rule.ts";

const uploadLine = linesOf("upload");
const pullLine = linesOf("pull-request-upload");

/** What a job says of uploads: each word with where it says so. */
interface Upload {
  /** undefined: `why` says why it is not known. */
  readonly uploads: boolean | undefined;
  readonly setting: Setting;
  readonly how: string;
  readonly why: string;
}

const variable = "GF_BAZEL_REMOTE_UPLOAD";
const uploadInput = /^(?:remote[-_])?upload(?:[-_].*)?$/i;
/** The one wrapper of the fleet whose copies have different defaults. */
const differingWrapper = /bazel-cache-backed/;
const bazelAction = /flywheel|bazel/i;

export const upload: Rule = {
  id: "upload",
  look(world) {
    const own = world.here.upload;
    const here = own ? "writes to the cache" : "read-only";
    const found = world.repository.jobs.main.flatMap((job) => uploadsOf(world, job));
    const what = "uploads to the Bazel cache";
    const lines: ParityLine[] = [];
    const those = (uploads: boolean | undefined): readonly Upload[] => found.filter((each) => each.uploads === uploads);
    const [writing, reading, unknown] = [those(true), those(false), those(undefined)];
    const detail = (of: readonly Upload[], ci: string) => ({ here, ci, places: placesOf(of.map(({ setting }) => setting)) });
    if (writing.length > 0) {
      const ci = "the trusted branch writes to the cache";
      if (own) lines.push(uploadLine("same", what, detail(writing, ci)));
      else
        lines.push(
          uploadLine("differs-on-purpose", what, {
            ...detail(writing, ci),
            why: "CI's trusted branch fills the cache, this machine reads it",
          }),
        );
    } else if (reading.length > 0) {
      const ci = "read-only";
      if (!own) lines.push(uploadLine("same", what, detail(reading, ci)));
      else {
        const why = "this machine may write to a cache that not even CI's trusted branch writes to";
        lines.push(
          uploadLine("drift", what, {
            ...detail(reading, ci),
            why,
            next: `take upload = true out of the profile, or ${variable} out of this shell`,
          }),
        );
      }
    }
    return [...lines, ...unknownLines(unknown).map(({ ci, places, why }) => uploadLine("unknown", what, { here, ci, places, why }))];
  },
};

export const pullRequestUpload: Rule = {
  id: "pull-request-upload",
  look: (world) => [...untrusted(world, "pull-request"), ...untrusted(world, "branch")],
};

function untrusted(world: World, situation: Exclude<Situation, "main">): readonly ParityLine[] {
  const whose = situation === "pull-request" ? "a pull or merge request" : "a branch that nobody trusts yet";
  const found = world.repository.jobs[situation].flatMap((job) => uploadsOf(world, job));
  const why = "a Bazel cache has no signatures: what it uploads, everybody's builds take";
  const next = `${variable}: "false", or --remote_upload_local_results=false; true only on the trusted branch`;
  const writing = found.filter(({ uploads }) => uploads === true);
  const lines = [...Map.groupBy(writing, ({ how }) => how)].map(([how, of]) =>
    pullLine("drift", `${whose} writes to the Bazel cache`, { ci: how, places: placesOf(of.map(({ setting }) => setting)), why, next }),
  );
  const unknown = unknownLines(found.filter(({ uploads }) => uploads === undefined));
  return [...lines, ...unknown.map((detail) => pullLine("unknown", `whether ${whose} writes to the Bazel cache`, { ...detail, next }))];
}

function unknownLines(
  uploads: readonly Upload[],
): readonly { readonly ci: string; readonly places: readonly Place[]; readonly why: string }[] {
  return [...Map.groupBy(uploads, ({ how, why }) => `${how}\n${why}`).values()].flatMap((same) => {
    const [first] = same;
    return first === undefined ? [] : [{ ci: first.how, places: placesOf(same.map(({ setting }) => setting)), why: first.why }];
  });
}

function uploadsOf(world: World, job: Job): readonly Upload[] {
  const building = heavyCalls(job, "bazel");
  const steps = job.foreign.filter(({ name }) => bazelAction.test(name));
  if (building.length === 0 && steps.length === 0) return [];
  const settings = valuesOf(job, variable).filter(({ text }) => text !== "");
  const inputs = steps.flatMap(({ inputs }) => [...inputs.values()].filter(({ name }) => uploadInput.test(name)));
  const told = distinctSettings([...settings, ...inputs]).map((setting) => ({
    uploads: setting.unknown.length > 0 ? undefined : /^(?:1|true|yes)$/i.test(setting.text),
    setting,
    how: `${setting.name}: ${setting.text}`,
    why: unknownWords(setting),
  }));
  return [...told, ...building.flatMap((call) => byCall(world, job, call))];
}

/** What a Bazel does by its options. One that is given a cache, and nothing about uploads, uploads. */
function byCall({ repository }: World, job: Job, call: Call): readonly Upload[] {
  // The guard's flags come last, and beat all others.
  if (call.way === "guard") return [];
  const unknown = call.args.find(({ text, unknown }) => text.startsWith("--remote_upload_local_results") && unknown.length > 0);
  const setting = (text: string): Setting => ({ name: call.name, text, unknown: [], place: call.place });
  if (unknown !== undefined) return [{ uploads: undefined, setting: setting(unknown.text), how: unknown.text, why: unknownWords(unknown) }];
  const { flags } = optionsOf(
    repository.rc,
    call.command,
    call.args.map(({ text }) => text),
  );
  const flag = lastFlag(flags, "remote_upload_local_results");
  const uploads = booleanOf(flag);
  if (uploads !== undefined)
    return [{ uploads, setting: placed(setting(`--remote_upload_local_results=${String(uploads)}`), flag), how: words(flag), why: "" }];
  if (call.way === "wrapper" && differingWrapper.test(call.name) && valuesOf(job, variable).length === 0) {
    const why = `copies of this wrapper differ: some upload where ${variable} is not set`;
    return [{ uploads: undefined, setting: setting(call.name), how: call.name, why }];
  }
  const cache = lastFlag(flags, "remote_cache", "remote_http_cache");
  if (call.way !== "plain" || cache === undefined || cache.value === "") return [];
  return [{ uploads: true, setting: setting("a cache, and nothing of uploads"), how: "Bazel uploads unless it is told not to", why: "" }];
}

function words(flag: Flag | undefined): string {
  const said = `--remote_upload_local_results=${flag?.value ?? ""}`;
  return flag?.origin === undefined ? said : `${said} of ${placeWords(flag.origin)}`;
}

function placed(setting: Setting, flag: Flag | undefined): Setting {
  return flag?.origin === undefined ? setting : { ...setting, place: { file: flag.origin.file, line: flag.origin.line } };
}
