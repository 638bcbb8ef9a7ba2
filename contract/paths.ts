/** Where everything lives, worked out from an environment alone; no I/O. */
import type { Tool } from "./endpoint.ts";

export interface Paths {
  /** `config.toml`, `profiles/<name>.toml`, `trust.json`. */
  readonly config: string;
  /** Journal, log, persisted operator candidates, cached verdicts. */
  readonly state: string;
  /** The published attachment and the socket; 0700 and the user's own. */
  readonly runtime: string;
}

/** What the paths depend on: the names are the XDG Base Directory Specification's, and ours. */
export type PathEnvironment = Readonly<Record<string, string | undefined>>;

/**
 * @param env an environment; only HOME, XDG_* and GF_*_DIR are read
 * @param home the user's home where HOME is not set (os.homedir())
 */
export function pathsFrom(env: PathEnvironment, home: string): Paths {
  const base = absolute(env["HOME"]) ?? home;
  const config = absolute(env["GF_CONFIG_DIR"]) ?? `${absolute(env["XDG_CONFIG_HOME"]) ?? `${base}/.config`}/gloriousflywheel`;
  // The fallback of the runtime directory is not under XDG_STATE_HOME, so that sh finds it from HOME alone.
  const state = absolute(env["GF_STATE_DIR"]) ?? `${absolute(env["XDG_STATE_HOME"]) ?? `${base}/.local/state`}/gloriousflywheel`;
  const xdgRuntime = absolute(env["XDG_RUNTIME_DIR"]);
  const runtime =
    absolute(env["GF_RUNTIME_DIR"]) ??
    (xdgRuntime === undefined ? `${base}/.local/state/gloriousflywheel/run` : `${xdgRuntime}/gloriousflywheel`);
  return { config, state, runtime };
}

export function socketPath(paths: Paths): string {
  return `${paths.runtime}/daemon.sock`;
}

/** sun_path of unix(7), less its NUL, on macOS, the shorter of the two: no socket is made at a longer path. Bytes. */
export const longestSocketPath = 103;

export function attachmentPath(paths: Paths, profile: string, kind: Tool): string {
  return `${paths.runtime}/attachment/${profile}/${kind}`;
}

export function spoolPath(paths: Paths): string {
  return `${paths.state}/journal/spool.jsonl`;
}

/** The spool that was full: still to be taken in, or gone soon. */
export function rotatedSpoolPath(paths: Paths): string {
  return `${paths.state}/journal/spool.1.jsonl`;
}

/** The journal: SQLite's database, and beside it its -wal and -shm. */
export function journalPath(paths: Paths): string {
  return `${paths.state}/journal/journal.db`;
}

/** Who has which credential, and nothing secret. */
export function credentialsPath(paths: Paths): string {
  return `${paths.state}/credentials.json`;
}

/** One secret, where the user chose files: 0600, in a directory of 0700. */
export function secretPath(paths: Paths, generation: string): string {
  return `${paths.state}/credentials/${generation}`;
}

/** What a tool reads from files: `bazelrc` or `netrc`, 0600, in a directory of 0700 that is never written to again. */
export function generationPath(paths: Paths, name: string): string {
  return `${paths.runtime}/credentials/${name}`;
}

export function logPath(paths: Paths): string {
  return `${paths.state}/daemon.log`;
}

function absolute(path: string | undefined): string | undefined {
  return path?.startsWith("/") === true ? path.replace(/(?<=.)\/+$/, "") : undefined;
}
