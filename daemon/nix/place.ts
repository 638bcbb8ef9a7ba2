/** Where this machine's Nix lives, and how this user's commands reach its store. */
import { accessSync, closeSync, constants, existsSync, openSync, readSync } from "node:fs";
import { userInfo } from "node:os";
import type { NixAccess } from "../../contract/nix/trust.ts";

export interface NixPlace {
  readonly storeDir: string;
  readonly stateDir: string;
  readonly confDir: string;
  readonly socket: string;
  /** Where the program may be: fixed, so that nobody's PATH names the one that we believe, nor our own shim. */
  readonly programs: readonly string[];
}

/** Nix's own variables (src/libstore/globals.cc), for one that does not live in its usual place. */
export const nixVariables = ["NIX_STORE_DIR", "NIX_STATE_DIR", "NIX_CONF_DIR", "NIX_DAEMON_SOCKET_PATH"] as const;

/** @param env the daemon's own: only nixVariables, HOME and USER count */
export function nixPlace(env: Readonly<Record<string, string | undefined>>): NixPlace {
  const stateDir = env["NIX_STATE_DIR"] || "/nix/var/nix";
  const home = env["HOME"];
  const user = env["USER"] ?? "";
  return {
    stateDir,
    storeDir: env["NIX_STORE_DIR"] || "/nix/store",
    confDir: env["NIX_CONF_DIR"] || "/etc/nix",
    socket: env["NIX_DAEMON_SOCKET_PATH"] || `${stateDir}/daemon-socket/socket`,
    programs: [
      "/nix/var/nix/profiles/default/bin/nix",
      "/run/current-system/sw/bin/nix",
      "/usr/bin/nix",
      "/usr/local/bin/nix",
      ...(/^[a-z_][a-z0-9_.-]*$/i.test(user) ? [`/etc/profiles/per-user/${user}/bin/nix`] : []),
      ...(home?.startsWith("/") === true ? [`${home}/.nix-profile/bin/nix`, `${home}/.local/state/nix/profile/bin/nix`] : []),
    ],
  };
}

/** The program, or undefined where it is in none of its places. */
export function findNix({ programs }: NixPlace): string | undefined {
  return programs.find(isProgram);
}

/** A script of that name is somebody's wrapper, ours perhaps: Nix itself is none. */
function isProgram(file: string): boolean {
  try {
    accessSync(file, constants.X_OK);
    const opened = openSync(file, constants.O_RDONLY | constants.O_NONBLOCK);
    try {
      const head = Buffer.alloc(2);
      return readSync(opened, head) === 2 && head.toString("latin1") !== "#!";
    } finally {
      closeSync(opened);
    }
  } catch {
    return false;
  }
}

/** As Nix chooses a store that nobody named (src/libstore/store-api.cc, openFromNonUri). */
export function nixAccess(place: NixPlace): NixAccess {
  if (isWritable(place.stateDir)) return { by: "itself" };
  if (existsSync(place.socket)) return { by: "daemon" };
  if (findNix(place) === undefined && !existsSync(place.stateDir)) {
    return { by: "nothing", reason: "there is no Nix on this machine, so nobody would use the cache" };
  }
  // A store below the user's home, or one that root is about to make.
  if (!existsSync(place.storeDir) || process.geteuid?.() === 0) return { by: "itself" };
  return { by: "nothing", reason: `no Nix daemon listens on ${place.socket}, and this user may not write its store` };
}

function isWritable(directory: string): boolean {
  try {
    accessSync(directory, constants.R_OK | constants.W_OK);
    return true;
  } catch {
    return false;
  }
}

/** As Nix's daemon names whoever connects: the number, where the uid has no name. */
export function ownName(): string {
  try {
    return userInfo().username;
  } catch {
    return String(process.geteuid?.() ?? "");
  }
}
