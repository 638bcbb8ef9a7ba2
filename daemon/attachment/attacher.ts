/** One kind of one profile: proves its candidates and holds the attachment. */
import { longestTrail } from "../../contract/api.ts";
import type { Attachment, Health, Unattached } from "../../contract/attachment.ts";
import type { CacheFacts, Candidate, ProbeResult, Rejection } from "../../contract/candidate.ts";
import type { Tool } from "../../contract/endpoint.ts";
import { type Clock, lease } from "../../contract/published.ts";
import { span } from "../../contract/words.ts";
import { type Contender, challengerOf, choose, outranks, standbyOf } from "./choose.ts";
import { type Constancy, nextConstancy, nextHealth, noHistory, recoveryOf, smoothed } from "./health.ts";
import { sideBySide } from "./side-by-side.ts";
import { whyUnattached } from "./unattached.ts";
import { whyNot } from "./why.ts";

/** Probes of one kind that run at once. */
const bound = 8;
/** Of a confirmation while others could take over: failover must not wait for a dead cache twice. Milliseconds. */
const shortConfirmMs = 400;
/** How long an answer waits for those that would stand above it, so that nothing is attached for a moment only: milliseconds. */
const graceMs = 400;

/** A probe that passed: when it was begun by the boot clock, in seconds; by the wall clock, for people; and what the cache said of itself. */
export interface Proof {
  readonly verified: number;
  readonly at: Date;
  readonly facts: CacheFacts;
}

/** What is known of one candidate. */
export interface Track {
  readonly candidate: Candidate;
  readonly health: Health;
  /** Smoothed, of the probes that passed: milliseconds. */
  readonly latencyMs: number | undefined;
  /** The last probe's outcome. */
  readonly outcome: ProbeResult | undefined;
  readonly proof: Proof | undefined;
  /** Since when its probes pass, or fail, as they do now. */
  readonly since: Date | undefined;
  readonly constancy: Constancy;
}

/** A candidate as people see it. */
export interface Standing {
  readonly track: Track;
  readonly role: "attached" | "standby" | "other";
  /** Why it is not the attached one. */
  readonly why: string | undefined;
}

export interface AttacherOptions {
  readonly kind: Tool;
  /** Climbs the ladder once; never throws. */
  readonly probe: (candidate: Candidate, timeoutMs: number | undefined) => Promise<ProbeResult>;
  readonly clock: () => Clock;
  /** After each proof of the attached one, and whenever the attachment, the standby or a candidate's health becomes another. */
  readonly onChange: () => void;
  /** What to say where no source named anything: the profile knows what was looked for. */
  readonly nothingNamed: () => { readonly reason: string; readonly next: string };
  /** Whether a Tailscale client tells of a tailnet: advice depends on it. */
  readonly tailnetKnown: () => boolean;
}

export class Attacher {
  readonly kind: Tool;
  readonly #options: AttacherOptions;
  readonly #tracks = new Map<string, Track>();
  /** Candidates of which a first answer is still awaited. */
  readonly #pending = new Set<string>();
  #rejections: readonly Rejection[] = [];
  #attached: string | undefined;
  /** When it became attached to that, or unattached. */
  #since = new Date();
  /** Set while the profile is detached. */
  #held: { readonly reason: string; readonly next: string } | undefined;
  #settled = false;
  /** Also of what is no candidate any more. */
  #newestProof: Proof | undefined;
  /** The attached one failed, and the others are still being asked. */
  #failingOver = false;
  /** Latencies of what was attached, proof by proof, oldest first; null for one that failed. */
  #trail: readonly (number | null)[] = [];
  #grace: NodeJS.Timeout | undefined;

  constructor(options: AttacherOptions) {
    this.kind = options.kind;
    this.#options = options;
  }

  get attachment(): Attachment {
    const track = this.#attachedTrack;
    if (track?.proof === undefined) return this.#unattached();
    const { candidate, health, proof } = track;
    const age = this.#options.clock().seconds - proof.verified;
    // The machine slept, or a clock jumped: nobody has asked the cache since.
    if (!isWithinLease(age)) return this.#stale(candidate, age);
    return {
      state: "attached",
      kind: this.kind,
      candidate,
      latencyMs: track.latencyMs ?? 0,
      health,
      verified: proof.verified,
      facts: proof.facts,
    };
  }

  get since(): Date {
    return this.#since;
  }

  /** Of the last proofs of whatever was attached, oldest first: milliseconds; null for one that failed. */
  get trail(): readonly (number | null)[] {
    return this.#trail;
  }

  /** What is proved with each renewal, its proof fresh or not. */
  get attachedCandidate(): Candidate | undefined {
    return this.#attachedTrack?.candidate;
  }

  /** Every candidate, in the order of tracks, with its part and why it is not the attached one. */
  get standings(): readonly Standing[] {
    const attached = this.attachment.state === "attached" ? this.#attachedTrack : undefined;
    const held = this.#held !== undefined ? "detached" : attached === undefined ? undefined : this.#contender(attached);
    const standby = attached === undefined ? undefined : this.#standby?.candidate.endpoint.url;
    return this.tracks.map((track): Standing => {
      if (track === attached) return { track, role: "attached", why: undefined };
      const why = whyNot({ ...track, contender: this.#contender(track) }, held);
      return { track, role: track.candidate.endpoint.url === standby ? "standby" : "other", why };
    });
  }

  /** Strongest source first, as discovery gave them. */
  get tracks(): readonly Track[] {
    return [...this.#tracks.values()];
  }

  get rejections(): readonly Rejection[] {
    return this.#rejections;
  }

  /** The last proof: of what is attached, else the newest there was, so that people see since when there is none. */
  get lastProof(): Proof | undefined {
    return this.#attached === undefined ? this.#newestProof : this.#tracks.get(this.#attached)?.proof;
  }

  /** Takes what discovery found. What is known of a candidate stays; an attached one that is no candidate any more is dropped. */
  replace(candidates: readonly Candidate[], rejections: readonly Rejection[]): void {
    const known = new Map(this.#tracks);
    this.#tracks.clear();
    this.#rejections = rejections;
    for (const candidate of candidates) {
      const old = known.get(candidate.endpoint.url);
      const { url } = candidate.endpoint;
      // The same URL under another pin is another place: nothing that was proved there counts here.
      const same = old !== undefined && JSON.stringify(pinOf(old.candidate)) === JSON.stringify(pinOf(candidate));
      this.#tracks.set(url, same ? { ...old, candidate } : untried(candidate));
    }
    if (this.#attached === undefined || this.#tracks.get(this.#attached)?.proof !== undefined) return;
    this.#become(undefined);
    this.#settled = false;
    this.#options.onChange();
  }

  /** The network is another one, or the machine slept: what failed before says nothing about now. */
  forgive(): void {
    for (const [url, track] of this.#tracks) this.#tracks.set(url, { ...track, constancy: { ...track.constancy, flaps: 0 } });
  }

  /** Holds it unattached, or lets it go (undefined). */
  hold(held: { readonly reason: string; readonly next: string } | undefined): void {
    this.#held = held;
    if (held === undefined) {
      if (this.#attached === undefined) this.#settled = false;
      return;
    }
    this.#become(undefined);
    this.#settled = true;
    this.#options.onChange();
  }

  /** Proves every candidate, or those that never were, side by side, and attaches the best of those that pass. */
  async survey(which: "all" | "untried" = "all"): Promise<void> {
    if (this.#held !== undefined) return;
    const meant = this.tracks.filter(({ outcome }) => which === "all" || outcome === undefined);
    const urls = meant.map(({ candidate }) => candidate.endpoint.url).filter((url) => url !== this.#attached);
    if (which === "untried" && urls.length === 0) return;
    await this.#probeAll(urls);
    this.#settle();
  }

  /**
   * Proves the attached endpoint, and beside it the standby, so that failover needs no new handshake. Where it fails,
   * it is confirmed once, at once, while all others are proved beside it, so that failover counts from the first failure.
   */
  async prove(): Promise<void> {
    const url = this.#attached;
    if (url === undefined) return this.survey();
    const before = this.#tracks.get(url);
    const picture = this.#picture();
    const beside = sideBySide(this.#keptProved(), bound, async (other) => void (await this.#probe(other)));
    if (await this.#probe(url)) {
      this.#options.onChange();
      await beside;
      this.#choose();
      if (this.#picture() !== picture) this.#options.onChange();
      return;
    }
    const others = [...this.#tracks.keys()].filter((other) => other !== url);
    const standby = this.#standby?.candidate.endpoint.url;
    const surveyed = this.#probeAll(others, standby);
    const confirmed = await this.#probe(url, others.length > 0 ? shortConfirmMs : undefined);
    if (this.#attached === url) {
      // One lost answer is no change of heart.
      if (confirmed) this.#restore(url, before);
      else {
        this.#become(undefined);
        this.#failingOver = true;
        this.#chooseSoon(standby !== undefined && !this.#pending.has(standby) && this.#passes(standby) ? "at once" : "for better");
      }
    }
    await Promise.all([beside, surveyed]);
    this.#failingOver = false;
    this.#settle();
  }

  /** The connection to one that is not attached broke: where it is kept proved, it is proved now. The others wait for their turn. */
  async recheck(url: string): Promise<void> {
    if (this.#held !== undefined || !this.#keptProved().includes(url)) return;
    const picture = this.#picture();
    await this.#probe(url);
    if (this.#picture() !== picture) this.#options.onChange();
  }

  get #attachedTrack(): Track | undefined {
    return this.#attached === undefined ? undefined : this.#tracks.get(this.#attached);
  }

  get #standby(): Contender | undefined {
    return this.#attached === undefined ? undefined : standbyOf(this.#passing, this.#attached);
  }

  /** Those whose last probe passed, however long ago. */
  get #passing(): readonly Contender[] {
    return this.tracks.flatMap((track) => this.#contender(track) ?? []);
  }

  /** What is proved with each renewal besides the attached one: the standby, and what would be better once its trial is over. */
  #keptProved(): readonly string[] {
    const attached = this.#attachedTrack;
    const held = attached === undefined ? undefined : this.#contender(attached);
    const challenger = held === undefined ? undefined : challengerOf(this.#passing, held);
    return [...new Set([this.#standby, challenger].flatMap((contender) => contender?.candidate.endpoint.url ?? []))];
  }

  #contender({ candidate, health, latencyMs, outcome, constancy }: Track): Contender | undefined {
    if (outcome?.ok !== true) return undefined;
    const recovering = recoveryOf(constancy, performance.now());
    return { candidate, health, latencyMs: latencyMs ?? outcome.latencyMs, passes: constancy.passes, recovering };
  }

  /** What people see besides the proofs' age: told when it becomes another. */
  #picture(): string {
    const healths = this.tracks.map(({ candidate, health }) => `${candidate.endpoint.url} ${health}`);
    return [this.#attached, this.#standby?.candidate.endpoint.url, ...healths].join("\n");
  }

  #become(url: string | undefined): void {
    if (this.#attached === url) return;
    this.#attached = url;
    this.#since = new Date();
    const outcome = this.#attachedTrack?.outcome;
    if (outcome !== undefined) this.#follow(outcome);
  }

  #follow(outcome: ProbeResult): void {
    this.#trail = [...this.#trail, outcome.ok ? outcome.latencyMs : null].slice(-longestTrail);
  }

  /** Takes one failure back that its confirmation contradicted. */
  #restore(url: string, before: Track | undefined): void {
    const track = this.#tracks.get(url);
    if (track === undefined || before === undefined) return;
    const constancy = nextConstancy(before.constancy, true, performance.now());
    this.#tracks.set(url, { ...track, health: nextHealth(before.health, true), constancy, since: before.since ?? track.since });
  }

  async #probeAll(urls: readonly string[], standby?: string): Promise<void> {
    for (const url of urls) this.#pending.add(url);
    await sideBySide(urls, bound, async (url) => {
      const passed = await this.#probe(url);
      this.#pending.delete(url);
      if (this.#attached !== undefined) return;
      this.#chooseSoon(passed && url === standby ? "at once" : "for better");
    });
    clearTimeout(this.#grace);
    this.#grace = undefined;
  }

  /** Not waiting for the slowest: attached as soon as nobody better is still to answer, or the grace is over. */
  #chooseSoon(patience: "for better" | "at once"): void {
    if (this.#choose(patience)) return;
    this.#grace ??= setTimeout(() => {
      if (this.#attached === undefined) this.#choose("at once");
    }, graceMs);
  }

  #passes(url: string): boolean {
    return this.#tracks.get(url)?.outcome?.ok === true;
  }

  /** @returns whether it passed */
  async #probe(url: string, timeoutMs?: number): Promise<boolean> {
    const before = this.#tracks.get(url);
    if (before === undefined) return false;
    // The proof counts from when it was begun: what the cache was asked then is what it vouches for.
    const asked = this.#options.clock().seconds;
    const outcome = await this.#options.probe(before.candidate, timeoutMs);
    const track = this.#tracks.get(url);
    if (track === undefined || track.candidate !== before.candidate) return outcome.ok;
    const changed = track.outcome?.ok !== outcome.ok;
    const proof = outcome.ok ? { verified: asked, at: new Date(), facts: outcome.facts } : track.proof;
    if (outcome.ok) this.#newestProof = proof;
    if (url === this.#attached) this.#follow(outcome);
    this.#tracks.set(url, {
      candidate: track.candidate,
      health: nextHealth(healthBefore(track), outcome.ok),
      since: changed ? new Date() : track.since,
      constancy: nextConstancy(track.constancy, outcome.ok, performance.now()),
      latencyMs: outcome.ok ? smoothed(track.latencyMs, outcome.latencyMs) : track.latencyMs,
      outcome,
      proof,
    });
    return outcome.ok;
  }

  #settle(): void {
    this.#settled = true;
    this.#choose();
    this.#options.onChange();
  }

  /** @returns whether nothing is left to wait for */
  #choose(patience: "for better" | "at once" = "for better"): boolean {
    if (this.#held !== undefined) return true;
    const now = this.#options.clock().seconds;
    // Only what was proved within a lease may be attached, and in a round only what has answered in it.
    const contenders = this.#passing.filter(({ candidate: { endpoint } }) => {
      const proof = this.#tracks.get(endpoint.url)?.proof;
      return proof !== undefined && isWithinLease(now - proof.verified) && !this.#pending.has(endpoint.url);
    });
    const chosen = choose(contenders, this.#attached);
    if (chosen === undefined || chosen.candidate.endpoint.url === this.#attached) return true;
    if (patience === "for better" && this.#betterIsPending(chosen.candidate)) return false;
    this.#become(chosen.candidate.endpoint.url);
    this.#failingOver = false;
    this.#settled = true;
    this.#options.onChange();
    return true;
  }

  #betterIsPending(chosen: Candidate): boolean {
    return [...this.#pending].some((url) => {
      const pending = this.#tracks.get(url)?.candidate;
      return pending !== undefined && outranks(pending, chosen);
    });
  }

  #stale(candidate: Candidate, age: number): Unattached {
    const when = age < 0 ? "by a clock that was set back since" : `${span(age)} ago`;
    return {
      state: "unattached",
      kind: this.kind,
      reason: `${candidate.endpoint.url} was proved ${when}, before this machine slept or hung: proving it again`,
      unsettled: true,
    };
  }

  #unattached(): Unattached {
    const base = { state: "unattached", kind: this.kind } as const;
    if (this.#held !== undefined) return { ...base, ...this.#held, unsettled: false };
    if (this.#failingOver) return { ...base, reason: "the attached cache failed, and the others are being asked", unsettled: true };
    if (!this.#settled) return { ...base, reason: "the first round of probes is still running", unsettled: true };
    const { nothingNamed, tailnetKnown } = this.#options;
    const why = whyUnattached({ tried: this.tracks, rejections: this.#rejections, tailnetKnown: tailnetKnown(), nothingNamed });
    return { ...base, ...why, unsettled: false };
  }
}

/** Over a credential the cache turned us away, and was well: once it lets us in, there is nothing to recover from. */
function healthBefore({ health, outcome }: Track): Health {
  return outcome?.ok === false && outcome.over === "credential" ? "unknown" : health;
}

/** @param age of a proof: seconds; negative where the clock was set back since */
function isWithinLease(age: number): boolean {
  return age >= 0 && age <= lease.span;
}

function untried(candidate: Candidate): Track {
  const nothing = { latencyMs: undefined, outcome: undefined, proof: undefined, since: undefined };
  return { candidate, health: "unknown", constancy: noHistory, ...nothing };
}

function pinOf(candidate: Candidate): unknown {
  const { source } = candidate;
  return "pin" in source ? [source.name, source.pin] : [source.name];
}
