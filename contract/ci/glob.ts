/** The forges' patterns: `*` within a part of a path, `**` over all. By a table, so that no pattern takes long. */

/** A longer pattern or name matches nothing: characters. */
const longest = 500;

export function matchesGlob(pattern: string, name: string): boolean {
  if (pattern.length > longest || name.length > longest) return false;
  const tokens = pattern.match(/\*+|[^*]/g) ?? [];
  // Whether the tokens so far match the first `at` characters.
  let matched = Array.from({ length: name.length + 1 }, (_, at) => at === 0);
  for (const token of tokens) {
    const next = matched.map(() => false);
    for (let at = 0; at <= name.length; at += 1) {
      const character = name[at - 1];
      if (!token.startsWith("*")) next[at] = at > 0 && matched[at - 1] === true && character === token;
      else next[at] = matched[at] === true || (at > 0 && next[at - 1] === true && (token !== "*" || character !== "/"));
    }
    matched = next;
  }
  return matched[name.length] === true;
}
