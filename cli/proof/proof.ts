/** `flywheel proof`: the model proof of CI on this machine, from the contract to the record. */
import { existsSync } from "node:fs";
import type { StatusReport } from "../../contract/api.ts";
import { type ContractReport, checkContract } from "../../contract/check.ts";
import { type Endpoint, isLoopback } from "../../contract/endpoint.ts";
import { parityEnvironment } from "../../contract/parity-environment.ts";
import type { Profile } from "../../contract/profile.ts";
import { type BazelFacts, type NixFacts, type ProofFacts, proofRecord } from "../../contract/proof/assemble.ts";
import type { ProofRecord } from "../../contract/proof/record.ts";
import { projectedTokenPath } from "../../contract/reapi.ts";
import { version } from "../../contract/version.ts";
import { loadProfile } from "../../daemon/api/client/settings.ts";
import type { Context } from "../context.ts";
import { askNix } from "../nix-settings.ts";
import { nixAttachment, provedStatus } from "./attachment.ts";
import { attachmentOf, bazelWords, installedBazel, proveBazel } from "./bazel.ts";
import { cacheNameOf, hostsOf, identityOf, machineClass, type Shown } from "./identity.ts";
import { heedInterruption } from "./interruption.ts";
import { proveNix } from "./nix.ts";

export interface ProofRequest {
  /** undefined: not asked for. */
  readonly bazel: { readonly words: readonly string[] } | undefined;
  readonly nix: { readonly named: string | undefined } | undefined;
  readonly ci: ProofRecord | undefined;
  readonly endpoints: Shown;
}

export interface Proof {
  readonly record: ProofRecord;
  /** Set where a signal ended it early. */
  readonly interrupted: number | undefined;
}

export async function prove(request: ProofRequest, context: Context): Promise<Proof> {
  const interruption = heedInterruption();
  try {
    return { record: await observed(request, context, interruption.signal), interrupted: interruption.exitCode() };
  } finally {
    interruption.stop();
  }
}

async function observed(request: ProofRequest, context: Context, signal: AbortSignal): Promise<ProofRecord> {
  const { paths, profile: profileName } = context;
  const profile = loadProfile(paths, profileName);
  const [madeAt, started] = [new Date().toISOString(), performance.now()];
  const status = await provedStatus(context, signal);
  const contract = await contractOf(request, status, profile, context);
  const shown = contract.context === "github-actions" ? "redacted" : request.endpoints;
  const identify = (endpoint: Endpoint) => identityOf(endpoint, status, profile, shown);
  const bazel = request.bazel === undefined ? undefined : await bazelFacts(request.bazel.words, context, signal, identify);
  const nix = request.nix === undefined || signal.aborted ? undefined : await nixFacts(request.nix.named, context, signal, identify);
  const befores = [bazel?.seen.before, ...(bazel?.seen.later ?? []), nix?.seen.before, nix?.seen.after];
  const endpoints = befores.flatMap((seen) => (seen?.state === "attached" ? [seen.endpoint] : []));
  const facts: ProofFacts = {
    madeAt,
    tookMs: Math.round(performance.now() - started),
    version,
    machine: machineClass(contract),
    profile: profileName,
    standing: standingOf(bazel?.seen.before.state === "attached" ? bazel.seen.before.endpoint : undefined, status),
    localProof: status.profileState === "local-proof" || endpoints.some(({ host }) => isLoopback(host)),
    contract,
    bazel,
    nix,
    ci: request.ci,
    hidden: shown === "shown" ? undefined : hostsOf(status, endpoints),
  };
  return proofRecord(facts);
}

/** Strict, on what `flywheel env` would make of this environment; where the environment itself names the cache, as CI's does, on that. */
function contractOf(request: ProofRequest, status: StatusReport, profile: Profile, { env }: Context): Promise<ContractReport> {
  return check(request, status.bazel.state === "attached" || status.nix.state === "attached" ? paritySet(status, env) : env, profile);
}

async function check(request: ProofRequest, environment: Context["env"], profile: Profile): Promise<ContractReport> {
  return checkContract({
    environment,
    profile,
    require: { cache: request.bazel !== undefined, nix: request.nix !== undefined },
    endpoints: request.endpoints,
    machine: { nix: request.nix === undefined ? undefined : await askNix(environment), projectedToken: existsSync(projectedTokenPath) },
  });
}

function paritySet(status: StatusReport, env: Context["env"]): Context["env"] {
  const { set, unset } = parityEnvironment(status, env);
  const kept = Object.entries(env).filter(([name]) => !unset.includes(name));
  return { ...Object.fromEntries(kept), ...set };
}

async function bazelFacts(
  given: readonly string[],
  context: Context,
  signal: AbortSignal,
  identify: (endpoint: Endpoint) => BazelFacts["endpoint"],
): Promise<BazelFacts> {
  const tool = installedBazel(context.env);
  const words = bazelWords(given);
  const before = await attachmentOf(tool, words, context);
  const seen = await proveBazel(tool, words, before, context, signal);
  return { tool, targets: words.targets, endpoint: before.state === "attached" ? identify(before.endpoint) : null, seen };
}

async function nixFacts(
  named: string | undefined,
  context: Context,
  signal: AbortSignal,
  identify: (endpoint: Endpoint) => NixFacts["endpoint"],
): Promise<NixFacts> {
  const before = await nixAttachment(context);
  const { version: nixVersion, seen } = await proveNix(named, before, context, signal);
  if (before.state === "unattached") return { version: nixVersion, endpoint: null, cache: null, seen };
  return { version: nixVersion, endpoint: identify(before.endpoint), cache: cacheNameOf(before.endpoint), seen };
}

/** The daemon's word where it attached the endpoint that the build gets; else what the environment's own endpoint stands for. */
function standingOf(endpoint: Endpoint | undefined, status: StatusReport): ProofFacts["standing"] {
  if (endpoint === undefined || endpoint.url === status.bazel.endpoint) return { mode: status.mode, profileState: status.profileState };
  return { mode: "shared-cache-backed", profileState: isLoopback(endpoint.host) ? "local-proof" : "shared-cache-backed" };
}
