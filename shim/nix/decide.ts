/** The guard's decision on a Nix command, with the whole truth. No side effects: `explain` takes the same one. */
import { isLoopback, parseEndpoint, redacted } from "../../contract/endpoint.ts";
import { type Environment, fleetEnvironment, hasLocalProof } from "../../contract/environment.ts";
import { FlywheelError, messageOf } from "../../contract/errors.ts";
import { localProofNext } from "../../contract/local-proof.ts";
import { manifestName } from "../../contract/manifest.ts";
import { type NixCommandLine, readNixCommandLine, type SubstitutionOption } from "../../contract/nix/command-line.ts";
import type { NixName } from "../../contract/nix/commands.ts";
import {
  type AttachedNixCache,
  attachingSettings,
  configOptions,
  entrySettings,
  isElsewhere,
  nixDetachment,
} from "../../contract/nix/injection.ts";
import { nixConfigLists } from "../../contract/nix-config.ts";
import { printable } from "../../contract/text.ts";
import type { Decision, Invocation, Refusal, World } from "../decide.ts";
import { nextOf } from "../refusal.ts";
import { readScript } from "./script.ts";

type Guarded = Extract<NixCommandLine, { kind: "guarded" }>;

/** An entry waits this long at most, the daemon's start included: milliseconds (design: 2 s). */
const entryWaits = 2000;

export async function decideNix(invocation: Invocation & { readonly tool: NixName }, world: World): Promise<Decision> {
  const { tool, args, env, cwd } = invocation;
  const line = readNixCommandLine(tool, args, readScript(tool, args, cwd));
  if (line.kind === "pass") return { kind: "run", command: line.command, why: line.why };
  const { command } = line;
  if (env["NIX_GET_COMPLETIONS"]) return { kind: "run", command, why: "a shell asks Nix to complete words" };
  if (line.class === "medium" && !mediumIsHeavy(world)) return { kind: "run", command, why: `${command} is medium` };
  const bypass = env["GF_GUARD_BYPASS"];
  if (bypass !== undefined) {
    const reason = printable(bypass, 200).trim();
    if (reason !== "") return { kind: "escape", command, reason };
    return refuse(command, "GF_GUARD_BYPASS is empty, and an escape needs a reason", { next: [`GF_GUARD_BYPASS="why" ${tool} …`] });
  }
  const decision = await guarded(line, invocation, world);
  return decision.kind === "refuse" ? softened(decision, line, invocation.tool) : decision;
}

function mediumIsHeavy(world: World): boolean {
  try {
    return world.config().guard.medium === "heavy";
  } catch (error) {
    // A broken configuration says nothing of medium commands, which then pass.
    if (error instanceof FlywheelError) return false;
    throw error;
  }
}

/** What would be refused, but never is: a way in, and a command that executes nothing. */
function softened(refusal: Refusal, line: Guarded, tool: string): Decision {
  const { command } = line;
  if (line.class === "entry") {
    const what = tool === command ? tool : `${tool} ${command}`;
    const notice = `${refusal.reason}; ${what} takes what is built and builds nothing itself (GF_GUARD_BYPASS="why" ${what} … does)`;
    const { channel } = line;
    return { kind: "settings", command, channel, settings: entrySettings, cache: undefined, why: refusal.reason, notice };
  }
  return line.executes ? refusal : { kind: "run", command, why: `${command} executes nothing with these options` };
}

async function guarded(line: Guarded, invocation: Invocation, world: World): Promise<Decision> {
  try {
    const scope = world.scope();
    if (scope.kind === "outside") return { kind: "run", command: line.command, why: scope.why, next: [scope.next] };
    const { manifest, root } = world.workspace();
    if (manifest.state === "invalid") return refuse(line.command, manifest.message, { next: [`mend ${root}/${manifestName}`] });
    if (manifest.state === "enrolled" && manifest.mode === "compatibility-local-only") {
      const why = `${manifestName} declares compatibility-local-only`;
      return { kind: "run", command: line.command, why, notice: `${why}: this ${line.command} runs without the shared cache` };
    }
    return await attached(line, invocation, world, scope.why);
  } catch (error) {
    if (!(error instanceof FlywheelError)) throw error;
    return refuse(line.command, error.message, { next: nextOf(error) });
  }
}

async function attached(line: Guarded, { env }: Invocation, world: World, scope: string): Promise<Decision> {
  const config = env["NIX_CONFIG"] ?? "";
  const options = [...configOptions(config), ...line.options];
  const store = options.findLast(({ name }) => name === "store")?.value ?? env["NIX_REMOTE"] ?? "";
  if (isElsewhere(store))
    return { kind: "run", command: line.command, why: "its store is another machine's, and so is what happens there" };
  // Where no cache could mend it, none is looked for.
  const hopeless = nixDetachment(options.filter(isFatal), undefined);
  if (hopeless !== undefined) return refuse(line.command, hopeless, { next: ["leave that out"] });
  const profile = world.profile();
  const localProofAllowed = hasLocalProof(env) || world.config().localProof.allowed;
  const standing = await world.nix.current(profile, line.class === "entry" ? entryWaits : undefined);
  if (standing.state === "attached" && (!standing.localProof || localProofAllowed)) {
    return attach(line, options, config, standing.cache, `${scope}; ${profile.name} is attached to ${standing.cache.endpoint.url}`);
  }
  const named = line.class === "entry" ? undefined : await operatorCache(env, world, localProofAllowed);
  if (named?.state === "attached") return attach(line, options, config, named.cache, named.why);
  if (named?.state === "fault") return refuse(line.command, named.reason, { next: [named.next] });
  if (standing.state === "unattached") {
    return refuse(line.command, `no shared Nix cache is attached: ${standing.reason}`, {
      since: standing.since,
      tried: standing.tried,
      next: standing.next === undefined ? [] : [standing.next],
    });
  }
  return refuse(line.command, "only a local proof is attached, and this shell has not asked for one", {
    next: [localProofNext],
  });
}

/** Whether an option takes the command away from any cache, whichever is attached. */
function isFatal({ name }: SubstitutionOption): boolean {
  return name === "offline" || name === "substitute" || name === "build-use-substitutes";
}

function attach(line: Guarded, options: readonly SubstitutionOption[], config: string, cache: AttachedNixCache, why: string): Decision {
  const fault = nixDetachment(options, cache);
  if (fault !== undefined) return refuse(line.command, fault, { next: ["leave that out"] });
  const { command, channel } = line;
  return { kind: "settings", command, channel, settings: attachingSettings(cache, config), cache, why };
}

type OperatorCache =
  | { readonly state: "attached"; readonly cache: AttachedNixCache; readonly why: string }
  | { readonly state: "fault"; readonly reason: string; readonly next: string };

/**
 * The fleet's own variables, as its runners set them: they count where nothing is attached, and are proved first.
 * That Nix will honour them is the word of whoever set them: a runner's Nix lists the cache, or trusts its user.
 */
async function operatorCache(env: Environment, world: World, localProofAllowed: boolean): Promise<OperatorCache | undefined> {
  const { atticServer, atticCache, atticPublicKey, nixConfig } = fleetEnvironment(env);
  if (atticServer === undefined) return undefined;
  const profile = world.profile();
  const parsed = parseEndpoint(`${atticServer.replace(/\/+$/, "")}/${atticCache ?? profile.nix.cache}`, "nix");
  const next = "unset ATTIC_SERVER, or set it to the cache's server";
  if (!parsed.ok) return { state: "fault", reason: `ATTIC_SERVER: ${parsed.message}`, next };
  const { endpoint } = parsed;
  if (isLoopback(endpoint.host) && !localProofAllowed) {
    return { state: "fault", reason: "ATTIC_SERVER names a loopback endpoint, which is never a shared cache", next };
  }
  // A key comes from the profile, never from the environment alone.
  const { publicKey } = profile.nix;
  if (publicKey === undefined) {
    return {
      state: "fault",
      reason: "ATTIC_SERVER is set, and the profile has no public key for its cache",
      next: "write [nix] public_key into the profile",
    };
  }
  if (atticPublicKey !== undefined && atticPublicKey !== publicKey) {
    return {
      state: "fault",
      reason: "ATTIC_PUBLIC_KEY is not the profile's key",
      next: "unset it, or write [nix] public_key into the profile",
    };
  }
  const report = await world.attachments.prove(profile, endpoint, localProofAllowed);
  if (!report.ok)
    return {
      state: "fault",
      reason: `ATTIC_SERVER names ${redacted(endpoint)}, which fails at ${report.rung}: ${report.reason}`,
      next: report.next ?? next,
    };
  // A key that NIX_CONFIG names already need not be set again, which an untrusted user may not.
  const trustedUser = !nixConfigLists(nixConfig ?? "").trustedPublicKeys.includes(publicKey);
  const why = `ATTIC_SERVER names a cache that answered in ${Math.round(report.latencyMs)} ms`;
  try {
    // It was proved with what is kept for it, which Nix has to have too, whoever named the key.
    const cache = await world.nix.withNetrc({ endpoint, publicKey, trustedUser }, [], profile);
    return { state: "attached", cache, why };
  } catch (error) {
    if (!(error instanceof FlywheelError)) throw error;
    return { state: "fault", reason: `ATTIC_SERVER names a cache that answers, but ${error.message}`, next: error.next ?? "flywheel up" };
  }
}

function refuse(
  command: string,
  reason: string,
  rest: { since?: string | undefined; tried?: readonly string[]; next: readonly string[] },
): Refusal {
  const since = rest.since === undefined ? {} : { since: rest.since };
  return { kind: "refuse", command, reason: messageOf(reason), ...since, tried: rest.tried ?? [], next: rest.next };
}
