/** The guard's decision on credentials: what a Bazel gets beside the flags that attach it, for the same endpoint. */
import type { StartupFacts } from "../../contract/bazel/command-line.ts";
import { present, startupWords, takesHelper, withoutEventService } from "../../contract/bazel/credentials.ts";
import type { AttachedCache } from "../../contract/bazel/injection.ts";
import type { BazelVersion } from "../../contract/bazel/version.ts";
import { entryFor, hasExpired } from "../../contract/credential.ts";
import { coversHost, helperFlag, helperLines, plainPath } from "../../contract/credential-helper.ts";
import type { Endpoint } from "../../contract/endpoint.ts";
import { type Environment, fleetEnvironment } from "../../contract/environment.ts";
import { logoutCommand } from "../../contract/login-command.ts";
import type { Profile } from "../../contract/profile.ts";
import { ambiguousToken, isReapiHost, tokenSource } from "../../contract/reapi.ts";
import type { CredentialSource } from "./source.ts";
import type { NamedToken } from "./token.ts";

/** What it rests on; each is read only where it is needed. */
export interface CredentialWorld {
  readonly profile: () => Profile;
  readonly version: () => Promise<BazelVersion | undefined>;
  readonly credentials: CredentialSource;
}

export type Credentials =
  | { readonly kind: "given"; readonly flags: readonly string[]; readonly startup: readonly string[]; readonly why: readonly string[] }
  | { readonly kind: "refuse"; readonly reason: string; readonly next: readonly string[] };

/** @throws FlywheelError where the index cannot be read, or the daemon cannot make an rc file */
export async function credentialsFor(
  cache: AttachedCache,
  startup: StartupFacts,
  { env, cwd, args }: { readonly env: Environment; readonly cwd: string; readonly args: readonly string[] },
  world: CredentialWorld,
): Promise<Credentials> {
  const { credentials } = world;
  const profile = world.profile();
  const { endpoint } = cache;
  const named = await namedHelpers(env, world);
  const entry = entryFor(credentials.index(), profile.name, [endpoint, ...cache.aliases]);
  if (entry === undefined) {
    const token = await tokenHelper(endpoint, env, world);
    return { kind: "given", flags: [...named.flags, ...token.flags], startup: [], why: [...named.why, ...token.why] };
  }
  const helper = credentials.helper();
  const presentation = present({ entry, endpoint, version: await world.version(), startup, args, helper, cwd, now: new Date() });
  switch (presentation.kind) {
    case "refuse": {
      const { reason, next } = presentation;
      if (!(await credentials.answersAnybody(profile, endpoint))) return { kind: "refuse", reason, next: [next] };
      // Proved since without it, as one that has expired is never sent. Who fills the cache is asked for it perhaps.
      if (hasExpired(entry, new Date()) && !cache.upload)
        return { kind: "given", flags: named.flags, startup: [], why: [...named.why, `${reason}, and the cache answers anybody`] };
      return { kind: "refuse", reason, next: [next, `${logoutCommand(entry)}   (the cache answers anybody)`] };
    }
    case "flags":
      if (presentation.flags.some(isForEveryHost) && named.flags.some(isForEveryHost)) {
        return {
          kind: "refuse",
          reason: `Bazel's option cannot name ${endpoint.host} as the host of a helper, and of two helpers for every host it asks only the last`,
          next: ["give BAZEL_CREDENTIAL_HELPER its hosts: <host>=<absolute path>"],
        };
      }
      return { kind: "given", flags: [...named.flags, ...presentation.flags], startup: [], why: named.why };
    case "header": {
      const rc = await credentials.rcFile(profile, entry, endpoint, presentation.imports ?? []);
      const why = "its credential goes as a header of an rc file, and no build events to a --bes_backend, which would get it too";
      return {
        kind: "given",
        flags: [...named.flags, withoutEventService],
        startup: startupWords(rc, presentation.imports),
        why: [...named.why, why],
      };
    }
  }
}

/** What the environment has for an endpoint of the profile's REAPI hosts; undefined where it has nothing for this one. */
export function tokenFor({ host, scheme }: Endpoint, env: Environment, { profile, credentials }: CredentialWorld): NamedToken | undefined {
  if (!scheme.startsWith("grpc") || !isReapiHost(profile(), host)) return undefined;
  const source = tokenSource(fleetEnvironment(env), credentials.projectedToken());
  switch (source.kind) {
    case "none":
      return undefined;
    case "ambiguous":
      throw ambiguousToken();
    case "inline":
    case "file":
      return source;
  }
}

/** CredentialHelperProvider: of several that name no host the last one counts. */
function isForEveryHost(flag: string): boolean {
  return flag.startsWith("--credential_helper=/");
}

interface Given {
  readonly flags: readonly string[];
  readonly why: readonly string[];
}

async function tokenHelper(endpoint: Endpoint, env: Environment, world: CredentialWorld): Promise<Given> {
  if (tokenFor(endpoint, env, world) === undefined) return { flags: [], why: [] };
  if (!takesHelper(await world.version())) return { flags: [], why: ["only Bazel 6.3 and newer take the REAPI token"] };
  // The fleet's own helper, where somebody names it.
  const helper = env["GF_REAPI_BAZEL_CREDENTIAL_HELPER"] || world.credentials.helper();
  return plainPath.test(helper)
    ? { flags: [helperFlag(helper, endpoint.host)], why: [] }
    : { flags: [], why: ["the REAPI token's helper lies at a path that Bazel's option cannot carry"] };
}

/**
 * Whether the operator's own helpers have a credential for an endpoint, as far as their scopes tell: they are not asked before
 * Bazel does. One that the user is logged in to has its own.
 */
export async function hasNamedHelper(endpoint: Endpoint, env: Environment, world: CredentialWorld): Promise<boolean> {
  const lines = helperLines(env["BAZEL_CREDENTIAL_HELPER"] ?? "");
  if (lines === undefined || !coversHost(lines, endpoint.host)) return false;
  if (entryFor(world.credentials.index(), world.profile().name, [endpoint]) !== undefined) return false;
  return takesHelper(await world.version());
}

/** BAZEL_CREDENTIAL_HELPER: the operator's own helpers, for whichever hosts they say. */
async function namedHelpers(env: Environment, world: CredentialWorld): Promise<Given> {
  const text = env["BAZEL_CREDENTIAL_HELPER"] || undefined;
  if (text === undefined) return { flags: [], why: [] };
  const lines = helperLines(text);
  if (lines === undefined)
    return { flags: [], why: ["BAZEL_CREDENTIAL_HELPER is no <absolute path> or <host>=<absolute path>, and is left out"] };
  if (!takesHelper(await world.version())) return { flags: [], why: ["only Bazel 6.3 and newer take BAZEL_CREDENTIAL_HELPER"] };
  return { flags: lines.map((line) => `--credential_helper=${line}`), why: [] };
}
