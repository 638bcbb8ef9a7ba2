/**
 * What is true of a machine, from the run's own records and never from the product's word: which caches are well,
 * reachable and permitted at which times, and when each really answered a proof.
 */
import { lease } from "../../contract/published.ts";
import type { LinkMode, PlaceName } from "./plan.ts";
import { places } from "./plan.ts";
import { crowdPrefix, hosts, type Place, urlOf } from "./tailnets.ts";
import { Timeline } from "./timeline.ts";

/** A cache was asked the last question of a probe, and its answer arrived at the daemon. */
export interface Proof {
  /** performance.now() */
  readonly at: number;
  readonly seconds: number;
  readonly bootId: string;
}

export interface Moment {
  /** performance.now() */
  readonly at: number;
  /** Of the boot clock. */
  readonly seconds: number;
  readonly bootId: string;
}

/** Milliseconds. */
export const grace = {
  /** A change of the tailnet is known to the daemon (doorbell, back-off, read), and what was dialled before it is over. */
  news: 8_000,
  /** What the daemon was about to do when it read the change: a round that proves the old candidates, and confirms. */
  round: 5_000,
  /** After its directory was closed to it, until it publishes again: the next renewal, and room. */
  renewal: 20_000,
  /** After the Tailscale client was gone, until its bus is heard again. */
  bus: 12_000,
  /** A question and its answer may be seen in either order by whoever watches both ends. */
  order: 60,
  /** A cache that is well for so long must be found: longer than the slowest retry, with room for a busy machine. */
  recovery: 30_000,
} as const;

/** A proof counts from when it was begun, in whole seconds; we see it when it arrives. */
const rounding = 2;

class Cache {
  readonly place: PlaceName;
  readonly running: Timeline;
  readonly link: Timeline;
  readonly offered: Timeline;
  readonly proofs: Proof[] = [];
  mode: LinkMode = "open";
  asked: number | undefined;
  arrived = Number.NEGATIVE_INFINITY;

  constructor(place: PlaceName, now: number) {
    this.place = place;
    this.running = new Timeline(true, now);
    this.link = new Timeline(true, now);
    this.offered = new Timeline(false, now);
  }

  /** It answers, and discovery finds it, without a break since then. */
  soundSince(from: number): boolean {
    return [this.running, this.link, this.offered].every((line) => line.heldSince(from));
  }
}

export class Model {
  readonly #now: () => Moment;
  readonly #caches: ReadonlyMap<PlaceName, Cache>;
  readonly #permitted = new Map<string, Timeline>();
  /** The daemon is not stopped by a signal. */
  readonly awake: Timeline;
  /** Nothing that the daemon cannot do without is broken: its directories, its configuration. */
  readonly able: Timeline;
  /** The Tailscale client answers. */
  readonly #tells: Timeline;
  /** When the daemon was seen to have read the tailnet as it is. */
  readonly #heard: number[] = [];
  /** Since when the boot is this one, and the clock has not jumped. */
  #steadySince: number;
  #place: Place | undefined;
  /** What the daemon may hold the configuration to say. */
  #operator = false;

  constructor(now: () => Moment) {
    this.#now = now;
    const { at } = now();
    this.#caches = new Map(places.map((place) => [place, new Cache(place, at)]));
    this.awake = new Timeline(true, Number.NEGATIVE_INFINITY);
    this.able = new Timeline(true, Number.NEGATIVE_INFINITY);
    this.#tells = new Timeline(true, Number.NEGATIVE_INFINITY);
    this.#steadySince = at;
  }

  tailnet(place: Place): void {
    this.#place = place;
    this.#tells.set(place.tells, this.#now().at);
    this.#settlePermits();
  }

  /** The daemon has read the tailnet as it is now. */
  heard(): void {
    this.#heard.push(this.#now().at);
  }

  /** Whether the configuration that the daemon has names the cache `o`. */
  operator(named: boolean): void {
    this.#operator = named;
    this.#settlePermits();
  }

  clockMoved(): void {
    this.#steadySince = this.#now().at;
  }

  running(place: PlaceName, runs: boolean): void {
    this.#cache(place).running.set(runs, this.#now().at);
  }

  link(place: PlaceName, mode: LinkMode): void {
    const cache = this.#cache(place);
    cache.mode = mode;
    // What is slow may be thought well or not.
    cache.link.set(mode === "open", this.#now().at);
  }

  modeOf(place: PlaceName): LinkMode {
    return this.#cache(place).mode;
  }

  /** The cache wrote down the last question of a probe. */
  asked(place: PlaceName): void {
    const cache = this.#cache(place);
    const now = this.#now();
    if (now.at - cache.arrived <= grace.order) this.#prove(cache, now);
    else cache.asked = now.at;
  }

  /** Nothing of an answer of it is on its way any more. */
  arrived(place: PlaceName): void {
    const cache = this.#cache(place);
    const now = this.#now();
    cache.arrived = now.at;
    if (cache.asked !== undefined) this.#prove(cache, now);
  }

  proofs(place: PlaceName): readonly Proof[] {
    return this.#cache(place).proofs;
  }

  /** Whether the operator's word, the tailnet's or the configuration's, allowed the host at that time, give or take what news takes. */
  permits(host: string, at: number): boolean {
    const line = this.#permitted.get(host);
    if (line === undefined) return false;
    let from = at - grace.news;
    // Who sleeps, or cannot ask, learns nothing.
    from = Math.min(from, (this.awake.began(false, from, at) ?? at) - grace.news);
    from = Math.min(from, (this.#tells.began(false, from - grace.bus, at) ?? at) - grace.news);
    if (line.began(true, from, at) === undefined) return false;
    const revoked = line.began(true, at, at) === undefined ? line.began(false, at, at) : undefined;
    const heard = revoked === undefined || host === hosts.o ? undefined : this.#heard.find((one) => one >= revoked);
    return heard === undefined || at <= heard + grace.round;
  }

  /** Whether anybody permits it now, without any patience. */
  permitsNow(host: string): boolean {
    return this.#permitted.get(host)?.value === true;
  }

  /** @returns what was proved of the endpoint within the span that ends at a moment, in seconds of its boot, while it was permitted */
  provedWithin(url: string, moment: Moment, span: number): Proof | undefined {
    const place = places.find((one) => urlOf(one) === url);
    if (place === undefined) return undefined;
    return this.proofs(place).findLast(
      (proof) =>
        proof.bootId === moment.bootId &&
        proof.seconds >= moment.seconds - span &&
        proof.seconds <= moment.seconds + 1 &&
        this.permits(hosts[place], proof.at),
    );
  }

  /**
   * Whether a guarded command that ran from then to then had no reason to be refused.
   * @returns why, for the report; undefined where it had one
   */
  oughtToRun(began: Moment, ended: Moment): string | undefined {
    if (!this.able.heldSince(began.at) || !this.awake.heldSince(began.at)) return undefined;
    for (const cache of this.#caches.values()) {
      const proof = cache.proofs.at(-1);
      const leased = proof !== undefined && proof.bootId === ended.bootId && ended.seconds - proof.seconds <= lease.span - rounding;
      if (leased && proof.at <= began.at && cache.soundSince(proof.at)) {
        return `${urlOf(cache.place)} was proved ${ended.seconds - proof.seconds} s before its end and was well all the time since`;
      }
      const long = began.at - grace.recovery;
      const lasting = [this.able, this.awake, this.#tells].every((line) => line.heldSince(long)) && this.#steadySince <= long;
      if (lasting && cache.soundSince(long)) return `${urlOf(cache.place)} was well for the last ${grace.recovery / 1000} s`;
    }
    return undefined;
  }

  /** The state in a few words, for people. */
  describe(): string {
    const now = this.#now();
    const words = [...this.#caches.values()].map((cache) => {
      const faults = [
        cache.running.value ? "" : "not running",
        cache.mode === "open" ? "" : cache.mode,
        cache.offered.value ? "" : "not offered",
        this.permits(hosts[cache.place], now.at) ? "" : "not permitted",
      ].filter((fault) => fault !== "");
      const proof = cache.proofs.at(-1);
      const age = proof === undefined ? "never" : proof.bootId === now.bootId ? `${now.seconds - proof.seconds} s ago` : "in another boot";
      return `${cache.place} ${urlOf(cache.place)}: ${faults.join(", ") || "well"}; proved ${age}`;
    });
    return [...words, `daemon ${this.awake.value ? "awake" : "stopped"}, ${this.able.value ? "able" : "unable"}; now ${now.seconds}`].join(
      "\n",
    );
  }

  #settlePermits(): void {
    const { at } = this.#now();
    const permitted = new Set([...(this.#place?.permits ?? []), ...(this.#operator ? [hosts.o] : [])]);
    for (const host of permitted) {
      const line = this.#permitted.get(host);
      if (line === undefined) this.#permitted.set(host, new Timeline(true, at));
      else line.set(true, at);
    }
    for (const [host, line] of this.#permitted) if (!permitted.has(host)) line.set(false, at);
    for (const cache of this.#caches.values()) {
      const offered = cache.place === "o" ? this.#operator : this.#place?.offers.includes(cache.place) === true;
      cache.offered.set(offered, at);
    }
  }

  #prove(cache: Cache, now: Moment): void {
    cache.asked = undefined;
    cache.proofs.push(now);
    if (cache.proofs.length > 500) cache.proofs.shift();
  }

  #cache(place: PlaceName): Cache {
    const cache = this.#caches.get(place);
    if (cache === undefined) throw new Error(`there is no cache ${place}`);
    return cache;
  }
}

/** Whether nothing but silence is at a permitted host. */
export function isEmpty(host: string): boolean {
  return host.startsWith(crowdPrefix);
}
