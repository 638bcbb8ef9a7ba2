/** Recording Nix: it logs as JSON, which is counted and shown again as its plain lines; a program that it starts keeps its terminal. */
import { createInterface } from "node:readline";
import type { Tally } from "../../contract/invocation.ts";
import { NixLog } from "../../contract/nix/activities.ts";
import { readNixCommandLine } from "../../contract/nix/command-line.ts";
import type { NixName } from "../../contract/nix/commands.ts";
import { nixRecordingWords } from "../../shim/recording.ts";
import { outcomeOf, type Recorder } from "./recorder.ts";

/** They take `--log-format`, and start no program of the user's. */
const logging: readonly NixName[] = ["nix", "nix-build", "nix-store", "nix-env", "nix-instantiate"];
/** lvlInfo. */
const usual = 3;

export interface NixSurroundings {
  /** Shows a line on standard error. */
  readonly show: (line: string) => void;
  /** What the running command's mark says that it was given. */
  readonly endpoint: () => string | undefined;
  /** Whether the command left its mark. */
  readonly marked: () => boolean;
}

/** @returns undefined for what builds and fetches nothing */
export function nixRecorder(tool: NixName, args: readonly string[], { show, endpoint, marked }: NixSurroundings): Recorder | undefined {
  const line = readNixCommandLine(tool, args);
  if (line.kind === "pass") return undefined;
  const own = args.slice(0, args.indexOf("--") === -1 ? args.length : args.indexOf("--"));
  const reason = notCounted(tool, line.channel, own);
  const log = new NixLog({
    endpoint,
    buildLogs: tool !== "nix" ? "plain" : own.some((word) => word === "-L" || word === "--print-build-logs") ? "named" : "hidden",
    verbosity: verbosityOf(own),
  });
  return {
    command: line.command,
    args: reason === undefined ? [...nixRecordingWords, ...args] : args,
    stderr: reason === undefined ? "pipe" : "inherit",
    follow: ({ stderr }) => {
      if (stderr === null) return;
      createInterface({ input: stderr, crlfDelay: Number.POSITIVE_INFINITY }).on("line", (each) => {
        const shown = log.add(each);
        if (shown !== undefined) show(shown);
      });
    },
    read: async (ending) => {
      const tally: Tally =
        reason === undefined
          ? { state: "counted", counts: log.counts, source: "internal-json", doubt: log.doubt }
          : { state: "unknown", why: reason };
      // A program that it starts may end with the guard's code as well; but only what ran has a mark.
      return { ran: ending.code !== 78 || marked(), endpoint: endpoint() ?? null, outcome: outcomeOf(ending, undefined), tally };
    },
    close: () => {},
  };
}

function notCounted(tool: NixName, channel: "flags" | "environment", args: readonly string[]): string | undefined {
  if (channel === "flags") return "it starts a program or a shell, whose terminal stays its own";
  if (!logging.includes(tool)) return `${tool} calls Nix itself, and shows its log in its own way`;
  if (args.includes("--log-format")) return "--log-format was given, and stays";
  return undefined;
}

function verbosityOf(args: readonly string[]): number {
  const more = args.reduce((sum, word) => sum + (word === "--verbose" ? 1 : /^-v+$/.test(word) ? word.length - 1 : 0), 0);
  return usual + more - args.filter((word) => word === "--quiet").length;
}
