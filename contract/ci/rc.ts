/** Options of a Bazel command as the rc files and `--config` give them: which, with what value, from which line. */

/** A line of an rc file. */
export interface RcLine {
  readonly file: string;
  /** The one that it begins on, counted from 1. */
  readonly line: number;
  /** `build`, `common`, `startup`. */
  readonly section: string;
  /** `ci` of `build:ci`. */
  readonly config: string | undefined;
  readonly words: readonly string[];
}

export interface Flag {
  /** Without dashes, and without the `no` of a negated one. */
  readonly name: string;
  /** `false` for a negated one, `true` for one that stands alone. */
  readonly value: string;
  /** undefined: it stands on the command line. */
  readonly origin: RcLine | undefined;
}

export interface Options {
  /** In Bazel's order: of several with one name the last counts, where the option does not accumulate. */
  readonly flags: readonly Flag[];
  /** `--config`s for which no rc file has a section. */
  readonly undefinedConfigs: readonly string[];
  /** The configs that were followed, those that they name included. */
  readonly configs: readonly string[];
}

/** What each command takes its options from, the less specific first (Bazel's "Write bazelrc configuration files"). */
const inherits: Readonly<Record<string, string>> = {
  test: "build",
  run: "build",
  coverage: "test",
  "mobile-install": "build",
  cquery: "test",
  aquery: "build",
  info: "build",
  clean: "build",
};

/** Configs may name each other: no more than these are followed. */
const mostConfigs = 64;

/** `build`, `test` … of which the rc lines count for a command. */
export function sectionsOf(command: string): readonly string[] {
  const sections: string[] = [];
  for (let at: string | undefined = command; at !== undefined; at = inherits[at]) sections.unshift(at);
  return ["always", "common", ...sections];
}

/**
 * @param rc in Bazel's order
 * @param given options of the command line, in order
 */
export function optionsOf(rc: readonly RcLine[], command: string, given: readonly string[]): Options {
  const sections = sectionsOf(command);
  const index = indexOf(rc);
  const flags: Flag[] = [];
  const followed = new Set<string>();
  const missing = new Set<string>();
  const take = (words: readonly string[], origin: RcLine | undefined): void => {
    for (const flag of flagsOf(words, origin)) {
      if (flag.name === "config") follow(flag.value);
      else flags.push(flag);
    }
  };
  const follow = (config: string): void => {
    if (followed.has(config) || followed.size >= mostConfigs) return;
    followed.add(config);
    const lines = sections.flatMap((section) => index.get(key(section, config)) ?? []);
    if (lines.length === 0) missing.add(config);
    for (const line of lines) take(line.words, line);
  };
  for (const section of sections) {
    for (const line of index.get(key(section, undefined)) ?? []) take(line.words, line);
  }
  take(given, undefined);
  return { flags, undefinedConfigs: [...missing], configs: [...followed] };
}

/** Many calls ask for the same lines. */
const indexes = new WeakMap<readonly RcLine[], ReadonlyMap<string, readonly RcLine[]>>();

function indexOf(rc: readonly RcLine[]): ReadonlyMap<string, readonly RcLine[]> {
  const known = indexes.get(rc) ?? Map.groupBy(rc, ({ section, config }) => key(section, config));
  indexes.set(rc, known);
  return known;
}

function key(section: string, config: string | undefined): string {
  return config === undefined ? section : `${section}:${config}`;
}

/** The options that take the next word as their value, where none stands behind a `=`. */
const takesNext = new Set(["action_env", "config", "disk_cache", "host_action_env", "remote_cache", "remote_executor", "remote_timeout"]);

export function flagsOf(words: readonly string[], origin?: RcLine): readonly Flag[] {
  const flags: Flag[] = [];
  for (let at = 0; at < words.length; at += 1) {
    const word = unquoted(words[at] ?? "");
    if (word === "--") break;
    const match = /^--([A-Za-z0-9_]+)(?:=(.*))?$/s.exec(word);
    if (match === null) continue;
    const [, name = "", value] = match;
    const next = words[at + 1];
    if (value !== undefined) flags.push({ name, value: unquoted(value), origin });
    else if (takesNext.has(name) && next !== undefined) {
      flags.push({ name, value: unquoted(next), origin });
      at += 1;
    } else if (/^no./.test(name)) flags.push({ name: name.slice(2), value: "false", origin });
    else flags.push({ name, value: "true", origin });
  }
  return flags;
}

/** The last of that name; it is the one that counts. */
export function lastFlag(flags: readonly Flag[], ...names: readonly string[]): Flag | undefined {
  return flags.findLast((flag) => names.includes(flag.name));
}

/** A boolean in the spellings that Bazel takes; undefined for any other. */
export function booleanOf(flag: Flag | undefined): boolean | undefined {
  if (flag === undefined) return undefined;
  if (/^(?:1|t|true|y|yes)$/i.test(flag.value)) return true;
  return /^(?:0|f|false|n|no)$/i.test(flag.value) ? false : undefined;
}

export function unquoted(text: string): string {
  return text.replaceAll(/^(["'])(.*)\1$/gs, "$2");
}
