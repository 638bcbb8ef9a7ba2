/** What crosses daemon.sock, and what `flywheel status --json` prints. Stable: `schema` rises when a field changes its meaning. */
import type { Health } from "./attachment.ts";
import type { Rung, SourceName } from "./candidate.ts";
import type { CredentialScheme } from "./credential.ts";
import type { Tool } from "./endpoint.ts";
import type { HitRate, Invocation } from "./invocation.ts";
import type { ProfileState, SubstrateMode } from "./mode.ts";
import type { NixAdvice } from "./nix/trust.ts";

export const statusSchema = 1;
/** The version of the socket's protocol; a client that meets another one says so instead of guessing. */
export const apiVersion = 1;
/** How much of the past a status tells. */
export const mostRecent = 8;
export const longestTrail = 40;
/** Every answer of the daemon carries the version in this header. */
export const apiVersionHeader = "flywheel-api";

/** How packets reach a node, by the last disco ping: straight, through a peer relay, or through a DERP server. */
export type PathReport =
  | { readonly via: "direct"; readonly address: string }
  | { readonly via: "peer-relay"; readonly address: string }
  | { readonly via: "derp"; readonly region: string };

export interface AttachmentReport {
  readonly state: "attached" | "unattached";
  /** ISO 8601: when it became attached to this endpoint, or unattached. */
  readonly since: string | null;
  readonly endpoint: string | null;
  readonly source: SourceName | null;
  /** MagicDNS name of the node, or the Service, that the endpoint belongs to. */
  readonly node: string | null;
  /** ISO 8601, wall clock, of the last proof; unattached, of any candidate there is. */
  readonly verifiedAt: string | null;
  /** Seconds since the last proof, by the boot clock. */
  readonly proofAgeS: number | null;
  readonly latencyMs: number | null;
  /** Of the last proofs of whatever was attached, oldest first, at most `longestTrail`: milliseconds; null for one that failed. */
  readonly trail: readonly (number | null)[];
  /** null while unattached, where no tailnet node stands behind the endpoint, and until a ping was answered. */
  readonly path: PathReport | null;
  readonly health: Health;
  /** Why not attached; null while attached. */
  readonly reason: string | null;
  /** What the reason speaks of, where that is one of `candidates` (its endpoint) or of `rejections` (its subject). */
  readonly about?: string;
  readonly rung: Rung | null;
  readonly next: string | null;
  /** A first answer is still coming. */
  readonly unsettled: boolean;
  /** What the user logged in with, where that is so and it is attached. */
  readonly credential?: CredentialReport;
}

/** A credential, without what is secret of it. */
export interface CredentialReport {
  readonly scheme: CredentialScheme;
  /** ISO 8601: when the user logged in. */
  readonly since: string;
  /** ISO 8601; null where nobody knows. */
  readonly expires: string | null;
  /** Whether the cache asks for it: `no` means that it answers anybody, so that a wrong credential would not be noticed. */
  readonly needed: "yes" | "no" | "unknown";
  /** What to type to log in again as before, with another secret. */
  readonly next: string;
}

export interface BazelReport extends AttachmentReport {
  readonly upload: boolean;
  readonly digestFunctions: readonly string[] | null;
  readonly updateEnabled: boolean | null;
  /** Other URLs of the same endpoint. */
  readonly aliases: readonly string[];
  readonly instanceName: string | null;
}

export interface NixReport extends AttachmentReport {
  readonly publicKey: string | null;
  /** Whether this machine's Nix takes the substituter from this user; null while nobody has asked it. */
  readonly trusted: boolean | null;
  readonly storeDir: string | null;
  /** What an administrator adds to this machine; only where its Nix would ignore the cache. */
  readonly advice?: NixAdvice;
}

export interface CandidateReport {
  readonly endpoint: string;
  readonly kind: Tool;
  readonly source: SourceName;
  readonly node: string | null;
  readonly health: Health;
  /** The rung that failed last; null where the last probe passed or none was made. */
  readonly rung: Rung | null;
  readonly reason: string | null;
  readonly next: string | null;
  readonly latencyMs: number | null;
  readonly attached: boolean;
  /** Kept proved, so that failover needs no new handshake. */
  readonly standby: boolean;
  /** Why it is not the attached one; null for the attached one. */
  readonly why: string | null;
  /** ISO 8601: since when its probes go as they go now; null before the first. */
  readonly since: string | null;
  /** ISO 8601 of its last proof. */
  readonly provedAt: string | null;
}

export interface RejectionReport {
  readonly kind: Tool;
  readonly source: SourceName;
  readonly subject: string;
  readonly reason: string;
  readonly next: string | null;
}

export interface TailnetReport {
  readonly name: string | null;
  readonly magicDnsSuffix: string | null;
  readonly trusted: boolean;
  /** BackendState of `tailscale status --json`; null where no client answered. */
  readonly backendState: string | null;
  /** This node's MagicDNS name. */
  readonly self: string | null;
  readonly health: readonly string[];
  /** Where it was read: the LocalAPI socket's path or `tailscale status --json`; and whether that is the system's own place. */
  readonly via: string | null;
  readonly systemSocket: boolean;
  /** Why nothing is known of the tailnet. */
  readonly reason: string | null;
  readonly next: string | null;
}

/** Has a running daemon read its configuration again; the fault of one that it could not read ends with it. */
export const rereadNext = "flywheel up";

export interface DaemonReport {
  readonly pid: number;
  readonly version: string;
  /** ISO 8601. */
  readonly startedAt: string;
  /** What the daemon itself suffers from: a log that cannot be written, a configuration that could not be read again. */
  readonly faults: readonly string[];
}

/** A guarded command that was given the attachment and runs now (contract/running.ts). */
export interface RunningReport {
  readonly pid: number;
  readonly tool: string;
  readonly command: string;
  /** The directory it was called in. */
  readonly directory: string | null;
  /** ISO 8601. */
  readonly startedAt: string;
  /** The endpoint that it was given; null where its mark names none. */
  readonly endpoint: string | null;
  /** Its cache died under it; what was seen. */
  readonly lost: string | null;
}

/** Escapes, or refusals. */
export interface EscapesReport {
  /** Since midnight, local time. */
  readonly today: number;
  readonly last: { readonly at: string; readonly reason: string; readonly command: string } | null;
}

export interface StatusReport {
  readonly schema: typeof statusSchema;
  readonly mode: SubstrateMode;
  readonly profileState: ProfileState;
  readonly profile: string;
  readonly detached: boolean;
  readonly bazel: BazelReport;
  readonly nix: NixReport;
  readonly tailnet: TailnetReport;
  readonly candidates: readonly CandidateReport[];
  readonly rejections: readonly RejectionReport[];
  /** null: no daemon is running. */
  readonly daemon: DaemonReport | null;
  readonly escapes: EscapesReport;
  readonly refusals: EscapesReport;
  /** Of this profile. */
  readonly running: readonly RunningReport[];
  /** The last guarded commands of this profile that ended, the newest first, at most `mostRecent`; none without a daemon. */
  readonly recent: readonly Invocation[];
  /** Of this profile since midnight, and over the last 7 days; null without a daemon. */
  readonly hitRates: { readonly today: HitRate; readonly week: HitRate } | null;
}

/**
 * GET /v1/hello. With POST /v1/stop it is the part of the protocol that never changes: every version answers
 * both, whatever else it speaks, so that one can always take over from another.
 */
export interface Hello {
  readonly api: number;
  readonly pid: number;
  readonly version: string;
  readonly startedAt: string;
  /** The daemon's script: where the flywheel lies that it belongs to. */
  readonly entry: string;
  /** A service unit, or a flywheel that needed it. */
  readonly startedBy: "flywheel" | "service";
}

/** POST /v1/stop. `pid`: only the daemon that has it is meant, not one that took its place meanwhile. */
export interface StopRequest {
  readonly pid?: number;
}

/** POST /v1/attach */
export interface AttachRequest {
  readonly profile: string;
  readonly kind: Tool;
  readonly endpoint: string;
  /** Both of the fleet's markers stood in the environment of whoever asked. */
  readonly localProof: boolean;
}

/** POST /v1/probe: judges one endpoint for one invocation; it never becomes the shared attachment. */
export interface ProbeRequest {
  readonly profile: string;
  readonly kind: Tool;
  readonly endpoint: string;
  readonly localProof: boolean;
}

/** POST /v1/credential: what a credential helper answers for a URI, by what the profile owns. */
export interface CredentialRequest {
  readonly profile: string;
  readonly uri: string;
}

/** In the words of Bazel's credential helper protocol. */
export interface CredentialAnswer {
  readonly headers: Readonly<Record<string, readonly string[]>>;
  /** ISO 8601; null where nobody knows. */
  readonly expires: string | null;
}

/** POST /v1/generation: makes the files from which a tool takes the credential of an endpoint. */
export interface GenerationRequest {
  readonly profile: string;
  readonly kind: Tool;
  readonly endpoint: string;
  /** Of Nix: where the user's own nix.conf lies for the command (userConfFiles()); as the daemon's environment says where absent. */
  readonly userConf?: readonly string[];
  /** Makes nothing: the answer is where it would be made, or why it could not. */
  readonly look?: boolean;
}

export interface GenerationAnswer {
  /** Of `bazelrc` (Bazel) or `netrc` (Nix). */
  readonly directory: string;
}

export type ProbeReport =
  | {
      readonly ok: true;
      readonly endpoint: string;
      readonly latencyMs: number;
      /** Where a credential was given with the request: whether the endpoint asks for one. */
      readonly needed?: CredentialReport["needed"];
    }
  | {
      readonly ok: false;
      readonly endpoint: string;
      readonly rung: Rung;
      readonly reason: string;
      readonly next: string | null;
      /** Of `authority`: it fell over the credential, or for want of one. */
      readonly over?: "credential";
    };

/** What the API answers with a 4xx or 5xx status. */
export interface ApiFault {
  readonly error: { readonly code: string; readonly message: string; readonly next: string | null };
}

/** What a daemon that is being started tells its parent on the handshake pipe, one JSON line. */
export type StartResult =
  | { readonly result: "started"; readonly pid: number }
  | { readonly result: "already-running"; readonly pid: number }
  | { readonly result: "failed"; readonly code: string; readonly message: string; readonly next: string | null };
