/** The netrc that this user's Nix would read without us: what is in it must not be lost. */

import type { Environment } from "../../contract/environment.ts";
import { type OwnNetrc, withheldFrom } from "../../contract/nix/trust.ts";
import { userConfFiles } from "../../contract/nix/user-conf.ts";
import { nixList } from "../../contract/nix-config.ts";
import type { NixTerms } from "../../contract/published.ts";
import { readBounded } from "../api/client/bounded.ts";
import { isErrno } from "../api/client/errno.ts";
import { readNixConf } from "./configuration.ts";
import { type NixPlace, ownName } from "./place.ts";

/** A larger one is none: bytes. */
const largest = 262_144;

/** @param userConf the user's own nix.conf, the strongest file first (userConfFiles()): each stands above the system's */
export function ownNetrc(place: NixPlace, userConf: readonly string[]): OwnNetrc {
  const usual = `${place.confDir}/netrc`;
  // As Nix reads them: the strongest last. One that cannot be read is none to Nix either.
  const text = [...userConf, `${place.confDir}/nix.conf`]
    .toReversed()
    .map((conf) => readNixConf(conf).text ?? "")
    .join("\n");
  const file = nixList(text, ["netrc-file"], [usual]).at(-1) ?? usual;
  try {
    return { state: "read", text: readBounded(file, largest).toString("utf8") };
  } catch (error) {
    if (isErrno(error) && (error.code === "ENOENT" || error.code === "ENOTDIR")) return { state: "read", text: "" };
    // /dev/null, as who reads anonymously has it.
    return file === "/dev/null" ? { state: "read", text: "" } : { state: "unreadable", file };
  }
}

/**
 * withheldFrom(), for this machine's Nix and this user, as both are when it is asked.
 * @param env where the user's own nix.conf lies, as far as whoever asks can know
 */
export function withheldHere(place: NixPlace, env: Environment, keeper: "user" | "system") {
  return (terms: Pick<NixTerms, "trustedUser">) =>
    withheldFrom(terms, { user: ownName() }, { keeper, own: ownNetrc(place, userConfFiles(env, "/")) });
}
