/** The environment that makes a developer's shell what the fleet's CI runners are, derived from a status. */
import type { BazelReport, NixReport, StatusReport } from "./api.ts";
import { parseEndpoint } from "./endpoint.ts";
import type { Environment } from "./environment.ts";
import { attachedSubstituter, withAttachment, withoutAttachment } from "./nix-config.ts";

export interface ParityEnvironment {
  readonly set: Readonly<Record<string, string>>;
  /** Variables that would contradict the status. */
  readonly unset: readonly string[];
}

/**
 * The same identity as in CI (mode, state, cache name, key, read-only upload), not the same URL.
 * Applied to `env`, it satisfies each `--strict` rule that is about the attachment; what it applies
 * twice, it applies once. Secrets are never among it.
 * @param report a status of `flywheel status --json`
 * @param env the environment that it will be applied to: NIX_CONFIG is kept, ATTIC_TOKEN respected
 */
export function parityEnvironment(report: StatusReport, env: Environment): ParityEnvironment {
  const bazel = bazelParity(report, report.bazel);
  const nix = nixParity(report.nix, env);
  return { set: { ...bazel.set, ...nix.set }, unset: [...bazel.unset, ...nix.unset] };
}

/**
 * What a shell hook exported as BAZEL_REMOTE_CACHE (nix/shell-hook.sh). Another value there is the operator's own word
 * and stays; this one follows the attachment, also in a shell within the shell.
 */
export const exportedVariable = "GF_SHELL_ATTACHED";

/** All that the Bazel attachment alone decides. */
export const bazelVariables = [
  "BAZEL_REMOTE_CACHE",
  "BAZEL_REMOTE_EXECUTOR",
  "BAZEL_REMOTE_EXECUTOR_CACHE",
  "GF_BAZEL_SUBSTRATE_MODE",
  "GF_FLYWHEEL_PROFILE_STATE",
  "GF_BAZEL_REMOTE_UPLOAD",
] as const;

function bazelParity(report: StatusReport, bazel: BazelReport): ParityEnvironment {
  if (bazel.state === "unattached" || bazel.endpoint === null) return { set: {}, unset: bazelVariables };
  const localProof = report.profileState === "local-proof";
  const set: Record<string, string> = {
    BAZEL_REMOTE_CACHE: bazel.endpoint,
    GF_BAZEL_SUBSTRATE_MODE: report.mode,
    GF_FLYWHEEL_PROFILE_STATE: report.profileState,
    GF_BAZEL_REMOTE_UPLOAD: String(bazel.upload),
    ...(localProof ? { GF_BAZEL_LOCAL_PROOF: "port-forward", GF_BAZEL_ALLOW_LOCALHOST_PROOF: "true" } : {}),
    ...(bazel.instanceName === null ? {} : { BAZEL_REMOTE_INSTANCE_NAME: bazel.instanceName }),
  };
  return { set, unset: bazelVariables.filter((name) => !(name in set)) };
}

function nixParity(nix: NixReport, env: Environment): ParityEnvironment {
  const current = env["NIX_CONFIG"] ?? "";
  const own = withoutAttachment(current);
  const split = nix.endpoint === null ? undefined : attic(nix.endpoint);
  const token = Boolean(env["ATTIC_TOKEN"]);
  // A substituter that the Nix daemon will ignore is not an attachment; nor is one that asks for a credential, which only
  // the guard hands over: Nix passes it over in silence.
  const ignored = nix.trusted === false || (nix.credential !== undefined && nix.credential.needed !== "no");
  if (nix.state === "unattached" || split === undefined || nix.publicKey === null || ignored) {
    // Without our lines in NIX_CONFIG the ATTIC_* variables are the user's own.
    if (own === current) return { set: {}, unset: [] };
    const unset = ["ATTIC_CACHE", "ATTIC_PUBLIC_KEY", ...(token && !serverIsOurs(current, env) ? [] : ["ATTIC_SERVER"])];
    return own === "" ? { set: {}, unset: [...unset, "NIX_CONFIG"] } : { set: { NIX_CONFIG: own }, unset };
  }
  const set: Record<string, string> = {
    ATTIC_CACHE: split.cache,
    ATTIC_PUBLIC_KEY: nix.publicKey,
    NIX_CONFIG: withAttachment(current, split.url, nix.publicKey),
  };
  // With a token at hand, ATTIC_SERVER would arm pushes (as the fleet's nix-setup avoids it too).
  if (token) return { set, unset: serverIsOurs(current, env) ? ["ATTIC_SERVER"] : [] };
  return { set: { ...set, ATTIC_SERVER: split.server }, unset: [] };
}

/** Whether an earlier `flywheel env` set ATTIC_SERVER, before a token came beside it. */
function serverIsOurs(nixConfig: string, env: Environment): boolean {
  const before = attachedSubstituter(nixConfig);
  return before !== undefined && attic(before)?.server === env["ATTIC_SERVER"];
}

/** `https://host/main` is the cache `main` of the server `https://host`; undefined where no cache is named. */
function attic(text: string): { url: string; server: string; cache: string } | undefined {
  const parsed = parseEndpoint(text, "nix");
  if (!parsed.ok || parsed.endpoint.path === "") return undefined;
  const { url, path } = parsed.endpoint;
  const cache = path.slice(path.lastIndexOf("/") + 1);
  return { url, server: url.slice(0, -cache.length - 1), cache };
}
