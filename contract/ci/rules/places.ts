/** Places that no longer exist, wherever the repository names them; by the patterns of the profile. */
import { withoutCredentials } from "../../endpoint.ts";
import { stalePatterns } from "../../stale.ts";
import { printable } from "../../text.ts";
import { linesOf, placesOf, type Rule } from "./rule.ts";

const line = linesOf("stale-place");
/** What stands behind this on a line is not looked at: characters. */
const longestLine = 2000;

export const stalePlace: Rule = {
  id: "stale-place",
  look({ repository, profile }) {
    const patterns = stalePatterns(profile);
    if (patterns.length === 0) return [];
    const found = repository.lines.flatMap(({ text, place }) =>
      text
        .slice(0, longestLine)
        .split(/[\s"'`<>()[\]{},;=]+/)
        .filter((word) => patterns.some((pattern) => pattern.test(word)))
        .map((word) => ({ word: printable(withoutCredentials(word), 120), place })),
    );
    const { bazel, nix } = profile.cluster;
    const known = [...bazel, ...nix, ...(profile.nix.substituter === undefined ? [] : [profile.nix.substituter])];
    return [...Map.groupBy(found, ({ word }) => word)].map(([word, of]) =>
      line("drift", `${word} no longer exists`, {
        places: placesOf(of),
        why: `profile ${profile.name} knows it for a place that is gone: nothing answers there, or something else does`,
        next: known.length === 0 ? "name the cache that took its place" : `one of ${known.join(", ")}`,
      }),
    );
  },
};
