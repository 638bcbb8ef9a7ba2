/**
 * Keeps the snapshot of the tailnet fresh. The watch bus is only a doorbell: its messages change between
 * Tailscale's versions, so any of them means "read status and services again", and a slow poll backs it.
 */

import { setTimeout as delay } from "node:timers/promises";
import { isDeepStrictEqual } from "node:util";
import { messageOf } from "../../contract/errors.ts";
import { printable } from "../../contract/text.ts";
import {
  LocalApiClient,
  LocalApiError,
  notifyWatch,
  type PingResult,
  TailscaleCommand,
  UnavailableError,
  UnsupportedMethodError,
  type WhoIsResponse,
} from "./localapi/index.ts";
import { locateSocket } from "./locate.ts";
import { dnsName, parseTailnet, type Tailnet, type UnreachableTailnet } from "./tailnet.ts";

export type TailnetLog = (level: "debug" | "warn", message: string) => void;

export interface TailnetWatcherOptions {
  /** The socket that the user named (configuredSocket), or undefined for the system's. */
  readonly socket: string | undefined;
  /** Called after each read that found a difference, the first included. */
  readonly onChange: (tailnet: Tailnet) => void;
  readonly log?: TailnetLog;
  /** Of one LocalAPI call: milliseconds. */
  readonly timeoutMs?: number;
  /** Where the `tailscale` program may be: its fixed places unless given. */
  readonly commandFiles?: readonly string[];
}

/** Milliseconds. */
const timing = {
  /** A ring is answered this long after the last one … */
  quiet: 100,
  /** … but no later than this after the first. */
  latest: 1000,
  poll: 30_000,
  firstRetry: 250,
  lastRetry: 10_000,
  /** A bus that held this long was a good one: the next retry is early again. */
  steady: 5000,
  /** Between two reads, per node: a read costs less than a tenth of that, and a large tailnet rings all day. */
  restPerNode: 0.25,
  /** Between two reads, doubled for each ring in a row that brought nothing new, up to the longest. */
  rest: 100,
  longestRest: 5000,
} as const;

const mask = notifyWatch.initialState + notifyWatch.initialHealth + notifyWatch.peerChanges;
const commandLine = "tailscale status --json";

export interface WhoIs {
  /** tailcfg.StableNodeID */
  readonly nodeId: string;
  /** MagicDNS name as in TailnetNode. */
  readonly name: string;
}

export type Ping =
  | { readonly ok: true; readonly latencyMs: number /** ip:port, or `DERP <region>` or `relay <ip:port>` */; readonly path: string }
  | { readonly ok: false; readonly reason: string };

/** One for a daemon. Nothing it does throws; what cannot be learnt is part of the snapshot. Its timers do not keep a process alive. */
export class TailnetWatcher {
  readonly #options: TailnetWatcherOptions;
  readonly #command: TailscaleCommand;
  readonly #stop = new AbortController();
  #client: LocalApiClient | undefined;
  #current: Tailnet;
  #seen = false;
  #reading: Promise<Tailnet> | undefined;
  #queued: Promise<Tailnet> | undefined;
  #firstRing: number | undefined;
  #lastRead = 0;
  /** Rings in a row that brought nothing new. */
  #fruitless = 0;
  #doorbell: NodeJS.Timeout | undefined;
  #poll: NodeJS.Timeout | undefined;
  #listening: Promise<void> = Promise.resolve();

  constructor(options: TailnetWatcherOptions) {
    this.#options = options;
    this.#command = new TailscaleCommand({
      ...(options.commandFiles === undefined ? {} : { files: options.commandFiles }),
      ...(options.timeoutMs === undefined ? {} : { timeoutMs: options.timeoutMs }),
    });
    this.#current = {
      state: "unreachable",
      via: null,
      systemSocket: options.socket === undefined,
      code: "absent",
      reason: "the Tailscale client has not been asked yet",
      next: undefined,
    };
  }

  /** The newest snapshot. */
  get current(): Tailnet {
    return this.#current;
  }

  /** Begins to watch; the first read begins at once. */
  start(): void {
    if (this.#poll !== undefined || this.#stop.signal.aborted) return;
    this.#poll = setInterval(() => void this.refresh(), timing.poll).unref();
    void this.refresh();
    this.#listening = this.#listen();
  }

  /** Reads the tailnet now. What it gives was read after the call, never before. */
  refresh(): Promise<Tailnet> {
    if (this.#reading === undefined) return this.#begin();
    this.#queued ??= this.#reading.then(() => {
      this.#queued = undefined;
      return this.#begin();
    });
    return this.#queued;
  }

  /**
   * Whose address it is, by Tailscale's word.
   * @param address an IP address, `ip:port` or `[ip]:port`
   * @returns undefined where it is nobody's, or nobody can be asked
   */
  async whois(address: string): Promise<WhoIs | undefined> {
    try {
      const viaCommand = this.#current.via === commandLine;
      const found = viaCommand ? await this.#command.whois(address) : await (await this.#open())?.whois(address);
      return found === undefined ? undefined : whoIsOf(found);
    } catch (error) {
      this.#log("debug", `whois ${printable(address)}: ${messageOf(error)}`);
      return undefined;
    }
  }

  /** A disco ping: it also keeps the direct path to the node open. */
  async ping(ip: string): Promise<Ping> {
    try {
      const client = await this.#open();
      if (client === undefined) return { ok: false, reason: "the Tailscale socket may not be believed" };
      return pingOf(await client.ping(ip, "disco"));
    } catch (error) {
      return { ok: false, reason: printable(messageOf(error)) };
    }
  }

  /** Ends the watch; nothing is called after that. */
  async close(): Promise<void> {
    this.#stop.abort();
    clearInterval(this.#poll);
    clearTimeout(this.#doorbell);
    await this.#client?.close();
    await this.#listening;
  }

  #begin(): Promise<Tailnet> {
    this.#firstRing = undefined;
    clearTimeout(this.#doorbell);
    const reading = this.#read().then((tailnet) => {
      this.#reading = undefined;
      this.#lastRead = performance.now();
      this.#settle(tailnet);
      return this.#current;
    });
    this.#reading = reading;
    return reading;
  }

  #settle(tailnet: Tailnet): void {
    if (this.#stop.signal.aborted || (this.#seen && isDeepStrictEqual(tailnet, this.#current))) return;
    this.#seen = true;
    this.#fruitless = 0;
    this.#current = tailnet;
    try {
      this.#options.onChange(tailnet);
    } catch (error) {
      this.#log("warn", `a change of the tailnet was not taken well: ${messageOf(error)}`);
    }
  }

  async #read(): Promise<Tailnet> {
    const where = await locateSocket(this.#options.socket);
    if (where.state === "unsafe") {
      return { state: "unreachable", via: where.path, systemSocket: false, code: "unsafe-socket", reason: where.reason, next: where.next };
    }
    const client = this.#clientFor(where.path);
    try {
      const [status, services] = await Promise.all([client.status(), this.#services(client)]);
      return parseTailnet(status, services, { via: printable(where.path), systemSocket: where.system });
    } catch (error) {
      const nobody = error instanceof UnavailableError && (error.why === "absent" || error.why === "refused");
      // A socket that the user named stands for itself: no other client answers in its place.
      if (nobody && where.system) return this.#readCommand(unreachable(error, where.path, true));
      return unreachable(error, where.path, where.system);
    }
  }

  async #services(client: LocalApiClient): Promise<Awaited<ReturnType<LocalApiClient["services"]>> | undefined> {
    try {
      return await client.services();
    } catch (error) {
      if (!(error instanceof UnsupportedMethodError)) this.#log("debug", `services: ${messageOf(error)}`);
      return undefined;
    }
  }

  async #readCommand(otherwise: UnreachableTailnet): Promise<Tailnet> {
    if ((await this.#command.find()) === undefined) return otherwise;
    try {
      return parseTailnet(await this.#command.status(), undefined, { via: commandLine, systemSocket: true });
    } catch (error) {
      this.#log("debug", `${commandLine}: ${messageOf(error)}`);
      return otherwise;
    }
  }

  /** The client, while the socket may be believed. */
  async #open(): Promise<LocalApiClient | undefined> {
    const where = await locateSocket(this.#options.socket);
    return where.state === "usable" ? this.#clientFor(where.path) : undefined;
  }

  #clientFor(socketPath: string): LocalApiClient {
    const { timeoutMs } = this.#options;
    this.#client ??= new LocalApiClient({ socketPath, ...(timeoutMs === undefined ? {} : { timeoutMs }) });
    return this.#client;
  }

  async #listen(): Promise<void> {
    const { signal } = this.#stop;
    let retry: number = timing.firstRetry;
    while (!signal.aborted) {
      const since = performance.now();
      let heard = false;
      try {
        const client = await this.#open();
        if (client !== undefined) {
          for await (const _ of client.rings(mask, signal)) {
            heard = true;
            this.#ring();
          }
        }
      } catch (error) {
        this.#log("debug", `watch bus: ${messageOf(error)}`);
      }
      // A bus that was cut, or that fails where the snapshot says all is well, is news as well.
      if (heard || (this.#current.state === "known" && this.#current.via !== commandLine)) this.#ring();
      if (performance.now() - since > timing.steady) retry = timing.firstRetry;
      await delay(retry, undefined, { signal, ref: false }).catch(() => undefined);
      retry = Math.min(retry * 2, timing.lastRetry);
    }
  }

  #ring(): void {
    if (this.#stop.signal.aborted) return;
    const now = performance.now();
    this.#firstRing ??= now;
    const nodes = this.#current.state === "known" ? this.#current.nodes.length : 0;
    const noise = this.#fruitless === 0 ? 0 : Math.min(timing.rest * 2 ** this.#fruitless, timing.longestRest);
    const rest = Math.max(nodes * timing.restPerNode, noise);
    const due = Math.max(Math.min(now + timing.quiet, this.#firstRing + timing.latest), this.#lastRead + rest);
    clearTimeout(this.#doorbell);
    this.#doorbell = setTimeout(() => {
      this.#fruitless += 1;
      void this.refresh();
    }, due - now).unref();
  }

  #log(level: "debug" | "warn", message: string): void {
    this.#options.log?.(level, printable(message, 500));
  }
}

function whoIsOf(response: WhoIsResponse): WhoIs | undefined {
  const nodeId: unknown = response.Node?.StableID;
  if (typeof nodeId !== "string" || nodeId === "") return undefined;
  return { nodeId: printable(nodeId, 128), name: dnsName(response.Node?.Name) };
}

function pingOf(result: PingResult): Ping {
  const error: unknown = result.Err;
  if (typeof error === "string" && error !== "") return { ok: false, reason: printable(error) };
  const seconds: unknown = result.LatencySeconds;
  if (typeof seconds !== "number" || !(seconds >= 0)) return { ok: false, reason: "the Tailscale client measured nothing" };
  const path = result.Endpoint || (result.PeerRelay ? `relay ${result.PeerRelay}` : `DERP ${result.DERPRegionCode ?? "?"}`);
  return { ok: true, latencyMs: seconds * 1000, path: printable(String(path), 80) };
}

function unreachable(error: unknown, path: string, systemSocket: boolean): UnreachableTailnet {
  const shown = printable(path);
  const base = { state: "unreachable", via: shown, systemSocket } as const;
  const reason = printable(messageOf(error));
  if (!(error instanceof LocalApiError)) return { ...base, code: "protocol", reason, next: undefined };
  switch (error.kind) {
    case "access-denied":
      return { ...base, code: "denied", reason, next: "tailscale status, as this user, shows what the Tailscale client allows" };
    case "unavailable":
      return error instanceof UnavailableError && (error.why === "absent" || error.why === "refused")
        ? {
            ...base,
            code: "absent",
            reason,
            next: systemSocket
              ? "install and start Tailscale, then: tailscale up; or, without a tailnet: flywheel attach <endpoint>"
              : `start the client of ${shown}, or unset GF_TAILSCALED_SOCKET and tailnet.socket; or, without a tailnet: flywheel attach <endpoint>`,
          }
        : { ...base, code: "protocol", reason, next: "restart the Tailscale client" };
    case "unsupported":
    case "protocol":
      return { ...base, code: "protocol", reason, next: systemSocket ? "update the Tailscale client" : `look at what listens on ${shown}` };
    default:
      return error.kind satisfies never;
  }
}
