/** Finds out how marked commands went, from what Bazel leaves behind, and makes the record of each. */
import { setTimeout as delay } from "node:timers/promises";
import { readCommandLog } from "../../contract/bazel/command-log.ts";
import { plainCall } from "../../contract/bazel/server-log.ts";
import type { Invocation } from "../../contract/invocation.ts";
import { type Attribution, attribute, type Caller, keyOf, unsure } from "./attribution.ts";
import { type Evidence, invocationOf, type Loss } from "./invocation.ts";
import { type HeldLog, OutputBase } from "./output-base.ts";
import { whereabouts, wordsOf } from "./process.ts";
import type { EndedCommand, RunningCommand } from "./running.ts";
import { likelyOutputBases, namedOutputBase, resolved, rootOf, servedOutputBases } from "./workspace.ts";

const most = {
  /** Output bases that are watched at once. */
  bases: 32,
  /** Commands that ended untold and are remembered, so that what they left is not taken for another's. */
  untold: 64,
  /** Executions that are known to be somebody's: enough for whatever still runs. */
  claimed: 1_024,
} as const;

/** Milliseconds. */
const timing = {
  /** How long what Bazel has to say may take to be written after the command is gone. */
  patience: 2_000,
  again: 100,
  /** How long the next commands may take to make clear what two left that came at once; and how often that is looked at. */
  longPatience: 30_000,
  seldom: 1_000,
  /** Until the shell has become the tool, at the latest: afterwards its words stay. */
  becoming: 2_000,
  /** How long a log has to be silent before it is believed to be whole. */
  silence: 100,
  /** Servers are looked for at first at each look, then ever more seldom. */
  firstSearch: 250,
} as const;

const nixKeepsNothing = "Nix keeps no record of what came from where: flywheel exec --record -- nix … counts it";

const missing = {
  replaced: "another Bazel command in this workspace followed too soon",
  never: "Bazel's command.log is not there (--nowrite_command_log?)",
} as const;

/** What is known of a command besides its mark. */
interface Trace {
  readonly command: RunningCommand;
  readonly followedAt: number;
  /** Where it was called, links resolved; and the workspace's root there. */
  readonly directory: string;
  readonly root: string | undefined;
  startup: readonly string[];
  /** Its command line (`plainCall`); undefined where it was gone before anybody looked. */
  call: string | undefined;
  readonly bases: Set<OutputBase>;
  /** An output base that the command line itself names: then there is no other. */
  named: boolean;
  nextSearch: number;
  pause: number;
  evidence: Evidence | undefined;
  lost: Loss | undefined;
  state: "runs" | "gone";
  /** When it was seen gone first. */
  gone: number | undefined;
}

export class Recorder {
  readonly #traces = new Map<RunningCommand, Trace>();
  readonly #bases = new Map<string, { readonly base: OutputBase; users: number }>();
  readonly #claimed = new Set<string>();
  /** Commands that ended without evidence, the last of them. */
  #untold: readonly Trace[] = [];
  #closed = false;

  /** Whether a record is still being put together. */
  get busy(): boolean {
    return this.#traces.size > 0;
  }

  /** From now on, until `end`. */
  follow(command: RunningCommand): void {
    this.#trace(command, "runs");
  }

  /** Now and then while commands run: what a command became, and where its records will be. */
  look(): void {
    const now = Date.now();
    for (const trace of this.#traces.values()) {
      if (trace.state === "gone" || !isBazel(trace.command)) continue;
      if (now - trace.followedAt < timing.becoming) readWords(trace);
      if (now >= trace.nextSearch) this.#search(trace);
    }
    for (const { base } of this.#bases.values()) if (base.look()) this.#settleAll(base);
  }

  /** Its cache failed its proof while it ran. @returns whether that is news */
  lose(command: RunningCommand, reason: string): boolean {
    const trace = this.#traces.get(command);
    if (trace === undefined || trace.state === "gone" || trace.lost !== undefined) return false;
    trace.lost = { at: new Date().toISOString(), reason };
    return true;
  }

  lossOf(command: RunningCommand): Loss | undefined {
    return this.#traces.get(command)?.lost;
  }

  /** @returns the record; undefined where the daemon ends first: then the mark is left for the next one */
  async end(ended: EndedCommand): Promise<Invocation | undefined> {
    const { command } = ended;
    const trace = this.#trace(command, "gone");
    trace.state = "gone";
    trace.gone = ended.gone?.getTime();
    try {
      const evidence = isBazel(command) ? await this.#evidence(trace) : { state: "none" as const, why: nixKeepsNothing };
      if (evidence === undefined) return undefined;
      const platform = process.platform === "darwin" ? "macos" : process.platform;
      return invocationOf({ command, workspace: trace.root ?? trace.directory, gone: ended.gone, evidence, lost: trace.lost, platform });
    } finally {
      this.#traces.delete(command);
      if (trace.evidence === undefined) this.#untold = [...this.#untold, trace].slice(-most.untold);
      for (const base of trace.bases) this.#release(base);
    }
  }

  close(): void {
    this.#closed = true;
    for (const { base } of this.#bases.values()) base.close();
    this.#bases.clear();
  }

  /** @param state where it is not followed yet: another process may have the number of one that is gone */
  #trace(command: RunningCommand, state: Trace["state"]): Trace {
    const known = this.#traces.get(command);
    if (known !== undefined) return known;
    const directory = resolved((state === "runs" ? whereabouts(command.pid) : undefined) ?? command.directory ?? "/");
    const trace: Trace = {
      ...{ command, directory, root: rootOf(directory, command.tool), followedAt: Date.now() },
      ...{ startup: [], call: undefined, bases: new Set<OutputBase>(), named: false },
      ...{ nextSearch: 0, pause: timing.firstSearch, evidence: undefined, lost: undefined, state, gone: undefined },
    };
    this.#traces.set(command, trace);
    if (isBazel(command)) {
      if (state === "runs") readWords(trace);
      this.#search(trace);
    }
    return trace;
  }

  /** Looks for the output bases that it may use, as long as none has shown a new log. */
  #search(trace: Trace): void {
    trace.nextSearch = Date.now() + trace.pause;
    trace.pause *= 1.5;
    const named = namedOutputBase(trace.startup, trace.directory);
    const { root } = trace;
    if (named !== undefined) {
      trace.named = true;
      this.#use(trace, named);
    } else if (root !== undefined && !trace.named) {
      const begun = [...trace.bases].some((base) => base.logs.some(({ born }) => born >= trace.command.startedAt.getTime()));
      if (begun) return;
      for (const path of [...servedOutputBases(root), ...likelyOutputBases(root, trace.startup)]) this.#use(trace, path);
    }
  }

  #use(trace: Trace, path: string): void {
    if (this.#closed || [...trace.bases].some((base) => base.path === path)) return;
    let entry = this.#bases.get(path);
    if (entry === undefined) {
      if (this.#bases.size >= most.bases) return;
      const base = OutputBase.at(path, (born) => this.#settleAll(born));
      if (base === undefined) return;
      entry = { base, users: 0 };
      this.#bases.set(path, entry);
    }
    entry.users += 1;
    trace.bases.add(entry.base);
  }

  #release(base: OutputBase): void {
    const entry = this.#bases.get(base.path);
    if (entry === undefined) return;
    entry.users -= 1;
    if (entry.users > 0) return;
    this.#bases.delete(base.path);
    base.close();
  }

  /** A command began to print: whatever ran before it here is over, though its client may live on. */
  #settleAll(base: OutputBase): void {
    for (const trace of this.#traces.values()) if (trace.bases.has(base)) this.#settle(trace);
  }

  /** @returns why not, where it cannot be told yet */
  #settle(trace: Trace): string | undefined {
    if (trace.evidence !== undefined) return undefined;
    let why: string | undefined;
    for (const base of trace.bases) {
      const attribution = this.#attribute(trace, base);
      const evidence = attribution.kind === "found" ? evidenceOf(base, attribution) : undefined;
      if (attribution.kind === "found" && evidence !== undefined) {
        this.#claim(keyOf(attribution.execution));
        trace.evidence = evidence;
        return undefined;
      }
      if (why === undefined || why === unsure.unknown) why = attribution.kind === "found" ? unsure.running : attribution.why;
    }
    return why ?? (trace.root === undefined ? "it was called outside of any Bazel workspace" : "Bazel's output base was not found");
  }

  #attribute(trace: Trace, base: OutputBase): Attribution<HeldLog> {
    const { command, directory, call, state, gone } = trace;
    const caller: Caller = {
      ...{ command: command.command, directory, call, endpoint: command.endpoint, state, gone },
      ...{ started: command.startedAt.getTime(), twins: this.#twinsOf(trace) },
    };
    const executions = base.servers(caller.started).flatMap(({ server, executions: all }) => all.map((one) => ({ ...one, server })));
    return attribute(caller, executions, base.logs, this.#claimed);
  }

  /** When others were started that look the same: those that run, and those that nobody could tell from the next. */
  #twinsOf({ command, directory, call }: Trace): readonly number[] {
    return [...this.#traces.values(), ...this.#untold]
      .filter(
        (other) =>
          other.command !== command &&
          other.evidence === undefined &&
          other.command.command === command.command &&
          other.directory === directory &&
          (call === undefined || other.call === undefined || call === other.call),
      )
      .map((other) => other.command.startedAt.getTime());
  }

  async #evidence(trace: Trace): Promise<Evidence | undefined> {
    const begun = performance.now();
    for (;;) {
      if (this.#closed) return undefined;
      if (trace.bases.size === 0) this.#search(trace);
      for (const base of trace.bases) base.look();
      const why = this.#settle(trace) ?? unsure.unknown;
      if (trace.evidence !== undefined) return trace.evidence;
      const waited = performance.now() - begun;
      const patience = why === unsure.mixed || why === unsure.twins ? timing.longPatience : timing.patience;
      // Where nothing is to be found, nothing is to be waited for.
      if (waited > patience || trace.bases.size === 0) return { state: "none", why };
      await delay(waited > timing.patience ? timing.seldom : timing.again, undefined, { ref: false });
    }
  }

  #claim(key: string): void {
    this.#claimed.add(key);
    for (const oldest of this.#claimed) {
      if (this.#claimed.size <= most.claimed) break;
      this.#claimed.delete(oldest);
    }
  }
}

function isBazel({ tool }: RunningCommand): boolean {
  return tool.startsWith("bazel");
}

/** The shell's words, or the tool's, which it becomes: both have the command and what follows. */
function readWords(trace: Trace): void {
  const words = wordsOf(trace.command.pid);
  const at = words?.indexOf(trace.command.command) ?? -1;
  if (words === undefined || at < 1) return;
  trace.startup = words.slice(1, at);
  trace.call = plainCall(trace.directory, words.slice(at + 1));
}

/** @returns undefined where the log may not be whole yet */
function evidenceOf(base: OutputBase, { execution, log }: Extract<Attribution<HeldLog>, { kind: "found" }>): Evidence | undefined {
  const found = { state: "found", execution, label: base.label } as const;
  const read = log === undefined ? undefined : base.read(log);
  if (read === undefined) {
    const followed = base.logs.some(({ born }) => born > (execution.finished ?? execution.arrived));
    return { ...found, log: { missing: followed ? missing.replaced : missing.never } };
  }
  // Until the server's log says that it is over, nothing but its silence does; and whoever comes next makes that log speak.
  if (execution.finished === undefined && Date.now() - read.written < timing.silence) return undefined;
  return { ...found, log: { ...readCommandLog(read.text), written: read.written } };
}
