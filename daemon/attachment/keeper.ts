/** Keeps one profile attached: looks for candidates, has them proved, and renews the proof before its lease ends. */
import type { Attachment } from "../../contract/attachment.ts";
import type { Candidate, ProbeResult } from "../../contract/candidate.ts";
import type { Tool } from "../../contract/endpoint.ts";
import type { Profile } from "../../contract/profile.ts";
import { type Clock, lease } from "../../contract/published.ts";
import type { Discovery } from "../discovery/discover.ts";
import { Attacher } from "./attacher.ts";

/** Milliseconds. */
const timing = {
  renew: lease.renewEvery * 1000,
  /** Between two proofs for the sake of commands that ended. */
  betweenEnds: 1_000,
  /** While a guarded command runs. */
  renewBusy: 5_000,
  /** While Bazel is unattached: the looks come quickly as long as the last proof is younger than a lease, then as seldom as renewals. */
  firstRetry: 1_000,
  /** How often the candidates that are not attached are proved too, so that failover knows them. */
  survey: 60_000,
  /** Where a lost connection turned out to mean nothing (some servers end each one after a while), how long the next ones are not heeded. */
  lossesUnheeded: 15_000,
} as const;

export interface KeeperOptions {
  readonly profile: Profile;
  readonly discover: (profile: Profile) => Promise<Discovery>;
  /** Climbs the ladder once for this profile; never throws. */
  readonly probe: (profile: Profile, candidate: Candidate, timeoutMs: number | undefined) => Promise<ProbeResult>;
  readonly clock: () => Clock;
  /** Whether a Tailscale client tells of a tailnet. */
  readonly tailnetKnown: () => boolean;
  /** Keeps the direct path to the attached candidate's node open; nobody waits for its outcome. */
  readonly ping: (candidate: Candidate) => void;
  /** After each proof and each change of an attachment: the time to publish and to tell watchers. */
  readonly onChange: (keeper: Keeper, kind: Tool) => void;
  /** What discovery or a probe should never do. */
  readonly onFault: (thrown: unknown) => void;
}

/**
 * `renew` proves what is attached, and what stands by. `rediscover` looks for candidates first, and proves those that are
 * new. `reconsider` proves every candidate there is. All of them prove everything of an unattached kind.
 */
type Round = "renew" | "rediscover" | "reconsider";

/** Whether guarded commands run that were given this profile's attachment: then proofs are made more often. */
export type Pace = "idle" | "busy";

/**
 * One for a profile. Its rounds never overlap; what is asked meanwhile joins the running one or waits for the next:
 *
 * | asked for    | by                                                       | the round                | while one runs           |
 * | ------------ | -------------------------------------------------------- | ------------------------ | ------------------------ |
 * | `verify`     | `verify` and `up` of the API                             | the one that is due      | joins it                 |
 * | `proveAnew`  | `proveSoon`, `lost`                                      | the one that is due      | `reconsider`, after it   |
 * | `proveSoon`  | a command ended                                          | as `proveAnew`           | once a second at most    |
 * | `reconsider` | the tailnet or the configuration changed, `attach`, `up` | `reconsider`             | after it                 |
 * | `startOver`  | the machine woke, the network changed                    | as `reconsider`          | after it                 |
 * | `lost`       | a warm connection ended                                  | as `proveAnew`, attached | else one probe beside it |
 *
 * The timer starts the one that is due.
 */
export class Keeper {
  readonly bazel: Attacher;
  readonly nix: Attacher;
  readonly #options: KeeperOptions;
  #profile: Profile;
  /** Settles with the round that is under way. */
  #running: Promise<void> | undefined;
  #next: Promise<void> | undefined;
  #timer: NodeJS.Timeout | undefined;
  /** When the timer fires: milliseconds of the monotonic clock. */
  #due = 0;
  #pace: Pace = "idle";
  #soon: NodeJS.Timeout | undefined;
  #provedAnew = Number.NEGATIVE_INFINITY;
  #retry: number = timing.firstRetry;
  /** When all candidates of a kind were proved last: milliseconds of the monotonic clock. */
  readonly #surveyed = { bazel: 0, nix: 0 };
  readonly #heedLossesFrom = new Map<string, number>();
  #detached = false;
  #closed = false;

  constructor(options: KeeperOptions) {
    this.#options = options;
    this.#profile = options.profile;
    this.bazel = this.#attacher("bazel");
    this.nix = this.#attacher("nix");
  }

  get profile(): Profile {
    return this.#profile;
  }

  get detached(): boolean {
    return this.#detached;
  }

  attachment(kind: Tool): Attachment {
    return this[kind].attachment;
  }

  /** Another version of the profile was read: the candidates are looked for again. */
  setProfile(profile: Profile): void {
    this.#profile = profile;
  }

  /** Stays unattached until let go; asks no cache meanwhile. */
  setDetached(detached: boolean): void {
    this.#detached = detached;
    const command = this.#profile.name === "default" ? "flywheel up" : `flywheel --profile ${this.#profile.name} up`;
    const held = detached ? { reason: "detached by flywheel detach", next: command } : undefined;
    this.bazel.hold(held);
    this.nix.hold(held);
  }

  /** Looks for candidates again and proves them. What it gives began after the call. */
  reconsider(): Promise<void> {
    this.#retry = timing.firstRetry;
    if (this.#running === undefined) return this.#start("reconsider");
    this.#next ??= this.#running.then(() => {
      this.#next = undefined;
      return this.#start("reconsider");
    });
    return this.#next;
  }

  /** Proves the attachment now, or looks for one; whoever asks while that goes on waits for the same outcome. */
  verify(): Promise<void> {
    return this.#next ?? this.#running ?? this.#start(this.#dueRound());
  }

  /** As verify, but what it gives began after the call: something happened that a round under way may have been too early for. */
  proveAnew(): Promise<void> {
    return this.#running === undefined ? this.verify() : this.reconsider();
  }

  /** A command ended: proves anew, but no more often than it is worth where commands end all the time. */
  proveSoon(): void {
    if (this.#soon !== undefined) return;
    const rest = this.#provedAnew + timing.betweenEnds - performance.now();
    const prove = (): void => {
      this.#soon = undefined;
      this.#provedAnew = performance.now();
      void this.proveAnew();
    };
    this.#soon = setTimeout(prove, Math.max(0, rest));
  }

  /** The network is another one, or the machine slept: everything is looked for and proved again, and old failures are forgiven. */
  startOver(): Promise<void> {
    this.bazel.forgive();
    this.nix.forgive();
    return this.reconsider();
  }

  setPace(pace: Pace): void {
    if (this.#pace === pace) return;
    this.#pace = pace;
    const soon = performance.now() + timing.renewBusy;
    if (pace === "busy" && this.#timer !== undefined && soon < this.#due) this.#wait(soon);
  }

  /** The warm connection to an endpoint ended: it is proved again without waiting for the renewal. */
  async lost(url: string): Promise<void> {
    const attacher = [this.bazel, this.nix].find(({ tracks }) => tracks.some((track) => track.candidate.endpoint.url === url));
    if (attacher === undefined || this.#closed || performance.now() < (this.#heedLossesFrom.get(url) ?? 0)) return;
    if (attacher.attachedCandidate?.endpoint.url === url) await this.proveAnew();
    else await attacher.recheck(url);
    const passes = attacher.tracks.some((track) => track.candidate.endpoint.url === url && track.outcome?.ok === true);
    if (passes) this.#heedLossesFrom.set(url, performance.now() + timing.lossesUnheeded);
    for (const [known, until] of this.#heedLossesFrom) if (until < performance.now()) this.#heedLossesFrom.delete(known);
  }

  async close(): Promise<void> {
    this.#closed = true;
    clearTimeout(this.#soon);
    this.#stopWaiting();
    await this.#next;
    await this.#running;
  }

  #attacher(kind: Tool): Attacher {
    return new Attacher({
      kind,
      clock: this.#options.clock,
      nothingNamed: () => nothingNamed(this.#profile, kind),
      tailnetKnown: this.#options.tailnetKnown,
      probe: (candidate, timeoutMs) => this.#options.probe(this.#profile, candidate, timeoutMs),
      onChange: () => {
        if (!this.#closed) this.#options.onChange(this, kind);
      },
    });
  }

  #start(round: Round): Promise<void> {
    if (this.#closed) return Promise.resolve();
    this.#stopWaiting();
    const done = this.#run(round)
      .catch((error: unknown) => this.#options.onFault(error))
      .finally(() => {
        this.#running = undefined;
        this.#schedule();
      });
    this.#running = done;
    return done;
  }

  async #run(round: Round): Promise<void> {
    if (this.#detached) {
      // The word that it is detached is renewed like any other.
      for (const kind of ["bazel", "nix"] as const) this.#options.onChange(this, kind);
      return;
    }
    if (round !== "renew") {
      const { candidates, rejections } = await this.#options.discover(this.#profile);
      for (const attacher of [this.bazel, this.nix]) {
        attacher.replace(
          candidates.filter((candidate) => candidate.endpoint.kind === attacher.kind),
          rejections.filter((rejection) => rejection.kind === attacher.kind),
        );
      }
    }
    await Promise.all([this.bazel, this.nix].map((attacher) => this.#prove(attacher, round)));
  }

  async #prove(attacher: Attacher, round: Round): Promise<void> {
    const now = performance.now();
    const surveyed = this.#surveyed[attacher.kind];
    const before = attacher.attachedCandidate;
    if (before !== undefined) this.#options.ping(before);
    await attacher.prove();
    const after = attacher.attachedCandidate;
    const same = before !== undefined && after?.endpoint.url === before.endpoint.url;
    if (after !== undefined && !same) this.#options.ping(after);
    // Where it is another one, or was none, all of them have been asked by now.
    if (!same) this.#surveyed[attacher.kind] = now;
    else if (round === "reconsider" || now - surveyed > timing.survey) {
      this.#surveyed[attacher.kind] = now;
      await attacher.survey();
    } else await attacher.survey("untried");
  }

  /** What the timer does: a profile that lacks an attachment looks for candidates anew, since whois and the like may have changed. */
  #dueRound(): Round {
    return this.bazel.attachment.state === "unattached" || this.nix.attachment.state === "unattached" ? "rediscover" : "renew";
  }

  #schedule(): void {
    if (this.#closed || this.#running !== undefined || this.#next !== undefined) return;
    const unattached = this.bazel.attachment.state === "unattached" && !this.#detached;
    const renew = this.#pace === "busy" ? timing.renewBusy : timing.renew;
    this.#wait(performance.now() + (unattached ? Math.min(this.#retry, renew) : renew));
    this.#retry = unattached && !this.#provedLately() ? Math.min(this.#retry * 2, timing.renew) : timing.firstRetry;
  }

  /** A cache that was there a moment ago may be back in a moment. */
  #provedLately(): boolean {
    const { lastProof } = this.bazel;
    return lastProof !== undefined && this.#options.clock().seconds - lastProof.verified <= lease.span;
  }

  /** @param due milliseconds of the monotonic clock */
  #wait(due: number): void {
    this.#stopWaiting();
    this.#due = due;
    this.#timer = setTimeout(() => void this.#start(this.#dueRound()), Math.max(0, due - performance.now()));
  }

  #stopWaiting(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
  }
}

function nothingNamed(profile: Profile, kind: Tool): { readonly reason: string; readonly next: string } {
  const { service, tag } = profile[kind];
  const attach = kind === "bazel" ? "flywheel attach <endpoint>" : "flywheel attach --kind nix <endpoint>";
  return {
    reason: `no candidate: no Service ${service}, no node with ${tag} and no configured endpoint names a cache`,
    next: `have the cache's node tagged ${tag}, or: ${attach}`,
  };
}
