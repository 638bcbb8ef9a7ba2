/** One kind of one profile: proves its candidates and holds the attachment. */
import type { Attachment, Health, Unattached } from "../../contract/attachment.ts";
import { type CacheFacts, type Candidate, type ProbeResult, type Rejection, type Rung, rungs } from "../../contract/candidate.ts";
import type { Tool } from "../../contract/endpoint.ts";
import type { Clock } from "../../contract/published.ts";
import { type Contender, choose, outranks } from "./choose.ts";
import { nextHealth, smoothed } from "./health.ts";
import { sideBySide } from "./side-by-side.ts";

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
}

export interface AttacherOptions {
  readonly kind: Tool;
  /** Climbs the ladder once; never throws. */
  readonly probe: (candidate: Candidate, timeoutMs: number | undefined) => Promise<ProbeResult>;
  readonly clock: () => Clock;
  /** After each proof, and whenever the attachment becomes another one or none. */
  readonly onChange: () => void;
  /** What to say where no source named anything: the profile knows what was looked for. */
  readonly nothingNamed: () => { readonly reason: string; readonly next: string };
}

/** What to do about a failed rung, where the probe has nothing better to say. */
const advice: Readonly<Record<Rung, string>> = {
  resolve: "check the name, and that MagicDNS answers: tailscale status",
  route: "check that this machine is on the tailnet: tailscale status",
  connect: "see that the cache runs, and that the tailnet's policy lets this machine reach it",
  handshake: "see what really listens there",
  capabilities: "see that a cache of this kind listens there",
  authority: "ask whoever runs the cache for read access",
};

export class Attacher {
  readonly kind: Tool;
  readonly #options: AttacherOptions;
  readonly #tracks = new Map<string, Track>();
  /** Candidates of which a first answer is still awaited. */
  readonly #pending = new Set<string>();
  #rejections: readonly Rejection[] = [];
  #attached: string | undefined;
  /** Set while the profile is detached. */
  #held: { readonly reason: string; readonly next: string } | undefined;
  #settled = false;
  #grace: NodeJS.Timeout | undefined;

  constructor(options: AttacherOptions) {
    this.kind = options.kind;
    this.#options = options;
  }

  get attachment(): Attachment {
    const track = this.#attached === undefined ? undefined : this.#tracks.get(this.#attached);
    if (track?.proof === undefined) return this.#unattached();
    const { candidate, health, proof } = track;
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

  /** Strongest source first, as discovery gave them. */
  get tracks(): readonly Track[] {
    return [...this.#tracks.values()];
  }

  get rejections(): readonly Rejection[] {
    return this.#rejections;
  }

  /** The last proof: of what is attached, else the newest of any candidate, so that people see since when there is none. */
  get lastProof(): Proof | undefined {
    if (this.#attached !== undefined) return this.#tracks.get(this.#attached)?.proof;
    return this.tracks.flatMap((track) => track.proof ?? []).reduce<Proof | undefined>(newer, undefined);
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
      this.#tracks.set(
        url,
        same ? { ...old, candidate } : { candidate, health: "unknown", latencyMs: undefined, outcome: undefined, proof: undefined },
      );
    }
    if (this.#attached === undefined || this.#tracks.get(this.#attached)?.proof !== undefined) return;
    this.#attached = undefined;
    this.#settled = false;
    this.#options.onChange();
  }

  /** Holds it unattached, or lets it go (undefined). */
  hold(held: { readonly reason: string; readonly next: string } | undefined): void {
    this.#held = held;
    if (held === undefined) {
      if (this.#attached === undefined) this.#settled = false;
      return;
    }
    this.#attached = undefined;
    this.#settled = true;
    this.#options.onChange();
  }

  /** Proves every candidate, side by side, and attaches the best of those that pass. */
  async survey(): Promise<void> {
    if (this.#held !== undefined) return;
    await this.#probeAll([...this.#tracks.keys()].filter((url) => url !== this.#attached));
    this.#settle();
  }

  /**
   * Proves the attached endpoint. Where it fails, it is confirmed once, at once, while the others are
   * proved beside it, so that failover counts from the first failure.
   */
  async prove(): Promise<void> {
    const url = this.#attached;
    if (url === undefined) return this.survey();
    if (await this.#probe(url)) return this.#options.onChange();
    const others = [...this.#tracks.keys()].filter((other) => other !== url);
    const surveyed = this.#probeAll(others);
    const confirmed = await this.#probe(url, others.length > 0 ? shortConfirmMs : undefined);
    if (this.#attached === url && !confirmed) {
      this.#attached = undefined;
      this.#choose();
    }
    await surveyed;
    this.#settle();
  }

  async #probeAll(urls: readonly string[]): Promise<void> {
    for (const url of urls) this.#pending.add(url);
    await sideBySide(urls, bound, async (url) => {
      await this.#probe(url);
      this.#pending.delete(url);
      // Not waiting for the slowest: attached as soon as nobody better is still to answer, or the grace is over.
      if (this.#attached === undefined && !this.#choose()) this.#grace ??= setTimeout(() => this.#endGrace(), graceMs);
    });
    clearTimeout(this.#grace);
    this.#grace = undefined;
  }

  #endGrace(): void {
    if (this.#attached === undefined) this.#choose("at once");
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
    this.#tracks.set(url, {
      candidate: track.candidate,
      health: nextHealth(track.health, outcome.ok),
      latencyMs: outcome.ok ? smoothed(track.latencyMs, outcome.latencyMs) : track.latencyMs,
      outcome,
      proof: outcome.ok ? { verified: asked, at: new Date(), facts: outcome.facts } : track.proof,
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
    const contenders: Contender[] = [];
    for (const { candidate, health, latencyMs, outcome } of this.#tracks.values()) {
      if (outcome?.ok === true) contenders.push({ candidate, health, latencyMs: latencyMs ?? outcome.latencyMs });
    }
    const chosen = choose(contenders, this.#attached);
    if (chosen === undefined || chosen.candidate.endpoint.url === this.#attached) return true;
    if (patience === "for better" && this.#betterIsPending(chosen.candidate)) return false;
    this.#attached = chosen.candidate.endpoint.url;
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

  #unattached(): Unattached {
    const base = { state: "unattached", kind: this.kind } as const;
    if (this.#held !== undefined) return { ...base, ...this.#held, unsettled: false };
    if (!this.#settled) return { ...base, reason: "the first round of probes is still running", unsettled: true };
    const failed = this.tracks.filter((track) => track.outcome?.ok === false).toSorted(moreTelling);
    const first = failed[0]?.outcome;
    if (first?.ok === false) {
      const more = failed.length > 1 ? `; ${failed.length - 1} more failed too` : "";
      return { ...base, reason: `${first.reason}${more}`, rung: first.rung, next: first.next ?? advice[first.rung], unsettled: false };
    }
    const rejected = this.#rejections[0];
    if (rejected !== undefined) {
      const next = rejected.next === undefined ? {} : { next: rejected.next };
      // Many a reason names its subject by itself.
      const subject = rejected.reason.includes(rejected.subject) ? "" : `${rejected.subject}: `;
      return { ...base, reason: `no candidate: ${subject}${rejected.reason}`, ...next, unsettled: false };
    }
    return { ...base, ...this.#options.nothingNamed(), unsettled: false };
  }
}

/** Of two failures: that of the endpoint which was proved last, then that which climbed higher. */
function moreTelling(a: Track, b: Track): number {
  const climbed = ({ outcome }: Track): number => (outcome?.ok === false ? rungs.indexOf(outcome.rung) : 0);
  return (b.proof?.at.getTime() ?? 0) - (a.proof?.at.getTime() ?? 0) || climbed(b) - climbed(a);
}

function newer(a: Proof | undefined, b: Proof): Proof {
  return a !== undefined && a.verified >= b.verified ? a : b;
}

function pinOf(candidate: Candidate): unknown {
  const { source } = candidate;
  return "pin" in source ? [source.name, source.pin] : [source.name];
}
