/** What the profile says of external repositories, as far as it can be used here and now. */
import { accessSync, constants } from "node:fs";
import { hasSources, noSources, type RepositorySources, takesDownloaderConfig } from "../contract/bazel/repositories.ts";
import type { BazelVersion } from "../contract/bazel/version.ts";

export interface Sources {
  readonly usable: RepositorySources;
  /** Undefined where nobody knows it, or nothing depends on it. */
  readonly version: BazelVersion | undefined;
  /** What is left out, and why. */
  readonly left: readonly string[];
}

/** @param ask the version is asked for only where something depends on it */
export async function usableSources(sources: RepositorySources, ask: () => Promise<BazelVersion | undefined>): Promise<Sources> {
  if (!hasSources(sources)) return { usable: noSources, version: undefined, left: [] };
  const { downloaderConfig } = sources;
  if (downloaderConfig === undefined) return { usable: sources, version: undefined, left: [] };
  // With a file that is not there every fetch would fail.
  if (!isReadable(downloaderConfig)) {
    return {
      usable: { ...sources, downloaderConfig: undefined },
      version: undefined,
      left: [`the downloader config ${downloaderConfig} cannot be read and is left out`],
    };
  }
  const version = await ask();
  const which = version === undefined ? "a Bazel whose version is not known" : `Bazel ${version.text}`;
  return { usable: sources, version, left: takesDownloaderConfig(version) ? [] : [`${which} gets no downloader config`] };
}

export function isReadable(file: string): boolean {
  try {
    accessSync(file, constants.R_OK);
    return true;
  } catch {
    return false;
  }
}
