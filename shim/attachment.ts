/** Where the guard learns what is attached: the published file first, then the daemon, which it may start and wait for. */

import type { AttachmentReport, CandidateReport, DaemonReport, ProbeReport, StatusReport } from "../contract/api.ts";
import type { AttachedCache } from "../contract/bazel/injection.ts";
import type { Credential } from "../contract/credential.ts";
import { type Endpoint, parseEndpoint, type Tool } from "../contract/endpoint.ts";
import type { Environment } from "../contract/environment.ts";
import { FlywheelError, messageOf } from "../contract/errors.ts";
import type { Paths } from "../contract/paths.ts";
import type { Profile } from "../contract/profile.ts";
import { lease } from "../contract/published.ts";
import { localTime, span } from "../contract/words.ts";
import { absenceOf } from "../daemon/api/client/absence.ts";
import { ensureDaemon } from "../daemon/api/client/autostart.ts";
import { readClock } from "../daemon/api/client/clock.ts";
import { DaemonClient } from "../daemon/api/client/connection.ts";
import { probeOnce } from "../daemon/api/client/probe-once.ts";
import { readPublished } from "../daemon/api/client/published.ts";

/** No attachment, as far as anybody knows. */
export interface NoAttachment {
  readonly state: "unattached";
  readonly reason: string;
  readonly since: string | undefined;
  readonly tried: readonly string[];
  readonly next: string | undefined;
}

export type Standing = { readonly state: "attached"; readonly cache: AttachedCache; readonly localProof: boolean } | NoAttachment;

export interface AttachmentSource {
  /** What is attached for the profile now. */
  current(profile: Profile): Promise<Standing>;
  /** Proves an endpoint that the invoking environment names. @param credential sent instead of what is kept for it */
  prove(profile: Profile, endpoint: Endpoint, localProof: boolean, credential?: Credential): Promise<ProbeReport>;
}

/**
 * How patient to be: `guard` starts the daemon and waits for an attachment that is coming; `look` only looks, as whoever
 * explains does. In CI nobody starts a daemon, which is `…-without-daemon`.
 */
export type Patience = "guard" | "guard-without-daemon" | "look" | "look-without-daemon";

/** The same for both: in CI no daemon is started. */
export function patienceOf(what: "guard" | "look", env: Environment): Patience {
  return env["CI"] ? `${what}-without-daemon` : what;
}

/** Whether nothing may be made, and nothing waited for. */
export function onlyLooks(patience: Patience): boolean {
  return patience === "look" || patience === "look-without-daemon";
}

/** An attachment that is coming is waited for this long: milliseconds (design: 3 s). */
const longestWait = 3000;

export function attachmentSource(paths: Paths, patience: Patience): AttachmentSource {
  const client = new DaemonClient(paths);
  return {
    async current(profile) {
      const reading = readPublished(paths, profile.name, "bazel", readClock());
      if (reading.state === "live" && reading.published.endpoint !== undefined) {
        const { endpoint, aliases, upload, state } = reading.published;
        return {
          state: "attached",
          cache: { endpoint, aliases, upload, instanceName: profile.bazel.instanceName },
          localProof: state === "local-proof",
        };
      }
      try {
        return standingOf(await statusOf(paths, client, "bazel", profile.name, patience), profile);
      } catch (error) {
        return withoutDaemon(error, patience, paths, operatorWord);
      }
    },
    async prove(profile, endpoint, localProof, credential) {
      const request = { profile: profile.name, kind: endpoint.kind, endpoint: endpoint.url, localProof };
      // The daemon sends only what the user logged in with.
      if (credential !== undefined) return probeOnce(request, credential);
      try {
        if (patience === "guard") await started(paths);
        return await client.probe(request);
      } catch (error) {
        if (!(error instanceof FlywheelError) || error.code !== "daemon-unreachable" || patience === "look") throw error;
        return await probeOnce(request);
      }
    },
  };
}

const operatorWord = "BAZEL_REMOTE_CACHE";

/**
 * Nobody can say what is attached: why, as far as the guard's own patience is the reason.
 * @param variable what could have named an endpoint
 */
export function withoutDaemon(error: unknown, patience: Patience, paths: Paths, variable: string): NoAttachment {
  const base = { state: "unattached", since: undefined, tried: [] } as const;
  const absence = absenceOf(error, paths);
  if (absence?.kind === "hung") return { ...base, reason: absence.words, next: absence.next };
  if (absence?.kind === "none" && patience === "look") {
    return { ...base, reason: `${absence.words}; the guard would start one and wait at most 3 s for an attachment`, next: absence.next };
  }
  if (absence?.kind === "none" && (patience === "guard-without-daemon" || patience === "look-without-daemon")) {
    const reason = `CI is set, so no daemon is started, and ${variable} names no endpoint`;
    return { ...base, reason, next: `set ${variable} to the runner's endpoint, or unset CI` };
  }
  return { ...base, reason: messageOf(error), next: error instanceof FlywheelError ? error.next : undefined };
}

/** The daemon's status, once it has settled on an attachment of the kind, or has had its time. */
export async function statusOf(paths: Paths, client: DaemonClient, kind: Tool, profile: string, patience: Patience): Promise<StatusReport> {
  if (patience === "guard") await started(paths);
  const status = await asked(client, kind, profile, patience);
  if (onlyLooks(patience) || status[kind].state === "attached" || !status[kind].unsettled) return status;
  let last = status;
  for await (const report of client.watch(profile, AbortSignal.timeout(longestWait))) {
    last = report;
    if (report[kind].state === "attached" || !report[kind].unsettled) break;
  }
  return last;
}

/** A cache that was there within the last lease may be back already, before the daemon's next look: then it is asked first. */
async function asked(client: DaemonClient, kind: Tool, profile: string, patience: Patience): Promise<StatusReport> {
  const status = await client.status(profile);
  const { state, unsettled, proofAgeS } = status[kind];
  const lostLately = state === "unattached" && !unsettled && !status.detached && (proofAgeS ?? Number.POSITIVE_INFINITY) <= lease.span;
  return lostLately && !onlyLooks(patience) ? client.verify(profile) : status;
}

async function started(paths: Paths): Promise<void> {
  const result = await ensureDaemon(paths, { timeoutMs: 8000 });
  if (result.result === "failed") {
    throw new FlywheelError("daemon-start-failed", result.message, result.next === null ? {} : { next: result.next });
  }
}

function standingOf(status: StatusReport, profile: Profile): Standing {
  const { bazel } = status;
  const parsed = parseEndpoint(bazel.endpoint ?? "", "bazel");
  if (bazel.state === "attached" && parsed.ok && (bazel.proofAgeS ?? Number.POSITIVE_INFINITY) <= lease.longestBelievable) {
    const aliases = bazel.aliases.flatMap((alias) => {
      const each = parseEndpoint(alias, "bazel");
      return each.ok ? [each.endpoint] : [];
    });
    return {
      state: "attached",
      cache: { endpoint: parsed.endpoint, aliases, upload: bazel.upload, instanceName: profile.bazel.instanceName },
      localProof: status.profileState === "local-proof",
    };
  }
  return noAttachment(status, "bazel");
}

/** What the daemon says of a kind that is not attached. */
export function noAttachment(status: StatusReport, kind: Tool): NoAttachment {
  const report = status[kind];
  const [reason, next] = [report.reason ?? "nothing is attached", report.next ?? undefined];
  // The user's own word: neither what a cache last said nor when one last answered is why.
  if (status.detached) return { state: "unattached", reason, since: undefined, tried: [], next };
  const tried = status.candidates.filter((candidate) => candidate.kind === kind && candidate.reason !== null).map(triedLine);
  const turnedDown = status.rejections
    .filter((rejection) => rejection.kind === kind)
    // What the reason says already is not said again.
    .filter((rejection) => report.reason?.includes(rejection.reason) !== true)
    .map((rejection) => `${rejection.subject}: not dialled: ${rejection.reason}`);
  return {
    state: "unattached",
    reason,
    since: sinceWhen(report, status.daemon),
    tried: [...tried, ...turnedDown],
    next,
  };
}

function sinceWhen({ proofAgeS }: AttachmentReport, daemon: DaemonReport | null): string | undefined {
  if (proofAgeS !== null) return `the last proof was made ${span(proofAgeS)} ago`;
  return daemon === null ? undefined : `the daemon started at ${localTime(daemon.startedAt)}, and has proved none`;
}

function triedLine(candidate: CandidateReport): string {
  const of = candidate.node === null ? candidate.source : `${candidate.source} ${candidate.node}`;
  return `${candidate.endpoint} (${of}): ${candidate.rung ?? "probe"}: ${candidate.reason ?? ""}`;
}
