/** Words of the forges' small expression languages. */

/** It cannot be read as an expression. */
export class Unreadable extends Error {}

/**
 * @param token one token with the space before it: a sticky pattern
 * @throws Unreadable at the first text that is none
 */
export function tokensOf(text: string, token: RegExp): readonly string[] {
  const tokens: string[] = [];
  const end = text.trimEnd().length;
  for (let at = 0; at < end; at = token.lastIndex) {
    token.lastIndex = at;
    const match = token.exec(text);
    if (match === null) throw new Unreadable();
    tokens.push(match[0].trim());
  }
  return tokens;
}
