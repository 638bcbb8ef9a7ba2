/** What this machine's Nix makes of the cache, what an administrator would add, and which caches a flake names by itself. */
import { existsSync } from "node:fs";
import { dirname, join } from "node:path";
import type { StatusReport } from "../../contract/api.ts";
import { flakeCaches } from "../../contract/nix/flake.ts";
import type { NixAdvice } from "../../contract/nix/trust.ts";
import { printable } from "../../contract/text.ts";
import { readSmall } from "../bazelrc.ts";
import type { Paint } from "../output/paint.ts";
import { type Check, checksOf } from "./report.ts";

export function checkNixTrust({ nix }: StatusReport): readonly Check[] {
  if (nix.state !== "attached") return [];
  const { ok, warn } = checksOf("attachment");
  if (nix.publicKey === null) {
    return [warn("nix-key", "no public key is known for the Nix cache", { next: "flywheel trust key <name>:<base64>" })];
  }
  return nix.trusted === true
    ? [ok("nix-trust", "this machine's Nix takes it from this user", { reason: `by the key ${nix.publicKey}` })]
    : [];
}

/** Caches that a flake here names: shown, and never counted as the shared one. */
export function checkFlake(cwd: string): readonly Check[] {
  const file = flakeAbove(cwd);
  const text = file === undefined ? undefined : readSmall(file);
  if (file === undefined || text === undefined) return [];
  const { ok } = checksOf("workspace");
  const shown = printable(file, 400);
  const { substituters, unclear, flakeHub } = flakeCaches(text);
  const named = [...substituters.map((url) => printable(url, 200)), ...(unclear ? ["some that its text does not tell"] : [])];
  return [
    ...(named.length === 0
      ? []
      : [
          ok("flake-caches", `${shown} names caches of its own: ${named.join(", ")}`, {
            reason:
              "its nixConfig: Nix asks before it takes them, and an untrusted user's daemon ignores them; none of them is the shared cache",
          }),
        ]),
    ...(flakeHub
      ? [ok("flakehub", `${shown} takes inputs from FlakeHub`, { reason: "flakes are published there; it is no shared cache" })]
      : []),
  ];
}

/** As Nix looks for one: here, then in each directory above. */
function flakeAbove(from: string): string | undefined {
  for (let at = from; ; at = dirname(at)) {
    const file = join(at, "flake.nix");
    if (existsSync(file)) return file;
    if (at === dirname(at)) return undefined;
  }
}

export function viewNixAdvice({ nixConf, nixos, nixDarwin }: NixAdvice, paint: Paint): string[] {
  const part = (title: string, text: string): string[] => [`  ${title}`, ...text.split("\n").map((line) => `    ${line}`), ""];
  return [
    paint.bold("for this machine's administrator"),
    "  What makes its Nix take the cache from every user, without trusting any.",
    "",
    ...part("nix.conf", nixConf),
    ...part("NixOS", nixos),
    ...part("nix-darwin", nixDarwin),
  ];
}
