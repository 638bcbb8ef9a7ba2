/**
 * What the slow path makes of an argument list: everything that the fast path does, and what it left
 * unclear. Where even this cannot tell, it says which words are to blame and how to write them.
 */
import {
  bazeliskModes,
  booleanOptions,
  type CommandClass,
  cacheOptions,
  commandClasses,
  mostArgumentsToMove,
  nullaryStartupOptions,
  policyOption,
  shortBooleanOptions,
  unaryOptions,
  unaryStartupOptions,
} from "./commands.ts";

/** One option about the cache, as the user wrote it; `value` is undefined for a bare boolean. */
export interface CacheOption {
  readonly name: string;
  readonly negated: boolean;
  readonly value: string | undefined;
}

/** What the startup options say of rc files. */
export interface StartupFacts {
  /** The values of --bazelrc, in order. */
  readonly rcFiles: readonly string[];
  /** --ignore_all_rc_files: the last one wins (tried on 2.1 and 4.2). */
  readonly ignoresRcFiles: boolean;
  /** The first word is bazelisk's own, and has to stay the first. */
  readonly bazeliskMode: boolean;
}

export type CommandLine =
  /** Nothing to guard: light, medium, or what every Bazel rejects by itself. */
  | { readonly kind: "pass"; readonly command: string; readonly class: Exclude<CommandClass, "heavy">; readonly why: string }
  /** Flags go before argument number `at`. */
  | {
      readonly kind: "heavy";
      readonly command: string;
      readonly at: number;
      readonly cacheOptions: readonly CacheOption[];
      readonly startup: StartupFacts;
    }
  | { readonly kind: "unreadable"; readonly command: string; readonly message: string; readonly next: string };

const unaryStartup = new Set(unaryStartupOptions.map((name) => `--${name}`));
const nullaryStartup = new Set(nullaryStartupOptions.flatMap((name) => [`--${name}`, `--no${name}`]));
const alone = new Set([...shortBooleanOptions, ...booleanOptions.flatMap((name) => [`--${name}`, `--no${name}`])]);
const takesNext = new Set(unaryOptions);

/** @param args the words after the tool's name */
export function readCommandLine(args: readonly string[]): CommandLine {
  let index = 0;
  const policies: CacheOption[] = [];
  const bazeliskMode = bazeliskModes.includes(args[0] ?? "") || args[0]?.startsWith("--bisect=") === true;
  if (bazeliskMode) index = 1;
  const first = index;
  const heavy = (at: number): CommandLine => readHeavy(args, at, policies, startupFacts(args.slice(first, at), bazeliskMode));
  while (index < args.length) {
    const word = args[index] ?? "";
    const known = classOf(word);
    if (known === "heavy") return heavy(index);
    if (known !== undefined) return { kind: "pass", command: word, class: known, why: `${word === "" ? "help" : word} is ${known}` };
    const policy = policyOf(word, args[index + 1]);
    if (policy !== undefined) policies.push(policy);
    if (unaryStartup.has(word)) index += 2;
    else if (nullaryStartup.has(word) || (word.startsWith("--") && word.includes("="))) index += 1;
    else if (word === "--" || /^-[^-]/.test(word) || word === "-") {
      return { kind: "pass", command: "", class: "light", why: `Bazel takes no ${word} before its command` };
    } else if (word.startsWith("--")) {
      const step = unknownStartupOption(args, index);
      if (step === undefined) {
        return {
          kind: "unreadable",
          command: "",
          message: `cannot tell whether the startup option ${word} takes a value`,
          next: `write ${word}=VALUE if it takes one, or put it before another startup option`,
        };
      }
      index += step;
    } else {
      return heavy(index);
    }
  }
  return { kind: "pass", command: "", class: "light", why: "there is no command" };
}

function classOf(word: string): CommandClass | undefined {
  return Object.hasOwn(commandClasses, word) ? commandClasses[word] : undefined;
}

/** How many words an unknown startup option takes, judged by where a command of Bazel's then stands; undefined: both could be. */
function unknownStartupOption(args: readonly string[], index: number): 1 | 2 | undefined {
  const follows = (at: number): boolean => {
    const word = args[at];
    return word === undefined || word.startsWith("--") || classOf(word) !== undefined;
  };
  const asNullary = follows(index + 1);
  const asUnary = follows(index + 2) && args[index + 1] !== undefined;
  if (asNullary && asUnary) {
    // `--new --batch build`: an option's value hardly ever looks like an option; `--new build test` stays open.
    return args[index + 1]?.startsWith("--") === true ? 1 : args[index + 2] === undefined ? 1 : undefined;
  }
  if (asNullary) return 1;
  return asUnary ? 2 : undefined;
}

function startupFacts(options: readonly string[], bazeliskMode: boolean): StartupFacts {
  const rcFiles: string[] = [];
  let ignoresRcFiles = false;
  for (let index = 0; index < options.length; index += 1) {
    const word = options[index] ?? "";
    if (word.startsWith("--bazelrc=")) rcFiles.push(word.slice("--bazelrc=".length));
    else if (word === "--bazelrc") rcFiles.push(options[index + 1] ?? "");
    else if (word === "--ignore_all_rc_files" || word === "--noignore_all_rc_files") ignoresRcFiles = word === "--ignore_all_rc_files";
    if (unaryStartup.has(word)) index += 1;
  }
  return { rcFiles, ignoresRcFiles, bazeliskMode };
}

function readHeavy(args: readonly string[], commandIndex: number, policies: readonly CacheOption[], startup: StartupFacts): CommandLine {
  const command = args[commandIndex] ?? "";
  const found: CacheOption[] = [...policies];
  let executes = true;
  // Where options of unknown arity begin that reach up to here: each may be the value of the one before.
  let open: number | undefined;
  let end = args.length;
  for (let index = commandIndex + 1; index < args.length; index += 1) {
    const word = args[index] ?? "";
    if (word === "--") {
      end = index;
      break;
    }
    const option = cacheOption(word);
    if (option !== undefined) {
      const separate = option.value === undefined && takesValue(option);
      found.push(separate ? { ...option, value: args[index + 1] ?? "" } : option);
      if (separate) index += 1;
      open = undefined;
      continue;
    }
    if (open === undefined && takesNext.has(word) && index + 1 < args.length) {
      index += 1;
      continue;
    }
    executes = afterBuildFlag(word, executes, open !== undefined);
    open = word.startsWith("-") && !word.includes("=") && !alone.has(word) ? (open ?? index) : undefined;
  }
  if (!executes) return { kind: "pass", command, class: "medium", why: `${command} executes nothing with these options` };
  const overruling = (words: readonly string[]): string | undefined =>
    words.find((word) => /^--(?:config(?:=|$)|enable_platform_specific_config|.*remote)/.test(word));
  if (open !== undefined && overruling(args.slice(end + 1)) !== undefined) {
    // As the value of the option before it, this `--` would end nothing.
    return {
      kind: "unreadable",
      command,
      message: `cannot tell whether ${args[end - 1]} takes a value`,
      next: `write ${args[end - 1]}=VALUE if it takes one, or put it before another option`,
    };
  }
  // Before the first of them nothing swallows a flag, and none of them holds a value that could overrule one.
  const at = open ?? end;
  if (at === args.length || at <= mostArgumentsToMove) return { kind: "heavy", command, at, cacheOptions: found, startup };
  // Nor does anything right behind the command, and no rc file beats a flag; but a later --config or cache option would.
  const later = overruling(args.slice(commandIndex + 1));
  if (later === undefined) return { kind: "heavy", command, at: commandIndex + 1, cacheOptions: found, startup };
  return {
    kind: "unreadable",
    command,
    message: `more than ${mostArgumentsToMove} arguments stand before ${args[at]} together with ${later}`,
    next: "name the targets in a file, with --target_pattern_file",
  };
}

/** A policy as the startup option brings it; an option whose value is missing is Bazel's to refuse. */
function policyOf(word: string, following: string | undefined): CacheOption | undefined {
  if (word === `--${policyOption}`) return { name: policyOption, negated: false, value: following };
  if (!word.startsWith(`--${policyOption}=`)) return undefined;
  return { name: policyOption, negated: false, value: word.slice(policyOption.length + 3) };
}

function cacheOption(word: string): CacheOption | undefined {
  const match = /^--(no)?([a-z_]+)(?:=(.*))?$/s.exec(word);
  const name = match?.[2];
  if (match === null || name === undefined || !cacheOptions.includes(name)) return undefined;
  return { name, negated: match[1] !== undefined, value: match[3] };
}

function takesValue(option: CacheOption): boolean {
  return !option.negated && option.name !== "remote_accept_cached" && option.name !== "remote_upload_local_results";
}

/**
 * `--nobuild` and `--noanalyze` and their other spellings, in any case: the last one wins (tried on 2.1 and 4.2).
 * A word that may be another option's value does not count as one that spares the work.
 */
function afterBuildFlag(word: string, executes: boolean, mayBeValue: boolean): boolean {
  if (/^--no(?:build|analyze)$|^--(?:build|analyze)=(?:0|no|false|n|f)$/i.test(word)) return mayBeValue && executes;
  if (/^--(?:build|analyze)(?:=|$)/.test(word)) return true;
  return executes;
}
