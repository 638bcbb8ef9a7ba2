/** What `flywheel parity --json` prints. Stable: `schema` rises when a field changes its meaning. */
import type { Forge, Place } from "./model.ts";

export const paritySchema = 1;

/** `unknown`: only the forge can tell, or a file that is not here; it is named, never guessed, and no drift. */
export const verdicts = ["drift", "unknown", "differs-on-purpose", "same"] as const;
export type Verdict = (typeof verdicts)[number];

/** Stable ids, for machines: first the parity set, then what is wrong in the repository by itself. */
export const parityRules = [
  "bazel-cache",
  "bazel-instance",
  "nix-cache",
  "nix-key",
  "mode",
  "profile-state",
  "upload",
  "ci-flags",
  "strict-action-env",
  "action-env",
  "bazel-version",
  "contract",
  "stale-place",
  "pull-request-upload",
  "ci-alone",
  "undefined-config",
  "disk-cache",
  "rc-placeholder",
  "rc-endpoint",
  "rc-upload",
  "generated-rc",
  "nix-develop-bazel",
  "raw-bazel",
  "unclassified-runner",
  "mode-rederived",
  "private-name",
  "flake-bazel",
  "not-read",
] as const;
export type ParityRule = (typeof parityRules)[number];

export interface ParityLine {
  readonly rule: ParityRule;
  readonly verdict: Verdict;
  /** What is compared, or what was found. */
  readonly what: string;
  readonly here: string | null;
  readonly ci: string | null;
  /** Where CI, or the repository, says so. */
  readonly places: readonly Place[];
  readonly why: string | null;
  /** What it should say, or what to type. */
  readonly next: string | null;
}

export interface ParityReport {
  readonly schema: typeof paritySchema;
  /** Nothing drifts. */
  readonly ok: boolean;
  readonly profile: string;
  /** The repository's root. */
  readonly repository: string;
  /** By forge: the files that describe its CI, and how many jobs they come to. */
  readonly ci: Readonly<Record<Forge, { readonly files: readonly string[]; readonly jobs: number }>>;
  readonly lines: readonly ParityLine[];
}
