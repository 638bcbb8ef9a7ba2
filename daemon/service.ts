/** Joins the parts: tailnet → discovery → probe → attachment → published files and API. */
import { existsSync } from "node:fs";
import { setTimeout as delay } from "node:timers/promises";
import type { Logger } from "pino";
import type {
  AttachRequest,
  CredentialAnswer,
  CredentialRequest,
  DaemonReport,
  GenerationAnswer,
  GenerationRequest,
  Hello,
  ProbeReport,
  ProbeRequest,
  RunningReport,
  StatusReport,
} from "../contract/api.ts";
import { apiVersion, mostRecent, rereadNext } from "../contract/api.ts";
import type { Attachment } from "../contract/attachment.ts";
import { hasSources } from "../contract/bazel/repositories.ts";
import { builtInProfiles } from "../contract/built-in-profiles.ts";
import type { Candidate, ProbeResult } from "../contract/candidate.ts";
import type { Config } from "../contract/config.ts";
import type { Tool } from "../contract/endpoint.ts";
import { FlywheelError, messageOf } from "../contract/errors.ts";
import type { Invocation } from "../contract/invocation.ts";
import { userConfFiles } from "../contract/nix/user-conf.ts";
import type { Paths } from "../contract/paths.ts";
import type { Profile } from "../contract/profile.ts";
import type { TrustStore } from "../contract/trust.ts";
import { version } from "../contract/version.ts";
import { readClock } from "./api/client/clock.ts";
import { loadConfig, loadProfile } from "./api/client/settings.ts";
import { readTrust } from "./api/client/trust.ts";
import { Judge, probeReport } from "./api/judge.ts";
import type { ApiHandlers } from "./api/server.ts";
import type { Attacher } from "./attachment/attacher.ts";
import { Keeper } from "./attachment/keeper.ts";
import { OperatorMemory } from "./attachment/operator.ts";
import { NodePaths, tailnetAddress } from "./attachment/path.ts";
import { nextOf } from "./attachment/unattached.ts";
import { whyLeft } from "./attachment/why.ts";
import { Credentials } from "./credentials/credentials.ts";
import { discover } from "./discovery/discover.ts";
import { judgeOperatorEndpoint } from "./discovery/operator.ts";
import type { Faults } from "./faults.ts";
import { Journal } from "./journal/journal.ts";
import { ownNetrc, withheldHere } from "./nix/netrc.ts";
import { NixTrust } from "./nix/trust.ts";
import { defaultTimeoutMs, ownNode, type ProbeContext } from "./probe/context.ts";
import { sentInPlainText } from "./probe/place.ts";
import { Prober } from "./probe/prober.ts";
import { Publisher, publishedOf } from "./publish/publisher.ts";
import { Recorder } from "./running/recorder.ts";
import { type EndedCommand, type RunningCommand, RunningCommands } from "./running/running.ts";
import { buildStatus, nixKeys } from "./status.ts";
import { configuredSocket } from "./tailnet/locate.ts";
import type { Tailnet } from "./tailnet/tailnet.ts";
import { TailnetWatcher } from "./tailnet/watch.ts";
import { type MachineWatch, type Upheaval, watchMachine } from "./wake.ts";

/** No more profiles are kept attached at once. */
const mostKeepers = 16;
/** How long a round waits for the tailnet's answer, milliseconds: what the operator named need not wait for a client that hangs. */
const firstAnswer = 1_000;

const notAsked: Tailnet = {
  state: "unreachable",
  via: null,
  systemSocket: true,
  code: "absent",
  reason: "the Tailscale client has not been asked yet",
  next: undefined,
};

/** How long whoever asks for what just ended waits for its record at most, from that end on: milliseconds. */
const longestRecording = 400;

type LostCommand = Pick<Invocation, "tool" | "command" | "workspace"> & { readonly endpoint?: string | null | undefined };

type Listener = (status: StatusReport) => void;

export interface ServiceOptions {
  readonly paths: Paths;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly log: Logger;
  readonly faults: Faults;
  readonly startedBy: Hello["startedBy"];
  /** Somebody asked the daemon to stop. */
  readonly onStop: () => void;
}

export class Service implements ApiHandlers {
  readonly #options: ServiceOptions;
  readonly #operator: OperatorMemory;
  readonly #publisher: Publisher;
  readonly #prober = new Prober({
    onLost: ({ url }) => {
      for (const keeper of this.#keepers.values()) void keeper.lost(url);
    },
  });
  readonly #judge = new Judge();
  readonly #nix: NixTrust;
  readonly #credentials: Credentials;
  readonly #paths = new NodePaths();
  readonly #running: RunningCommands;
  readonly #recorder = new Recorder();
  readonly #journal: Journal;
  readonly #keepers = new Map<string, Keeper>();
  readonly #listeners = new Map<string, Set<Listener>>();
  readonly #told = new Set<string>();
  readonly #words = new Map<string, string>();
  /** By profile and kind, the endpoint that the log told of last. */
  readonly #attached = new Map<string, string>();
  /** The records that are being put together: since when (performance.now), by what settles with each. */
  readonly #recording = new Map<Promise<void>, number>();
  readonly #startedAt = new Date().toISOString();
  #config: Config;
  #trust: TrustStore;
  #watcher: TailnetWatcher | undefined;
  #begun = false;
  #closed = false;
  #machine: MachineWatch | undefined;

  /** @throws FlywheelError `config-invalid` where the configuration, the default profile or trust.json is malformed */
  constructor(options: ServiceOptions) {
    const { paths, faults, log } = options;
    this.#options = options;
    this.#config = loadConfig(paths);
    this.#trust = readTrust(paths);
    this.#journal = new Journal({
      paths,
      onFault: (fault) => {
        if (faults.set("journal", fault)) log.warn(fault ?? "the journal is written again");
      },
      onNotice: (message) => log.warn(message),
      onChange: () => {
        for (const name of this.#keepers.keys()) this.#tell(name);
      },
    });
    this.#nix = new NixTrust(options.env);
    this.#credentials = new Credentials({
      paths,
      env: options.env,
      candidates: (name, kind) => this.#keepers.get(name)?.[kind].tracks.map(({ candidate }) => candidate) ?? [],
      ownNetrc: (userConf) => ownNetrc(this.#nix.place, userConf ?? userConfFiles(options.env, "/")),
      onLate: () => this.#reconsiderAll(),
      onChange: () => {
        for (const name of this.#keepers.keys()) this.#tell(name);
      },
    });
    this.#loadCredentials();
    this.#publisher = new Publisher(paths, (fault) => {
      if (faults.set("publish", fault)) log.warn(fault ?? "publishing again");
    });
    this.#running = new RunningCommands({
      paths,
      clock: readClock,
      onChange: (ended) => this.#commandsChanged(ended),
      onLook: () => this.#recorder.look(),
      onFault: (fault) => {
        if (faults.set("running", fault)) log.warn(fault);
      },
    });
    this.#operator = new OperatorMemory(paths);
    try {
      this.#operator.load();
    } catch (error) {
      faults.set("operator", messageOf(error));
    }
    this.#keeper("default");
    this.#keepMapped();
  }

  get logLevel(): Config["daemon"]["logLevel"] {
    return this.#config.daemon.logLevel;
  }

  /** Minutes without use after which the daemon ends; 0: never. */
  get idleExitMinutes(): number {
    return this.#config.daemon.idleExitMinutes;
  }

  /** Whether a guarded command runs: the daemon then stays, however idle it is. */
  get busy(): boolean {
    return this.#running.list.length > 0 || this.#recorder.busy;
  }

  /** Begins to look and to keep; returns at once. */
  begin(): void {
    this.#publisher.withdrawAll();
    this.#journal.open();
    this.#watcher = this.#watch();
    this.#running.start();
    this.#machine = watchMachine((event) => this.#startOver(event));
    void this.#lookAtTailnet().then(() => this.#beginKeeping());
  }

  /** Takes everything back that was published, and ends. */
  async close(options: { readonly ownsRuntime: boolean }): Promise<void> {
    this.#begun = false;
    this.#closed = true;
    this.#machine?.close();
    this.#running.close();
    this.#recorder.close();
    this.#journal.close();
    const closing = [...this.#keepers.values()].map((keeper) => keeper.close());
    if (options.ownsRuntime) this.#publisher.withdrawAll();
    await Promise.all([this.#watcher?.close(), this.#prober.close(), this.#credentials.close()]);
    await Promise.all(closing);
  }

  hello(): Hello {
    const { startedBy } = this.#options;
    return { api: apiVersion, pid: process.pid, version, startedAt: this.#startedAt, entry: process.argv[1] ?? "", startedBy };
  }

  status(profile: string): StatusReport {
    // What the machine slept through must not be told as if it were so still.
    this.#machine?.look();
    this.#running.look();
    this.#journal.takeSpool();
    return this.#status(this.#keeper(profile));
  }

  async recorded(profile: string): Promise<StatusReport> {
    // Whoever ended a moment ago is seen gone by this.
    this.#running.look();
    const now = performance.now();
    const waits = [...this.#recording].map(([recording, since]) => {
      const left = since + longestRecording - now;
      return left > 0 ? Promise.race([recording, delay(left, undefined, { ref: false })]) : undefined;
    });
    await Promise.all(waits);
    return this.status(profile);
  }

  watch(profile: string, listener: Listener): () => void {
    listener(this.status(profile));
    const listeners = this.#listeners.get(profile) ?? new Set();
    this.#listeners.set(profile, listeners);
    listeners.add(listener);
    return () => listeners.delete(listener);
  }

  async verify(profile: string): Promise<StatusReport> {
    const keeper = this.#keeper(profile);
    this.#nix.reconsider("no");
    this.#credentials.reconsider();
    // Whoever asks a daemon that has just begun is told of its tailnet too.
    if (!this.#begun) await this.#lookAtTailnet();
    await keeper.verify();
    return this.#status(keeper);
  }

  async attach(request: AttachRequest): Promise<ProbeReport> {
    const keeper = this.#keeper(request.profile);
    const judged = this.#judgeEndpoint(keeper.profile, request, "attach");
    if (!judged.ok) {
      const { subject, reason, next } = judged.rejection;
      throw new FlywheelError("endpoint-invalid", `${subject}: ${reason}`, next === undefined ? {} : { next });
    }
    const { profile, kind, localProof } = request;
    const { endpoint } = judged.candidate;
    this.#remember(() => this.#operator.attach({ profile, kind, endpoint: endpoint.url, localProof, at: new Date().toISOString() }));
    keeper.setDetached(false);
    await keeper.reconsider();
    const track = keeper[kind].tracks.find(({ candidate }) => candidate.endpoint.url === endpoint.url);
    const outcome = track?.outcome;
    if (track === undefined || outcome === undefined)
      throw new FlywheelError("internal", "the endpoint was kept, but never probed", { next: "flywheel status" });
    if (outcome.ok) return probeReport(endpoint.url, outcome);
    const next = nextOf(track.candidate, outcome, this.#tailnet.state === "known");
    return probeReport(endpoint.url, { ...outcome, next });
  }

  async detach(profile: string): Promise<StatusReport> {
    const keeper = this.#keeper(profile);
    this.#remember(() => this.#operator.detach(profile));
    keeper.setDetached(true);
    return this.#status(keeper);
  }

  async up(profile: string): Promise<StatusReport> {
    const keeper = this.#keeper(profile);
    this.#nix.reconsider("all");
    this.#credentials.reconsider();
    if (keeper.detached) {
      this.#remember(() => this.#operator.up(profile));
      keeper.setDetached(false);
    }
    if (keeper.attachment("bazel").state === "attached") await keeper.verify();
    else {
      await this.#lookAtTailnet();
      await keeper.reconsider();
    }
    return this.#status(keeper);
  }

  probe(request: ProbeRequest): Promise<ProbeReport> {
    const { profile } = this.#keeper(request.profile);
    const judged = this.#judgeEndpoint(profile, request, "environment");
    return this.#judge.judge(request, judged, (candidate) => this.#probe(profile, candidate, undefined));
  }

  credential(request: CredentialRequest): Promise<CredentialAnswer> {
    return this.#credentials.answer(request);
  }

  async generation(request: GenerationRequest): Promise<GenerationAnswer> {
    this.#keeper(request.profile);
    return { directory: await this.#credentials.generation(request) };
  }

  /** @throws FlywheelError `config-invalid` or `credentials-unusable`: then those stay as they were, and status shows the fault */
  reload(): void {
    const { paths, faults, log } = this.#options;
    const unusable = this.#loadCredentials();
    try {
      const config = loadConfig(paths);
      const trust = readTrust(paths);
      const profiles = new Map([...this.#keepers.keys()].map((name) => [name, this.#exists(name) ? loadProfile(paths, name) : undefined]));
      this.#adopt(config, trust, profiles);
      faults.set("config", undefined);
      this.#keepMapped();
    } catch (error) {
      faults.set("config", `the old configuration holds: ${messageOf(error)}; once it is mended: ${rereadNext}`);
      log.warn(`the old configuration holds: ${messageOf(error)}`);
      for (const name of this.#keepers.keys()) this.#tell(name);
      throw error;
    }
    log.info("read the configuration again");
    if (unusable !== undefined) throw unusable;
  }

  stop(): void {
    this.#options.onStop();
  }

  onDefect(thrown: unknown): void {
    this.#options.log.error({ err: thrown }, `a defect: ${messageOf(thrown)}`);
  }

  /** @returns why the old ones hold */
  #loadCredentials(): FlywheelError | undefined {
    const { faults, log } = this.#options;
    let fault: FlywheelError | undefined;
    try {
      this.#credentials.load();
    } catch (error) {
      if (!(error instanceof FlywheelError)) throw error;
      fault = error;
    }
    if (faults.set("credentials", fault?.message) && fault !== undefined) log.warn(fault.message);
    // Whoever logged in must not find the fast path once more: it knows of no credential.
    if (this.#begun) for (const keeper of this.#keepers.values()) for (const kind of ["bazel", "nix"] as const) this.#changed(keeper, kind);
    return fault;
  }

  #adopt(config: Config, trust: TrustStore, profiles: ReadonlyMap<string, Profile | undefined>): void {
    const { env } = this.#options;
    const moved = configuredSocket(env, config) !== configuredSocket(env, this.#config);
    this.#config = config;
    this.#trust = trust;
    this.#options.log.level = config.daemon.logLevel;
    this.#judge.forget();
    for (const [name, profile] of profiles) {
      const keeper = this.#keepers.get(name);
      if (profile !== undefined) keeper?.setProfile(profile);
      else {
        this.#keepers.delete(name);
        void keeper?.close();
        for (const kind of ["bazel", "nix"] as const) this.#publisher.withdraw(name, kind);
      }
    }
    if (moved) {
      void this.#watcher?.close();
      this.#watcher = this.#watch();
    }
    this.#reconsiderAll();
  }

  #startOver(event: Upheaval): void {
    this.#options.log.info(`${event === "woke" ? "the machine woke up" : "the network changed"}: proving again`);
    void this.#watcher?.refresh();
    if (!this.#begun) return;
    for (const keeper of this.#keepers.values()) void keeper.startOver();
  }

  /**
   * Proves more often while guarded commands run, and at once when one ended: it may have ended because of the cache.
   * How it went only its tool's own records tell: the shim has become the tool by then, and nobody of ours waits for
   * its exit code.
   */
  #commandsChanged(ended: readonly EndedCommand[]): void {
    for (const command of this.#running.list) this.#recorder.follow(command);
    for (const one of ended) {
      const recording = this.#ended(one).finally(() => this.#recording.delete(recording));
      this.#recording.set(recording, performance.now());
    }
    for (const [name, keeper] of this.#keepers) {
      const concerns = ({ profile }: RunningCommand): boolean => profile === name;
      keeper.setPace(this.#running.list.some(concerns) ? "busy" : "idle");
      if (this.#begun && ended.some(({ command }) => concerns(command))) keeper.proveSoon();
      this.#tell(name);
    }
  }

  async #ended(ended: EndedCommand): Promise<void> {
    try {
      const invocation = await this.#recorder.end(ended);
      // The daemon ends: the next one finds the mark.
      if (invocation === undefined) return;
      this.#record(invocation);
    } catch (error) {
      this.onDefect(error);
    }
    this.#running.forget(ended.command);
    this.#tell(ended.command.profile);
  }

  #record(invocation: Invocation): void {
    this.#journal.record(invocation);
    const { tool, command, workspace, outcome, lost } = invocation;
    this.#options.log.debug(`${tool} ${command} in ${workspace}: ${outcome}`);
    if (lost !== null && lost.at === null) this.#options.log.warn(lossWords(invocation, lost.reason));
  }

  /** A command whose cache failed its proof is told at once: what it still does, it does alone. */
  #noteLosses(keeper: Keeper, kind: Tool): void {
    // One that ended before its cache did has lost nothing.
    this.#running.look();
    const attached = keeper[kind].attachedCandidate?.endpoint.url;
    for (const command of this.#running.list) {
      const { endpoint, profile, tool } = command;
      if (endpoint === undefined || endpoint === attached || profile !== keeper.profile.name) continue;
      if ((kind === "bazel") !== tool.startsWith("bazel")) continue;
      const outcome = keeper[kind].tracks.find(({ candidate }) => candidate.endpoint.url === endpoint)?.outcome;
      if (outcome?.ok !== false || !this.#recorder.lose(command, `${outcome.rung}: ${outcome.reason}`)) continue;
      this.#options.log.warn(lossWords({ ...command, workspace: command.directory ?? "?" }, `${outcome.rung}: ${outcome.reason}`));
    }
  }

  #watch(): TailnetWatcher {
    const { env, log } = this.#options;
    const watcher = new TailnetWatcher({
      socket: configuredSocket(env, this.#config),
      onChange: () => this.#reconsiderAll(),
      log: (level, message) => log[level](message),
    });
    watcher.start();
    return watcher;
  }

  /** As it is now, unless the client does not answer soon. */
  async #lookAtTailnet(): Promise<void> {
    await Promise.race([this.#watcher?.refresh(), delay(firstAnswer, undefined, { ref: false })]);
  }

  #beginKeeping(): void {
    if (this.#begun || this.#closed) return;
    this.#begun = true;
    for (const keeper of this.#keepers.values()) void keeper.reconsider();
  }

  #reconsiderAll(): void {
    if (!this.#begun) return;
    for (const keeper of this.#keepers.values()) void keeper.reconsider();
  }

  /** The profiles of `[[repositories]]` are attached before their first command asks. One that is broken keeps no other from it. */
  #keepMapped(): void {
    const { faults, log } = this.#options;
    const broken = [...new Set(this.#config.repositories.map(({ profile }) => profile))].flatMap((name) => {
      try {
        this.#keeper(name);
        return [];
      } catch (error) {
        if (!(error instanceof FlywheelError)) throw error;
        return [error.message];
      }
    });
    const fault = broken.join("; ");
    if (faults.set("repositories", fault === "" ? undefined : `[[repositories]] of config.toml: ${fault}`) && fault !== "") log.warn(fault);
  }

  /** @throws FlywheelError `config-invalid` where there is no such profile, or its file is malformed */
  #keeper(name: string): Keeper {
    const known = this.#keepers.get(name);
    if (known !== undefined) return known;
    if (this.#keepers.size >= mostKeepers) {
      throw new FlywheelError("config-invalid", `${mostKeepers} profiles are in use already`, { next: "flywheel down, then flywheel up" });
    }
    const keeper = new Keeper({
      profile: loadProfile(this.#options.paths, name),
      clock: readClock,
      tailnetKnown: () => this.#tailnet.state === "known",
      discover: (profile) => this.#discover(profile),
      probe: (profile, candidate, timeoutMs) => this.#probe(profile, candidate, timeoutMs),
      ping: (candidate) => void this.#ping(candidate),
      onChange: (changed, kind) => this.#changed(changed, kind),
      onFault: (thrown) => this.onDefect(thrown),
    });
    this.#keepers.set(name, keeper);
    if (this.#operator.store.detached.includes(name)) keeper.setDetached(true);
    if (this.#running.list.some(({ profile }) => profile === name)) keeper.setPace("busy");
    if (this.#begun) void keeper.reconsider();
    return keeper;
  }

  #exists(name: string): boolean {
    return builtInProfiles.includes(name) || existsSync(`${this.#options.paths.config}/profiles/${name}.toml`);
  }

  async #discover(profile: Profile): ReturnType<typeof discover> {
    const watcher = this.#watcher;
    if (watcher === undefined) return { candidates: [], rejections: [], trusted: false };
    const found = await discover({
      profile,
      config: this.#config,
      trust: this.#trust,
      operator: this.#operator.store.attached,
      tailnet: watcher.current,
      whois: (address) => watcher.whois(address),
    });
    const elsewhere = [...this.#keepers.values()]
      .filter((keeper) => keeper.profile.name !== profile.name)
      .flatMap((keeper) => [...keeper.bazel.tracks, ...keeper.nix.tracks].map((track) => track.candidate));
    this.#prober.retain(
      [...found.candidates, ...elsewhere, ...this.#judge.candidates].map((candidate) => candidate.endpoint),
      this.#credentials.logins,
    );
    return found;
  }

  /** Keeps the direct path open, and notes which path it is. */
  async #ping(candidate: Candidate): Promise<void> {
    const address = tailnetAddress(candidate, this.#tailnet);
    const ping = address === undefined ? undefined : await this.#watcher?.ping(address);
    if (address === undefined || ping === undefined || this.#closed || !this.#paths.note(address, ping)) return;
    for (const name of this.#keepers.keys()) this.#tell(name);
  }

  get #tailnet(): Tailnet {
    return this.#watcher?.current ?? notAsked;
  }

  async #probe(profile: Profile, candidate: Candidate, timeoutMs: number | undefined): Promise<ProbeResult> {
    const kept = await this.#credentials.kept(profile.name, candidate);
    const { source } = candidate;
    // What was not known a moment ago keeps no secret back.
    if (sentInPlainText(candidate.endpoint, { kept }) && this.#tailnet.state !== "known") await this.#lookAtTailnet();
    const context: ProbeContext = {
      timeoutMs: timeoutMs ?? defaultTimeoutMs,
      localProof: this.#config.localProof.allowed || (source.name === "operator" && source.localProof),
      tailnet: ownNode(this.#tailnet),
      nixKeys: nixKeys(profile, this.#trust),
      nix: {
        storeDir: this.#nix.place.storeDir,
        honour: (question) => this.#nix.honour(question),
        withheld: withheldHere(this.#nix.place, this.#options.env, profile.nix.netrc),
      },
      instanceName: profile.bazel.instanceName,
      kept,
      profile: profile.name,
    };
    const result = await this.#prober.probe(candidate, context);
    if (result.ok) this.#credentials.proved(candidate, context);
    return result;
  }

  #judgeEndpoint(profile: Profile, request: ProbeRequest, from: "attach" | "environment"): ReturnType<typeof judgeOperatorEndpoint> {
    const localProof = request.localProof || this.#config.localProof.allowed;
    return judgeOperatorEndpoint(request.endpoint, request.kind, { from, localProof, profile });
  }

  /** What cannot be written down still holds for this daemon's life, and status says so. */
  #remember(change: () => void): void {
    const { faults, log } = this.#options;
    try {
      change();
      faults.set("operator", undefined);
    } catch (error) {
      faults.set("operator", messageOf(error));
      log.warn(messageOf(error));
    }
  }

  #changed(keeper: Keeper, kind: Tool): void {
    const attachment = keeper.attachment(kind);
    const { profile } = keeper;
    // What is not settled is not published: readers then ask, and wait.
    if (attachment.state === "unattached" && attachment.unsettled) this.#publisher.withdraw(profile.name, kind);
    else {
      const { instanceName, upload, repositories } = profile.bazel;
      this.#publisher.publish(
        publishedOf(attachment, {
          profile: profile.name,
          bazel: keeper.attachment("bazel"),
          now: readClock(),
          upload: kind === "bazel" && upload,
          slow: (kind === "bazel" && (instanceName !== undefined || hasSources(repositories))) || this.#hasCredential(profile, attachment),
        }),
      );
    }
    this.#noteLosses(keeper, kind);
    this.#note(`${profile.name} ${kind}`, attachment, keeper[kind]);
    this.#tell(profile.name);
  }

  /** Whether the guard has to hand a credential over: sh knows of none. */
  #hasCredential({ name, nix }: Profile, attachment: Attachment): boolean {
    if (attachment.state === "unattached" || (attachment.kind === "nix" && nix.netrc === "system")) return false;
    return this.#credentials.entry(name, attachment.candidate) !== undefined;
  }

  /** Logs what became another one; renewals only for whoever debugs. */
  #note(subject: string, attachment: Attachment, attacher: Attacher): void {
    const before = this.#attached.get(subject);
    // While a proof is merely old, the endpoint stays the one that is proved again.
    const now = attacher.attachedCandidate?.endpoint.url;
    if (before !== undefined && now !== before) {
      const standing = attacher.standings.find(({ track }) => track.candidate.endpoint.url === before);
      this.#options.log.info(`${subject}: left ${before}: ${whyLeft(standing && { outcome: standing.track.outcome, why: standing.why })}`);
    }
    if (now === undefined) this.#attached.delete(subject);
    else this.#attached.set(subject, now);
    if (attachment.state === "unattached" && attachment.unsettled) return;
    const word = attachment.state === "attached" ? `attached ${attachment.candidate.endpoint.url}` : `unattached: ${attachment.reason}`;
    const news = this.#words.get(subject) !== word;
    this.#words.set(subject, word);
    this.#options.log[news ? "info" : "debug"](`${subject}: ${word}`);
  }

  /** Tells the watchers of a profile, once for whatever changes in one turn of the event loop. */
  #tell(profile: string): void {
    if (this.#told.has(profile)) return;
    this.#told.add(profile);
    setImmediate(() => {
      this.#told.delete(profile);
      const keeper = this.#keepers.get(profile);
      const listeners = this.#listeners.get(profile);
      if (keeper === undefined || listeners === undefined || listeners.size === 0) return;
      const status = this.#status(keeper);
      for (const listener of listeners) listener(status);
    });
  }

  #status(keeper: Keeper): StatusReport {
    const daemon: DaemonReport = {
      pid: process.pid,
      version,
      startedAt: this.#startedAt,
      faults: this.#options.faults.list,
    };
    const { profile, detached, bazel, nix } = keeper;
    const tailnet = this.#tailnet;
    const now = new Date();
    return buildStatus({
      profile,
      detached,
      bazel,
      nix,
      tailnet,
      trust: this.#trust,
      daemon,
      now: readClock(),
      escapes: this.#journal.escapes(now),
      refusals: this.#journal.refusals(now),
      nixHonour: ({ endpoint }) => this.#nix.lastOn(endpoint),
      credentialOf: (candidate) => this.#credentials.report(profile.name, candidate),
      pathTo: (candidate) => this.#paths.of(tailnetAddress(candidate, tailnet)),
      running: this.#running.list
        .filter((command) => command.profile === profile.name)
        .map((command) => runningReport(command, this.#recorder.lossOf(command)?.reason)),
      recent: this.#journal.recent(profile.name, mostRecent),
      hitRates: this.#journal.hitRates(profile.name, now),
    });
  }
}

function runningReport(command: RunningCommand, lost: string | undefined): RunningReport {
  const { pid, tool, directory, startedAt, endpoint } = command;
  return {
    ...{ pid, tool, command: command.command, directory: directory ?? null },
    ...{ startedAt: startedAt.toISOString(), endpoint: endpoint ?? null, lost: lost ?? null },
  };
}

function lossWords({ tool, command, workspace, endpoint }: LostCommand, reason: string): string {
  return `${tool} ${command} in ${workspace}: lost mid-build${endpoint == null ? "" : ` ${endpoint}`}: ${reason}`;
}
