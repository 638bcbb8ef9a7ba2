/** Values of this machine's own that completion offers. Starts no daemon, and a mistake of the configuration offers only less. */
import { readdirSync } from "node:fs";
import { builtInProfiles } from "../../contract/built-in-profiles.ts";
import { FlywheelError } from "../../contract/errors.ts";
import type { Paths } from "../../contract/paths.ts";
import { profileName } from "../../contract/published.ts";
import { readStatus } from "../status/report.ts";

export const valueKinds = ["endpoint", "profile"] as const;
export type ValueKind = (typeof valueKinds)[number];

/** Each once, in the order in which they are of use. */
export async function valuesOf(kind: ValueKind, paths: Paths, profile: string): Promise<readonly string[]> {
  const values = kind === "profile" ? profiles(paths) : await endpoints(paths, profile);
  return [...new Set(values)];
}

function profiles({ config }: Paths): readonly string[] {
  const own = namesIn(`${config}/profiles`).flatMap((file) => (file.endsWith(".toml") ? [file.slice(0, -".toml".length)] : []));
  return [...builtInProfiles, ...own.filter((name) => profileName.test(name)).sort()];
}

function namesIn(directory: string): readonly string[] {
  try {
    return readdirSync(directory);
  } catch {
    return [];
  }
}

/** What is attached, its other names, and every candidate, those that `attach` kept among them; without a daemon what is published. */
async function endpoints(paths: Paths, profile: string): Promise<readonly string[]> {
  try {
    const { bazel, nix, candidates } = await readStatus(paths, profile);
    const attached = [bazel.endpoint, ...bazel.aliases, nix.endpoint].filter((url) => url !== null);
    // An endpoint's grammar knows no space: whatever has one is no word to type.
    return [...attached, ...candidates.map(({ endpoint }) => endpoint)].filter((url) => /^[!-~]+$/.test(url));
  } catch (error) {
    if (error instanceof FlywheelError) return [];
    throw error;
  }
}
