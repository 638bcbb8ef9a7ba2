/** External repositories: what the profile sets up for them, whether it is there, and what is left that this Bazel and this cache could do. */
import type { StatusReport } from "../../contract/api.ts";
import { hasSources, type RepositorySources, takesDownloaderConfig } from "../../contract/bazel/repositories.ts";
import { type BazelVersion, isAtLeast } from "../../contract/bazel/version.ts";
import { isReadable } from "../../shim/sources.ts";
import { type Facts, known } from "./facts.ts";
import { look, nearest, writable } from "./look.ts";
import { type Check, checksOf } from "./report.ts";

const { ok, warn, fail } = checksOf("repositories");

export function checkRepositories({ profile, profileName, bazelVersion, status }: Facts): readonly Check[] {
  const sources = known(profile)?.bazel.repositories;
  if (sources === undefined) return [];
  const left = leftOver(bazelVersion, known(status));
  if (!hasSources(sources)) {
    const what = `profile ${profileName} sets nothing up for external repositories: they are fetched from where they come from`;
    return [ok("repositories", what, { reason: left })];
  }
  const set = [...repositoryCache(sources), ...sources.distdirs.map(distdir), ...downloaderConfig(sources, bazelVersion)];
  return [...set, ok("repositories", "heavy commands get this; bazel fetch, query and their kind run untouched", { reason: left })];
}

function repositoryCache({ repositoryCache: path }: RepositorySources): readonly Check[] {
  if (path === undefined) return [];
  const seen = look(path);
  if (seen.state === "there" && !seen.stats.isDirectory()) {
    return [
      fail("repository-cache", `the repository cache ${path} is no directory`, { next: `remove ${path}, or name another in the profile` }),
    ];
  }
  if (seen.state === "unknown") {
    const what = `the repository cache ${path} cannot be looked at`;
    return [fail("repository-cache", what, { reason: seen.reason, next: "name another in the profile" })];
  }
  const written = nearest(path);
  if (!writable(written)) {
    return [
      fail("repository-cache", `the repository cache ${path} cannot be written`, {
        reason: `${written} is not yours to write`,
        next: "name another in the profile",
      }),
    ];
  }
  return [ok("repository-cache", `the repository cache is ${path}${seen.state === "absent" ? ", made by the first fetch" : ""}`)];
}

function distdir(path: string): Check {
  const seen = look(path);
  return seen.state === "there" && seen.stats.isDirectory()
    ? ok("distdir", `the distdir ${path} is there`)
    : warn("distdir", `the distdir ${path} is not there`, {
        reason: "Bazel goes on without it",
        next: `make ${path}, or take it out of the profile`,
      });
}

function downloaderConfig({ downloaderConfig: path }: RepositorySources, version: BazelVersion | undefined): readonly Check[] {
  if (path === undefined) return [];
  if (!isReadable(path)) {
    return [
      fail("downloader-config", `the downloader config ${path} cannot be read`, {
        reason: "the guard leaves it out",
        next: `write ${path}, or take it out of the profile`,
      }),
    ];
  }
  if (takesDownloaderConfig(version)) return [ok("downloader-config", `the downloader config is ${path}`)];
  const which = version === undefined ? "the Bazel here has a version that nobody can tell" : `Bazel ${version.text} is too old for it`;
  return [
    warn("downloader-config", `the downloader config ${path} is left out`, {
      reason: which,
      next: version === undefined ? "pin a version in .bazelversion" : "use Bazel 4 or newer",
    }),
  ];
}

/** What this version and the attached cache could do beyond the profile, and on what it depends; null where nothing is known to. */
function leftOver(version: BazelVersion | undefined, status: StatusReport | undefined): string | null {
  if (version === undefined) return null;
  const endpoint = status?.bazel.endpoint ?? undefined;
  const grpc = endpoint?.startsWith("grpc") === true;
  const since = (major: number, minor: number): boolean => isAtLeast(version, [major, minor]);
  const cache =
    endpoint === undefined
      ? "no cache is attached"
      : grpc
        ? "the attached cache is one, and was not asked for that API"
        : "the attached cache is HTTP";
  const contents =
    endpoint === undefined
      ? "no cache is attached"
      : grpc
        ? "the attached cache is one"
        : "the attached cache is HTTP, which Bazel takes from 9.2 and 8.8 on";
  const lines = [
    since(4, 0) ? `--experimental_remote_downloader needs a gRPC cache with the Remote Asset API: ${cache}` : undefined,
    since(6, 0) ? "--registry may name a mirror of the module registry" : undefined,
    since(7, 1) ? "--vendor_dir keeps external repositories in the workspace" : undefined,
    since(9, 0) || (version.major === 8 && since(8, 8))
      ? `--experimental_remote_repo_contents_cache keeps repositories in the remote cache, over gRPC: ${contents}`
      : undefined,
  ].filter((line) => line !== undefined);
  return lines.length === 0 ? null : `left to Bazel ${version.text}'s own flags: ${lines.join("; ")}`;
}
