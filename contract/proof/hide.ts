/** Takes endpoints and the names of machines out of a record's sentences; what is left still says what went wrong. */

/** @param hosts whose names and addresses stand in them, longest or not */
export function hideEndpoints(text: string, hosts: readonly string[]): string {
  const url = text.replaceAll(/\b([a-z][a-z0-9+]{1,9}:\/\/)(?:\[[^\]\s]*\]|[^\s/:'"`,;)]+)/gi, "$1<redacted>");
  return [...new Set(hosts)]
    .filter((host) => host !== "")
    .sort((a, b) => b.length - a.length)
    .reduce((rest, host) => rest.replaceAll(whole(host), "<redacted>"), url);
}

/** As a word of its own: `10.0.0.1` is not part of `10.0.0.12`. */
function whole(host: string): RegExp {
  return new RegExp(`(?<![A-Za-z0-9_.-])${host.replaceAll(/[.*+?^${}()|[\]\\/-]/g, "\\$&")}(?![A-Za-z0-9_-]|\\.[A-Za-z0-9])`, "gi");
}
