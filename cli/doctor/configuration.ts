/** config.toml, the profiles and trust.json: can they be read, and do they say what can be done? */
import { existsSync, readdirSync } from "node:fs";
import type { Config } from "../../contract/config.ts";
import { parseEndpoint, type Tool, withoutCredentials } from "../../contract/endpoint.ts";
import type { FlywheelError } from "../../contract/errors.ts";
import type { Paths } from "../../contract/paths.ts";
import { profileName } from "../../contract/published.ts";
import { printable } from "../../contract/text.ts";
import { loadProfile } from "../../daemon/api/client/settings.ts";
import { type Facts, read } from "./facts.ts";
import { type Check, checksOf } from "./report.ts";

const { ok, warn, fail } = checksOf("configuration");

/** More profiles than these are not looked at. */
const mostProfiles = 64;

export function checkConfiguration({ paths, profileName: own, profileChoice, config, profile, trust }: Facts): readonly Check[] {
  return [
    config.ok
      ? ok("config", existsSync(`${paths.config}/config.toml`) ? "config.toml can be read" : "there is no config.toml: the defaults hold")
      : broken("config", config.error),
    ...(config.ok ? (["bazel", "nix"] as const).flatMap((kind) => endpoints(config.value.endpoints[kind], kind)) : []),
    profile.ok ? ok("profile", `profile ${own} can be read`, { reason: profileChoice.why }) : broken("profile", profile.error),
    ...(config.ok ? mapped(paths, config.value, own) : []),
    ...otherProfiles(`${paths.config}/profiles`, own).flatMap((name) => {
      const other = read(() => loadProfile(paths, name));
      return other.ok ? [] : [{ ...broken("profile", other.error), state: "warn" as const }];
    }),
    ...misnamed(`${paths.config}/profiles`),
    trust.ok ? ok("trust", trusted(trust.value)) : broken("trust", trust.error),
  ];
}

function broken(id: string, error: FlywheelError): Check {
  return fail(id, printable(error.message, 600), { next: error.next ?? null });
}

function endpoints(texts: readonly string[], kind: Tool): readonly Check[] {
  return texts.flatMap((text) => {
    const parsed = parseEndpoint(text, kind);
    // Without what could be a credential: this may be copied into a bug report.
    return parsed.ok
      ? []
      : [
          fail("config-endpoint", `endpoints.${kind} of config.toml holds one that is none: ${printable(withoutCredentials(text), 120)}`, {
            reason: parsed.message,
            next: "mend it in config.toml, then flywheel up",
          }),
        ];
  });
}

/** Profiles that repositories map to: heavy commands there are refused while theirs cannot be read. */
function mapped(paths: Paths, { repositories }: Config, own: string): readonly Check[] {
  const names = new Set(repositories.map(({ profile }) => profile).filter((name) => name !== own));
  return [...names].flatMap((name) => {
    const other = read(() => loadProfile(paths, name));
    if (other.ok) return [];
    const what = `[[repositories]] of config.toml maps repositories to profile ${name}, which cannot be read`;
    return [fail("repositories", what, { reason: printable(other.error.message, 400), next: other.error.next ?? null })];
  });
}

function names(directory: string): readonly string[] {
  try {
    return readdirSync(directory)
      .filter((file) => file.endsWith(".toml"))
      .slice(0, mostProfiles)
      .map((file) => file.slice(0, -".toml".length));
  } catch {
    // No profiles but the built-in one.
    return [];
  }
}

function otherProfiles(directory: string, own: string): readonly string[] {
  return names(directory).filter((name) => name !== own && profileName.test(name));
}

function misnamed(directory: string): readonly Check[] {
  return names(directory)
    .filter((name) => !profileName.test(name))
    .map((name) =>
      warn("profile", `${printable(name, 60)}.toml is no profile's name`, {
        next: "name it with lower-case letters, digits and dashes, at most 32",
      }),
    );
}

function trusted({ tailnets, files, keys }: { readonly [K in "tailnets" | "files" | "keys"]: readonly unknown[] }): string {
  const count = (list: readonly unknown[], word: string): string => `${list.length} ${word}${list.length === 1 ? "" : "s"}`;
  return `trusted by your word: ${count(tailnets, "tailnet")}, ${count(files, "file")}, ${count(keys, "key")}`;
}
