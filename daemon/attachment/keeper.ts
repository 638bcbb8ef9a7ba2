/** Keeps one profile attached: looks for candidates, has them proved, and renews the proof before its lease ends. */
import type { Attachment } from "../../contract/attachment.ts";
import type { Candidate, ProbeResult } from "../../contract/candidate.ts";
import { isLoopback, type Tool } from "../../contract/endpoint.ts";
import type { Profile } from "../../contract/profile.ts";
import { type Clock, lease } from "../../contract/published.ts";
import type { Discovery } from "../discovery/discover.ts";
import { Attacher } from "./attacher.ts";

/** Milliseconds. */
const timing = {
  renew: lease.renewEvery * 1000,
  /** While Bazel is unattached: the first looks come quickly, then as seldom as renewals. */
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
  /** Keeps the direct path to a node open; its outcome does not matter. */
  readonly ping: (address: string) => void;
  /** After each proof and each change of an attachment: the time to publish and to tell watchers. */
  readonly onChange: (keeper: Keeper, kind: Tool) => void;
  /** What discovery or a probe should never do. */
  readonly onFault: (thrown: unknown) => void;
}

type Round = "renew" | "reconsider";

/** One for a profile. Its rounds never overlap; what is asked meanwhile joins the running one or waits for the next. */
export class Keeper {
  readonly bazel: Attacher;
  readonly nix: Attacher;
  readonly #options: KeeperOptions;
  #profile: Profile;
  #running: { readonly round: Round; readonly done: Promise<void> } | undefined;
  #next: Promise<void> | undefined;
  #timer: NodeJS.Timeout | undefined;
  #retry: number = timing.firstRetry;
  #surveyed = 0;
  #heedLossesFrom = 0;
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
    this.#next ??= this.#running.done.then(() => {
      this.#next = undefined;
      return this.#start("reconsider");
    });
    return this.#next;
  }

  /** Proves the attachment now, or looks for one; whoever asks while that goes on waits for the same outcome. */
  verify(): Promise<void> {
    return this.#next ?? this.#running?.done ?? this.#start(this.#due());
  }

  /** The warm connection to an endpoint ended: where that is the attached one, it is proved again without waiting for the renewal. */
  async lost(url: string): Promise<void> {
    if (!this.#isAttached(url) || performance.now() < this.#heedLossesFrom) return;
    await this.verify();
    if (this.#isAttached(url)) this.#heedLossesFrom = performance.now() + timing.lossesUnheeded;
  }

  async close(): Promise<void> {
    this.#closed = true;
    clearTimeout(this.#timer);
    await this.#next;
    await this.#running?.done;
  }

  #isAttached(url: string): boolean {
    return [this.bazel, this.nix].some(({ attachment }) => attachment.state === "attached" && attachment.candidate.endpoint.url === url);
  }

  #attacher(kind: Tool): Attacher {
    return new Attacher({
      kind,
      clock: this.#options.clock,
      nothingNamed: () => nothingNamed(this.#profile, kind),
      probe: (candidate, timeoutMs) => this.#options.probe(this.#profile, candidate, timeoutMs),
      onChange: () => {
        if (!this.#closed) this.#options.onChange(this, kind);
      },
    });
  }

  #start(round: Round): Promise<void> {
    if (this.#closed) return Promise.resolve();
    clearTimeout(this.#timer);
    const done = this.#run(round)
      .catch((error: unknown) => this.#options.onFault(error))
      .finally(() => {
        this.#running = undefined;
        this.#schedule();
      });
    this.#running = { round, done };
    return done;
  }

  async #run(round: Round): Promise<void> {
    if (this.#detached) {
      // The word that it is detached is renewed like any other.
      for (const kind of ["bazel", "nix"] as const) this.#options.onChange(this, kind);
      return;
    }
    if (round === "reconsider") {
      const { candidates, rejections } = await this.#options.discover(this.#profile);
      for (const attacher of [this.bazel, this.nix]) {
        attacher.replace(
          candidates.filter((candidate) => candidate.endpoint.kind === attacher.kind),
          rejections.filter((rejection) => rejection.kind === attacher.kind),
        );
      }
    }
    const survey = round === "reconsider" || performance.now() - this.#surveyed > timing.survey;
    if (survey) this.#surveyed = performance.now();
    await Promise.all([this.bazel, this.nix].map((attacher) => this.#prove(attacher, survey)));
  }

  async #prove(attacher: Attacher, survey: boolean): Promise<void> {
    const { attachment } = attacher;
    if (attachment.state === "unattached") return attacher.survey();
    const { source, endpoint } = attachment.candidate;
    const address = "pin" in source ? source.pin[0] : undefined;
    if (address !== undefined && !isLoopback(address) && !isLoopback(endpoint.host)) this.#options.ping(address);
    await attacher.prove();
    if (survey && attacher.attachment.state === "attached") await attacher.survey();
  }

  /** What the timer does: a profile that lacks an attachment looks for candidates anew, since whois and the like may have changed. */
  #due(): Round {
    return this.bazel.attachment.state === "unattached" || this.nix.attachment.state === "unattached" ? "reconsider" : "renew";
  }

  #schedule(): void {
    if (this.#closed || this.#running !== undefined || this.#next !== undefined) return;
    const unattached = this.bazel.attachment.state === "unattached" && !this.#detached;
    const wait = unattached ? this.#retry : timing.renew;
    this.#retry = unattached ? Math.min(this.#retry * 2, timing.renew) : timing.firstRetry;
    this.#timer = setTimeout(() => void this.#start(this.#due()), wait);
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
