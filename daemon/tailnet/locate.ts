/** Which socket is asked, and whether its owner may be believed: whoever owns it tells the whole story of the tailnet. */
import { stat } from "node:fs/promises";
import type { Config } from "../../contract/config.ts";
import { printable } from "../../contract/text.ts";
import { systemSocket } from "./localapi/index.ts";

export type Located =
  | { readonly state: "usable"; readonly path: string; readonly system: boolean }
  | { readonly state: "unsafe"; readonly path: string; readonly reason: string; readonly next: string };

/** The socket that the user named: GF_TAILSCALED_SOCKET, else tailnet.socket of the configuration; undefined means the system's. */
export function configuredSocket(env: Readonly<Record<string, string | undefined>>, config: Config): string | undefined {
  return env["GF_TAILSCALED_SOCKET"] || config.tailnet.socket;
}

/**
 * @param configured the socket that the user named, or undefined
 * @returns the path; whether anybody listens on it is not looked at. A named socket must belong to root
 *   or the user who runs this, or it is unsafe.
 */
export async function locateSocket(configured: string | undefined): Promise<Located> {
  const system = systemSocket(process.platform);
  if (configured === undefined || configured === system) return { state: "usable", path: system, system: true };
  const shown = printable(configured);
  if (!configured.startsWith("/")) {
    return {
      state: "unsafe",
      path: shown,
      reason: `the Tailscale socket ${shown} is no absolute path`,
      next: "set GF_TAILSCALED_SOCKET or tailnet.socket to an absolute path",
    };
  }
  const owner = await stat(configured).then(
    (found) => found.uid,
    // Absent or out of reach: connecting will say so, in better words.
    () => undefined,
  );
  const user = process.getuid?.();
  if (owner !== undefined && owner !== 0 && owner !== user) {
    return {
      state: "unsafe",
      path: shown,
      reason: `the Tailscale socket ${shown} belongs to uid ${owner}, neither to root nor to you (uid ${user ?? "unknown"})`,
      next: "unset GF_TAILSCALED_SOCKET and tailnet.socket, or name a socket of your own",
    };
  }
  return { state: "usable", path: configured, system: false };
}
