/** Where the caches of a profile listen by convention: what discovery tries, and what a tailnet's policy has to let through. */
import type { Scheme, Tool } from "./endpoint.ts";
import type { Profile } from "./profile.ts";

export interface Port {
  readonly scheme: Scheme;
  readonly port: number;
  readonly path: string;
}

/** The profile's ports, in the order in which they are tried. */
export function portsOf(profile: Profile, kind: Tool): readonly Port[] {
  if (kind === "bazel") {
    return [
      ...profile.bazel.grpcPorts.map((port) => ({ scheme: "grpc", port, path: "" }) as const),
      ...profile.bazel.httpPorts.map((port) => ({ scheme: "http", port, path: "" }) as const),
    ];
  }
  const path = `/${profile.nix.cache}`;
  return [
    ...profile.nix.httpsPorts.map((port) => ({ scheme: "https", port, path }) as const),
    ...profile.nix.httpPorts.map((port) => ({ scheme: "http", port, path }) as const),
  ];
}
