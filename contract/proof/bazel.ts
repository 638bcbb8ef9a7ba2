/** Whether a rebuild from nothing shows that the attached cache answers: from what was observed, never from what was meant. */
import type { BuildEvents } from "../bazel/build-events.ts";
import { doubtOf } from "../bazel/processes.ts";
import { type Endpoint, sameEndpoint } from "../endpoint.ts";
import type { Counts } from "../invocation.ts";
import type { SubstrateMode } from "../mode.ts";
import type { ProofProcesses, Reason } from "./record.ts";

/** What the guard would attach a build to at one moment. */
export type BazelAttachmentSeen =
  | { readonly state: "attached"; readonly endpoint: Endpoint; readonly upload: boolean; readonly instanceName: string | undefined }
  | { readonly state: "unattached"; readonly reason: string; readonly next: string | undefined };

export interface BuildSeen {
  readonly exitCode: number;
  readonly interrupted: boolean;
  readonly wallMs: number;
  readonly events: BuildEvents;
}

export interface BazelSeen {
  /** Where the environment or the manifest declares one. */
  readonly claimed: SubstrateMode | undefined;
  readonly before: BazelAttachmentSeen;
  /** Each moment later on, in order: between the two builds, and behind them. */
  readonly later: readonly BazelAttachmentSeen[];
  /** undefined: it was not run, since this machine may not fill the cache. */
  readonly fill: BuildSeen | undefined;
  /** undefined: it did not come to it. */
  readonly rebuild: BuildSeen | undefined;
}

export type BazelRule =
  | "bazel-unattached"
  | "attachment-lost"
  | "endpoint-swapped"
  | "interrupted"
  | "fill-failed"
  | "rebuild-failed"
  | "events-missing"
  | "cache-not-read"
  | "cache-written"
  | "disk-cache"
  | "remote-proxy"
  | "executor-set"
  | "instance-name"
  | "null-build"
  | "no-hits"
  | "doubtful-hits"
  | "executor-claimed";

/** @returns why it is not proved; nothing where it is */
export function judgeBazel(seen: BazelSeen): readonly Reason[] {
  const { before } = seen;
  if (before.state === "unattached") return [reason("bazel-unattached", before.reason, before.next ?? "flywheel status")];
  if (seen.fill?.interrupted === true || seen.rebuild?.interrupted === true) {
    return [reason("interrupted", "a build was interrupted", "flywheel proof, once more")];
  }
  return [
    ...judgeClaim(seen),
    ...seen.later.flatMap((later) => judgeLater(before.endpoint, later)),
    ...(seen.fill === undefined ? [] : judgeFill(seen.fill, before.endpoint)),
    ...(seen.rebuild === undefined ? [] : judgeRebuild(seen.rebuild, before, seen)),
    ...(seen.rebuild === undefined && (seen.fill === undefined || seen.fill.exitCode === 0)
      ? [reason("rebuild-failed", "the targets were not built again", "flywheel proof, once more")]
      : []),
  ];
}

/** Hits of a cache are no remote execution: only processes that an executor ran are. */
function judgeClaim({ claimed, rebuild, fill }: BazelSeen): Reason[] {
  if (claimed !== "executor-backed") return [];
  const remote = [fill, rebuild].reduce((sum, build) => sum + (processesOf(build?.events.counts)?.remote ?? 0), 0);
  if (remote > 0) return [];
  return [
    reason(
      "executor-claimed",
      "executor-backed is claimed, and no process ran on an executor: cache hits are not remote execution",
      "declare shared-cache-backed",
    ),
  ];
}

function judgeLater(first: Endpoint, later: BazelAttachmentSeen): Reason[] {
  if (later.state === "unattached") {
    return [reason("attachment-lost", `the attachment was lost on the way: ${later.reason}`, later.next ?? "flywheel status")];
  }
  if (sameEndpoint(first, later.endpoint)) return [];
  return [reason("endpoint-swapped", `it began attached to ${first.url} and went on to ${later.endpoint.url}`, onceMore)];
}

const onceMore = "flywheel status, and once it is settled: flywheel proof";

function judgeFill({ exitCode, events }: BuildSeen, endpoint: Endpoint): Reason[] {
  if (exitCode !== 0) return [reason("fill-failed", `the first build failed (exit ${exitCode})`, "mend the build: its output is above")];
  return judgeEndpoint(events, endpoint, "the first build");
}

function judgeRebuild(build: BuildSeen, before: Extract<BazelAttachmentSeen, { state: "attached" }>, seen: BazelSeen): Reason[] {
  const { exitCode, events } = build;
  if (exitCode !== 0) return [reason("rebuild-failed", `the rebuild failed (exit ${exitCode})`, "mend the build: its output is above")];
  const { counts, namesDiskCache, options } = events;
  if (counts === undefined || options === undefined || events.exitCode !== 0) {
    return [reason("events-missing", "Bazel's build events do not tell how the rebuild went", "report it, with the version of Bazel")];
  }
  const reasons = [...judgeEndpoint(events, before.endpoint, "the rebuild"), ...judgeOptions(options, before, seen.claimed)];
  const doubt = doubtOf({ counts, namesDiskCache }, { diskCache: (options.get("disk_cache") ?? "") !== "", version: events.version });
  if (doubt !== null) reasons.push(reason("doubtful-hits", doubt, "take the disk cache away"));
  const { hits, misses, other } = counts;
  if (hits + misses + other === 0) {
    reasons.push(
      reason(
        "null-build",
        "the targets have nothing to do: no process ran, and none was asked of a cache",
        "name targets that build something",
      ),
    );
  } else if (hits === 0) {
    reasons.push(
      reason(
        "no-hits",
        `none of the ${misses + other} processes was answered by the cache`,
        seen.fill === undefined
          ? "this machine may not fill the cache: let CI build these targets first, then compare with flywheel parity"
          : "see that the cache keeps what it is given, and that these actions may be cached",
      ),
    );
  }
  return reasons;
}

/** What was in effect, whatever was attached: an rc file, a flag or an escape may have come between. */
function judgeEndpoint({ options }: BuildEvents, endpoint: Endpoint, which: string): Reason[] {
  if (options === undefined)
    return [reason("events-missing", `Bazel's build events do not tell the options of ${which}`, "report it, with the version of Bazel")];
  const effective = options.get("remote_cache") ?? "";
  if (effective === endpoint.url) return [];
  const told = effective === "" ? "no cache" : effective;
  return [reason("endpoint-swapped", `${which} had ${told}, and not ${endpoint.url}`, onceMore)];
}

function judgeOptions(
  options: ReadonlyMap<string, string>,
  { instanceName }: Extract<BazelAttachmentSeen, { state: "attached" }>,
  claimed: SubstrateMode | undefined,
): Reason[] {
  const value = (name: string): string => options.get(name) ?? "";
  const reasons: Reason[] = [];
  if (!isOn(options.get("remote_accept_cached"), "on")) {
    reasons.push(reason("cache-not-read", "--noremote_accept_cached was in effect: the cache was never read", "take it away"));
  }
  if (isOn(options.get("remote_upload_local_results"), "on")) {
    reasons.push(
      reason("cache-written", "the rebuild could write to the cache, and so answer itself", "report it: uploads were to be off"),
    );
  }
  if (value("disk_cache") !== "") {
    reasons.push(
      reason("disk-cache", "a disk cache was in effect, whose hits some Bazels count as the shared cache's", "take --disk_cache away"),
    );
  }
  if (value("remote_proxy") !== "") {
    reasons.push(
      reason("remote-proxy", "--remote_proxy was in effect: what answered need not be the cache that was proved", "take it away"),
    );
  }
  if (value("remote_executor") !== "" && claimed !== "executor-backed") {
    reasons.push(reason("executor-set", "--remote_executor was in effect, and a shared cache is not remote execution", "take it away"));
  }
  if (value("remote_instance_name") !== (instanceName ?? "")) {
    const [found, wanted] = [value("remote_instance_name") || "none", instanceName ?? "none"];
    reasons.push(
      reason("instance-name", `the instance name was ${found}, and the profile's is ${wanted}`, "take --remote_instance_name away"),
    );
  }
  return reasons;
}

/** Bazel tells a switch as `1`, `true` or, where it is a default, not at all. */
function isOn(value: string | undefined, otherwise: "on" | "off"): boolean {
  return value === undefined ? otherwise === "on" : /^(?:1|true|yes)$/i.test(value);
}

export function processesOf(counts: Counts | undefined): ProofProcesses | null {
  if (counts === undefined) return null;
  const { hits, other, misses, local, internal } = counts;
  return { hits, other, misses, local, remote: misses - local, internal };
}

function reason(rule: BazelRule, message: string, next: string): Reason {
  return { part: "bazel", rule, message, next };
}
