/** What a flake.nix says of caches by itself, read lightly: its text alone, never an evaluation. */

export interface FlakeCaches {
  /** Substituters that its `nixConfig` names. Nix asks before it takes them, and an untrusted user's daemon ignores them. */
  readonly substituters: readonly string[];
  /** Whether an input, or an action beside it, comes from FlakeHub: a place of publication, never a shared cache. */
  readonly flakeHub: boolean;
  /** `nixConfig` is there, but its substituters are computed: they cannot be read. */
  readonly unclear: boolean;
}

const settings = /(?:^|[\s{;])(?:nixConfig\.)?["']?(?:extra-)?(?:trusted-)?substituters["']?\s*=\s*(?:\[([^\]]*)\]|"([^"]*)"|([^;]*));/g;

/** @param text the content of flake.nix */
export function flakeCaches(text: string): FlakeCaches {
  const code = text.replaceAll(/\/\*[\s\S]*?\*\//g, "").replaceAll(/(^|\s)#.*$/gm, "$1");
  const config = nixConfigOf(code);
  const found = config === undefined ? [] : [...config.matchAll(settings)];
  const words = found.flatMap(([, list, text]) =>
    list === undefined ? (text ?? "").split(/\s+/) : [...list.matchAll(/"([^"]*)"/g)].map(([, word = ""]) => word),
  );
  const computed = found.some(([, list, text]) =>
    list === undefined ? text === undefined : /[^\s"]/.test(list.replaceAll(/"[^"]*"/g, "")),
  );
  return {
    substituters: [...new Set(words.filter((word) => /^[a-z][a-z0-9+.-]*:\/\/[^$\s]+$/.test(word)))],
    flakeHub: /https:\/\/(?:api\.)?flakehub\.com\//.test(code),
    unclear: config !== undefined && (computed || words.some((word) => word.includes("$"))),
  };
}

/** The text of `nixConfig = { … }` and of every `nixConfig.x = …;`; undefined where there is none. */
function nixConfigOf(code: string): string | undefined {
  const parts = [...code.matchAll(/(?:^|[\s{;])(nixConfig\.[^;]*;)/g)].map(([, part = ""]) => part);
  const block = /(?:^|[\s{;])nixConfig\s*=\s*(?:rec\s*)?\{/.exec(code);
  if (block !== null) {
    const from = block.index + block[0].length;
    let depth = 1;
    let at = from;
    for (; at < code.length && depth > 0; at += 1) depth += code[at] === "{" ? 1 : code[at] === "}" ? -1 : 0;
    parts.push(code.slice(from, at - 1));
  } else if (parts.length === 0 && /(?:^|[\s{;])nixConfig\s*=/.test(code)) parts.push("substituters = computed;");
  return parts.length === 0 ? undefined : parts.join("\n");
}
