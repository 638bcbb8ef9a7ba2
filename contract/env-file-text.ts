/**
 * Writing `.env.flywheel.local`: a block of `export KEY=VALUE` lines as bash's `printf %q` quotes them. Text in, text
 * out: what is put in can be taken out again so that every byte is as it was.
 */
import { type EnvFileVariable, envFileVariables } from "./environment.ts";

const opening = "# >>> flywheel enroll >>>";
const closing = "# <<< flywheel enroll <<<";
const block = new RegExp(`${opening}\\n[\\s\\S]*?\\n${closing}\\n`);
/** What stands before a line that the block overrules: a variable that is set twice has the file refused. */
const aside = "#flywheel# ";

export type EnvFileValues = Readonly<Partial<Record<EnvFileVariable, string>>>;

/**
 * @param content the file, undefined where there is none
 * @param notes lines of comment for the block
 * @returns the file with the block at its end, or in the place of an older one; other lines that set what enrolment sets
 * stand aside as comments
 */
export function withEnrolment(content: string | undefined, values: EnvFileValues, notes: readonly string[]): string {
  const lines = envFileVariables.flatMap((name) => {
    const value = values[name];
    return value === undefined ? [] : [`export ${name}=${quotedForBash(value)}`];
  });
  const text = [opening, ...notes.map((note) => `# ${note}`), ...lines, closing, ""].join("\n");
  const own = content === undefined ? undefined : withoutEnrolment(content);
  if (own === undefined) return text;
  return `${own.split("\n").map(setAside).join("\n")}\n${text}`;
}

/** @returns the file as it was before the block; undefined where the file was made for it */
export function withoutEnrolment(content: string): string | undefined {
  const at = content.search(block);
  if (at === -1) return content;
  const before = content.slice(0, at);
  const rest = content.slice(at).replace(block, "");
  if (before + rest === "") return undefined;
  // The newline before it is the block's own, whether or not the file ended with one.
  return `${before.replace(/\n$/, "")}${rest}`
    .split("\n")
    .map((line) => (line.startsWith(aside) ? line.slice(aside.length) : line))
    .join("\n");
}

function setAside(line: string): string {
  if (line.startsWith(aside)) return `${aside}${line}`;
  const name = /^[ \t]*export[ \t]+([A-Za-z_][A-Za-z0-9_]*)=/.exec(line)?.[1];
  return name !== undefined && enrolled.has(name) ? `${aside}${line}` : line;
}

/** All of the attachment's Bazel side; what a file says of Nix is none of enrolment's. */
const enrolled: ReadonlySet<string> = new Set(envFileVariables.filter((name) => !name.startsWith("ATTIC_")));

const named: Readonly<Record<string, string>> = {
  "\u0007": "\\a",
  "\b": "\\b",
  "\u001b": "\\E",
  "\f": "\\f",
  "\n": "\\n",
  "\r": "\\r",
  "\t": "\\t",
  "\u000b": "\\v",
  "\\": "\\\\",
  "'": "\\'",
};

/** As `printf %q` of bash 5 writes it in a UTF-8 locale (sh_backslash_quote and ansic_quote of lib/sh). */
export function quotedForBash(value: string): string {
  if (value === "") return "''";
  if (/\p{Cc}/u.test(value)) {
    const octal = (character: string): string =>
      [...new TextEncoder().encode(character)].map((byte) => `\\${byte.toString(8).padStart(3, "0")}`).join("");
    return `$'${value.replaceAll(/[\p{Cc}\\']/gu, (character) => named[character] ?? octal(character))}'`;
  }
  return value.replaceAll(/[ !"$&'()*,;<>?[\\\]^`{|}]|^[#~]|(?<=[:=])~/g, "\\$&");
}
