/** What a flake.nix says of caches by itself, read lightly: its text alone, never an evaluation. */

export interface FlakeCaches {
  /** Substituters that its `nixConfig` names. Nix asks before it takes them, and an untrusted user's daemon ignores them. */
  readonly substituters: readonly string[];
  /** Whether something in it comes from FlakeHub: a place of publication, never a shared cache. */
  readonly flakeHub: boolean;
  /** `nixConfig` is there, but some of its substituters are computed: its text does not tell them. */
  readonly unclear: boolean;
}

/** A text like this is no flake.nix that people write: characters. */
const longest = 262_144;

const substituters = /(?:^|[\s{.])["']?(?:extra-)?(?:trusted-)?substituters["']?\s*=(.*)$/s;

/** @param text the content of flake.nix */
export function flakeCaches(text: string): FlakeCaches {
  const code = text
    .slice(0, longest)
    .replaceAll(/\/\*[\s\S]*?(?:\*\/|$)/g, "")
    .replaceAll(/(^|\s)#.*$/gm, "$1");
  const config = nixConfigOf(code);
  const values = config.statements.flatMap((statement) => substituters.exec(statement)?.[1] ?? []);
  const words = values.flatMap((value) => [...value.matchAll(/"([^"]*)"/g)].flatMap(([, quoted = ""]) => quoted.split(/\s+/)));
  const computed = values.some((value) => /[^\s[\]]/.test(value.replaceAll(/"[^"]*"/g, "")));
  return {
    substituters: [...new Set(words.filter((word) => /^[a-z][a-z0-9+.-]*:\/\/[^$]+$/.test(word)))],
    flakeHub: /https:\/\/(?:api\.)?flakehub\.com\//.test(code),
    unclear: config.elsewhere || computed || words.some((word) => word.includes("$")),
  };
}

/** The statements of `nixConfig = { … }` and each `nixConfig.x = …`. `elsewhere`: it is no set that stands here. */
function nixConfigOf(code: string): { readonly statements: readonly string[]; readonly elsewhere: boolean } {
  const dotted = code.split(";").flatMap((statement) => /(?:^|[\s{])nixConfig\.(.*)$/s.exec(statement)?.[1] ?? []);
  const block = /(?:^|[\s{;])nixConfig\s*=(\s*(?:rec\s*)?\{)?/.exec(code);
  if (block === null) return { statements: dotted, elsewhere: false };
  if (block[1] === undefined) return { statements: dotted, elsewhere: true };
  const from = block.index + block[0].length;
  let depth = 1;
  let at = from;
  for (; at < code.length && depth > 0; at += 1) depth += code[at] === "{" ? 1 : code[at] === "}" ? -1 : 0;
  return { statements: [...dotted, ...code.slice(from, at).replace(/\}$/, "").split(";")], elsewhere: false };
}
