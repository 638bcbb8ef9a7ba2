/** The netrc that this user's Nix would read without us: what is in it must not be lost. */

import { type OwnNetrc, withheldFrom } from "../../contract/nix/trust.ts";
import { nixList } from "../../contract/nix-config.ts";
import type { NixTerms } from "../../contract/published.ts";
import { readBounded } from "../api/client/bounded.ts";
import { isErrno } from "../api/client/directory.ts";
import { readNixConfiguration } from "./configuration.ts";
import { type NixPlace, ownName } from "./place.ts";

/** A larger one is none: bytes. */
const largest = 262_144;

type Environment = Readonly<Record<string, string | undefined>>;

/** @param env where the user's own nix.conf lies, which stands above the system's: XDG_CONFIG_HOME, HOME */
export function ownNetrc(place: NixPlace, env: Environment): OwnNetrc {
  const base = env["XDG_CONFIG_HOME"] ?? (env["HOME"] === undefined ? undefined : `${env["HOME"]}/.config`);
  const userConf = base === undefined ? undefined : `${base}/nix/nix.conf`;
  const usual = `${place.confDir}/netrc`;
  const system = readNixConfiguration(place.confDir).text ?? "";
  const user = userConf === undefined ? "" : small(userConf);
  const file = nixList(`${system}\n${user}`, ["netrc-file"], [usual]).at(-1) ?? usual;
  try {
    return { state: "read", text: readBounded(file, largest).toString("utf8") };
  } catch (error) {
    if (isErrno(error) && (error.code === "ENOENT" || error.code === "ENOTDIR")) return { state: "read", text: "" };
    // /dev/null, as who reads anonymously has it.
    return file === "/dev/null" ? { state: "read", text: "" } : { state: "unreadable", file };
  }
}

function small(file: string): string {
  try {
    return readBounded(file, largest).toString("utf8");
  } catch {
    return "";
  }
}

/** withheldFrom(), for this machine's Nix and this user, as both are when it is asked. */
export function withheldHere(place: NixPlace, env: Environment, keeper: "user" | "system") {
  return (terms: Pick<NixTerms, "trustedUser">) => withheldFrom(terms, { user: ownName() }, { keeper, own: ownNetrc(place, env) });
}
