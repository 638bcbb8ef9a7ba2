/** What to type to log in to a cache. */
import type { Tool } from "./endpoint.ts";

/** @param login of whom, to what; the default profile where none is told */
export function loginCommand(login: { readonly profile?: string | undefined; readonly kind: Tool; readonly endpoint: string }): string {
  const { profile, kind, endpoint } = login;
  const whose = profile === undefined || profile === "default" ? "" : `--profile ${profile} `;
  return `flywheel login ${whose}${kind === "nix" ? "--kind nix " : ""}${endpoint}`;
}
