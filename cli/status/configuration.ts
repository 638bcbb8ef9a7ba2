/** Whether the guard can read what it is to go by: where it cannot, it refuses, whatever is attached. */
import { lstatSync } from "node:fs";
import { builtInProfiles } from "../../contract/built-in-profiles.ts";
import { FlywheelError } from "../../contract/errors.ts";
import type { Paths } from "../../contract/paths.ts";
import { printable } from "../../contract/text.ts";

export interface ConfigurationFault {
  readonly fault: string;
  readonly next: string | null;
}

/** Reads config.toml and the profile as the guard does; null where it goes on with them. */
export async function configurationFault(paths: Paths, profile: string): Promise<ConfigurationFault | null> {
  const builtIn = builtInProfiles.includes(profile);
  // The reader of TOML is only loaded for files that are there: a status has to be fast.
  if (builtIn && ![`${paths.config}/config.toml`, `${paths.config}/profiles/${profile}.toml`].some(mayBeThere)) return null;
  const { loadConfig, loadProfile } = await import("../../daemon/api/client/settings.ts");
  try {
    loadConfig(paths);
    loadProfile(paths, profile);
    return null;
  } catch (error) {
    if (!(error instanceof FlywheelError)) throw error;
    return { fault: printable(error.message, 600), next: error.next === undefined ? null : printable(error.next, 400) };
  }
}

/** What cannot be looked at, the guard cannot read either, and says so. */
function mayBeThere(file: string): boolean {
  try {
    return lstatSync(file, { throwIfNoEntry: false }) !== undefined;
  } catch {
    return true;
  }
}
