/**
 * Enrolment: what a repository's `.env.flywheel.local` is to say, under the profile names of the fleet's flywheel-enroll.
 * Pure, and never a secret: credentials come by files that this names, or not at all.
 */
import { checkContract } from "./check.ts";
import { helperLines, plainPath } from "./credential-helper.ts";
import { isLoopback, parseEndpoint } from "./endpoint.ts";
import type { EnvFileValues } from "./env-file-text.ts";
import { FlywheelError } from "./errors.ts";
import type { Manifest } from "./manifest.ts";
import type { ProfileState, SubstrateMode } from "./mode.ts";
import { instanceNames, type Profile } from "./profile.ts";
import { isSecretName, looksSecret } from "./redact.ts";
import { printable } from "./text.ts";

export const enrolments = [
  "shared-cache-backed",
  "executor-backed",
  "cluster-cache",
  "cluster-executor",
  "port-forward-cache",
  "port-forward-executor",
  "unattached",
] as const;
export type Enrolment = (typeof enrolments)[number];

interface Shape {
  readonly mode: SubstrateMode;
  readonly state: ProfileState;
  /** Where its endpoints stand. */
  readonly place: "routable" | "cluster" | "loopback" | "nowhere";
}

const shapes: Readonly<Record<Enrolment, Shape>> = {
  "shared-cache-backed": { mode: "shared-cache-backed", state: "shared-cache-backed", place: "routable" },
  "executor-backed": { mode: "executor-backed", state: "executor-backed", place: "routable" },
  "cluster-cache": { mode: "shared-cache-backed", state: "shared-cache-backed", place: "cluster" },
  "cluster-executor": { mode: "executor-backed", state: "executor-backed", place: "cluster" },
  "port-forward-cache": { mode: "shared-cache-backed", state: "local-proof", place: "loopback" },
  "port-forward-executor": { mode: "executor-backed", state: "local-proof", place: "loopback" },
  unattached: { mode: "compatibility-local-only", state: "unattached", place: "nowhere" },
};

export function isEnrolment(text: string): text is Enrolment {
  return (enrolments as readonly string[]).includes(text);
}

/** What the manifest's mode asks for; without one the fleet's fallback. */
export function defaultEnrolment(manifest: Manifest): Enrolment {
  const mode = manifest.state === "enrolled" ? manifest.mode : "shared-cache-backed";
  return mode === "compatibility-local-only" ? "unattached" : mode;
}

/** As the command line has them: flywheel-enroll's own options. */
export interface EnrolmentOptions {
  readonly cacheEndpoint: string | undefined;
  readonly executorEndpoint: string | undefined;
  readonly instanceName: string | undefined;
  readonly credentialHelper: string | undefined;
  readonly credentialHelperTokenFile: string | undefined;
  readonly remoteHeader: string | undefined;
  readonly remoteCacheHeader: string | undefined;
  readonly remoteExecHeader: string | undefined;
  readonly platform: string | undefined;
}

export interface EnrolmentInput {
  readonly enrolment: Enrolment;
  readonly options: EnrolmentOptions;
  readonly manifest: Manifest;
  /** The organisation's profile: its in-cluster names, instance and stale names. */
  readonly fleet: Profile;
  /** What is attached now, and the port-forward that the configuration names: for what no option names. */
  readonly attached: string | undefined;
  readonly portForward: string | undefined;
}

export interface EnrolmentPlan {
  readonly enrolment: Enrolment;
  readonly mode: SubstrateMode;
  /** The state that the endpoints stand for once they prove themselves. */
  readonly state: ProfileState;
  /** What the cache's URL came from; null where there is none. */
  readonly cacheFrom: "--cache-endpoint" | "--executor-endpoint" | "the profile's cluster" | "config.toml" | "what is attached" | null;
  readonly localProof: boolean;
  /** Everything but the state, which only a proof gives. */
  readonly values: EnvFileValues;
  /** What lacks before this could be written, in words; undefined where nothing does. */
  readonly lacks: { readonly what: string; readonly next: string } | undefined;
}

/**
 * @throws FlywheelError `usage` for an option that is malformed, holds a credential or has no place in this profile;
 * `endpoint-invalid` for an endpoint that breaks a rule of the contract
 */
export function planEnrolment(input: EnrolmentInput): EnrolmentPlan {
  const { enrolment, options, fleet } = input;
  const { mode, state, place } = shapes[enrolment];
  refuseStrangers(enrolment, options);
  const executor = endpointOf("--executor-endpoint", options.executorEndpoint);
  const cache = cacheOf(input, executor);
  for (const [from, url] of [[cache?.from ?? "", cache?.url] as const, ["--executor-endpoint", executor] as const]) {
    if (url !== undefined) checkPlace(enrolment, from, url);
  }
  const localProof = place === "loopback";
  const instance = place === "nowhere" ? undefined : (options.instanceName ?? fleet.bazel.instanceName);
  const values: EnvFileValues = definedOnly({
    GF_BAZEL_SUBSTRATE_MODE: mode,
    BAZEL_REMOTE_CACHE: cache?.url,
    BAZEL_REMOTE_EXECUTOR: executor,
    BAZEL_REMOTE_INSTANCE_NAME: matching("--instance-name", instance, instanceNames, "an instance name"),
    BAZEL_CREDENTIAL_HELPER: helperOf(options.credentialHelper),
    GF_REAPI_CREDENTIAL_HELPER_TOKEN_FILE: pathOf("--credential-helper-token-file", options.credentialHelperTokenFile),
    GF_BAZEL_REMOTE_EXECUTION_PLATFORM: matching(
      "--platform",
      options.platform,
      /^[A-Za-z0-9][A-Za-z0-9._/-]{0,127}$/,
      "a platform's name",
    ),
    BAZEL_REMOTE_HEADER: headersOf("--remote-header", options.remoteHeader),
    BAZEL_REMOTE_CACHE_HEADER: headersOf("--remote-cache-header", options.remoteCacheHeader),
    BAZEL_REMOTE_EXEC_HEADER: headersOf("--remote-exec-header", options.remoteExecHeader),
    ...(localProof ? { GF_BAZEL_LOCAL_PROOF: "port-forward", GF_BAZEL_ALLOW_LOCALHOST_PROOF: "true" } : {}),
  });
  const lacks = lackOf(input, cache?.url, executor);
  if (lacks === undefined) keepContract(values, fleet);
  return { enrolment, mode, state, cacheFrom: cache?.from ?? null, localProof, values, lacks };
}

/** What the file says: with the state once the endpoints have proved themselves, or where it claims none. */
export function enrolledValues(plan: EnrolmentPlan, proof: "proved" | "unproved"): EnvFileValues {
  const claims = proof === "proved" || plan.state === "unattached";
  return claims ? { ...plan.values, GF_FLYWHEEL_PROFILE_STATE: plan.state } : plan.values;
}

/** Why the manifest speaks against it; undefined where it does not. Staying unattached for now contradicts nobody. */
export function manifestFault(plan: EnrolmentPlan, manifest: Manifest): string | undefined {
  if (manifest.state !== "enrolled" || plan.state === "unattached" || manifest.mode === plan.mode) return undefined;
  return `tinyland.repo.json declares ${manifest.mode}, and ${plan.enrolment} is ${plan.mode}`;
}

function refuseStrangers(enrolment: Enrolment, options: EnrolmentOptions): void {
  const { mode } = shapes[enrolment];
  const { cacheEndpoint, instanceName, credentialHelper, credentialHelperTokenFile, remoteHeader, remoteCacheHeader } = options;
  const { executorEndpoint, remoteExecHeader, platform } = options;
  const forExecutors = [executorEndpoint, remoteExecHeader, platform].some((value) => value !== undefined);
  const forCaches = [cacheEndpoint, instanceName, credentialHelper, credentialHelperTokenFile, remoteHeader, remoteCacheHeader];
  const given = forExecutors || forCaches.some((value) => value !== undefined);
  if (enrolment === "unattached" && given) {
    throw new FlywheelError("usage", "unattached has no endpoint and nothing that goes with one", { next: "flywheel enroll unattached" });
  }
  if (mode !== "executor-backed" && forExecutors) {
    throw new FlywheelError("usage", `${enrolment} has no executor: a shared cache is not remote execution`, {
      next: "leave out --executor-endpoint, --remote-exec-header and --platform, or enroll executor-backed",
    });
  }
}

function cacheOf(
  { enrolment, options, fleet, attached, portForward }: EnrolmentInput,
  executor: string | undefined,
): { readonly url: string; readonly from: NonNullable<EnrolmentPlan["cacheFrom"]> } | undefined {
  const { place, mode } = shapes[enrolment];
  const first = (
    text: string | undefined,
    from: NonNullable<EnrolmentPlan["cacheFrom"]>,
  ): { url: string; from: NonNullable<EnrolmentPlan["cacheFrom"]> } | undefined => {
    const url = endpointOf(from, text);
    return url === undefined ? undefined : { url, from };
  };
  const given = first(options.cacheEndpoint, "--cache-endpoint");
  if (given !== undefined) return given;
  // An executor's cache is its own, unless somebody says otherwise (BLOG's BAZEL_REMOTE_EXECUTOR_CACHE).
  if (mode === "executor-backed") return first(executor, "--executor-endpoint");
  switch (place) {
    case "routable":
      return first(attached, "what is attached");
    case "cluster":
      return first(fleet.cluster.bazel[0], "the profile's cluster");
    case "loopback":
      return first(portForward, "config.toml");
    case "nowhere":
      return undefined;
  }
}

function checkPlace(enrolment: Enrolment, from: string, url: string): void {
  const parsed = parseEndpoint(url, "bazel");
  if (!parsed.ok) return;
  const loopback = isLoopback(parsed.endpoint.host);
  const { place } = shapes[enrolment];
  if (loopback && place !== "loopback") {
    throw new FlywheelError("endpoint-invalid", `${from} is on loopback, which is no shared cache and no shared executor`, {
      next: `flywheel enroll port-forward-${shapes[enrolment].mode === "executor-backed" ? "executor" : "cache"}, for a bounded proof through a port-forward`,
    });
  }
  if (!loopback && place === "loopback") {
    throw new FlywheelError("endpoint-invalid", `${from} is not on loopback, and a port-forward is`, {
      next: "name the port-forward's own address, such as grpc://127.0.0.1:19092",
    });
  }
}

function lackOf({ enrolment }: EnrolmentInput, cache: string | undefined, executor: string | undefined): EnrolmentPlan["lacks"] {
  const { mode, place } = shapes[enrolment];
  if (mode === "executor-backed" && executor === undefined) {
    return { what: "the executor's endpoint", next: `flywheel enroll ${enrolment} --executor-endpoint grpc://<host>:<port>` };
  }
  if (cache !== undefined || place === "nowhere") return undefined;
  const named = `flywheel enroll ${enrolment} --cache-endpoint grpc://<host>:<port>`;
  switch (place) {
    case "routable":
      return { what: "an endpoint: nothing is attached", next: `flywheel up, or ${named}` };
    case "cluster":
      return { what: "an endpoint: the profile names no cluster's", next: `${named}, or [cluster] bazel of the profile` };
    case "loopback":
      return { what: "the port-forward's address", next: `${named}, or [local_proof] bazel of config.toml` };
  }
}

/** The whole set against the fleet's contract. The worker image's digest is a run's own to name, and no file's. */
function keepContract(values: EnvFileValues, fleet: Profile): void {
  const report = checkContract({
    environment: values,
    profile: fleet,
    require: { cache: false, nix: false },
    endpoints: "redacted",
    machine: { nix: undefined, projectedToken: true },
  });
  const [error] = report.errors.filter(({ rule }) => rule !== "executor-digest");
  if (error === undefined) return;
  throw new FlywheelError("endpoint-invalid", `${error.message} [${error.rule}]`, {
    next: error.rule === "executor-platform" ? "--platform <name>, the executor's platform" : error.next,
  });
}

function endpointOf(from: string, text: string | undefined): string | undefined {
  if (text === undefined) return undefined;
  const parsed = parseEndpoint(text, "bazel");
  // What was written is not said again: it may hold a credential.
  if (!parsed.ok) throw new FlywheelError("endpoint-invalid", `${from}: ${parsed.message}`, { next: "flywheel enroll --help" });
  return parsed.endpoint.url;
}

function matching(flag: string, text: string | undefined, pattern: RegExp, what: string): string | undefined {
  if (text === undefined) return undefined;
  if (looksSecret(text)) throw credential(flag);
  if (pattern.test(text)) return text;
  throw new FlywheelError("usage", `${flag}: ${printable(text, 60)} is no ${what.replace(/^an? /, "")}`, {
    next: "flywheel enroll --help",
  });
}

function pathOf(flag: string, text: string | undefined): string | undefined {
  if (text === undefined) return undefined;
  if (plainPath.test(text) && !looksSecret(text)) return text;
  // Not said again: it may be the token itself.
  throw new FlywheelError("usage", `${flag} takes the absolute path of a file, in plain characters`, {
    next: "put the token into a file of yours (0600), and name that file",
  });
}

function helperOf(text: string | undefined): string | undefined {
  if (text === undefined) return undefined;
  if (helperLines(text) === undefined || text.split("\n").some((line) => looksSecret(line))) {
    throw new FlywheelError("usage", "--credential-helper takes an absolute path, or <host>=<absolute path>", {
      next: "name the helper's program; what it answers is never written down",
    });
  }
  return text;
}

/** `name=value`, one a line; nothing by which somebody could log in. */
function headersOf(flag: string, text: string | undefined): string | undefined {
  if (text === undefined) return undefined;
  for (const line of text.split("\n")) {
    const { name, value = "" } = /^(?<name>[A-Za-z0-9!#$%&'*+.^_`|~-]+)=(?<value>[\x20-\x7e]*)$/.exec(line)?.groups ?? {};
    if (name === undefined) throw new FlywheelError("usage", `${flag} takes <name>=<value>`, { next: "flywheel enroll --help" });
    if (isSecretName(name) || looksSecret(line) || looksRandom(value)) throw credential(flag);
  }
  return text;
}

/** Long, in one piece, of letters and digits both: what a person would not write as a header's value, and a service would as a key. */
function looksRandom(value: string): boolean {
  return value.split(/[^A-Za-z0-9+/_=-]+/).some((word) => word.length >= 20 && /[A-Za-z]/.test(word) && /[0-9]/.test(word));
}

function credential(flag: string): FlywheelError {
  return new FlywheelError("usage", `${flag} looks like a credential, and none is ever written into a working tree`, {
    next: "name a file that holds it, with --credential-helper-token-file, or a program, with --credential-helper",
  });
}

function definedOnly(values: Readonly<Record<string, string | undefined>>): EnvFileValues {
  return Object.fromEntries(Object.entries(values).filter(([, value]) => value !== undefined));
}
