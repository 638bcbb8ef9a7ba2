/** The states that the daemon derives and everything else shows. */
import type { CacheFacts, Candidate, Rung } from "./candidate.ts";
import { isLoopback, type Tool } from "./endpoint.ts";
import type { ProfileState, SubstrateMode } from "./mode.ts";

export type Health = "unknown" | "healthy" | "degraded" | "down";

/** No attachment, with the reason. `unsettled`: a first answer is still coming, so a short wait is worth it. */
export interface Unattached {
  readonly state: "unattached";
  readonly kind: Tool;
  readonly reason: string;
  /** What the reason speaks of: the endpoint that failed, or the subject of what was turned down. */
  readonly about?: string;
  readonly rung?: Rung;
  readonly next?: string;
  readonly unsettled: boolean;
}

export interface Attached {
  readonly state: "attached";
  readonly kind: Tool;
  readonly candidate: Candidate;
  readonly latencyMs: number;
  readonly health: Health;
  /** When the last proof was made: seconds of the boot clock (contract/published.ts). */
  readonly verified: number;
  readonly facts: CacheFacts;
}

export type Attachment = Attached | Unattached;

/** Loopback is never more than a local proof, whichever source named it. */
export function isLocalProof(candidate: Candidate): boolean {
  return candidate.source.name === "local-proof" || isLoopback(candidate.endpoint.host);
}

/** The profile state that the Bazel attachment stands for. */
export function profileStateOf(bazel: Attachment): ProfileState {
  if (bazel.state === "unattached") return "unattached";
  return isLocalProof(bazel.candidate) ? "local-proof" : "shared-cache-backed";
}

/** The substrate mode that the Bazel attachment stands for: a shared cache is never called remote execution. */
export function substrateModeOf(bazel: Attachment): SubstrateMode {
  return bazel.state === "attached" ? "shared-cache-backed" : "compatibility-local-only";
}
