/**
 * Nix's `--log-format internal-json`: each line of its log as `@nix {…}` (JSONLogger of libutil's logging.cc), read for
 * what was substituted and what was built, and turned back into the lines that `--log-format raw` prints.
 */
import type { Counts } from "../invocation.ts";

/** ActivityType and ResultType of logging.hh. */
const activity = { copyPaths: 103, build: 105, substitute: 108 } as const;
const result = { buildLogLine: 101, progress: 105, postBuildLogLine: 107 } as const;
/** Nix's own setting log-lines. */
const tailLines = 10;
/** Of so many builders at once the last lines are kept. */
const mostTails = 256;
/** lvlInfo: what is shown at the usual verbosity. */
const info = 3;

export interface NixLogOptions {
  /** The cache that was attached; undefined: none. */
  readonly endpoint: () => string | undefined;
  /** What builders print: the older tools show it as it is, `nix` only with `-L`, and then with the derivation's name before it. */
  readonly buildLogs: "hidden" | "plain" | "named";
  /** What is shown: 3 at the usual verbosity, one more for each `-v`. */
  readonly verbosity?: number;
}

/** Takes the lines of a log. Never throws. */
export class NixLog {
  readonly #options: NixLogOptions;
  /** Each path by the cache that it was tried from last: a second one that has it is asked where the first failed. */
  readonly #tried = new Map<string, string>();
  /**
   * How many paths came, by the activity that all of one worker belong to: the activity of a path ends alike whether
   * it came or not, and an error may name neither it nor the cache.
   */
  readonly #came = new Map<unknown, number>();
  readonly #built = new Map<string, string>();
  readonly #building = new Map<number, string>();
  /** What each builder said last, by derivation: Nix, while it logs as JSON, leaves that out of its error. */
  readonly #tails = new Map<string, readonly string[]>();

  constructor(options: NixLogOptions) {
    this.#options = options;
  }

  /** @returns what to show of it, without a newline; undefined: nothing */
  add(line: string): string | undefined {
    if (!line.startsWith("@nix ")) return line;
    const { action, id, level, type, text, msg, fields } = parsed(line.slice(5));
    const [first = "", second = ""] = Array.isArray(fields) ? fields.map(String) : [];
    const verbosity = this.#options.verbosity ?? info;
    switch (action) {
      case "msg":
        return typeof level === "number" && level > verbosity ? undefined : this.#message(textOf(msg));
      case "start":
        if (type === activity.substitute) this.#tried.set(first, second);
        if (type === activity.copyPaths) this.#came.set(id, 0);
        if (type === activity.build) {
          this.#built.set(first, second);
          if (typeof id === "number") this.#building.set(id, first);
        }
        return typeof level === "number" && level > verbosity ? undefined : textOf(text) && `${textOf(text)}...`;
      case "stop":
        if (typeof id === "number") this.#building.delete(id);
        return undefined;
      case "result": {
        if (type === result.progress && this.#came.has(id)) this.#came.set(id, Number(first) || 0);
        if (type !== result.buildLogLine && type !== result.postBuildLogLine) return undefined;
        const derivation = typeof id === "number" ? this.#building.get(id) : undefined;
        const said = coloured(first);
        if (this.#options.buildLogs === "hidden") {
          if (derivation !== undefined) this.#remember(derivation, said);
          return undefined;
        }
        return derivation === undefined || this.#options.buildLogs === "plain" ? said : `${nameOf(derivation)}> ${said}`;
      }
      default:
        return undefined;
    }
  }

  #remember(derivation: string, line: string): void {
    const tail = [...(this.#tails.get(derivation) ?? []), line].slice(-tailLines);
    if (this.#tails.size < mostTails || this.#tails.has(derivation)) this.#tails.set(derivation, tail);
  }

  #message(raw: string | undefined): string | undefined {
    const text = raw?.split("\n").map(coloured).join("\n");
    // biome-ignore lint/suspicious/noControlCharactersInRegex: Nix colours its errors
    const [, failed = ""] = /builder for '([^']+)' failed/.exec(text?.replaceAll(/\u001b\[[0-9;]*m/g, "") ?? "") ?? [];
    const tail = this.#tails.get(failed) ?? [];
    this.#tails.delete(failed);
    return text === undefined || tail.length === 0
      ? text
      : [`${text};`, `       last ${tail.length} log lines:`, ...tail.map((line) => `       > ${line}`)].join("\n");
  }

  /** Store paths by the cache that gave them, and derivations that were built; `local` of them on this machine. */
  get counts(): Counts {
    const { hits, other, failed } = this.#substitutions();
    const local = [...this.#built.values()].filter((machine) => machine === "").length;
    // Of those that failed, rather ours: a hit too few is better than one too many.
    const lost = Math.min(hits, failed);
    return { hits: hits - lost, other: other - (failed - lost), misses: this.#built.size, local, internal: 0 };
  }

  /** Why the counts may not be right; null: they are. */
  get doubt(): string | null {
    const { hits, other, failed } = this.#substitutions();
    if (failed === 0 || hits === 0 || other === 0) return null;
    return `${failed === 1 ? "1 path" : `${failed} paths`} could not be fetched, and Nix does not say from which cache`;
  }

  /** What was tried, and how much of it never came. */
  #substitutions(): { readonly hits: number; readonly other: number; readonly failed: number } {
    const endpoint = withoutEnd(this.#options.endpoint());
    const tried = this.#tried.size;
    const hits = [...this.#tried.values()].filter((from) => endpoint !== undefined && withoutEnd(from) === endpoint).length;
    const came = [...this.#came.values()].reduce((sum, count) => sum + count, 0);
    return { hits, other: tried - hits, failed: Math.max(0, tried - came) };
  }
}

/** A line as Nix itself would show it: a builder may colour it, but not act on the terminal. */
function coloured(line: string): string {
  return line.replaceAll(actsOnTerminal, (sequence) => (isColour.test(sequence) ? sequence : ""));
}

/** Sequences with all that belongs to them (CSI; OSC, DCS and their like to their end; the short ones), then single controls but tab. */
const actsOnTerminal =
  // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what this finds
  /(?:\u001b\[|\u009b)[0-?]*[ -/]*[@-~]?|(?:\u001b[\]PX^_]|[\u009d\u0090\u0098\u009e\u009f])[^\u0007\u001b\u009c]*(?:\u0007|\u001b\\|\u009c)?|\u001b[ -/]*[0-~]?|[\u0000-\u0008\u000a-\u001f\u007f-\u009f]/g;
// biome-ignore lint/suspicious/noControlCharactersInRegex: an escape begins each colour
const isColour = /^\u001b\[[0-9;:]*m$/;

function parsed(json: string): Readonly<Record<string, unknown>> {
  try {
    const value: unknown = JSON.parse(json);
    return typeof value === "object" && value !== null ? Object.fromEntries(Object.entries(value)) : {};
  } catch {
    return {};
  }
}

function textOf(value: unknown): string | undefined {
  return typeof value === "string" && value !== "" ? value : undefined;
}

/** `two` of /nix/store/<hash>-two.drv. */
function nameOf(derivation: string): string {
  return derivation.replace(/^.*\/[a-z0-9]{32}-/, "").replace(/\.drv$/, "");
}

/** Nix tells a substituter by its URL, with or without a last slash and its settings. */
function withoutEnd(url: string | undefined): string | undefined {
  return url?.replace(/\?.*$/, "").replace(/\/+$/, "");
}
