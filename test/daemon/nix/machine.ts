/**
 * A machine with a real Nix of the test's own: nix-daemon runs as root with its own store and configuration, and its
 * clients are an unprivileged user. Nothing of this machine's own Nix is read or touched.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { chmodSync, chownSync, mkdirSync, mkdtempSync, rmSync, watch, writeFileSync } from "node:fs";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { execa } from "execa";
import type { NixHonour } from "../../../contract/nix/trust.ts";
import { type Peer, peersRequired, programOnPath } from "../../fixtures/peers.ts";

/** Who its clients are: Debian's nobody, of the group nogroup. */
export const client = { uid: 65_534, gid: 65_534 } as const;

const programs: readonly Peer[] = ["nix", "nix-daemon"].map(programOnPath);
const missing = programs.flatMap((peer) => (peer.available ? [] : [peer.reason]));

/** For describe.skipIf: only root can be two users. Where peers are required, a Nix that is missing fails instead. */
export const cannotRun = process.getuid?.() !== 0 || (missing.length > 0 && !peersRequired());

export interface Ran {
  readonly exitCode: number;
  readonly stdout: string;
  readonly stderr: string;
}

export interface Question {
  readonly url: string;
  readonly aliases?: readonly string[];
  readonly key: string;
  readonly times?: number;
}

export interface NixMachine {
  readonly dir: string;
  readonly storeDir: string;
  /** The client's own directory. */
  readonly home: string;
  /** What tells Nix, and flywheel's daemon, where all of it lives. */
  readonly env: Readonly<Record<string, string>>;
  /** Writes nix.conf; the daemon that runs has not read it. */
  configure(lines: readonly string[]): void;
  /** Ends nix-daemon and starts another one, which reads nix.conf. */
  restart(): Promise<void>;
  stopDaemon(): Promise<void>;
  /** SIGKILL: its socket stays behind. */
  killDaemon(): Promise<void>;
  /** SIGSTOP, and SIGCONT: meanwhile it takes connections and says nothing. */
  hold(hold: "held" | "running"): void;
  /** How many clients nix-daemon has taken so far. */
  connections(): number;
  /** Runs nix as the client. */
  nix(args: readonly string[], env?: Readonly<Record<string, string>>): Promise<Ran>;
  /** What the product says of a cache, as the client; several times in one process where `times` says so, the last one. */
  verdict(question: Question): Promise<NixHonour>;
  [Symbol.asyncDispose](): Promise<void>;
}

/** @param conf lines of nix.conf besides those that every one has: it knows no substituter */
export async function makeNixMachine(conf: readonly string[] = []): Promise<NixMachine> {
  if (missing.length > 0) throw new Error(missing.join("; "));
  const dir = mkdtempSync(join(tmpdir(), "gf-nx-"));
  chmodSync(dir, 0o755);
  const [storeDir, home, confDir] = [join(dir, "store"), join(dir, "home"), join(dir, "conf")];
  // The state too: nix-daemon takes a store whose state it cannot write for another daemon's, its own, and would call itself without end.
  for (const made of [storeDir, home, confDir, join(dir, "state")]) mkdirSync(made);
  chownSync(home, client.uid, client.gid);
  const env = {
    NIX_STORE_DIR: storeDir,
    NIX_STATE_DIR: join(dir, "state"),
    NIX_CONF_DIR: confDir,
    NIX_DAEMON_SOCKET_PATH: join(dir, "daemon.sock"),
  };
  const base = { ...env, NIX_LOG_DIR: join(dir, "log"), PATH: "/usr/bin:/bin", LANG: "C.UTF-8" };
  // Without a network a client would turn every substituter off, loopback too, whatever the system's nix.conf says (main.cc).
  const asClient = { ...base, HOME: home, USER: "nobody", NIX_CONFIG: "substitute = true" };
  const configure = (lines: readonly string[]): void =>
    writeFileSync(join(confDir, "nix.conf"), `${["build-users-group =", "sandbox = false", "substituters =", ...lines].join("\n")}\n`);
  configure(conf);
  let daemon: ChildProcess | undefined;
  let connections = 0;
  const end = async (signal: "SIGTERM" | "SIGKILL"): Promise<void> => {
    const running = daemon;
    daemon = undefined;
    if (running === undefined || running.exitCode !== null || running.signalCode !== null) return;
    running.kill(signal);
    // A held one hears it only once it goes on.
    running.kill("SIGCONT");
    await once(running, "exit");
  };
  const stopDaemon = async (): Promise<void> => {
    await end("SIGTERM");
    rmSync(env.NIX_DAEMON_SOCKET_PATH, { force: true });
  };
  const start = async (): Promise<void> => {
    const listening = appears(dir, env.NIX_DAEMON_SOCKET_PATH);
    const child = spawn("nix-daemon", [], { env: { ...base, HOME: join(dir, "root") }, stdio: ["ignore", "ignore", "pipe"] });
    daemon = child;
    createInterface({ input: child.stderr }).on("line", (line) => {
      if (line.startsWith("accepted connection")) connections += 1;
    });
    await Promise.race([
      listening,
      once(child, "exit").then(([code]) => Promise.reject(new Error(`nix-daemon ended (${String(code)}) before it listened`))),
    ]);
  };
  await start();
  const run = async (command: string, args: readonly string[], more: Readonly<Record<string, string>>): Promise<Ran> => {
    const options = {
      ...client,
      cwd: home,
      env: { ...asClient, ...more },
      extendEnv: false,
      stdin: "ignore",
      reject: false,
      timeout: 60_000,
    } as const;
    const result = await execa(command, args, options);
    if (result.exitCode === undefined) throw new Error(`${command} ${args.join(" ")} did not exit by itself: ${result.shortMessage}`);
    return { exitCode: result.exitCode, stdout: result.stdout, stderr: result.stderr };
  };
  return {
    dir,
    storeDir,
    home,
    env,
    configure,
    stopDaemon,
    killDaemon: () => end("SIGKILL"),
    hold: (hold) => void daemon?.kill(hold === "held" ? "SIGSTOP" : "SIGCONT"),
    connections: () => connections,
    restart: async () => {
      await stopDaemon();
      await start();
    },
    nix: (args, more = {}) => run("nix", ["--extra-experimental-features", "nix-command", ...args], more),
    verdict: async (question) => {
      const script = join(import.meta.dirname, "verdict.ts");
      const { stdout, stderr } = await run(
        process.execPath,
        ["--disable-warning=ExperimentalWarning", script, JSON.stringify(question)],
        {},
      );
      if (stdout === "") throw new Error(stderr);
      return JSON.parse(stdout) as NixHonour;
    },
    [Symbol.asyncDispose]: async () => {
      await stopDaemon();
      // Nix takes the right to write from all that is in a store.
      await execa("chmod", ["-R", "u+w", dir], { reject: false });
      rmSync(dir, { recursive: true, force: true });
    },
  };
}

/** Resolves once something accepts connections on a socket of a directory. */
async function appears(directory: string, socket: string): Promise<void> {
  const stop = new AbortController();
  const { promise, resolve } = Promise.withResolvers<void>();
  const look = (): void => {
    const trial = connect(socket);
    trial.once("connect", () => resolve(trial.destroy() && undefined));
    // It is bound before it listens: that takes no time at all.
    trial.once("error", (error: NodeJS.ErrnoException) => {
      if (error.code === "ECONNREFUSED" && !stop.signal.aborted) setImmediate(look);
    });
  };
  const watcher = watch(directory, { signal: stop.signal }, look);
  watcher.on("error", () => {});
  await promise;
  stop.abort();
}
