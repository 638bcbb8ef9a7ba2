/**
 * Where external repositories come from: what the action cache cannot help with, since fetches come before it. A profile
 * names places; Bazel takes them by flags, none of which discards the analysis cache (tried on 2.1 and 4.2).
 */
import { type BazelVersion, isAtLeast } from "./version.ts";

export interface RepositorySources {
  /** Downloads by their checksum, shared by every workspace of this machine. */
  readonly repositoryCache: string | undefined;
  /** Directories that hold downloads by their file's name. */
  readonly distdirs: readonly string[];
  /** Rewrites URLs to a mirror: a file of `rewrite`, `allow` and `block` lines. */
  readonly downloaderConfig: string | undefined;
}

export const noSources: RepositorySources = { repositoryCache: undefined, distdirs: [], downloaderConfig: undefined };

/** Since when there is a downloader config under this name: 2.1 has none, 4.2 has it, and later ones keep the name beside `downloader_config`. */
const downloaderConfigSince = [4, 0] as const;

export function hasSources({ repositoryCache, distdirs, downloaderConfig }: RepositorySources): boolean {
  return repositoryCache !== undefined || distdirs.length > 0 || downloaderConfig !== undefined;
}

/** Whether this Bazel has the flag; one whose version nobody knows gets only what all have. */
export function takesDownloaderConfig(version: BazelVersion | undefined): boolean {
  return version !== undefined && isAtLeast(version, downloaderConfigSince);
}

/**
 * The flags, for whatever the user has not set himself.
 * @param args the whole command line: what stands behind `--` counts too, since that may be another option's value
 */
export function repositoryFlags(sources: RepositorySources, version: BazelVersion | undefined, args: readonly string[]): readonly string[] {
  const { repositoryCache, distdirs, downloaderConfig } = sources;
  const own = (...names: readonly string[]): boolean =>
    args.some((word) => names.some((name) => word === `--${name}` || word.startsWith(`--${name}=`)));
  return [
    ...(repositoryCache === undefined || own("repository_cache", "experimental_repository_cache")
      ? []
      : [`--repository_cache=${repositoryCache}`]),
    ...(own("distdir", "experimental_distdir") ? [] : distdirs.map((directory) => `--distdir=${directory}`)),
    ...(downloaderConfig === undefined || !takesDownloaderConfig(version) || own("downloader_config", "experimental_downloader_config")
      ? []
      : [`--experimental_downloader_config=${downloaderConfig}`]),
  ];
}
