/**
 * The attachment contract: whether an environment is one in which the fleet's wrappers and CI may run
 * Bazel. A superset of every copy of the fleet's contract script: each rule of each copy has an id
 * here, their known holes are closed, and all errors are reported at once. It judges words, not
 * caches: what passes is consistent, not proved.
 */
import { bazelSchemes, type Endpoint, holdsPlaceholder, isLoopback, parseEndpoint, redacted } from "./endpoint.ts";
import { type Context, type Environment, type FleetEnvironment, fleetEnvironment } from "./environment.ts";
import { Exit } from "./exit.ts";
import { inferMode, isSubstrateMode, type ProfileState, profileStates, type SubstrateMode, substrateModes } from "./mode.ts";
import { type NixLists, nixConfigLists } from "./nix-config.ts";
import type { Profile } from "./profile.ts";
import { isReapiHost, tokenSource } from "./reapi.ts";
import { isStale } from "./stale.ts";
import { printable } from "./text.ts";

export const contractSchema = 1;

/** Stable ids, for machines. */
export type ContractRule =
  | "mode-unknown"
  | "mode-disagrees"
  | "state-unknown"
  | "state-unattached"
  | "state-shared-cache-backed"
  | "state-executor-backed"
  | "state-local-proof"
  | "endpoint-placeholder"
  | "endpoint-scheme"
  | "endpoint-host"
  | "endpoint-userinfo"
  | "endpoint-malformed"
  | "endpoint-loopback"
  | "endpoint-stale"
  | "executor-scheme"
  | "executor-without-cache"
  | "executor-separate"
  | "executor-platform"
  | "executor-digest"
  | "runner-class"
  | "path-placeholder"
  | "credential-ambiguous"
  | "credential-missing"
  | "strict-cache"
  | "nix-stale"
  | "nix-partial"
  | "nix-not-attached";

export interface ContractError {
  readonly rule: ContractRule;
  /** The variable to look at. */
  readonly variable: string;
  readonly message: string;
  readonly next: string;
}

export type NixState = "attached" | "partial" | "not-attached" | "stale";
export type CredentialState = "not-required" | "token-file" | "inline-token" | "projected-token-file" | "missing" | "ambiguous";

export interface ContractReport {
  readonly schema: typeof contractSchema;
  readonly ok: boolean;
  /** 0 or 1, the fleet's codes; 2, a bad argument, is the command line's. */
  readonly exitCode: typeof Exit.ok | typeof Exit.failed;
  readonly context: Context;
  /** Inferred from the endpoints that are set. */
  readonly mode: SubstrateMode;
  readonly declaredMode: string | null;
  readonly profileState: string | null;
  /** Redacted unless the input asked otherwise; null where unset. */
  readonly cache: string | null;
  readonly executor: string | null;
  /** The first label that is a runner class of the fleet. */
  readonly runnerClass: string | null;
  readonly credentials: CredentialState;
  readonly nix: { readonly state: NixState; readonly seenIn: "NIX_CONFIG" | "nix config" | null };
  readonly strict: boolean;
  readonly strictNix: boolean;
  readonly errors: readonly ContractError[];
}

export interface ContractInput {
  readonly environment: Environment;
  /** Whose stale names, runner classes and Nix cache count. */
  readonly profile: Profile;
  /** `--strict`: a cache is required, not only consistent. `--strict-nix`: so is the Nix cache. */
  readonly require: { readonly cache: boolean; readonly nix: boolean };
  readonly endpoints: "redacted" | "shown";
  /** What the environment cannot say: the lists that Nix itself reports, and whether the projected token file exists. */
  readonly machine: { readonly nix: NixLists | undefined; readonly projectedToken: boolean };
}

/** Judges one environment. Pure; never throws, whatever the variables hold. */
export function checkContract(input: ContractInput): ContractReport {
  const env = fleetEnvironment(input.environment);
  const mode = inferMode({ cache: env.cache !== undefined, executor: env.executor !== undefined });
  const runnerClass = findRunnerClass(env, input.profile);
  const credentials = credentialState(env, input);
  const nix = nixState(env, input);
  const errors = [
    ...checkMode(env, mode),
    ...checkState(env, mode),
    ...checkEndpoint("BAZEL_REMOTE_CACHE", env.cache, env, input.profile),
    ...checkEndpoint("BAZEL_REMOTE_EXECUTOR", env.executor, env, input.profile),
    ...checkExecutor(env),
    ...checkRunner(env, runnerClass, input.require.cache),
    ...checkPaths(env),
    ...checkCredentials(credentials, input.require.cache),
    ...(input.require.cache ? checkPresence(env) : []),
    ...(input.require.nix ? checkNix(nix.state) : []),
  ];
  // A log of GitHub Actions may be public: endpoints never stand in one.
  const shown = input.endpoints === "shown" && env.context !== "github-actions";
  return {
    schema: contractSchema,
    ok: errors.length === 0,
    exitCode: errors.length === 0 ? Exit.ok : Exit.failed,
    context: env.context,
    mode,
    declaredMode: env.mode.state === "unset" ? null : env.mode.state === "known" ? env.mode.value : printable(env.mode.text, 60),
    profileState:
      env.profileState.state === "unset"
        ? null
        : env.profileState.state === "known"
          ? env.profileState.value
          : printable(env.profileState.text, 60),
    cache: showEndpoint(env.cache, shown),
    executor: showEndpoint(env.executor, shown),
    runnerClass: runnerClass === undefined ? null : printable(runnerClass, 60),
    credentials,
    nix,
    strict: input.require.cache,
    strictNix: input.require.nix,
    errors,
  };
}

function checkMode(env: FleetEnvironment, inferred: SubstrateMode): ContractError[] {
  const variable = "GF_BAZEL_SUBSTRATE_MODE";
  switch (env.mode.state) {
    case "unset":
      return [];
    case "unknown":
      return [
        {
          rule: "mode-unknown",
          variable,
          message: `${variable}=${printable(env.mode.text, 60)} is no substrate mode (${substrateModes.join(", ")})`,
          next: `unset ${variable}, or set it to ${inferred}`,
        },
      ];
    case "known":
      if (env.mode.value === inferred) return [];
      return [
        {
          rule: "mode-disagrees",
          variable,
          message: `${variable} says ${env.mode.value}, but the endpoints that are set mean ${inferred}`,
          next: `set the endpoints that ${env.mode.value} needs, or set ${variable}=${inferred}`,
        },
      ];
  }
}

function checkState(env: FleetEnvironment, inferred: SubstrateMode): ContractError[] {
  const variable = "GF_FLYWHEEL_PROFILE_STATE";
  const state = env.profileState;
  if (state.state === "unset") return [];
  if (state.state === "unknown") {
    return [
      {
        rule: "state-unknown",
        variable,
        message: `${variable}=${printable(state.text, 60)} is no profile state (${profileStates.join(", ")})`,
        next: isSubstrateMode(state.text)
          ? `that is a substrate mode, whose profile state is unattached: set ${variable}=unattached, or unset it`
          : `unset ${variable}, or take what \`flywheel env\` prints`,
      },
    ];
  }
  // The scripts hold the state against the declared mode where there is one.
  const mode = env.mode.state === "known" ? env.mode.value : inferred;
  const message = stateFault(state.value, mode, env);
  if (message === undefined) return [];
  return [
    { rule: `state-${state.value}`, variable, message, next: "take the whole set from `flywheel env`, or mend the variable that differs" },
  ];
}

function stateFault(state: ProfileState, mode: SubstrateMode, env: FleetEnvironment): string | undefined {
  const { cache, executor } = env;
  switch (state) {
    case "unattached":
      return cache !== undefined || executor !== undefined || mode !== "compatibility-local-only"
        ? "the profile state is unattached, yet an endpoint or a cache-backed mode is set"
        : undefined;
    case "shared-cache-backed":
      return mode !== "shared-cache-backed" || cache === undefined || executor !== undefined
        ? "the profile state shared-cache-backed needs that mode, BAZEL_REMOTE_CACHE and no BAZEL_REMOTE_EXECUTOR"
        : undefined;
    case "executor-backed":
      return mode !== "executor-backed" || cache === undefined || executor === undefined
        ? "the profile state executor-backed needs that mode, BAZEL_REMOTE_CACHE and BAZEL_REMOTE_EXECUTOR"
        : undefined;
    case "local-proof":
      if (!env.localProof) return "the profile state local-proof needs GF_BAZEL_LOCAL_PROOF=port-forward";
      return mode === "compatibility-local-only" ? "the profile state local-proof needs a cache-backed or executor-backed mode" : undefined;
  }
}

function checkEndpoint(variable: string, text: string | undefined, env: FleetEnvironment, profile: Profile): ContractError[] {
  if (text === undefined) return [];
  const errors: ContractError[] = [];
  const add = (rule: ContractRule, message: string, next: string): void => {
    errors.push({ rule, variable, message: `${variable} ${message}`, next });
  };
  const scheme = /^([a-z][a-z0-9+.-]*):\/\//i.exec(text)?.[1]?.toLowerCase();
  const host = looseHost(text);
  if (holdsPlaceholder(text)) {
    add("endpoint-placeholder", "holds a placeholder that nothing expanded", "set it to a real endpoint, or unset it");
  }
  if (scheme === undefined || !(bazelSchemes as readonly string[]).includes(scheme)) {
    add(
      "endpoint-scheme",
      `must begin with ${bazelSchemes.map((name) => `${name}://`).join(", ")}`,
      "write the scheme of the cache's protocol",
    );
  } else {
    if (variable === "BAZEL_REMOTE_EXECUTOR" && !scheme.startsWith("grpc")) {
      add("executor-scheme", "must be a grpc or grpcs endpoint: no other protocol executes", "set it to the executor's gRPC endpoint");
    }
    if (
      text
        .slice(scheme.length + 3)
        .split("/")[0]
        ?.includes("@") === true
    ) {
      add("endpoint-userinfo", "holds credentials", "move them to BAZEL_CREDENTIAL_HELPER: a URL is logged by Bazel and others");
    }
    if (host === "") add("endpoint-host", "has no host", "write the host after ://");
  }
  if (host !== "" && isLoopback(host) && !env.allowLocalhost) {
    add(
      "endpoint-loopback",
      "points at this machine",
      "for a port-forward proof set GF_BAZEL_ALLOW_LOCALHOST_PROOF=true and GF_BAZEL_LOCAL_PROOF=port-forward; else name the shared cache",
    );
  }
  if (isStale(text, profile)) add("endpoint-stale", "names a place that no longer exists", "take the present endpoint from `flywheel env`");
  // What the particular rules above do not name, the grammar of an endpoint still does.
  const parsed = parseEndpoint(text, "bazel");
  if (!parsed.ok && errors.every(({ rule }) => rule === "endpoint-stale" || rule === "endpoint-loopback" || rule === "executor-scheme")) {
    add("endpoint-malformed", `is malformed: ${parsed.message}`, "write it as scheme://host:port");
  }
  return errors;
}

function checkExecutor(env: FleetEnvironment): ContractError[] {
  if (env.executor === undefined && !(env.mode.state === "known" && env.mode.value === "executor-backed")) return [];
  const errors: ContractError[] = [];
  if (env.executor !== undefined && env.cache === undefined) {
    errors.push({
      rule: "executor-without-cache",
      variable: "BAZEL_REMOTE_CACHE",
      message: "BAZEL_REMOTE_EXECUTOR is set without BAZEL_REMOTE_CACHE",
      next: "set BAZEL_REMOTE_CACHE to the executor's own cache",
    });
  }
  if (env.executor !== undefined && env.cache !== undefined && env.executor !== env.cache && !env.allowSeparateExecutorCache) {
    errors.push({
      rule: "executor-separate",
      variable: "BAZEL_REMOTE_EXECUTOR",
      message: "BAZEL_REMOTE_EXECUTOR and BAZEL_REMOTE_CACHE are two endpoints",
      next: "make them one, or set GF_BAZEL_ALLOW_SEPARATE_EXECUTOR_CACHE=true",
    });
  }
  if (env.executionPlatform === undefined) {
    errors.push({
      rule: "executor-platform",
      variable: "GF_BAZEL_REMOTE_EXECUTION_PLATFORM",
      message: "executor mode needs GF_BAZEL_REMOTE_EXECUTION_PLATFORM",
      next: "set it to the executor's platform, such as gloriousflywheel-rbe-linux-x86_64",
    });
  }
  if (env.proofImageDigest === undefined) {
    errors.push({
      rule: "executor-digest",
      variable: "GF_BAZEL_REAPI_PROOF_IMAGE_DIGEST",
      message: "executor mode needs GF_BAZEL_REAPI_PROOF_IMAGE_DIGEST",
      next: "set it to the digest of the worker image that was proved",
    });
  }
  return errors;
}

/** Executor mode asks for a runner class with or without --strict, as CT's executor contract does. */
function checkRunner(env: FleetEnvironment, runnerClass: string | undefined, strict: boolean): ContractError[] {
  const applies = (strict || env.executor !== undefined) && env.runnerLabels.length > 0 && !env.allowHostedRunner;
  if (!applies || runnerClass !== undefined) return [];
  return [
    {
      rule: "runner-class",
      variable: "GF_BAZEL_RUNNER_LABELS",
      message: `none of the runner's labels (${printable(env.runnerLabels.join(", "), 120)}) is a runner class of the fleet`,
      next: "run on a shared runner class, or set GF_BAZEL_ALLOW_HOSTED_RUNNER=true with a reason that you can defend",
    },
  ];
}

function checkPaths(env: FleetEnvironment): ContractError[] {
  const paths = [
    ["BAZEL_REPOSITORY_CACHE", env.repositoryCache === undefined ? [] : [env.repositoryCache]],
    ["BAZEL_DISTDIR", env.distdirs],
  ] as const;
  return paths.flatMap(([variable, values]) =>
    values.some(holdsPlaceholder)
      ? [
          {
            rule: "path-placeholder" as const,
            variable,
            message: `${variable} holds a placeholder that nothing expanded`,
            next: `set ${variable} to a real path, or unset it`,
          },
        ]
      : [],
  );
}

function checkCredentials(state: CredentialState, strict: boolean): ContractError[] {
  const variable = "GF_REAPI_CREDENTIAL_HELPER_TOKEN_FILE";
  if (state === "ambiguous") {
    return [
      {
        rule: "credential-ambiguous",
        variable,
        message: "a REAPI token is given twice: inline and by file",
        next: "unset GF_REAPI_CREDENTIAL_HELPER_TOKEN, keep the file",
      },
    ];
  }
  if (state !== "missing" || !strict) return [];
  return [
    {
      rule: "credential-missing",
      variable,
      message: "the endpoint needs a REAPI token and none is given",
      next: `set ${variable} to the file that holds it`,
    },
  ];
}

function checkPresence(env: FleetEnvironment): ContractError[] {
  if (env.cache !== undefined) return [];
  return [
    {
      rule: "strict-cache",
      variable: "BAZEL_REMOTE_CACHE",
      message: "--strict needs BAZEL_REMOTE_CACHE",
      next: 'flywheel up, then eval "$(flywheel env)"',
    },
  ];
}

function checkNix(state: NixState): ContractError[] {
  const variable = "NIX_CONFIG";
  const next = 'flywheel up, then eval "$(flywheel env)"';
  switch (state) {
    case "attached":
      return [];
    case "stale":
      return [{ rule: "nix-stale", variable, message: "ATTIC_SERVER or NIX_CONFIG names a place that no longer exists", next }];
    case "partial":
      return [
        { rule: "nix-partial", variable, message: "Nix has the substituter without its key, or the key without the substituter", next },
      ];
    case "not-attached":
      return [{ rule: "nix-not-attached", variable, message: "Nix has neither the substituter nor its key", next }];
  }
}

function findRunnerClass(env: FleetEnvironment, profile: Profile): string | undefined {
  const patterns = profile.contract.runnerLabels.map((pattern) => new RegExp(pattern));
  return env.runnerLabels.find((label) => patterns.some((pattern) => pattern.test(label)));
}

/** The REAPI hosts that the profile names answer only with a token. */
function credentialState(env: FleetEnvironment, { profile, machine }: ContractInput): CredentialState {
  const source = tokenSource(env, machine.projectedToken);
  if (source.kind === "ambiguous") return "ambiguous";
  const hosts = [env.cache, env.executor].map((text) => (text === undefined ? "" : looseHost(text)));
  if (!hosts.some((host) => isReapiHost(profile, host))) return "not-required";
  switch (source.kind) {
    case "file":
      return env.tokenFile === undefined ? "projected-token-file" : "token-file";
    case "inline":
      return "inline-token";
    case "none":
      return "missing";
  }
}

/**
 * The fleet's copies look only at two keys of NIX_CONFIG, so that a right nix.conf reads as
 * not-attached; here what Nix itself reports counts as well.
 */
function nixState(env: FleetEnvironment, input: ContractInput): ContractReport["nix"] {
  const { profile } = input;
  if ([env.atticServer, env.nixConfig].some((text) => text !== undefined && isStale(text, profile)))
    return { state: "stale", seenIn: "NIX_CONFIG" };
  const cache = env.atticCache ?? profile.nix.cache;
  const key = env.atticPublicKey ?? profile.nix.publicKey;
  const isCache = (url: string): boolean =>
    env.atticServer === undefined
      ? url === profile.nix.substituter || (/^https?:\/\//.test(url) && withoutSlash(url).endsWith(`/${cache}`))
      : withoutSlash(url) === `${withoutSlash(env.atticServer)}/${cache}`;
  const seen = (lists: NixLists): number =>
    (lists.substituters.some(isCache) ? 1 : 0) + (key !== undefined && lists.trustedPublicKeys.includes(key) ? 1 : 0);
  const own = seen(nixConfigLists(env.nixConfig ?? ""));
  const reported = input.machine.nix === undefined ? 0 : seen(input.machine.nix);
  const best = Math.max(own, reported);
  if (best === 0) return { state: "not-attached", seenIn: null };
  return { state: best === 2 ? "attached" : "partial", seenIn: own >= reported ? "NIX_CONFIG" : "nix config" };
}

function withoutSlash(url: string): string {
  return url.replace(/\/+$/, "");
}

/** The host of a URL that may break every rule: userinfo, brackets and port taken off, lower case. */
function looseHost(text: string): string {
  const authority = text.replace(/^[^:/]*:\/\//, "").split(/[/?#]/)[0] ?? "";
  const hostPort = authority.slice(authority.lastIndexOf("@") + 1);
  const bracketed = /^\[([^\]]*)\]/.exec(hostPort)?.[1];
  // An IPv6 address without brackets has more than one colon.
  const plain = (hostPort.match(/:/g)?.length ?? 0) > 1 ? hostPort : hostPort.replace(/:.*$/, "");
  return (bracketed ?? plain).toLowerCase();
}

function showEndpoint(text: string | undefined, shown: boolean): string | null {
  if (text === undefined) return null;
  const parsed = parseEndpoint(text, "bazel");
  if (!parsed.ok) return shown ? printable(text, 120) : "configured, malformed";
  const endpoint: Endpoint = parsed.endpoint;
  return shown ? endpoint.url : redacted(endpoint);
}
