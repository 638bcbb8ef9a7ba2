/** Puts together what `flywheel status` shows. Pure. */
import {
  type AttachmentReport,
  type CandidateReport,
  type CredentialReport,
  type DaemonReport,
  type EscapesReport,
  type NixReport,
  type PathReport,
  type RejectionReport,
  type RunningReport,
  type StatusReport,
  statusSchema,
  type TailnetReport,
} from "../contract/api.ts";
import { type Attachment, profileStateOf, substrateModeOf } from "../contract/attachment.ts";
import type { Candidate, Rejection } from "../contract/candidate.ts";
import type { NixHonour } from "../contract/nix/trust.ts";
import type { Profile } from "../contract/profile.ts";
import type { Clock } from "../contract/published.ts";
import { printable } from "../contract/text.ts";
import type { TrustStore } from "../contract/trust.ts";
import type { Attacher, Standing } from "./attachment/attacher.ts";
import { nextOf } from "./attachment/unattached.ts";
import { tailnetTrust } from "./discovery/trust.ts";
import type { Tailnet } from "./tailnet/tailnet.ts";

export interface StatusInput {
  readonly profile: Profile;
  readonly detached: boolean;
  readonly bazel: Attacher;
  readonly nix: Attacher;
  readonly tailnet: Tailnet;
  readonly trust: TrustStore;
  readonly now: Clock;
  readonly daemon: DaemonReport;
  readonly escapes: EscapesReport;
  readonly refusals: EscapesReport;
  /** What this machine's Nix said last about a candidate; undefined where it was not asked. */
  readonly nixHonour: (candidate: Candidate) => NixHonour | undefined;
  /** What the user logged in to the candidate with. */
  readonly credentialOf: (candidate: Candidate) => CredentialReport | undefined;
  /** By which path packets reach the candidate's node; null where nobody knows. */
  readonly pathTo: (candidate: Candidate) => PathReport | null;
  /** Of this profile. */
  readonly running: readonly RunningReport[];
  readonly recent: StatusReport["recent"];
  readonly hitRates: StatusReport["hitRates"];
}

export function buildStatus(input: StatusInput): StatusReport {
  const { profile } = input;
  const bazel = input.bazel.attachment;
  const nix = input.nix.attachment;
  const bazelFacts = bazel.state === "attached" ? bazel.facts : undefined;
  return {
    schema: statusSchema,
    mode: substrateModeOf(bazel),
    profileState: profileStateOf(bazel),
    profile: profile.name,
    detached: input.detached,
    bazel: {
      ...attachmentReport(bazel, input.bazel, input),
      upload: bazel.state === "attached" && profile.bazel.upload,
      digestFunctions: bazelFacts?.digestFunctions ?? null,
      updateEnabled: bazelFacts?.updateEnabled ?? null,
      aliases: bazel.state === "attached" ? bazel.candidate.aliases.map((alias) => alias.url) : [],
      instanceName: profile.bazel.instanceName ?? null,
    },
    nix: nixReport(nix, input),
    tailnet: tailnetReport(profile, input.tailnet, input.trust),
    candidates: [...input.bazel.standings, ...input.nix.standings].map((standing) => candidateReport(standing, input.tailnet)),
    rejections: [...input.bazel.rejections, ...input.nix.rejections].map(rejectionReport),
    daemon: input.daemon,
    escapes: input.escapes,
    refusals: input.refusals,
    running: input.running,
    recent: input.recent,
    hitRates: input.hitRates,
  };
}

/** The Nix keys that the user or the profile named: the user's latest first, since whoever pins one for a profile means that one. */
export function nixKeys(profile: Profile, trust: TrustStore): readonly string[] {
  const own = profile.nix.publicKey === undefined ? [] : [profile.nix.publicKey];
  const pinned = trust.keys.filter((entry) => entry.profile === profile.name).map((entry) => entry.key);
  return [...new Set([...pinned.toReversed(), ...own])];
}

function nixReport(nix: Attachment, input: StatusInput): NixReport {
  const report = attachmentReport(nix, input.nix, input);
  const [configured] = nixKeys(input.profile, input.trust);
  if (nix.state === "attached") {
    const { honoured, storeDir } = nix.facts;
    return {
      ...report,
      endpoint: honoured?.endpoint.url ?? report.endpoint,
      publicKey: honoured?.publicKey ?? configured ?? null,
      trusted: honoured === undefined ? null : true,
      storeDir: storeDir ?? null,
    };
  }
  // Only what a candidate failed for: another may have been turned down before this machine's Nix was asked.
  const ignored = input.nix.tracks
    .map(({ candidate, outcome }) => {
      const honour = input.nixHonour(candidate);
      return honour?.ok === false && outcome?.ok === false && outcome.reason === printable(honour.ignored.reason, 400)
        ? honour.ignored
        : undefined;
    })
    .find((each) => each !== undefined);
  const base = { ...report, publicKey: configured ?? null, trusted: ignored === undefined ? null : false, storeDir: null };
  return ignored?.advice === undefined ? base : { ...base, advice: ignored.advice };
}

function attachmentReport(attachment: Attachment, attacher: Attacher, { now, pathTo, credentialOf }: StatusInput): AttachmentReport {
  const { lastProof } = attacher;
  const proved = {
    trail: attacher.trail.map((each) => (each === null ? null : tenths(each))),
    verifiedAt: lastProof?.at.toISOString() ?? null,
    proofAgeS: lastProof === undefined ? null : Math.max(0, now.seconds - lastProof.verified),
    since: attacher.since.toISOString(),
  };
  if (attachment.state === "unattached") {
    return {
      ...proved,
      path: null,
      state: "unattached",
      endpoint: null,
      source: null,
      node: null,
      latencyMs: null,
      health: attachment.unsettled ? "unknown" : "down",
      reason: attachment.reason,
      ...(attachment.about === undefined ? {} : { about: attachment.about }),
      rung: attachment.rung ?? null,
      next: attachment.next ?? null,
      unsettled: attachment.unsettled,
    };
  }
  const { candidate } = attachment;
  const credential = credentialOf(candidate);
  return {
    ...proved,
    ...(credential === undefined ? {} : { credential }),
    path: pathTo(candidate),
    state: "attached",
    endpoint: candidate.endpoint.url,
    source: candidate.source.name,
    node: ownerOf(candidate),
    latencyMs: tenths(attachment.latencyMs),
    health: attachment.health,
    reason: null,
    rung: null,
    next: null,
    unsettled: false,
  };
}

function candidateReport({ track, role, why }: Standing, tailnet: Tailnet): CandidateReport {
  const { candidate, outcome } = track;
  const failed = outcome?.ok === false ? outcome : undefined;
  return {
    endpoint: candidate.endpoint.url,
    kind: candidate.endpoint.kind,
    source: candidate.source.name,
    node: ownerOf(candidate),
    health: track.health,
    rung: failed?.rung ?? null,
    reason: failed?.reason ?? null,
    next: failed === undefined ? null : nextOf(candidate, failed, tailnet.state === "known"),
    latencyMs: track.latencyMs === undefined ? null : tenths(track.latencyMs),
    attached: role === "attached",
    standby: role === "standby",
    why: why ?? null,
    since: track.since?.toISOString() ?? null,
    provedAt: track.proof?.at.toISOString() ?? null,
  };
}

function rejectionReport({ kind, source, subject, reason, next }: Rejection): RejectionReport {
  return { kind, source, subject, reason, next: next ?? null };
}

/** The node or Service that the endpoint belongs to; nobody's for what an operator named. */
function ownerOf({ source }: Candidate): string | null {
  switch (source.name) {
    case "service":
      return source.service;
    case "peer":
    case "cluster":
      return source.node;
    case "operator":
    case "local-proof":
      return null;
    default:
      return source satisfies never;
  }
}

function tailnetReport(profile: Profile, tailnet: Tailnet, trust: TrustStore): TailnetReport {
  const verdict = tailnetTrust(profile, tailnet, trust);
  const place = { trusted: verdict.trusted, via: tailnet.via, systemSocket: tailnet.systemSocket };
  if (tailnet.state === "unreachable") {
    const unknown = { name: null, magicDnsSuffix: null, backendState: null, self: null, health: [] };
    return { ...place, ...unknown, reason: tailnet.reason, next: tailnet.next ?? null };
  }
  return {
    ...place,
    name: tailnet.name || null,
    magicDnsSuffix: tailnet.magicDnsSuffix || null,
    backendState: tailnet.backendState,
    self: tailnet.self.name || null,
    health: tailnet.health,
    reason: verdict.trusted ? null : verdict.reason,
    next: verdict.trusted ? null : (verdict.next ?? null),
  };
}

function tenths(milliseconds: number): number {
  return Math.round(milliseconds * 10) / 10;
}
