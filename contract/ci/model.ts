/**
 * What a repository says of its CI, in one shape for every forge, so that each rule is written once: jobs with their
 * runners, environments and commands, and the scripts beside them. Read, never run.
 */
import type { Manifest } from "../manifest.ts";
import type { RcLine } from "./rc.ts";

export const forges = ["github", "gitlab"] as const;
export type Forge = (typeof forges)[number];

/** A file of the repository by its path from the root, with `/`; lines are counted from 1. */
export interface Place {
  readonly file: string;
  readonly line: number;
}

/** A text of CI's. Where `unknown` names what only the forge (or a shell that runs) can tell, `text` is what was written. */
export interface Text {
  readonly text: string;
  readonly unknown: readonly string[];
}

export interface Setting extends Text {
  readonly name: string;
  readonly place: Place;
  /** Where a text of several lines begins: in YAML below its key. */
  readonly textLine?: number;
}

export type Settings = ReadonlyMap<string, Setting>;

/** A simple command of a script, with the variables that it would see as far as the repository tells them. */
export interface Command {
  readonly words: readonly Text[];
  /** `VAR=value` before the words, `export VAR=value`, and what is written to GitHub's `$GITHUB_ENV`. */
  readonly settings: readonly Setting[];
  readonly environment: Settings;
  /** Files that its output goes to. */
  readonly writes: readonly string[];
  readonly place: Place;
}

/**
 * For whom CI runs: `main` is a push to the branch that is trusted; `branch` a push to any other; `pull-request` a pull
 * request or a merge request. Conditions, and so environments, differ between them.
 */
export const situations = ["main", "branch", "pull-request"] as const;
export type Situation = (typeof situations)[number];

export interface Runner {
  /** Labels of GitHub's `runs-on`, or GitLab's `tags`. */
  readonly labels: readonly Text[];
  readonly place: Place;
}

/** A step that somebody else's code takes: an action or a workflow of another repository. */
export interface Foreign {
  readonly name: string;
  readonly inputs: Settings;
  readonly place: Place;
}

/** What a forge's reader finds; `calls` are followed afterwards, into recipes and scripts. */
export type ReadJob = Omit<Job, "calls">;

export interface Job {
  readonly forge: Forge;
  readonly name: string;
  readonly situation: Situation;
  /** Whether it runs in this situation for sure, or as far as nothing here speaks against it. */
  readonly runs: "yes" | "unknown";
  readonly place: Place;
  /** undefined: it names none, and any runner may take it. */
  readonly runner: Runner | undefined;
  /** The job's own, before its commands add to it. */
  readonly environment: Settings;
  readonly commands: readonly Command[];
  readonly foreign: readonly Foreign[];
  readonly calls: readonly Call[];
}

/** By what a Bazel is called: itself, one of the fleet's wrappers (which give it the cache), or this companion's guard. */
export const ways = ["plain", "wrapper", "guard"] as const;
export type Way = (typeof ways)[number];

/** A call of Bazel or Nix, wherever in a script, a recipe or another program's arguments it stands. */
export interface Call {
  readonly tool: "bazel" | "nix";
  /** As it is written: `bazelisk`, `scripts/bazel-cache-backed.sh`. */
  readonly name: string;
  readonly command: string;
  /** Behind the command. */
  readonly args: readonly Text[];
  readonly way: Way;
  /** `nix develop … --command` starts it. */
  readonly inNixShell: boolean;
  readonly environment: Settings;
  readonly place: Place;
}

export type ScriptKind = "recipe" | "shell-hook" | "envrc" | "script" | "docs";

/** Commands that people run, or are told to. */
export interface Script {
  readonly kind: ScriptKind;
  /** The recipe's name; otherwise the file's. */
  readonly name: string;
  readonly place: Place;
  readonly commands: readonly Command[];
  readonly calls: readonly Call[];
}

/** A part that could not be read, or that lies elsewhere: nothing is claimed of it. */
export interface Unread {
  readonly what: string;
  readonly why: string;
  readonly place: Place;
}

/** A text in which places are looked for that no longer exist: `text` without comments. */
export interface Line {
  readonly text: string;
  readonly place: Place;
}

export interface NixSettings {
  readonly substituters: readonly Setting[];
  readonly keys: readonly Setting[];
}

export interface Flake extends NixSettings {
  /** Programs called `bazel` that it makes itself. */
  readonly bazelShims: readonly Place[];
  /** It takes this companion's shell or shim: `bazel` in its shell is the guard. */
  readonly guarded: boolean;
}

export interface Repository {
  readonly jobs: Readonly<Record<Situation, readonly Job[]>>;
  readonly scripts: readonly Script[];
  /** Of rc files in the repository alone, imports followed. */
  readonly rc: readonly RcLine[];
  /** Of the workspaces within it, each with rc files of its own. */
  readonly nestedRc: readonly RcLine[];
  readonly manifest: Manifest;
  readonly flake: Flake | undefined;
  readonly bazelVersion: Setting | undefined;
  readonly lines: readonly Line[];
  readonly unread: readonly Unread[];
  /** The files that CI is described in, by forge. */
  readonly described: Readonly<Record<Forge, readonly string[]>>;
}

/** The files of a repository, as far as they may be read. */
export interface Tree {
  /** Paths from the root, with `/`. */
  readonly files: readonly string[];
  /** There are more than were looked at. */
  readonly cut: boolean;
  /** undefined: no such file, or none that should be read. */
  read(file: string): string | undefined;
}

export function plain(text: string): Text {
  return { text, unknown: [] };
}

/** `ci.yml:12`, for messages. */
export function placeWords(place: Place): string {
  return `${place.file}:${place.line}`;
}
