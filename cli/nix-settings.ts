/** What Nix itself says of its substituters and keys: the client's view, which is more than NIX_CONFIG. */
import { execFile } from "node:child_process";
import { promisify } from "node:util";
import type { Environment } from "../contract/environment.ts";
import type { NixLists } from "../contract/nix-config.ts";
import { findRealTool } from "../shim/tool.ts";

/** `nix config show` is called `nix show-config` before 2.20 or so. */
const spellings = [
  ["config", "show", "--json"],
  ["show-config", "--json"],
] as const;

/**
 * Asks the Nix that the user's commands would run, and not the shim before it.
 * @returns undefined where there is no Nix or it does not answer within 5 s
 */
export async function askNix(env: Environment): Promise<NixLists | undefined> {
  for (const spelling of spellings) {
    try {
      const { stdout } = await promisify(execFile)("nix", ["--extra-experimental-features", "nix-command", ...spelling], {
        // The program is looked for on this PATH, which has no shims.
        env: { ...env, PATH: findRealTool("nix", env).path },
        timeout: 5_000,
        maxBuffer: 4 * 1_048_576,
      });
      const raw: unknown = JSON.parse(stdout);
      return { substituters: words(raw, "substituters"), trustedPublicKeys: words(raw, "trusted-public-keys") };
    } catch {
      // The other spelling, or none.
    }
  }
  return undefined;
}

function words(raw: unknown, setting: string): readonly string[] {
  if (typeof raw !== "object" || raw === null) return [];
  const entry: unknown = Object.entries(raw).find(([name]) => name === setting)?.[1];
  const value: unknown = typeof entry === "object" && entry !== null && "value" in entry ? entry.value : undefined;
  return Array.isArray(value) ? value.filter((word) => typeof word === "string") : [];
}
