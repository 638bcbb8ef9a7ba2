/**
 * What the guard makes of an argument list: which command it is, its class, how it would be attached, and every
 * option that decides whether and where binary caches are used. Words are taken as Nix's own parser takes them
 * (src/libutil/args.cc): options before, between and behind the words of a command, `--` ends them, several
 * letters may stand behind one dash.
 */
import {
  aloneOptions,
  isSwitch,
  type NixClass,
  type NixName,
  nixCommandClasses,
  nixGroups,
  nixLetters,
  nixOneWordOptions,
  nixTwoWordOptions,
  offlineOptions,
  oneWordOptions,
  printingOptions,
  restOptions,
  sparingOptions,
  standsForItself,
  startsProgram,
  substitutionOptions,
  substitutionSettings,
  takesRest,
  toolWords,
  twoWordOptions,
} from "./commands.ts";

/** How settings reach the tool: as flags in front of everything, or in NIX_CONFIG. */
export type Channel = "flags" | "environment";

/** One setting about binary caches, as the user's options set it; `offline` is no setting, but acts like one. */
export interface SubstitutionOption {
  readonly name: string;
  readonly value: string;
}

/** What stands in an argument list, judged word by word. */
interface Scan {
  /** The command's words, or empty. */
  readonly command: string;
  /** undefined: a command that no version is known to have. */
  readonly class: NixClass | undefined;
  readonly options: readonly SubstitutionOption[];
  /** Whether it would execute something, as far as its options say. */
  readonly executes: boolean;
  /** Whether every word's meaning is known that matters for attaching. */
  readonly sure: boolean;
}

export type NixCommandLine =
  | { readonly kind: "pass"; readonly command: string; readonly class: "light"; readonly why: string }
  | {
      readonly kind: "guarded";
      readonly command: string;
      readonly class: Exclude<NixClass, "light">;
      readonly channel: Channel;
      readonly executes: boolean;
      readonly options: readonly SubstitutionOption[];
    };

const rank: Readonly<Record<NixClass, number>> = { light: 0, medium: 1, heavy: 2, entry: 3 };

/**
 * The slow path's reading.
 * @param args the words after the tool's name
 * @param script the text of the file that the first word names, where that begins with `#!`: Nix then takes its
 *   options from the lines that begin with `#! nix` and looks at no other word
 */
export function readNixCommandLine(tool: NixName, args: readonly string[], script?: string): NixCommandLine {
  const inScript = script !== undefined && isScriptCall(tool, args);
  const scan = scanWords(tool, inScript ? scriptWords(tool, script) : args);
  const command = scan.command || (tool === "nix" ? "" : tool);
  if (scan.class === "light") {
    const why = scan.command === "" && tool === "nix" ? "there is no command" : `${command} with these words is light`;
    return { kind: "pass", command, class: "light", why };
  }
  return {
    kind: "guarded",
    command,
    class: scan.class ?? "heavy",
    // Nix finds its script by its first argument: nothing may come before it.
    channel: inScript ? "environment" : channelOf(tool, scan.command),
    executes: scan.executes,
    options: scan.options,
  };
}

export type QuickNix =
  /** The tool runs untouched. */
  | { readonly kind: "pass" }
  /** Untouched too, unless the configuration makes it heavy. */
  | { readonly kind: "medium" }
  /** Heavy or entry, and nothing in the way. */
  | { readonly kind: "attach"; readonly channel: Channel }
  | { readonly kind: "unclear" };

/**
 * What the fast path makes of an argument list, word for word what the generated sh does: a differential test
 * feeds both the same lists.
 * @param firstIsScript whether the first word names a file that begins with `#!`; looked at for nix-shell alone
 */
export function quickNixJudgement(tool: NixName, args: readonly string[], firstIsScript = false): QuickNix {
  if (tool === "nix-shell" && firstIsScript && isScriptCall(tool, args)) return { kind: "unclear" };
  const scan = scanWords(tool, args);
  switch (scan.class) {
    case undefined:
      return { kind: "unclear" };
    case "light":
      return { kind: "pass" };
    case "medium":
      return { kind: "medium" };
    case "heavy":
    case "entry":
      return scan.sure ? { kind: "attach", channel: channelOf(tool, scan.command) } : { kind: "unclear" };
  }
}

/** Whether the first word can be a script: a command's name is one first of all. */
export function isScriptCall(tool: NixName, args: readonly string[]): boolean {
  const first = args[0] ?? "";
  if (first === "" || first.startsWith("-")) return false;
  return tool === "nix-shell" || (tool === "nix" && !nixGroups.includes(first) && !Object.hasOwn(nixCommandClasses, first));
}

function channelOf(tool: NixName, command: string): Channel {
  return tool === "nix-shell" || (tool === "nix" && startsProgram.includes(command)) ? "flags" : "environment";
}

/** The words of a script's `#! nix …` lines (Nix 2.19 and newer) or `#! nix-shell …` lines. */
function scriptWords(tool: NixName, script: string): string[] {
  const line = new RegExp(`^#!\\s*${tool}\\s+(.*)$`);
  return script
    .split("\n")
    .slice(1)
    .flatMap((text) => line.exec(text)?.[1]?.split(/\s+/) ?? [])
    .map((word) => word.replace(/^(["'])(.*)\1$/, "$2"))
    .filter((word) => word !== "");
}

function scanWords(tool: NixName, args: readonly string[]): Scan {
  const words = tool === "nix" ? undefined : toolWords[tool];
  const options: SubstitutionOption[] = [];
  let command = "";
  let found: NixClass | undefined = words?.base;
  let executes = true;
  let sure = true;
  // Whether the word before may take this one as its value.
  let open = false;
  const raise = (to: NixClass): void => {
    if (found === undefined || rank[to] > rank[found]) found = to;
  };
  for (let index = 0; index < args.length; index += 1) {
    const word = args[index] ?? "";
    const wasOpen = open;
    open = false;
    if (word === "--" || (takesRest.includes(command) && restOptions.includes(word))) {
      if (wasOpen) sure = false;
      break;
    }
    if (printingOptions.includes(word)) return { command, class: "light", options, executes: false, sure: true };
    const named = words?.words[word];
    if (named !== undefined) raise(named);
    if (sparingOptions.includes(word)) {
      executes = false;
    } else if (substitutionOptions.includes(word)) {
      sure = false;
      options.push(optionOf(word, args[index + 1]));
      if (!standsForItself(word)) index += 1;
    } else if (word === "--option") {
      const name = args[index + 1] ?? "";
      if (substitutionSettings.includes(name)) {
        sure = false;
        options.push({ name, value: args[index + 2] ?? "" });
      }
      index += 2;
    } else if (arity(tool, word) > 0) {
      // An upload: what it carries is there, and where it goes is not ours to judge.
      if (command === "copy" && word === "--to") executes = false;
      index += arity(tool, word);
    } else if (!word.startsWith("-")) {
      if (words !== undefined || found !== undefined) continue;
      command = command === "" ? word : `${command} ${word}`;
      if (Object.hasOwn(nixCommandClasses, command)) found = nixCommandClasses[command];
      else if (!nixGroups.includes(command)) return { command, class: undefined, options, executes, sure: false };
      if (found === "light") break;
    } else if (named !== undefined || standsAlone(tool, word)) {
      if (words !== undefined && !word.startsWith("--")) for (const letter of word.slice(1)) raise(words.words[`-${letter}`] ?? "light");
    } else if (words === undefined && found === undefined) {
      // An option that nobody knows, before the command: its value, if it takes one, could pass for that.
      return { command: "", class: undefined, options, executes, sure: false };
    } else {
      open = true;
    }
  }
  // No command, or a group without one: Nix prints its complaint.
  return { command, class: found ?? "light", options, executes, sure };
}

function optionOf(word: string, next: string | undefined): SubstitutionOption {
  if (offlineOptions.includes(word)) return { name: "offline", value: "true" };
  const name = word.replace(/^--(?:no-)?/, "");
  return { name, value: isSwitch(name) ? "false" : (next ?? "") };
}

/** How many words an option takes that is known to take any. */
function arity(tool: NixName, word: string): number {
  if (tool === "nix" ? nixTwo.has(word) : two.has(word)) return 2;
  if (tool === "nix" ? nixOne.has(word) : one.has(word) || toolWords[tool].one.includes(word)) return 1;
  return 0;
}

const one = new Set(oneWordOptions);
const two = new Set(twoWordOptions);
const nixOne = new Set([...oneWordOptions, ...nixOneWordOptions]);
const nixTwo = new Set([...twoWordOptions, ...nixTwoWordOptions]);

function standsAlone(tool: NixName, word: string): boolean {
  if (aloneOptions.includes(word) || /^-j[0-9]+$/.test(word)) return true;
  const letters = tool === "nix" ? nixLetters : toolWords[tool].letters;
  return word.length > 1 && !word.startsWith("--") && [...word.slice(1)].every((letter) => letters.includes(letter));
}
