/** The status: the daemon's where one answers, else what the published files, the journal and the spool still say. */
import { existsSync } from "node:fs";
import type { AttachmentReport, EscapesReport, StatusReport } from "../../contract/api.ts";
import { statusSchema } from "../../contract/api.ts";
import type { Tool } from "../../contract/endpoint.ts";
import { journalPath, type Paths, spoolPath } from "../../contract/paths.ts";
import { type Clock, lease, type NixTerms } from "../../contract/published.ts";
import { type Absence, absenceOf } from "../../daemon/api/client/absence.ts";
import { DaemonClient } from "../../daemon/api/client/connection.ts";

/**
 * Starts nothing.
 * @param of what just ended is waited for, a moment, or what is known `now` is enough
 */
export async function readStatus(paths: Paths, profile: string, of: "now" | "recorded" = "now"): Promise<StatusReport> {
  try {
    const daemon = new DaemonClient(paths);
    return await (of === "now" ? daemon.status(profile) : daemon.recorded(profile));
  } catch (error) {
    const absence = absenceOf(error, paths);
    if (absence === undefined) throw error;
    return statusWithoutDaemon(paths, profile, absence);
  }
}

/** Asks nobody: for whoever knows already that no daemon answers. */
export async function statusWithoutDaemon(paths: Paths, profile: string, absence: Absence): Promise<StatusReport> {
  const { readClock } = await import("../../daemon/api/client/clock.ts");
  const now = readClock();
  const bazel = await published(paths, profile, "bazel", { now, absence });
  const nix = await published(paths, profile, "nix", { now, absence });
  const attached = bazel.report.state === "attached";
  return {
    schema: statusSchema,
    mode: attached ? bazel.mode : "compatibility-local-only",
    profileState: attached ? bazel.profileState : "unattached",
    profile,
    detached: false,
    bazel: {
      ...bazel.report,
      upload: bazel.upload,
      digestFunctions: null,
      updateEnabled: null,
      aliases: bazel.aliases,
      instanceName: null,
    },
    // Published terms are those on which this machine's Nix took the cache.
    nix: { ...nix.report, publicKey: nix.terms?.publicKey ?? null, trusted: nix.terms === undefined ? null : true, storeDir: null },
    tailnet: {
      name: null,
      magicDnsSuffix: null,
      trusted: false,
      backendState: null,
      self: null,
      health: [],
      via: null,
      systemSocket: true,
      reason: `${absence.words}, so nothing is known of the tailnet`,
      next: absence.next,
    },
    candidates: [],
    rejections: [],
    daemon: null,
    ...(await escapesAndRefusals(paths)),
    running: [],
    recent: [],
    hitRates: null,
  };
}

interface FromFile {
  readonly report: AttachmentReport;
  readonly mode: StatusReport["mode"];
  readonly profileState: StatusReport["profileState"];
  readonly upload: boolean;
  readonly aliases: readonly string[];
  readonly terms?: NixTerms | undefined;
}

async function published(paths: Paths, profile: string, kind: Tool, { now, absence }: { now: Clock; absence: Absence }): Promise<FromFile> {
  const unattached = (reason: string | null): AttachmentReport => ({ ...unknown, reason, next: absence.next });
  const { readPublished } = await import("../../daemon/api/client/published.ts");
  const reading = readPublished(paths, profile, kind, now);
  const nothing = { mode: "compatibility-local-only", profileState: "unattached", upload: false, aliases: [] } as const;
  switch (reading.state) {
    case "absent":
      return { ...nothing, report: unattached(absence.words) };
    case "unbelievable":
      return { ...nothing, report: unattached(`the published attachment is not believed: ${reading.fault}`) };
    case "stale":
      return { ...nothing, report: unattached(`${absence.words}, and what was published last is over: ${reading.fault}`) };
    case "live": {
      const { published } = reading;
      if (published.endpoint === undefined) return { ...nothing, report: unattached(published.reason) };
      const age = Math.max(0, now.seconds - published.verified);
      return {
        mode: published.mode,
        profileState: published.state,
        upload: published.upload,
        aliases: published.aliases.map((alias) => alias.url),
        terms: published.nix,
        report: {
          ...unattached(null),
          state: "attached",
          endpoint: published.endpoint.url,
          verifiedAt: new Date(Date.now() - age * 1000).toISOString(),
          proofAgeS: age,
          next: `${absence.words}, so this ends in ${Math.min(lease.span, Math.max(0, published.validUntil - now.seconds))} s; to keep it: ${absence.next}`,
        },
      };
    }
  }
}

const unknown = {
  state: "unattached",
  since: null,
  path: null,
  endpoint: null,
  source: null,
  node: null,
  verifiedAt: null,
  proofAgeS: null,
  latencyMs: null,
  trail: [],
  health: "unknown",
  rung: null,
  unsettled: false,
} as const;

async function escapesAndRefusals(paths: Paths): Promise<Pick<StatusReport, "escapes" | "refusals">> {
  const none: EscapesReport = { today: 0, last: null };
  // The journal's reader brings SQLite and a schema library: not for files that are not there.
  if (!existsSync(spoolPath(paths)) && !existsSync(journalPath(paths))) return { escapes: none, refusals: none };
  const { readEscapes } = await import("../../daemon/api/client/journal/history.ts");
  return readEscapes(paths, new Date());
}
