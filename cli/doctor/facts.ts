/** What the checks rest on, read once; what could not be read stays as the error that says why. */
import type { StatusReport } from "../../contract/api.ts";
import type { BazelVersion } from "../../contract/bazel/version.ts";
import type { Config } from "../../contract/config.ts";
import type { CredentialIndex } from "../../contract/credential.ts";
import type { Environment } from "../../contract/environment.ts";
import { FlywheelError } from "../../contract/errors.ts";
import type { Paths } from "../../contract/paths.ts";
import type { Profile } from "../../contract/profile.ts";
import type { TrustStore } from "../../contract/trust.ts";
import { readCredentials } from "../../daemon/api/client/credentials/index-file.ts";
import { loadConfig, loadProfile } from "../../daemon/api/client/settings.ts";
import { readTrust } from "../../daemon/api/client/trust.ts";
import { bazelVersion } from "../../shim/bazel-version.ts";
import { findWorkspace } from "../../shim/scope.ts";
import type { Context } from "../context.ts";
import type { ProfileChoice } from "../profile.ts";
import { readStatus } from "../status/report.ts";

export type Read<T> = { readonly ok: true; readonly value: T } | { readonly ok: false; readonly error: FlywheelError };

export interface Facts {
  readonly env: Environment;
  readonly home: string;
  readonly paths: Paths;
  readonly profileName: string;
  readonly profileChoice: ProfileChoice;
  readonly cwd: Read<string>;
  readonly config: Read<Config>;
  readonly profile: Read<Profile>;
  readonly trust: Read<TrustStore>;
  /** What is kept, without any secret. */
  readonly credentials: Read<CredentialIndex>;
  /** Of the Bazel behind the guard, in this directory's workspace; undefined where nobody can tell. */
  readonly bazelVersion: BazelVersion | undefined;
  /** The daemon's word, or without one what the published files say; an error where something answers that is not ours to ask. */
  readonly status: Read<StatusReport>;
}

/** Changes nothing, and starts nothing. */
export async function readFacts(context: Context): Promise<Facts> {
  const { env, home, paths, profile, profileChoice } = context;
  return {
    env,
    home,
    paths,
    profileName: profile,
    profileChoice,
    cwd: read(() => context.cwd),
    config: read(() => loadConfig(paths)),
    profile: read(() => loadProfile(paths, profile)),
    trust: read(() => readTrust(paths)),
    credentials: read(() => readCredentials(paths)),
    bazelVersion: await versionHere(context),
    status: await readStatus(paths, profile).then((value) => ({ ok: true, value }) as const, failed),
  };
}

async function versionHere(context: Context): Promise<BazelVersion | undefined> {
  const cwd = read(() => context.cwd);
  return cwd.ok ? bazelVersion("bazel", findWorkspace(cwd.value, context.env["PWD"]).root, context.env) : undefined;
}

/** The value, or undefined where it could not be read. */
export function known<T>(read: Read<T>): T | undefined {
  return read.ok ? read.value : undefined;
}

export function read<T>(get: () => T): Read<T> {
  try {
    return { ok: true, value: get() };
  } catch (error) {
    return failed(error);
  }
}

/** A mistake of our own is not a finding. */
function failed(error: unknown): { readonly ok: false; readonly error: FlywheelError } {
  if (error instanceof FlywheelError) return { ok: false, error };
  throw error;
}
