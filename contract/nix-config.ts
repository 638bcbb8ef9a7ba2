/** The two lists of NIX_CONFIG that an attachment lives in, and the block of lines that is ours. */

export interface NixLists {
  readonly substituters: readonly string[];
  readonly trustedPublicKeys: readonly string[];
}

/**
 * The lists as Nix reads them from NIX_CONFIG's text: settings in order, `extra-x` adds, and a later
 * plain `x` throws away what came before it (tried on Nix 2.8).
 */
export function nixConfigLists(text: string): NixLists {
  return { substituters: nixList(text, ["substituters"]), trustedPublicKeys: nixList(text, ["trusted-public-keys"]) };
}

/**
 * One list of a text in nix.conf's form.
 * @param names the setting's name, and its older ones
 * @param initial what it is where the text does not set it
 */
export function nixList(text: string, names: readonly string[], initial: readonly string[] = []): readonly string[] {
  let found = initial;
  for (const line of text.split("\n")) {
    const match = /^\s*(extra-)?([a-z-]+)\s*=\s*(.*)$/.exec(line.replace(/#.*/, ""));
    if (match === null || !names.includes(match[2] ?? "")) continue;
    const words = (match[3] ?? "").split(/\s+/).filter((word) => word !== "");
    found = match[1] === undefined ? words : [...found, ...words];
  }
  return found;
}

const opening = "# flywheel env: begin";
const closing = "# flywheel env: end";
const block = new RegExp(
  `(?:^|\\n)${opening}\\nextra-substituters = [^\\n]*\\nextra-trusted-public-keys = [^\\n]*\\n${closing}(?=\\n|$)`,
  "g",
);

/** The substituter of the block that `withAttachment` added; undefined where there is none. */
export function attachedSubstituter(text: string): string | undefined {
  return text
    .match(block)
    ?.at(-1)
    ?.match(/^extra-substituters = (.*)$/m)?.[1];
}

/** NIX_CONFIG without the block that `withAttachment` added; every other line stays as it was. */
export function withoutAttachment(text: string): string {
  return text.replaceAll(block, "");
}

/**
 * NIX_CONFIG with one substituter and its key added after the user's own lines, once however often it
 * is applied.
 * @param text the present value, empty where unset
 * @param substituter an endpoint's URL, so without spaces, `#` or newlines
 * @param key `<name>:<base64>`
 */
export function withAttachment(text: string, substituter: string, key: string): string {
  const own = withoutAttachment(text);
  const lines = [opening, `extra-substituters = ${substituter}`, `extra-trusted-public-keys = ${key}`, closing];
  return own === "" ? lines.join("\n") : `${own}\n${lines.join("\n")}`;
}
