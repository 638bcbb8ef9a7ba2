/**
 * The same answers from the `tailscale` command, for clients whose LocalAPI is no socket: the macOS GUI
 * variants guard theirs with a token that only their own tools may read (tried on Linux only).
 */
import { constants } from "node:fs";
import { access } from "node:fs/promises";
import type { ExecaError } from "execa";
import { AccessDeniedError, LocalApiError, ProtocolError, UnavailableError } from "./errors.ts";
import type { Status, WhoIsResponse } from "./types.ts";

/** Fixed, so that nobody's PATH names the program that we believe. */
export const commandFiles: readonly string[] = [
  "/usr/bin/tailscale",
  "/usr/local/bin/tailscale",
  "/opt/homebrew/bin/tailscale",
  "/run/current-system/sw/bin/tailscale",
  "/Applications/Tailscale.app/Contents/MacOS/Tailscale",
];

export class TailscaleCommand {
  readonly #files: readonly string[];
  readonly #timeoutMs: number;

  constructor(options: { readonly files?: readonly string[]; readonly timeoutMs?: number } = {}) {
    this.#files = options.files ?? commandFiles;
    this.#timeoutMs = options.timeoutMs ?? 5000;
  }

  /** The program's path, or undefined where none is installed. */
  async find(): Promise<string | undefined> {
    for (const file of this.#files) {
      try {
        await access(file, constants.X_OK);
        return file;
      } catch {
        // The next one, then.
      }
    }
    return undefined;
  }

  /** @throws LocalApiError */
  async status(): Promise<Status> {
    return this.#run<Status>(["status", "--json"]);
  }

  /**
   * @returns undefined where the address is none of this tailnet
   * @throws LocalApiError
   */
  async whois(address: string): Promise<WhoIsResponse | undefined> {
    try {
      return await this.#run<WhoIsResponse>(["whois", "--json", address]);
    } catch (error) {
      if (error instanceof LocalApiError && isExecaError(error.cause) && /peer not found|no match/i.test(String(error.cause.stderr))) {
        return undefined;
      }
      throw error;
    }
  }

  async #run<T extends object>(args: readonly string[]): Promise<T> {
    const file = await this.find();
    if (file === undefined) throw new UnavailableError("absent", "there is no Tailscale client on this machine");
    // Only now: few machines ever need it, and the daemon would carry it all its life.
    const { execa } = await import("execa");
    let text: string;
    try {
      const { stdout } = await execa(file, [...args], {
        timeout: this.#timeoutMs,
        maxBuffer: 64 * 1024 * 1024,
        stdin: "ignore",
        extendEnv: false,
        // The GUI variant's program is an app without this, and a command with it.
        env: { HOME: process.env["HOME"] ?? "/", PATH: "/usr/bin:/bin", TAILSCALE_BE_CLI: "1" },
      });
      text = stdout;
    } catch (error) {
      throw commandError(error, `${file} ${args[0]}`);
    }
    try {
      const value: unknown = JSON.parse(text);
      if (typeof value === "object" && value !== null && !Array.isArray(value)) return value as T;
    } catch (error) {
      throw new ProtocolError(`what ${file} ${args[0]} printed is not JSON`, { cause: error });
    }
    throw new ProtocolError(`what ${file} ${args[0]} printed is not a JSON object`);
  }
}

function commandError(error: unknown, what: string): LocalApiError {
  if (!isExecaError(error)) return new ProtocolError(`${what} could not be run`, { cause: error });
  if (error.timedOut) return new UnavailableError("timeout", `${what} does not answer in time`, { cause: error });
  if (error.isMaxBuffer) return new ProtocolError(`${what} prints too much`, { cause: error });
  const said = String(error.stderr ?? "")
    .replaceAll(/\s+/g, " ")
    .trim()
    .slice(0, 200);
  if (/access denied|permission denied/i.test(said)) return new AccessDeniedError(`${what}: ${said}`, { cause: error });
  return new UnavailableError("refused", `${what} failed: ${said || error.shortMessage}`, { cause: error });
}

function isExecaError(error: unknown): error is ExecaError {
  return error instanceof Error && "shortMessage" in error && "isMaxBuffer" in error;
}
