/** Which profile a command is about: `--profile`, else GF_PROFILE, else what config.toml says of the repository here, else `default`. */
import { readFileSync } from "node:fs";
import type { Environment } from "../contract/environment.ts";
import { FlywheelError } from "../contract/errors.ts";
import type { Paths } from "../contract/paths.ts";
import { profileName } from "../contract/published.ts";
import { printable } from "../contract/text.ts";

export interface ProfileChoice {
  readonly profile: string;
  readonly by: "option" | "environment" | "repository" | "default";
  /** The rule that chose it, where nobody named it. */
  readonly why: string | null;
}

/**
 * @param given `--profile`
 * @param cwd asked only where a rule could speak of it
 * @throws FlywheelError `usage` for what is no profile's name
 */
export async function chooseProfile(
  given: string | undefined,
  { env, paths, cwd }: { readonly env: Environment; readonly paths: Paths; readonly cwd: () => string },
): Promise<ProfileChoice> {
  if (given !== undefined) return { profile: valid(given, "--profile"), by: "option", why: null };
  const named = env["GF_PROFILE"] || undefined;
  if (named !== undefined) return { profile: valid(named, "GF_PROFILE"), by: "environment", why: null };
  const none: ProfileChoice = { profile: "default", by: "default", why: null };
  // The reader of TOML is only loaded for a file that speaks of it: a status has to be fast.
  if (!mentionsRepositories(`${paths.config}/config.toml`)) return none;
  const { loadConfig } = await import("../daemon/api/client/settings.ts");
  const { profileOfRepository } = await import("../contract/repositories.ts");
  const { findWorkspace } = await import("../shim/scope.ts");
  try {
    const found = profileOfRepository(loadConfig(paths), findWorkspace(cwd(), env["PWD"]));
    return found === undefined ? none : { profile: found.profile, by: "repository", why: found.why };
  } catch (error) {
    // A broken file, or a directory that is gone: who needs either says so.
    if (error instanceof FlywheelError) return none;
    throw error;
  }
}

/** One line for whoever did not name the profile himself; undefined where he did, or where there is only the default. */
export function choiceWords({ profile, why }: ProfileChoice): string | undefined {
  return why === null ? undefined : `profile ${profile}: ${why}`;
}

/** The environment of a tool, with the profile that `--profile` named; any other the guard finds by itself. */
export function withChosenProfile(env: Environment, { profile, by }: ProfileChoice): Environment {
  return by === "option" ? { ...env, GF_PROFILE: profile } : env;
}

function valid(name: string, where: string): string {
  if (profileName.test(name)) return name;
  throw new FlywheelError("usage", `${where}: ${printable(name, 40)} is no profile name`, {
    next: "use lower-case letters, digits and dashes, at most 32",
  });
}

function mentionsRepositories(file: string): boolean {
  try {
    return readFileSync(file, "utf8").includes("repositories");
  } catch {
    return false;
  }
}
