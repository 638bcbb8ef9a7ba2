/** The netrc that this user's Nix would read without us: what is in it must not be lost. */

import { nixList } from "../../contract/nix-config.ts";
import { readBounded } from "../api/client/bounded.ts";
import { isErrno } from "../api/client/directory.ts";
import { readNixConfiguration } from "./configuration.ts";
import type { NixPlace } from "./place.ts";

export type OwnNetrc =
  /** Empty text where there is none. */
  | { readonly state: "read"; readonly text: string }
  /** It is there, and is another's alone. */
  | { readonly state: "unreadable"; readonly file: string };

/** A larger one is none: bytes. */
const largest = 262_144;

/** @param userConf the user's own nix.conf, which stands above the system's */
export function ownNetrc(place: NixPlace, userConf: string | undefined): OwnNetrc {
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
