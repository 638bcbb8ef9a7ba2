/** What a mistyped word was probably meant to be. */
import { closestMatch } from "leven";

/**
 * @param known what could have been meant, as it is typed
 * @returns the nearest of them; undefined where each differs in more than half of the word, or in more than three letters
 */
export function didYouMean(word: string, known: readonly string[]): string | undefined {
  const most = Math.min(3, Math.floor(word.replace(/^-+/, "").length / 2));
  return most < 1 ? undefined : closestMatch(word, known, { maxDistance: most });
}
