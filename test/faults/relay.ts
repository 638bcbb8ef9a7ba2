/**
 * Everything that the daemon can dial on a machine: one listener a port for all addresses of the tailnet. It knows
 * by the address that was dialled which link was meant, passes the bytes on as that link's mode has it, and keeps
 * record of each dial and of each answer that really arrived.
 */
import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Server, type Socket } from "node:net";
import { setTimeout as delay } from "node:timers/promises";
import type { LinkMode } from "./plan.ts";

export interface Dial {
  readonly host: string;
  readonly port: number;
  /** performance.now() */
  readonly at: number;
}

/** Where a link leads: a port of this machine's own loopback; undefined: nothing listens there. */
export interface Route {
  readonly upstream: number | undefined;
  readonly mode: LinkMode;
  /** Where a cache of the same kind that refuses everybody listens, for `deny`. */
  readonly denier: number;
  /** Some bytes of a true answer have arrived at the daemon, unchanged, and none are on their way. */
  readonly arrived: () => void;
}

/** Milliseconds. */
const lags = { slow: 150, late: 3000, trickle: 40 } as const;

const page = "HTTP/1.1 200 OK\r\ncontent-type: text/html\r\ncontent-length: 36\r\n\r\n<html>Please log in to go on.</html>\n";

export class Relay {
  readonly #servers: Server[] = [];
  readonly #wires = new Map<string, Set<Wire>>();
  readonly #dials: Dial[] = [];
  readonly #routeOf: (host: string, port: number) => Route;
  readonly #onDial: () => void;

  /** @param routeOf asked for each byte anew, so that a link's mode changes under its connections too */
  constructor(routeOf: (host: string, port: number) => Route, onDial: () => void) {
    this.#routeOf = routeOf;
    this.#onDial = onDial;
  }

  async listen(ports: readonly number[]): Promise<void> {
    for (const port of ports) {
      const server = createServer({ allowHalfOpen: true, noDelay: true }, (socket) => this.#take(socket, port));
      server.listen(port, "0.0.0.0");
      await once(server, "listening");
      this.#servers.push(server);
    }
  }

  /** Every dial since the last call. */
  takeDials(): readonly Dial[] {
    return this.#dials.splice(0);
  }

  /** The link is another one now: what cannot go on as it was is ended. */
  changed(host: string, port: number): void {
    const { mode } = this.#routeOf(host, port);
    for (const wire of this.#wires.get(`${host}:${port}`) ?? []) {
      if (mode === "cut") wire.reset();
      else if (mode === "deny") wire.end();
    }
  }

  #take(socket: Socket, port: number): void {
    const { address } = socket.address() as AddressInfo;
    this.#dials.push({ host: address, port, at: performance.now() });
    this.#onDial();
    const wire = new Wire(socket, () => this.#routeOf(address, port));
    const key = `${address}:${port}`;
    const wires = this.#wires.get(key) ?? new Set();
    this.#wires.set(key, wires.add(wire));
    socket.once("close", () => wires.delete(wire));
  }
}

/** One connection of the daemon, and ours behind it. */
class Wire {
  readonly #client: Socket;
  readonly #route: () => Route;
  readonly #upstream: Socket | undefined;
  /** Answers leave in their order, whatever their lag. */
  #queue: Promise<void> = Promise.resolve();
  #queued = 0;
  #heard = false;

  constructor(client: Socket, route: () => Route) {
    this.#client = client;
    this.#route = route;
    const { mode, upstream, denier } = route();
    client.on("error", () => client.destroy());
    const port = mode === "deny" ? denier : upstream;
    if (mode === "cut" || port === undefined) {
      client.resetAndDestroy();
      return;
    }
    this.#upstream = connect({ port, host: "127.0.0.1", noDelay: true, allowHalfOpen: true });
    this.#upstream.on("data", (chunk) => this.#answer(chunk));
    this.#upstream.on("end", () => this.#then(() => void client.end()));
    this.#upstream.on("error", () => this.reset());
    client.on("data", (chunk) => this.#ask(chunk));
    client.on("end", () => this.#upstream?.end());
    client.on("close", () => this.#upstream?.destroy());
  }

  reset(): void {
    this.#client.resetAndDestroy();
    this.#upstream?.destroy();
  }

  end(): void {
    this.#client.destroy();
    this.#upstream?.destroy();
  }

  #ask(chunk: Buffer): void {
    const first = !this.#heard;
    this.#heard = true;
    switch (this.#route().mode) {
      case "silent":
        return;
      case "cut":
        this.reset();
        return;
      case "half-open":
        if (first) this.#client.end();
        return;
      case "garbage":
        this.#client.write(Buffer.from(chunk).reverse());
        return;
      case "other-protocol":
        if (first) this.#client.write("SSH-2.0-OpenSSH_9.2p1 Debian-2+deb12u3\r\n");
        return;
      case "portal":
        this.#client.write(page);
        return;
      case "flood":
        if (first) this.#client.write(Buffer.alloc(1_048_576, "x"));
        return;
      default:
        this.#upstream?.write(chunk);
    }
  }

  #answer(chunk: Buffer): void {
    const { mode } = this.#route();
    switch (mode) {
      case "open":
      case "deny":
        this.#then(() => this.#deliver(chunk, mode === "open"));
        return;
      case "slow":
      case "late":
        this.#then(async () => {
          await delay(lags[mode]);
          this.#deliver(chunk, true);
        });
        return;
      case "trickle":
        this.#then(async () => {
          for (const byte of chunk) {
            if (this.#client.destroyed) return;
            this.#client.write(Buffer.of(byte));
            await delay(lags.trickle);
          }
          this.#deliver(Buffer.alloc(0), true);
        });
        return;
      case "corrupt":
        this.#then(() => this.#deliver(Buffer.from(chunk.map((byte, index) => (index % 3 === 1 ? byte ^ 0x55 : byte))), false));
        return;
      default:
        // The others answer by themselves, or not at all.
        return;
    }
  }

  #then(work: () => void | Promise<void>): void {
    this.#queued += 1;
    this.#queue = this.#queue.then(async () => {
      await work();
      this.#queued -= 1;
    });
  }

  #deliver(chunk: Buffer, whole: boolean): void {
    if (this.#client.destroyed || !this.#client.writable) return;
    if (chunk.length > 0) this.#client.write(chunk);
    // This one still counts itself.
    if (whole && this.#queued <= 1) this.#route().arrived();
  }
}
