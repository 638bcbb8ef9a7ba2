/** Places that no longer exist, by the patterns of a profile's `[contract] stale`. */
import type { Profile } from "./profile.ts";

/** Whether letters are small or capital does not matter, as in a host's name. */
export function stalePatterns({ contract }: Pick<Profile, "contract">): readonly RegExp[] {
  return contract.stale.map((pattern) => new RegExp(pattern, "i"));
}

export function isStale(text: string, profile: Pick<Profile, "contract">): boolean {
  return stalePatterns(profile).some((pattern) => pattern.test(text));
}
