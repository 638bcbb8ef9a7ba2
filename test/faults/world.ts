/** The machine itself: its parts, the faults that are put into them, and what can be seen and asked of it. */
import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import {
  chmodSync,
  closeSync,
  constants,
  copyFileSync,
  existsSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  watch,
  writeFileSync,
  writeSync,
} from "node:fs";
import { connect, Socket } from "node:net";
import { dirname, join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { parseEndpoint } from "../../contract/endpoint.ts";
import { attachmentPath, logPath, type Paths, socketPath } from "../../contract/paths.ts";
import { type Published, parsePublished, serializePublished } from "../../contract/published.ts";
import { DaemonClient } from "../../daemon/api/client/connection.ts";
import { createGrpcCache } from "../fixtures/caches/grpc-cache.ts";
import { createHttpCache } from "../fixtures/caches/http-cache.ts";
import { type RunningCache, startCache } from "../fixtures/caches/start.ts";
import { type LocalApi, startLocalApi, tailnetState } from "../fixtures/localapi/state.ts";
import { type RecordingTool, recordingTool } from "../fixtures/tools/recording.ts";
import { BootClock } from "./clock.ts";
import { type Daemons, type GuardRun, longest, type Run, type Violation } from "./invariants.ts";
import { grace, isEmpty, Model, type Moment } from "./model.ts";
import { type Fault, type LinkMode, type PlaceName, places, type Situation, type Slot } from "./plan.ts";
import { type Dial, Relay, type Route } from "./relay.ts";
import type { Counts, Sabotage } from "./report.ts";
import { home, hosts, kinds, placeAt, placeOf, ports, urlOf } from "./tailnets.ts";

/** Of the small disks: bytes. */
const diskSize = { runtime: 131_072, state: 1_048_576 } as const;
/** A doomed daemon ends within this: its slowest look is 5 s, and its end may take 2 s. Milliseconds. */
const endsWithin = 15_000;
const faketime = "/usr/lib/x86_64-linux-gnu/faketime/libfaketime.so.1";

const profile = `[tailnet]
name = "${home.name}"
magic_dns_suffix = "${home.suffix}"

[bazel]
grpc_ports = [${ports.grpc}]
http_ports = [${ports.http}]
`;

interface Backend {
  readonly cache: RunningCache;
  /** By SIGSTOP; a dead one is not. */
  stopped: boolean;
}

interface Behind {
  /** Caches that anybody would be glad of, at every address that nobody permits: who dials one finds it in order. */
  readonly tempting: Readonly<Record<"grpc" | "http", number>>;
  readonly denying: Readonly<Record<"grpc" | "http", number>>;
}

export class World {
  readonly model: Model;
  readonly #directory: string;
  readonly #paths: Paths;
  readonly #env: Readonly<Record<string, string>>;
  readonly #clock: BootClock;
  /** One for each guarded command that may run at a time. */
  readonly #tools: readonly [RecordingTool, ...RecordingTool[]];
  readonly #relay: Relay;
  readonly #caches = new Map<PlaceName, Backend>();
  readonly #behind: Behind;
  #localApi: LocalApi | undefined;
  #situation: Situation = "home";
  /** How many requests the Tailscale client had when its present word was said, until the daemon has read it. */
  #unread: number | undefined;
  /** By pid, when it became doomed. */
  readonly #doomed = new Map<number, number>();
  #seenBefore: readonly number[] = [];
  #settled: readonly number[] = [];
  readonly #everSeen = new Set<number>();
  #brokenConfig = false;
  #logRead = 0;
  #dials = 0;
  #oughtToRun = 0;

  private constructor(directory: string, behind: Behind) {
    this.#directory = directory;
    this.#behind = behind;
    this.#paths = { config: join(directory, "config"), state: join(directory, "s/state"), runtime: join(directory, "r/run") };
    this.#clock = new BootClock(directory);
    this.model = new Model(() => this.now());
    const tool = (index: number): RecordingTool => recordingTool(join(directory, `tools-${index}`));
    this.#tools = [tool(0), tool(1), tool(2)];
    this.#relay = new Relay(
      (host, port) => this.#route(host, port),
      () => {
        this.#dials += 1;
      },
    );
    this.#env = {
      PATH: this.#pathTo(this.#tools[0]),
      HOME: join(directory, "home"),
      USER: "tester",
      LANG: "C.UTF-8",
      GF_CONFIG_DIR: this.#paths.config,
      GF_STATE_DIR: this.#paths.state,
      GF_RUNTIME_DIR: this.#paths.runtime,
      GF_TAILSCALED_SOCKET: join(directory, "tailscaled.sock"),
      GF_GUARD_SCOPE: "all",
    };
  }

  /** Needs mount, network and process namespaces of its own. @param directory empty but for `dist`, a built product */
  static async create(directory: string): Promise<World> {
    execFileSync("ip", ["link", "set", "lo", "up"]);
    execFileSync("ip", ["address", "add", `${home.self}/32`, "dev", "lo"]);
    // Every address of a tailnet is here, so that whatever is dialled arrives at the relay and nowhere else.
    execFileSync("ip", ["route", "add", "local", "100.64.0.0/10", "dev", "lo", "src", home.self]);
    for (const [disk, size] of [
      ["r", diskSize.runtime],
      ["s", diskSize.state],
    ] as const) {
      mkdirSync(join(directory, disk));
      execFileSync("mount", ["-t", "tmpfs", "-o", `size=${size},mode=700`, "tmpfs", join(directory, disk)]);
    }
    for (const made of ["home", "config/profiles", "tempting", "denying"]) mkdirSync(join(directory, made), { recursive: true });
    writeFileSync(join(directory, "config/profiles/default.toml"), profile);
    const serve = async (kind: "grpc" | "http", deny: boolean): Promise<number> => {
      const make = kind === "grpc" ? createGrpcCache : createHttpCache;
      const dir = join(directory, deny ? "denying" : "tempting", kind);
      return make({ dir, readOnly: false, deny, log: undefined }).listen("127.0.0.1", 0);
    };
    const world = new World(directory, {
      tempting: { grpc: await serve("grpc", false), http: await serve("http", false) },
      denying: { grpc: await serve("grpc", true), http: await serve("http", true) },
    });
    await Promise.all(places.map((place) => world.#startCache(place)));
    await world.#relay.listen(Object.values(ports));
    await world.#tailnet("home");
    return world;
  }

  now(): Moment {
    return { at: performance.now(), seconds: this.#clock.seconds, bootId: this.#clock.bootId };
  }

  get counts(): Counts {
    const proofs = places.reduce((sum, place) => sum + this.model.proofs(place).length, 0);
    return { proofs, dials: this.#dials, daemons: this.#everSeen.size, oughtToRun: this.#oughtToRun };
  }

  describe(): string {
    const published = attachmentPath(this.#paths, "default", "bazel");
    const log = existsSync(logPath(this.#paths)) ? readFileSync(logPath(this.#paths), "utf8").split("\n").slice(-15).join("\n") : "none";
    const file = existsSync(published) ? readFileSync(published, "utf8") : "none\n";
    return `tailnet ${this.#situation}\n${this.model.describe()}\n-- published:\n${file}-- the daemon's log ends:\n${log}`;
  }

  // What can be seen.

  /** What is published for Bazel, where it is whole. */
  published(): { readonly published: Published; readonly at: Moment; readonly writerLives: boolean } | undefined {
    try {
      const parsed = parsePublished(readFileSync(attachmentPath(this.#paths, "default", "bazel"), "utf8"));
      if (!parsed.ok) return undefined;
      const { published } = parsed;
      return { published, at: this.now(), writerLives: this.#pids().includes(published.pid) };
    } catch {
      return undefined;
    }
  }

  takeDials(): readonly Dial[] {
    this.#hear();
    return this.#relay.takeDials();
  }

  /** Looks whether the daemon has read the tailnet as it is. */
  #hear(): void {
    const read = this.#unread === undefined ? [] : (this.#localApi?.requests().slice(this.#unread) ?? []);
    if (read.some((request) => request.startsWith("GET /localapi/v0/status"))) {
      this.#unread = undefined;
      this.model.heard();
    }
  }

  /** Judges again before it says no: what the caches wrote may still be on its way to us. */
  async settled(check: () => readonly Violation[]): Promise<readonly Violation[]> {
    if (check().length === 0) return [];
    await delay(200);
    return check();
  }

  /** Waits for a change of what is published, at most so long: milliseconds. */
  async news(atMost: number): Promise<void> {
    const file = attachmentPath(this.#paths, "default", "bazel");
    const signal = AbortSignal.timeout(atMost);
    try {
      const watcher = watch(dirname(file), { signal });
      await once(watcher, "change", { signal });
    } catch {
      // Nothing is published, or nothing changed: time is what was waited for.
      if (!signal.aborted) await once(signal, "abort");
    }
  }

  /** Waits until nothing is published that nobody permits, or until there was time enough for it: what comes then is judged as ever. */
  async tookBack(): Promise<void> {
    const until = performance.now() + grace.round + 1000;
    const wrong = (): boolean => {
      const endpoint = this.published()?.published.endpoint;
      return endpoint !== undefined && !this.model.permitsNow(endpoint.host) && this.model.awake.value && this.#pids().length > 0;
    };
    while (wrong() && performance.now() < until) {
      this.#hear();
      await this.news(400);
    }
  }

  /** @param asked a daemon must be there */
  async daemons(asked: boolean): Promise<Daemons> {
    const answers = asked ? await this.#answers() : undefined;
    const now = this.#pids();
    const at = performance.now();
    for (const pid of now) this.#everSeen.add(pid);
    const awakeSince = this.model.awake.value ? this.model.awake.since : Number.POSITIVE_INFINITY;
    const overdue = now.filter((pid) => at - Math.max(this.#doomed.get(pid) ?? at, awakeSince) > endsWithin);
    const found: Daemons = {
      settled: this.#settled,
      now,
      doomed: new Set(this.#doomed.keys()),
      overdue,
      answers,
      defects: this.#defects(),
    };
    // One that lost a race for the lock is gone by the next look.
    this.#settled = now.filter((pid) => this.#seenBefore.includes(pid));
    this.#seenBefore = now;
    return found;
  }

  // What can be asked.

  /** @param lane of guarded commands side by side, 0 to 2 */
  async guard(command: "build" | "test", lane: number): Promise<GuardRun> {
    const tool = this.#tools[lane] ?? this.#tools[0];
    tool.forget();
    const run = await this.#run(join(this.#directory, "dist/shim/bazel"), [command, "//..."], longest.guard, { PATH: this.#pathTo(tool) });
    if (this.model.oughtToRun(run.began, run.ended) !== undefined) this.#oughtToRun += 1;
    return { ...run, words: tool.words() };
  }

  flywheel(args: readonly string[]): Promise<Run> {
    return this.#run(join(this.#directory, "dist/bin/flywheel"), args, longest.command);
  }

  /** As a build does that ended with an error of the cache. */
  async verify(): Promise<void> {
    try {
      await new DaemonClient(this.#paths).verify("default");
    } catch {
      // There is none, or it is stopped: whoever builds will see.
    }
  }

  // Faults.

  async inject(fault: Fault): Promise<void> {
    switch (fault.kind) {
      case "link":
        return this.#link(fault.place, fault.mode);
      case "cache":
        return this.#hurtCache(fault.place, fault.what);
      case "daemon":
        return this.#hurtDaemon(fault.what);
      case "clock":
        if (fault.what === "jump") this.#clock.jump(fault.seconds);
        else await this.#reboot(fault.keeps);
        this.model.clockMoved();
        return;
      case "disk":
        return fill(this.#filler(fault.what));
      case "tailnet":
        return this.#tailnet(fault.situation);
      case "published":
        return this.#hurtPublished(fault.what);
      case "runtime":
        return this.#hurtRuntime(fault.what);
      case "config":
        return this.#configure(fault.what);
    }
  }

  async heal(slot: Slot): Promise<void> {
    const [what, which] = slot.split(" ") as [string, string | undefined];
    switch (what) {
      case "link":
        return this.#link(which as PlaceName, "open");
      case "cache":
        return this.#healCache(which as PlaceName);
      case "daemon":
        for (const pid of this.#pids()) kill(pid, "SIGCONT");
        this.model.awake.set(true, performance.now());
        return;
      case "disk":
        rmSync(this.#filler(which as "runtime" | "state"), { force: true });
        return;
      case "tailnet":
        return this.#tailnet("home");
      case "runtime":
        if (existsSync(this.#paths.runtime)) chmodSync(this.#paths.runtime, 0o700);
        this.#settleAble();
        return;
      case "config":
        return this.#configure("none");
      default:
        throw new Error(`nothing heals ${slot}`);
    }
  }

  /** Breaks the product itself, or does what it must never do. */
  async sabotage(kind: Sabotage): Promise<void> {
    const shim = join(this.#directory, "dist/shim/bazel");
    const script = (text: string): void => {
      writeFileSync(`${shim}.new`, `#!/bin/sh\n${text}\n`, { mode: 0o755 });
      renameSync(`${shim}.new`, shim);
    };
    switch (kind) {
      case "unproved": {
        const [known, parsed] = [this.published(), parseEndpoint(`grpc://100.64.9.1:${ports.grpc}`, "bazel")];
        if (known === undefined || !parsed.ok) throw new Error("there is nothing to forge");
        const { seconds } = this.#clock;
        const forged = {
          ...known.published,
          endpoint: parsed.endpoint,
          state: "shared-cache-backed",
          mode: "shared-cache-backed",
          verified: seconds,
          validUntil: seconds + 45,
        } as const;
        const text = serializePublished(forged);
        const file = attachmentPath(this.#paths, "default", "bazel");
        // Again and again: the daemon writes its own word over it.
        setInterval(() => {
          if (existsSync(dirname(file))) writeFileSync(file, text, { mode: 0o600 });
        }, 1).unref();
        return;
      }
      case "unguarded":
        return script(`exec ${join(this.#tools[0].directory, "bazel")} "$@"`);
      case "refusing":
        return script("printf '%s\\n' 'flywheel: refused bazel build: no' >&2; exit 78");
      case "dialling": {
        const socket = connect(ports.grpc, "100.64.9.1");
        await once(socket, "connect");
        return;
      }
      case "dying":
        writeFileSync(join(this.#directory, "dist/lib/flywheeld.js"), "process.exit(1);\n");
        this.#doom(this.#pids());
        for (const pid of this.#pids()) kill(pid, "SIGKILL");
        rmSync(attachmentPath(this.#paths, "default", "bazel"), { force: true });
        return;
      case "hanging":
        return script("sleep 60");
      case "noisy":
        copyFileSync(shim, `${shim}.real`);
        return script(`echo building; exec ${shim}.real "$@"`);
    }
  }

  async #hurtDaemon(what: "killed" | "terminated" | "stopped" | "wall-clock"): Promise<void> {
    if (this.#pids().length === 0) await this.flywheel(["up", "--json"]);
    const pids = this.#pids();
    if (what === "stopped") {
      // Before it is, so that nothing it does meanwhile counts as awake.
      this.model.awake.set(false, performance.now());
      for (const pid of pids) kill(pid, "SIGSTOP");
      return;
    }
    this.#doom(pids);
    for (const pid of pids) kill(pid, what === "terminated" ? "SIGTERM" : "SIGKILL");
    if (what === "terminated") return;
    this.model.awake.set(true, performance.now());
    await this.#gone(pids);
    if (what === "wall-clock") await this.#startUnderAnotherWallClock();
  }

  /** A daemon whose wall clock says another year, and jumps to yet another one while it runs; its boot clock is the machine's. */
  async #startUnderAnotherWallClock(): Promise<void> {
    if (!existsSync(faketime)) return;
    const wallClock = join(this.#directory, "wall-clock");
    writeFileSync(wallClock, "-4000d\n");
    const { HOME, GF_CONFIG_DIR, GF_STATE_DIR, GF_RUNTIME_DIR, GF_TAILSCALED_SOCKET } = this.#env;
    const env = { HOME, GF_CONFIG_DIR, GF_STATE_DIR, GF_RUNTIME_DIR, GF_TAILSCALED_SOCKET, LANG: "C.UTF-8", PATH: "/usr/bin:/bin" };
    const child = spawn(process.execPath, [join(this.#directory, "dist/lib/flywheeld.js"), "run"], {
      cwd: "/",
      detached: true,
      stdio: ["ignore", "pipe", "ignore"],
      env: { ...env, LD_PRELOAD: faketime, FAKETIME_TIMESTAMP_FILE: wallClock, FAKETIME_NO_CACHE: "1", DONT_FAKE_MONOTONIC: "1" },
    });
    child.unref();
    // Its word on how the start went, or its end.
    await Promise.race([once(child.stdout, "data"), once(child, "exit"), delay(3000)]);
    child.stdout.destroy();
    writeFileSync(wallClock, "+300d\n");
  }

  async #reboot(keeps: "runtime directory" | "nothing"): Promise<void> {
    const pids = this.#pids();
    this.#doom(pids);
    for (const pid of pids) kill(pid, "SIGKILL");
    this.model.awake.set(true, performance.now());
    await this.#gone(pids);
    this.#clock.reboot();
    if (keeps === "nothing") rmSync(this.#paths.runtime, { recursive: true, force: true });
    this.#settleAble();
  }

  #hurtPublished(what: Extract<Fault, { kind: "published" }>["what"]): void {
    const file = attachmentPath(this.#paths, "default", "bazel");
    if (!existsSync(file)) return;
    if (what === "deleted") rmSync(file, { force: true });
    else {
      try {
        writeFileSync(file, this.#spoiled(readFileSync(file, "utf8"), what));
      } catch {
        // The disk is full: what was cut off on the way is a fault as well.
      }
    }
  }

  #spoiled(text: string, what: Exclude<Extract<Fault, { kind: "published" }>["what"], "deleted">): string {
    switch (what) {
      case "truncated":
        return text.slice(0, Math.floor(text.length / 2));
      case "garbage":
        return "\u0000\u0001$(id)\n`id`\n";
      case "unknown-key":
        return `${text}colour blue\n`;
      case "doubled-key":
        return `${text}endpoint grpc://100.64.9.1:${ports.grpc}\n`;
      case "other-boot":
        return text.replace(/^boot-id .*$/m, "boot-id 00000000-0000-4000-8000-000000000000");
      case "future":
        return text.replace(/^verified .*$/m, `verified ${this.#clock.seconds + 20}`);
    }
  }

  #hurtRuntime(what: "removed" | "socket-removed" | "open-to-others"): void {
    const { runtime } = this.#paths;
    switch (what) {
      case "removed":
        this.#doom(this.#pids());
        rmSync(runtime, { recursive: true, force: true });
        break;
      case "socket-removed":
        this.#doom(this.#pids());
        rmSync(socketPath(this.#paths), { force: true });
        break;
      case "open-to-others":
        if (existsSync(runtime)) chmodSync(runtime, 0o755);
        break;
    }
    this.#settleAble();
  }

  #configure(what: "none" | "broken" | "operator"): void {
    const text = { none: "", broken: "[endpoints\nbazel = ", operator: `[endpoints]\nbazel = ["${urlOf("o")}"]\n` }[what];
    writeFileSync(join(this.#paths.config, "config.toml"), text);
    // What is broken is not taken over: the daemon keeps what it had.
    if (what !== "broken") this.model.operator(what === "operator");
    for (const pid of this.#pids()) kill(pid, "SIGHUP");
    this.#brokenConfig = what === "broken";
    this.#settleAble();
  }

  #settleAble(): void {
    const { runtime } = this.#paths;
    const open = existsSync(runtime) && !isPrivate(runtime);
    this.model.able.set(!this.#brokenConfig && !open, performance.now());
  }

  async #tailnet(situation: Situation): Promise<void> {
    const place = placeOf(situation);
    this.#situation = situation;
    this.#unread = undefined;
    const { tailnet } = place;
    // Before it is told: from the first moment nobody may act upon the old word for long, and may upon the new.
    this.model.tailnet(place);
    if (tailnet === "gone") {
      await this.#localApi?.kill();
      this.#localApi = undefined;
      return;
    }
    if (this.#localApi === undefined) this.#localApi = await startLocalApi(this.#directory, tailnetState(tailnet));
    else await this.#localApi.set(tailnetState(tailnet));
    if (place.tells) this.#unread = this.#localApi.requests().length;
  }

  #link(place: PlaceName, mode: LinkMode): void {
    this.model.link(place, mode);
    this.#relay.changed(hosts[place], ports[kinds[place]]);
  }

  #route(host: string, port: number): Route {
    const place = placeAt(host, port);
    const kind = port === ports.grpc ? "grpc" : "http";
    const denier = this.#behind.denying[kind];
    const nowhere: Route = { upstream: undefined, mode: "open", denier, arrived: () => {} };
    if (place === undefined) {
      if (isEmpty(host)) return { ...nowhere, mode: "silent", upstream: this.#behind.denying[kind] };
      // A permitted host's other port: nothing listens.
      return Object.values(hosts).includes(host) ? nowhere : { ...nowhere, upstream: this.#behind.tempting[kind] };
    }
    const { cache } = this.#backend(place);
    return { upstream: cache.port, mode: this.model.modeOf(place), denier, arrived: () => this.model.arrived(place) };
  }

  // Processes.

  async #startCache(place: PlaceName): Promise<void> {
    const dir = join(this.#directory, `cache-${place}`);
    mkdirSync(dir);
    this.#caches.set(place, { cache: await startCache({ kind: kinds[place], dir: this.#listenTo(dir, place) }), stopped: false });
    this.model.running(place, true);
  }

  #hurtCache(place: PlaceName, what: "killed" | "stopped"): void {
    const backend = this.#backend(place);
    this.model.running(place, false);
    const met = kill(backend.cache.pid, what === "killed" ? "SIGKILL" : "SIGSTOP");
    backend.stopped = met && what === "stopped";
  }

  async #healCache(place: PlaceName): Promise<void> {
    const backend = this.#backend(place);
    if (backend.stopped) kill(backend.cache.pid, "SIGCONT");
    else await backend.cache.restart();
    backend.stopped = false;
    this.model.running(place, true);
  }

  /** The cache's journal is a pipe, so that its lines are heard when they are written. */
  #listenTo(dir: string, place: PlaceName): string {
    const journal = join(dir, "journal.jsonl");
    execFileSync("mkfifo", [journal]);
    // Opened for both, it never ends, whoever comes and goes at the other end.
    const pipe = new Socket({ fd: openSync(journal, constants.O_RDWR | constants.O_NONBLOCK), readable: true, writable: false });
    const last = kinds[place] === "grpc" ? '"GetActionResult"' : '"GET"';
    let rest = "";
    pipe.setEncoding("utf8").on("data", (chunk: string) => {
      const lines = `${rest}${chunk}`.split("\n");
      rest = lines.pop() ?? "";
      for (const line of lines) if (line.includes(last)) this.model.asked(place);
    });
    return dir;
  }

  #backend(place: PlaceName): Backend {
    const backend = this.#caches.get(place);
    if (backend === undefined) throw new Error(`the cache ${place} was never started`);
    return backend;
  }

  /** Every daemon on this machine, whatever it was started by. */
  #pids(): readonly number[] {
    const daemon = `${join(this.#directory, "dist/lib/flywheeld.js")}\0run`;
    return readdirSync("/proc")
      .filter((name) => /^\d+$/.test(name))
      .filter((pid) => {
        try {
          return readFileSync(`/proc/${pid}/cmdline`, "utf8").includes(daemon);
        } catch {
          return false;
        }
      })
      .map(Number);
  }

  #doom(pids: readonly number[]): void {
    for (const pid of pids) if (!this.#doomed.has(pid)) this.#doomed.set(pid, performance.now());
  }

  /** They are no children of ours: that they are gone can only be asked. */
  async #gone(pids: readonly number[]): Promise<void> {
    for (const until = performance.now() + 5000; this.#pids().some((pid) => pids.includes(pid)); await delay(2)) {
      if (performance.now() > until) throw new Error(`processes outlive SIGKILL: ${pids.join(" ")}`);
    }
  }

  async #answers(): Promise<boolean> {
    try {
      await new DaemonClient(this.#paths).hello();
      return true;
    } catch {
      return false;
    }
  }

  /** Lines of the log since the last look in which the daemon speaks of a defect of its own. */
  #defects(): readonly string[] {
    let text: string;
    try {
      text = readFileSync(logPath(this.#paths), "utf8");
    } catch {
      return [];
    }
    const lines = text.slice(this.#logRead).split("\n");
    this.#logRead = text.length;
    return lines.filter((line) => line.includes("a defect"));
  }

  #filler(disk: "runtime" | "state"): string {
    return join(this.#directory, disk === "runtime" ? "r" : "s", "filler");
  }

  #pathTo(tool: RecordingTool): string {
    return [join(this.#directory, "dist/shim"), tool.directory, dirname(process.execPath), "/usr/bin", "/bin"].join(":");
  }

  async #run(command: string, args: readonly string[], atMost: number, env: Readonly<Record<string, string>> = {}): Promise<Run> {
    const began = this.now();
    const child: ChildProcess = spawn(command, args, {
      cwd: join(this.#directory, "home"),
      env: { ...this.#env, ...env },
      stdio: ["ignore", "pipe", "pipe"],
      // Killed together with whatever it waits for.
      detached: true,
    });
    const output = { stdout: "", stderr: "" };
    for (const stream of ["stdout", "stderr"] as const) {
      child[stream]?.setEncoding("utf8").on("data", (chunk: string) => {
        output[stream] += chunk;
      });
    }
    const timer = setTimeout(() => {
      if (child.pid !== undefined) kill(-child.pid, "SIGKILL");
    }, atMost + 2000);
    const [code] = (await once(child, "close")) as [number | null];
    clearTimeout(timer);
    const ended = this.now();
    return { began, ended, exitCode: code ?? undefined, ...output, tookMs: ended.at - began.at };
  }
}

function fill(file: string): void {
  const opened = openSync(file, "a");
  const piece = Buffer.alloc(4096);
  try {
    for (;;) writeSync(opened, piece);
  } catch {
    // ENOSPC: that is what was wanted.
  } finally {
    closeSync(opened);
  }
}

function isPrivate(directory: string): boolean {
  return execFileSync("stat", ["-c", "%a", directory], { encoding: "utf8" }).trim() === "700";
}

/** @returns whether there was somebody to tell */
function kill(pid: number, signal: NodeJS.Signals): boolean {
  try {
    return process.kill(pid, signal);
  } catch {
    return false;
  }
}
