/** Where the user's own nix.conf lies: more than one file, of which the first is the strongest (Nix's manual, "nix.conf"). */
import type { Environment } from "../environment.ts";

/** More are none: the weakest are left out. */
export const mostUserConf = 32;
/** Nobody's nix.conf lies at a longer path, and a request to the daemon has to hold them all: characters. */
export const longestUserConf = 1024;

/**
 * What a Nix command of this environment would read, whether it is there or not.
 * @param env NIX_USER_CONF_FILES, else XDG_CONFIG_HOME (HOME) and XDG_CONFIG_DIRS; their defaults are Nix's own
 * @param cwd absolute: where what they name without a slash at its beginning lies
 * @returns absolute paths
 */
export function userConfFiles(env: Environment, cwd: string): readonly string[] {
  const named = env["NIX_USER_CONF_FILES"];
  const home = env["XDG_CONFIG_HOME"] ?? (env["HOME"] === undefined ? undefined : `${env["HOME"]}/.config`);
  const directories = [...(home === undefined ? [] : [home]), ...listed(env["XDG_CONFIG_DIRS"] ?? "/etc/xdg")];
  const files = named === undefined ? directories.map((directory) => `${directory}/nix/nix.conf`) : listed(named);
  return files
    .map((file) => (file.startsWith("/") ? file : `${cwd}/${file}`))
    .filter((file) => file.length <= longestUserConf)
    .slice(0, mostUserConf);
}

function listed(text: string): readonly string[] {
  return text.split(":").filter((each) => each !== "");
}
