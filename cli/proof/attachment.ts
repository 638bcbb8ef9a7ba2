/** What the guard would attach a command to now, with a proof of it that was made now. */
import type { StatusReport } from "../../contract/api.ts";
import { FlywheelError } from "../../contract/errors.ts";
import type { BazelAttachmentSeen } from "../../contract/proof/bazel.ts";
import type { NixAttachmentSeen } from "../../contract/proof/nix.ts";
import { DaemonClient } from "../../daemon/api/client/connection.ts";
import { type Decision, decide, type Invocation } from "../../shim/decide.ts";
import { surroundings } from "../../shim/world.ts";
import type { Context } from "../context.ts";
import { runningDaemon } from "../daemon.ts";
import { readStatus } from "../status/report.ts";

/** How long an answer that is still coming is waited for: milliseconds. */
const longestWait = 15_000;

/**
 * The status behind a fresh proof; in CI, where nobody starts a daemon, whatever one that runs says.
 * @param signal aborted: nothing that is still coming is waited for
 */
export async function provedStatus({ env, paths, profile }: Context, signal: AbortSignal): Promise<StatusReport> {
  try {
    const daemon = env["CI"] ? new DaemonClient(paths) : await runningDaemon(paths);
    const { bazel, detached } = await daemon.status(profile);
    // A daemon that has just been started has not looked for anything yet; what is detached stays so.
    const status = bazel.state === "attached" || detached ? await daemon.verify(profile) : await daemon.up(profile);
    return isSettled(status) ? status : await settled(daemon, profile, status, signal);
  } catch (error) {
    // Why there is none is the guard's to say, as it would of a build.
    if (!(error instanceof FlywheelError)) throw error;
    return readStatus(paths, profile);
  }
}

function isSettled({ bazel, nix }: StatusReport): boolean {
  return !bazel.unsettled && !nix.unsettled;
}

async function settled(daemon: DaemonClient, profile: string, first: StatusReport, signal: AbortSignal): Promise<StatusReport> {
  let last = first;
  for await (const status of daemon.watch(profile, AbortSignal.any([signal, AbortSignal.timeout(longestWait)]))) {
    last = status;
    if (isSettled(status)) break;
  }
  return last;
}

/** @param args of the build that is meant */
export async function bazelAttachment(tool: string, args: readonly string[], context: Context): Promise<BazelAttachmentSeen> {
  const decision = await decided(tool, args, context);
  if (decision.kind !== "inject") return unattached(decision);
  const { endpoint, upload, instanceName } = decision.cache;
  return { state: "attached", endpoint, upload, instanceName };
}

export async function nixAttachment(context: Context): Promise<NixAttachmentSeen> {
  const decision = await decided("nix", ["build"], context);
  if (decision.kind !== "settings" || decision.cache === undefined) return unattached(decision);
  const { endpoint, publicKey } = decision.cache;
  return { state: "attached", endpoint, publicKey };
}

function decided(tool: string, args: readonly string[], { env, cwd, profile }: Context): Promise<Decision> {
  const invocation: Invocation = { tool, args, env: guardedEverywhere(env, profile), cwd };
  return decide(invocation, surroundings(invocation, env["CI"] ? "guard-without-daemon" : "guard"));
}

/** The environment of a command that the guard is to act on, enrolled or not. */
export function guardedEverywhere(env: Context["env"], profile: string): Context["env"] {
  return { ...env, GF_GUARD_SCOPE: "all", ...(profile === "default" ? {} : { GF_PROFILE: profile }) };
}

function unattached(decision: Decision): Extract<BazelAttachmentSeen, { state: "unattached" }> {
  switch (decision.kind) {
    case "refuse":
      return { state: "unattached", reason: decision.reason, next: decision.next[0] };
    case "escape":
      return { state: "unattached", reason: "GF_GUARD_BYPASS is set, and an escape runs alone", next: "unset GF_GUARD_BYPASS" };
    case "run":
    case "settings":
    case "inject":
      return {
        state: "unattached",
        reason: `the guard attaches nothing here: ${decision.why}`,
        next: "flywheel explain -- bazel build //...",
      };
    default:
      return decision satisfies never;
  }
}
