/** The fleet's variables: their names, and their values as far as the check, the guard and `env` need them. */
import { isProfileState, isSubstrateMode, type ProfileState, type SubstrateMode } from "./mode.ts";

export type Environment = Readonly<Record<string, string | undefined>>;

/** Where a check runs; the fleet's scripts tell these three apart. */
export type Context = "github-actions" | "ci" | "developer-machine";

/** A variable of a closed vocabulary: unset, one of its words, or something else that is kept for the message. */
export type Declared<T> = { state: "unset" } | { state: "known"; value: T } | { state: "unknown"; text: string };

export interface FleetEnvironment {
  readonly context: Context;
  /** BAZEL_REMOTE_CACHE and BAZEL_REMOTE_EXECUTOR as written; undefined where unset or empty. */
  readonly cache: string | undefined;
  readonly executor: string | undefined;
  readonly mode: Declared<SubstrateMode>;
  readonly profileState: Declared<ProfileState>;
  /** GF_BAZEL_LOCAL_PROOF is exactly `port-forward`. */
  readonly localProof: boolean;
  readonly allowLocalhost: boolean;
  readonly allowSeparateExecutorCache: boolean;
  readonly allowHostedRunner: boolean;
  /** GF_BAZEL_RUNNER_LABELS, split at commas and white space. */
  readonly runnerLabels: readonly string[];
  readonly proofImageDigest: string | undefined;
  readonly executionPlatform: string | undefined;
  readonly repositoryCache: string | undefined;
  /** BAZEL_DISTDIR, split at colons. */
  readonly distdirs: readonly string[];
  readonly tokenFile: string | undefined;
  readonly inlineToken: string | undefined;
  readonly atticServer: string | undefined;
  readonly atticCache: string | undefined;
  readonly atticPublicKey: string | undefined;
  readonly nixConfig: string | undefined;
}

/** Reads an environment; an empty variable is an unset one, and a permission counts only as the literal `true`. */
export function fleetEnvironment(env: Environment): FleetEnvironment {
  const text = (name: string): string | undefined => env[name] || undefined;
  return {
    context: env["GITHUB_ACTIONS"] === "true" ? "github-actions" : text("CI") === undefined ? "developer-machine" : "ci",
    cache: text("BAZEL_REMOTE_CACHE"),
    executor: text("BAZEL_REMOTE_EXECUTOR"),
    mode: declared(text("GF_BAZEL_SUBSTRATE_MODE"), isSubstrateMode),
    profileState: declared(text("GF_FLYWHEEL_PROFILE_STATE"), isProfileState),
    localProof: env["GF_BAZEL_LOCAL_PROOF"] === "port-forward",
    allowLocalhost: env["GF_BAZEL_ALLOW_LOCALHOST_PROOF"] === "true",
    allowSeparateExecutorCache: env["GF_BAZEL_ALLOW_SEPARATE_EXECUTOR_CACHE"] === "true",
    allowHostedRunner: env["GF_BAZEL_ALLOW_HOSTED_RUNNER"] === "true",
    runnerLabels: (env["GF_BAZEL_RUNNER_LABELS"] ?? "").split(/[\s,]+/).filter((label) => label !== ""),
    proofImageDigest: text("GF_BAZEL_REAPI_PROOF_IMAGE_DIGEST"),
    executionPlatform: text("GF_BAZEL_REMOTE_EXECUTION_PLATFORM"),
    repositoryCache: text("BAZEL_REPOSITORY_CACHE"),
    distdirs: (env["BAZEL_DISTDIR"] ?? "").split(":").filter((directory) => directory !== ""),
    tokenFile: text("GF_REAPI_CREDENTIAL_HELPER_TOKEN_FILE"),
    inlineToken: text("GF_REAPI_CREDENTIAL_HELPER_TOKEN"),
    atticServer: text("ATTIC_SERVER"),
    atticCache: text("ATTIC_CACHE"),
    atticPublicKey: text("ATTIC_PUBLIC_KEY"),
    nixConfig: text("NIX_CONFIG"),
  };
}

/** Whether both of the fleet's markers stand in an environment, so that loopback may be an endpoint for its process. */
export function hasLocalProof(env: Environment): boolean {
  const { localProof, allowLocalhost } = fleetEnvironment(env);
  return localProof && allowLocalhost;
}

function declared<T extends string>(text: string | undefined, known: (text: string) => text is T): Declared<T> {
  if (text === undefined) return { state: "unset" };
  return known(text) ? { state: "known", value: text } : { state: "unknown", text };
}

/**
 * What an `.env.flywheel.local` may set: the attachment's coordinates, as flywheel-enroll writes them. Tokens are
 * not among them: they do not belong in a file of a working tree.
 */
export const envFileVariables = [
  "ATTIC_CACHE",
  "ATTIC_PUBLIC_KEY",
  "ATTIC_SERVER",
  "BAZEL_CREDENTIAL_HELPER",
  "BAZEL_REMOTE_CACHE",
  "BAZEL_REMOTE_CACHE_HEADER",
  "BAZEL_REMOTE_EXECUTOR",
  "BAZEL_REMOTE_EXEC_HEADER",
  "BAZEL_REMOTE_HEADER",
  "BAZEL_REMOTE_INSTANCE_NAME",
  "GF_BAZEL_ALLOW_LOCALHOST_PROOF",
  "GF_BAZEL_LOCAL_PROOF",
  "GF_BAZEL_REMOTE_EXECUTION_PLATFORM",
  "GF_BAZEL_REMOTE_UPLOAD",
  "GF_BAZEL_SUBSTRATE_MODE",
  "GF_FLYWHEEL_PROFILE_STATE",
  "GF_REAPI_BAZEL_CREDENTIAL_HELPER",
  "GF_REAPI_CREDENTIAL_HELPER_TOKEN_FILE",
] as const;
export type EnvFileVariable = (typeof envFileVariables)[number];

export function isEnvFileVariable(name: string): name is EnvFileVariable {
  return (envFileVariables as readonly string[]).includes(name);
}
