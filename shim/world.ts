/** What a decision rests on, read from this machine, each part once and only when asked for. */
import { existsSync } from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";
import type { Config } from "../contract/config.ts";
import { FlywheelError } from "../contract/errors.ts";
import { userConfFiles } from "../contract/nix/user-conf.ts";
import { type Paths, pathsFrom } from "../contract/paths.ts";
import type { Profile } from "../contract/profile.ts";
import { profileName } from "../contract/published.ts";
import { profileOfRepository } from "../contract/repositories.ts";
import { loadConfig, loadProfile } from "../daemon/api/client/settings.ts";
import { readTrust } from "../daemon/api/client/trust.ts";
import { attachmentSource, type Patience } from "./attachment.ts";
import { bazelVersion } from "./bazel-version.ts";
import { credentialSource } from "./credentials/source.ts";
import type { Invocation, World } from "./decide.ts";
import { type EnvFile, readEnvFile } from "./env-file.ts";
import { nixAttachmentSource } from "./nix/attachment.ts";
import { findWorkspace, type Scope, scopeOf, type Workspace } from "./scope.ts";
import { usableSources } from "./sources.ts";

export interface Surroundings extends World {
  readonly paths: Paths;
  /** When nothing of it had been read yet: milliseconds since the epoch. */
  readonly begun: number;
  /** Whether there was a config.toml then. */
  readonly configFile: boolean;
  /** The profile's name: GF_PROFILE, else what config.toml says of the repository, else `default`. */
  readonly chosen: () => string;
}

export function surroundings(invocation: Invocation, patience: Patience): Surroundings {
  const { tool, env, cwd } = invocation;
  const begun = Date.now();
  const paths = pathsFrom(env, homedir());
  const configFile = existsSync(join(paths.config, "config.toml"));
  const config = once((): Config => loadConfig(paths));
  const workspace = once((): Workspace => findWorkspace(cwd, env["PWD"]));
  const chosen = once((): string => {
    const name = env["GF_PROFILE"] || undefined;
    if (name !== undefined) {
      if (!profileName.test(name)) throw new FlywheelError("usage", "GF_PROFILE is no profile's name", { next: "unset GF_PROFILE" });
      return name;
    }
    return profileOfRepository(config(), workspace())?.profile ?? "default";
  });
  const profile = once((): Profile => loadProfile(paths, chosen()));
  const scope = once((): Scope => scopeOf(workspace(), config(), env["GF_GUARD_SCOPE"]));
  const envFile = once((): EnvFile => readEnvFile(workspace().root, readTrust(paths)));
  const version = once(() => bazelVersion(tool === "bazelisk" ? "bazelisk" : "bazel", workspace().root, env));
  return {
    paths,
    begun,
    configFile,
    config,
    chosen,
    profile,
    workspace,
    scope,
    envFile,
    version,
    sources: () => usableSources(profile().bazel.repositories, version),
    credentials: credentialSource(paths, patience),
    attachments: attachmentSource(paths, patience),
    nix: nixAttachmentSource(paths, patience, userConfFiles(env, cwd)),
  };
}

function once<T>(make: () => T): () => T {
  let made: { value: T } | undefined;
  return () => {
    made ??= { value: make() };
    return made.value;
  };
}
