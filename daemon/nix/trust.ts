/** What this machine's Nix takes, remembered: asked when a cache is new or the configuration changed, and now and then. */
import type { Endpoint } from "../../contract/endpoint.ts";
import { messageOf } from "../../contract/errors.ts";
import { isTrustedUser, judgeNixHonour, type NixAnswer, type NixHonour, type NixQuestion, nixSettings } from "../../contract/nix/trust.ts";
import { askNixDaemon } from "./ask.ts";
import { type NixConfiguration, readNixConfiguration, stampOf } from "./configuration.ts";
import { groupsOf } from "./groups.ts";
import { findNix, type NixPlace, nixAccess, nixPlace, ownName } from "./place.ts";

/** How long a verdict is believed: milliseconds. A yes rarely ends; a no ends as soon as an administrator restarts Nix's daemon. */
const believed = { yes: 3_600_000, no: 120_000, failed: 10_000 } as const;
const most = 64;

interface Verdict {
  readonly honour: Promise<NixHonour>;
  /** Set once it is known. */
  known: NixHonour | undefined;
  /** Milliseconds of the monotonic clock. */
  until: number;
  /** The configuration's, and the stamp that they had. */
  readonly files: readonly string[];
  readonly stamp: string;
}

export class NixTrust {
  readonly place: NixPlace;
  readonly #verdicts = new Map<string, Verdict>();

  /** @param env where Nix lives: nixVariables, HOME and USER */
  constructor(env: Readonly<Record<string, string | undefined>>) {
    this.place = nixPlace(env);
  }

  /** Whether Nix takes a cache, and on what terms. Never throws. */
  honour(question: NixQuestion): Promise<NixHonour> {
    const key = keyOf(question);
    const old = this.#verdicts.get(key);
    const asBefore = old !== undefined && this.#stamp(old.files) === old.stamp;
    if (asBefore && performance.now() < old.until) return old.honour;
    const fresh = this.#ask(question, old?.known);
    // A yes that is only old holds until the new answer is there: nobody waits for it.
    const stillYes = asBefore && old.known?.ok === true;
    this.#verdicts.delete(key);
    this.#verdicts.set(key, fresh);
    for (const oldest of this.#verdicts.keys()) {
      if (this.#verdicts.size <= most) break;
      this.#verdicts.delete(oldest);
    }
    return stillYes ? old.honour : fresh.honour;
  }

  /** The last verdict on an endpoint, whatever its key; undefined where none was asked for. */
  lastOn(endpoint: Endpoint): NixHonour | undefined {
    return [...this.#verdicts].findLast(([key]) => key.startsWith(`${endpoint.url} `))?.[1].known;
  }

  /** Something may be another than it was: `no`: what was turned down is asked for again; `all`: everything is. */
  reconsider(which: "no" | "all"): void {
    for (const [key, { known }] of this.#verdicts) if (which === "all" || known?.ok === false) this.#verdicts.delete(key);
  }

  /** What a verdict rests on, as far as that is seen without asking anybody. */
  #stamp(files: readonly string[]): string {
    return `${stampOf(files)} ${nixAccess(this.place).by}`;
  }

  /** @param before what was known so far, and is shown until the answer is there */
  #ask(question: NixQuestion, before: NixHonour | undefined): Verdict {
    const configuration = readNixConfiguration(this.place.confDir);
    const verdict: Verdict = {
      files: configuration.files,
      stamp: this.#stamp(configuration.files),
      known: before,
      until: Number.POSITIVE_INFINITY,
      honour: this.#judge(question, configuration)
        .catch((error: unknown) => ({ honour: cannot(`this machine's Nix could not be asked: ${messageOf(error)}`), failed: true }))
        .then(({ honour, failed }) => {
          verdict.known = honour;
          verdict.until = performance.now() + (failed ? believed.failed : honour.ok ? believed.yes : believed.no);
          return honour;
        }),
    };
    return verdict;
  }

  async #judge(question: NixQuestion, { text }: NixConfiguration): Promise<{ readonly honour: NixHonour; readonly failed: boolean }> {
    const access = nixAccess(this.place);
    const settings = text === undefined ? undefined : nixSettings(text);
    let answer: NixAnswer | undefined;
    const program = access.by === "daemon" ? findNix(this.place) : undefined;
    if (program !== undefined) {
      const asked = await askNixDaemon(
        program,
        this.place,
        [question.endpoint, ...question.aliases].map(({ url }) => url),
      );
      if (asked.state === "failed") return { honour: cannot(`the Nix daemon does not answer this user: ${asked.reason}`), failed: true };
      answer = asked.answer;
    }
    const user = ownName();
    // Only where a group decides is the user database asked.
    const byGroup = answer === undefined && settings !== undefined && !isTrustedUser(settings, { user, groups: [] });
    const groups = byGroup && settings.trustedUsers.some((entry) => entry.startsWith("@")) ? await groupsOf(user) : [];
    return { honour: judgeNixHonour(question, { access, settings, answer, client: { user, groups } }), failed: false };
  }
}

function keyOf({ endpoint, aliases, publicKey }: NixQuestion): string {
  return [endpoint.url, ...aliases.map(({ url }) => url), publicKey].join(" ");
}

function cannot(reason: string): NixHonour {
  return { ok: false, ignored: { reason, next: "see that Nix itself works: nix store ping", advice: undefined } };
}
