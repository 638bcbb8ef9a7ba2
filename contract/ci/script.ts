/** A script of a job with its environment: what each command of it would see, and what it leaves to those behind it. */
import { type Command, type Place, plain, type Setting, type Settings, type Text } from "./model.ts";
import { expand, type ShellCommand, shellCommands } from "./shell.ts";

export interface ScriptSource {
  readonly text: string;
  /** Of its first line. */
  readonly place: Place;
}

export interface ScriptRead {
  readonly commands: readonly Command[];
  /** What a shell that goes on after it has. */
  readonly environment: Settings;
  /** What it wrote to `$GITHUB_ENV`. */
  readonly forLaterSteps: readonly Setting[];
}

/** In the words that name what is unknown: only the forge knows … */
const underCondition = "whether its script sets it";

/** Of one script no more commands are looked at. */
const mostCommands = 2000;

/** Variables that every script's shell sets by itself: nobody writes them down. */
const shellsOwn = new Set(["HOME", "PWD", "USER", "SHELL"]);

export function readScript({ text, place }: ScriptSource, given: Settings): ScriptRead {
  const environment = new Map(given);
  const forLaterSteps: Setting[] = [];
  const commands = shellCommands(text)
    .slice(0, mostCommands)
    .map((command) => {
      const at: Place = { file: place.file, line: place.line + command.line };
      const value = (word: string): Text => shellValue(word, environment);
      const made = [
        ...command.assignments.map(([name, word]) => ({ name, place: at, ...value(word) })),
        ...writtenSettings(command, at, value),
      ];
      // `VAR=x command` is set for that command whenever it runs.
      const certain = !command.conditional || (command.words.length > 0 && command.writes.length === 0);
      const settings = certain ? made : made.map((setting) => ({ ...setting, unknown: [...setting.unknown, underCondition] }));
      const words = command.words.map(value);
      const own = new Map(environment);
      for (const setting of settings) own.set(setting.name, setting);
      // `VAR=x command` is that command's alone; what stands alone, or is exported, stays.
      if (command.words.length === 0) for (const setting of settings) environment.set(setting.name, setting);
      if (command.writes.some(isGithubEnv)) forLaterSteps.push(...settings);
      return { words, settings, environment: own, writes: command.writes, place: at };
    });
  return { commands, environment, forLaterSteps };
}

/** A word with the variables that the environment gives; a shell would not know others either, so they are named. */
function shellValue(word: string, environment: Settings): Text {
  // A forge's own expression was filled in before, or is not known to anybody here.
  const forge = [...word.matchAll(/\$\{\{.*?\}\}/gs)].map(([expression]) => expression);
  if (forge.length > 0) return { text: word, unknown: forge };
  if (!/[$`]/.test(word)) return plain(word);
  return expand(word, (name) => environment.get(name) ?? (shellsOwn.has(name) ? { text: `$${name}`, unknown: [] } : undefined));
}

function isGithubEnv(file: string): boolean {
  return /^\$\{?GITHUB_ENV\}?$/.test(file);
}

/** `echo "NAME=value" >> "$GITHUB_ENV"`, and `printf 'NAME=%s\n' value`. */
function writtenSettings({ words, writes }: ShellCommand, place: Place, value: (word: string) => Text): readonly Setting[] {
  const [printer, format = "", ...rest] = words;
  if (!writes.some(isGithubEnv) || (printer !== "echo" && printer !== "printf")) return [];
  const line = printer === "echo" ? [format, ...rest].join(" ") : format.replace("%s", () => rest.join(" "));
  const match = /^([A-Za-z_][A-Za-z0-9_]*)=(.*)$/s.exec(line.replace(/\\n$/, ""));
  return match === null ? [] : [{ name: match[1] ?? "", place, ...value(match[2] ?? "") }];
}
