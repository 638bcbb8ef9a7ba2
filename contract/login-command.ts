/** What to type to log in to a cache. */
import type { Tool } from "./endpoint.ts";
import { typed } from "./quote.ts";

/** How one logs in, as far as it is known. */
export type LoginHow =
  | { readonly scheme: "bearer" }
  | { readonly scheme: "basic"; readonly user?: string }
  | { readonly scheme: "mtls"; readonly certificate?: string; readonly key?: string };

export interface Login {
  /** The default one where none is told. */
  readonly profile?: string | undefined;
  readonly kind: Tool;
  readonly endpoint: string;
  /** A bearer token where nothing is told. */
  readonly how?: LoginHow | undefined;
  /** Whether the login allows it, so that the next one does. */
  readonly legacyHeader?: boolean;
}

/** The line, to be pasted: the same login again where one is kept. What nobody knows stands there as NAME or FILE. */
export function loginCommand({ profile, kind, endpoint, how, legacyHeader }: Login): string {
  const options = [...(how === undefined ? [] : optionsOf(how)), ...(legacyHeader === true ? ["--allow-legacy-header"] : [])];
  return ["flywheel login", ...placeOf({ profile, kind, endpoint }), ...options].join(" ");
}

type Place = Pick<Login, "profile" | "kind" | "endpoint">;

/** What to type to log out of it again. */
export function logoutCommand(place: Place): string {
  return ["flywheel logout", ...placeOf(place)].join(" ");
}

function placeOf({ profile, kind, endpoint }: Place): readonly string[] {
  return [
    ...(profile === undefined || profile === "default" ? [] : [`--profile ${profile}`]),
    ...(kind === "nix" ? ["--kind nix"] : []),
    typed(endpoint),
  ];
}

function optionsOf(how: LoginHow): readonly string[] {
  switch (how.scheme) {
    case "bearer":
      return [];
    case "basic":
      return [`--basic --user ${typed(how.user ?? "NAME")}`];
    case "mtls":
      return [`--certificate ${typed(how.certificate ?? "FILE")} --key ${typed(how.key ?? "FILE")}`];
  }
}
