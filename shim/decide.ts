/** The guard's decision, with the whole truth. No side effects: `explain` takes the same one. */
import { type CommandLine, readCommandLine } from "../contract/bazel/command-line.ts";
import { takesHelper } from "../contract/bazel/credentials.ts";
import { type AttachedCache, detachment, injectedFlags } from "../contract/bazel/injection.ts";
import { repositoryFlags } from "../contract/bazel/repositories.ts";
import type { BazelVersion } from "../contract/bazel/version.ts";
import type { Config } from "../contract/config.ts";
import { type Endpoint, isLoopback, parseEndpoint, redacted, sameEndpoint } from "../contract/endpoint.ts";
import { type Environment, fleetEnvironment, hasLocalProof } from "../contract/environment.ts";
import { FlywheelError, messageOf } from "../contract/errors.ts";
import { localProofNext } from "../contract/local-proof.ts";
import { manifestName } from "../contract/manifest.ts";
import type { Channel } from "../contract/nix/command-line.ts";
import { isNixName } from "../contract/nix/commands.ts";
import type { AttachedNixCache, NixSetting } from "../contract/nix/injection.ts";
import { exportedVariable } from "../contract/parity-environment.ts";
import { instanceNames, type Profile } from "../contract/profile.ts";
import { tokenOf } from "../contract/reapi.ts";
import { isStale } from "../contract/stale.ts";
import { printable } from "../contract/text.ts";
import type { AttachmentSource, Standing } from "./attachment.ts";
import { credentialsFor, hasNamedHelper, tokenFor } from "./credentials/decide.ts";
import type { CredentialSource } from "./credentials/source.ts";
import { nameOf, readToken } from "./credentials/token.ts";
import type { EnvFile } from "./env-file.ts";
import type { NixAttachmentSource } from "./nix/attachment.ts";
import { decideNix } from "./nix/decide.ts";
import { nextOf } from "./refusal.ts";
import type { Scope, Workspace } from "./scope.ts";
import type { Sources } from "./sources.ts";

export interface Invocation {
  readonly tool: string;
  readonly args: readonly string[];
  readonly env: Environment;
  readonly cwd: string;
}

export interface Refusal {
  readonly kind: "refuse";
  readonly command: string;
  readonly reason: string;
  /** Since when it is so, where that is known. */
  readonly since?: string;
  /** What was looked at, one line each. */
  readonly tried: readonly string[];
  readonly next: readonly string[];
}

export type Decision =
  /** `next`: what would have the guard act, where it does not. */
  | { readonly kind: "run"; readonly command: string; readonly why: string; readonly notice?: string; readonly next?: readonly string[] }
  /** GF_GUARD_BYPASS: runs alone, to be said and recorded. */
  | { readonly kind: "escape"; readonly command: string; readonly reason: string }
  | {
      readonly kind: "inject";
      readonly command: string;
      readonly at: number;
      readonly flags: readonly string[];
      /** Startup options that go in front of every other word. */
      readonly startup: readonly string[];
      readonly cache: AttachedCache;
      readonly why: string;
      readonly notice?: string;
    }
  /** Nix: settings by flags or by NIX_CONFIG; without a cache an entry that is not attached. */
  | {
      readonly kind: "settings";
      readonly command: string;
      readonly channel: Channel;
      readonly settings: readonly NixSetting[];
      readonly cache: AttachedNixCache | undefined;
      readonly why: string;
      readonly notice?: string;
    }
  | Refusal;

/** What the decision rests on besides the command line; each is read only when it is needed. */
export interface World {
  readonly config: () => Config;
  readonly profile: () => Profile;
  readonly workspace: () => Workspace;
  readonly scope: () => Scope;
  readonly envFile: () => EnvFile;
  /** The Bazel's; undefined where nobody can tell. */
  readonly version: () => Promise<BazelVersion | undefined>;
  readonly sources: () => Promise<Sources>;
  readonly credentials: CredentialSource;
  readonly attachments: AttachmentSource;
  readonly nix: NixAttachmentSource;
}

type Heavy = Extract<CommandLine, { kind: "heavy" | "unreadable" }>;

export async function decide(invocation: Invocation, world: World): Promise<Decision> {
  if (isNixName(invocation.tool)) return decideNix({ ...invocation, tool: invocation.tool }, world);
  const line = readCommandLine(invocation.args);
  if (line.kind === "pass") return { kind: "run", command: line.command, why: line.why };
  const bypass = invocation.env["GF_GUARD_BYPASS"];
  if (bypass !== undefined) {
    const reason = printable(bypass, 200).trim();
    if (reason !== "") return { kind: "escape", command: line.command, reason };
    return refuse(line, "GF_GUARD_BYPASS is empty, and an escape needs a reason", { next: ['GF_GUARD_BYPASS="why" bazel …'] });
  }
  try {
    return await guarded(line, invocation, world);
  } catch (error) {
    if (!(error instanceof FlywheelError)) throw error;
    return refuse(line, error.message, { next: nextOf(error) });
  }
}

async function guarded(line: Heavy, invocation: Invocation, world: World): Promise<Decision> {
  const scope = world.scope();
  if (scope.kind === "outside") return { kind: "run", command: line.command, why: scope.why, next: [scope.next] };
  const { manifest } = world.workspace();
  if (manifest.state === "invalid") return refuse(line, manifest.message, { next: [`mend ${world.workspace().root}/${manifestName}`] });
  if (manifest.state === "enrolled" && manifest.mode === "compatibility-local-only") {
    const notice = `${manifestName} declares compatibility-local-only: this ${line.command || "command"} builds without the shared cache`;
    return { kind: "run", command: line.command, why: `${manifestName} declares compatibility-local-only`, notice };
  }
  const executor = wantsExecutor(invocation.env, manifest.state === "enrolled" ? manifest.mode : undefined);
  if (executor !== undefined) {
    return refuse(line, `${executor}, and a shared cache is not remote execution`, { next: ["use the fleet's executor wrapper for it"] });
  }
  if (line.kind === "unreadable") return refuse(line, line.message, { next: [line.next] });
  const found = await attachmentFor(line, invocation, world, scope.why);
  return "kind" in found ? found : attach(line, found, invocation, world);
}

interface Found {
  readonly cache: AttachedCache;
  readonly why: string;
  readonly notice?: string;
}

/** The cache for this invocation: the operator's word in its environment or trusted file first, then what the daemon attached. */
async function attachmentFor(line: Heavy, invocation: Invocation, world: World, scope: string): Promise<Found | Refusal> {
  const profile = world.profile();
  const file = world.envFile();
  const named = operatorEndpoint(invocation.env, file, profile);
  if (named?.kind === "fault") return refuse(line, named.reason, { next: [named.next] });
  const localProofAllowed = hasLocalProof(invocation.env) || world.config().localProof.allowed || named?.localProof === true;
  if (named !== undefined && isLoopback(named.endpoint.host) && !localProofAllowed) {
    return refuse(line, `${named.from} names a loopback endpoint, which is never a shared cache`, {
      next: [localProofNext],
    });
  }
  const standing = await world.attachments.current(profile);
  const usable = standing.state === "attached" && (!standing.localProof || localProofAllowed) ? standing : undefined;
  if (usable !== undefined && (named === undefined || includes(usable.cache, named.endpoint))) {
    return { cache: usable.cache, why: `${scope}; ${profile.name} is attached to ${usable.cache.endpoint.url}` };
  }
  if (named === undefined) {
    if (standing.state === "unattached") return unattached(line, standing, file);
    return refuse(line, "only a local proof is attached, and this shell has not asked for one", {
      next: [localProofNext],
    });
  }
  const report = await world.attachments.prove(profile, named.endpoint, localProofAllowed);
  if (report.ok) {
    const cache = { endpoint: named.endpoint, aliases: [], upload: profile.bazel.upload, instanceName: profile.bazel.instanceName };
    return { cache, why: `${named.from} names a cache that answered in ${Math.round(report.latencyMs)} ms` };
  }
  const token = report.rung === "authority" ? tokenFor(named.endpoint, invocation.env, world) : undefined;
  if (token !== undefined && !takesHelper(await world.version())) {
    return refuse(line, `${redacted(named.endpoint)} asks for a token, and only Bazel 6.3 and newer take one`, {
      next: ["use Bazel 6.3 or newer"],
    });
  }
  if (token !== undefined) {
    const cache = { endpoint: named.endpoint, aliases: [], upload: profile.bazel.upload, instanceName: profile.bazel.instanceName };
    if (invocation.env["GF_REAPI_BAZEL_CREDENTIAL_HELPER"]) {
      const unproved = `${redacted(named.endpoint)} asks for a token: the fleet's own helper has it, not proved before`;
      return { cache, why: `${named.from} names a cache; ${unproved}`, notice: unproved };
    }
    const credential = { scheme: "bearer", token: tokenOf(readToken(token, invocation.env), nameOf(token), new Date()).token } as const;
    const withToken = await world.attachments.prove(profile, named.endpoint, localProofAllowed, credential);
    if (withToken.ok) {
      return {
        cache,
        why: `${named.from} names a cache that answered the token of ${nameOf(token)} in ${Math.round(withToken.latencyMs)} ms`,
      };
    }
    return refuse(line, `${named.from} names ${redacted(named.endpoint)}, which fails at ${withToken.rung}: ${withToken.reason}`, {
      next: [`renew ${nameOf(token)}`],
    });
  }
  if (report.over === "credential" && (await hasNamedHelper(named.endpoint, invocation.env, world))) {
    const cache = { endpoint: named.endpoint, aliases: [], upload: profile.bazel.upload, instanceName: profile.bazel.instanceName };
    const unproved = `${redacted(named.endpoint)} asks for a credential: the operator's own BAZEL_CREDENTIAL_HELPER has it, not proved before`;
    return { cache, why: `${named.from} names a cache; ${unproved}`, notice: unproved };
  }
  const fault = `${named.from} names ${redacted(named.endpoint)}, which fails at ${report.rung}: ${report.reason}`;
  if (usable !== undefined) {
    return {
      cache: usable.cache,
      why: `${fault}; the attached cache stands in`,
      notice: `${fault}; using the attached ${usable.cache.endpoint.url}`,
    };
  }
  return refuse(line, fault, { next: report.next === null ? [] : [report.next] });
}

type Named =
  | { readonly kind: "endpoint"; readonly endpoint: Endpoint; readonly from: string; readonly localProof: boolean }
  | { readonly kind: "fault"; readonly reason: string; readonly next: string };

function operatorEndpoint(env: Environment, file: EnvFile, profile: Profile): Named | undefined {
  const inherited = fleetEnvironment(env).cache;
  // What our own shell hook exported is no word of the operator's: the attachment may have moved since.
  const cache = inherited === env[exportedVariable] ? undefined : inherited;
  if (cache === undefined && file.state === "invalid") {
    return { kind: "fault", reason: `${file.path}: ${file.message}`, next: "mend or remove that file" };
  }
  const fromFile = file.state === "trusted" && cache === undefined ? file : undefined;
  const text = cache ?? fromFile?.cache;
  if (text === undefined) return undefined;
  const from = fromFile === undefined ? "BAZEL_REMOTE_CACHE" : fromFile.path;
  const next = fromFile === undefined ? "unset BAZEL_REMOTE_CACHE, or set it to a valid endpoint" : `mend ${from}`;
  const parsed = parseEndpoint(text, "bazel");
  if (!parsed.ok) return { kind: "fault", reason: `${from}: ${parsed.message}`, next };
  if (isStale(parsed.endpoint.url, profile)) {
    return { kind: "fault", reason: `${from} names a place that no longer exists (stale)`, next };
  }
  return { kind: "endpoint", endpoint: parsed.endpoint, from, localProof: fromFile?.localProof ?? false };
}

async function attach(
  line: Extract<Heavy, { kind: "heavy" }>,
  found: Found,
  { env, args, cwd }: Invocation,
  world: World,
): Promise<Decision> {
  const profile = world.profile();
  const upload = uploadPolicy(env, found.cache.upload);
  if (upload === undefined) return refuse(line, "GF_BAZEL_REMOTE_UPLOAD must be true or false", { next: ["unset GF_BAZEL_REMOTE_UPLOAD"] });
  const instanceName = env["BAZEL_REMOTE_INSTANCE_NAME"] || profile.bazel.instanceName;
  if (instanceName !== undefined && !instanceNames.test(instanceName)) {
    return refuse(line, "BAZEL_REMOTE_INSTANCE_NAME is no instance name", { next: ["unset BAZEL_REMOTE_INSTANCE_NAME"] });
  }
  const cache = { ...found.cache, upload, instanceName };
  const fault = detachment(line.cacheOptions, cache);
  if (fault !== undefined) return refuse(line, fault, { next: ["leave that option out"] });
  const notice = found.notice === undefined ? {} : { notice: found.notice };
  const credentials = await credentialsFor(cache, line.startup, { env, cwd, args }, world);
  if (credentials.kind === "refuse") return refuse(line, credentials.reason, { next: credentials.next });
  const sources = await world.sources();
  const flags = [...injectedFlags(cache), ...repositoryFlags(sources.usable, sources.version, args), ...credentials.flags];
  const why = [found.why, ...sources.left, ...credentials.why].join("; ");
  return { kind: "inject", command: line.command, at: line.at, flags, startup: credentials.startup, cache, why, ...notice };
}

/** GF_BAZEL_REMOTE_UPLOAD over the profile, GF_BAZEL_CACHE_ROLE=read-only over both; undefined where it is neither yes nor no. */
export function uploadPolicy(env: Environment, profile: boolean): boolean | undefined {
  if (env["GF_BAZEL_CACHE_ROLE"] === "read-only") return false;
  const asked = env["GF_BAZEL_REMOTE_UPLOAD"] ?? "";
  if (asked === "") return profile;
  if (["true", "1", "yes"].includes(asked)) return true;
  return ["false", "0", "no"].includes(asked) ? false : undefined;
}

function wantsExecutor(env: Environment, declared: string | undefined): string | undefined {
  if (declared === "executor-backed") return `${manifestName} declares executor-backed`;
  const { executor, mode, profileState } = fleetEnvironment(env);
  if (executor !== undefined) return "BAZEL_REMOTE_EXECUTOR is set";
  if (mode.state === "known" && mode.value === "executor-backed") return "GF_BAZEL_SUBSTRATE_MODE is executor-backed";
  return profileState.state === "known" && profileState.value === "executor-backed"
    ? "GF_FLYWHEEL_PROFILE_STATE is executor-backed"
    : undefined;
}

function includes(cache: AttachedCache, endpoint: Endpoint): boolean {
  return [cache.endpoint, ...cache.aliases].some((own) => sameEndpoint(own, endpoint));
}

function unattached(line: Heavy, standing: Extract<Standing, { state: "unattached" }>, file: EnvFile): Refusal {
  const hint = file.state === "untrusted" ? [`flywheel trust file ${file.path}   (nobody has trusted what it names)`] : [];
  return refuse(line, `no shared cache is attached: ${standing.reason}`, {
    since: standing.since,
    tried: standing.tried,
    next: [...(standing.next === undefined ? [] : [standing.next]), ...hint],
  });
}

function refuse(
  line: Heavy,
  reason: string,
  rest: { since?: string | undefined; tried?: readonly string[]; next: readonly string[] },
): Refusal {
  const since = rest.since === undefined ? {} : { since: rest.since };
  return { kind: "refuse", command: line.command, reason: messageOf(reason), ...since, tried: rest.tried ?? [], next: rest.next };
}
