/** The options of Bazel that two machines must agree on to be called alike, as far as they were given at all. */

/** In the order of the record. What names a place (a disk cache, a proxy) is told by its presence alone. */
export const comparedFlags = [
  "remote_accept_cached",
  "remote_upload_local_results",
  "remote_instance_name",
  "remote_download_outputs",
  "experimental_remote_download_outputs",
  "remote_local_fallback",
  "remote_timeout",
  "incompatible_strict_action_env",
  "disk_cache",
  "remote_proxy",
  "remote_executor",
  "compilation_mode",
  "cpu",
  "platforms",
] as const;

const places: readonly string[] = ["disk_cache", "remote_proxy", "remote_executor"];

/** @param options the effective ones: a default is not among them */
export function flagsOf(options: ReadonlyMap<string, string> | undefined): Readonly<Record<string, string>> {
  return Object.fromEntries(
    comparedFlags.flatMap((name): [string, string][] => {
      const value = options?.get(name);
      if (value === undefined || (places.includes(name) && value === "")) return [];
      return [[name, places.includes(name) ? "set" : value]];
    }),
  );
}
