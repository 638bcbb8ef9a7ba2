/** The credentials that the daemon knows: the index as it was read last, and the secrets that were needed since. */
import { setTimeout as delay } from "node:timers/promises";
import {
  type Credential,
  type CredentialEntry,
  type CredentialIndex,
  entryFor,
  hasExpired,
  noCredentials,
} from "../../contract/credential.ts";
import type { Endpoint } from "../../contract/endpoint.ts";
import type { Paths } from "../../contract/paths.ts";
import { asOfToday } from "../api/client/credentials/certificate-end.ts";
import { credentialsStamp, readCredentials } from "../api/client/credentials/index-file.ts";
import { type AskSecrets, askSecrets, type Secrets } from "./child.ts";
import type { KeptCredential } from "./kept.ts";

/** How long whoever needs a secret waits for it, from when it was asked for: milliseconds. A keyring may wait for its password far longer. */
const firstAnswer = 1_500;

type Known = { readonly credential: Credential } | { readonly reason: string; readonly next: string | undefined };

export interface CredentialMemoryOptions {
  readonly paths: Paths;
  /** What the child that reads secrets may know: the way to the session's bus among it. */
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Secrets that somebody stopped waiting for are there, or will not come. */
  readonly onLate: () => void;
  readonly now?: () => Date;
  /** askSecrets' own unless told. */
  readonly timeoutMs?: number;
}

export class CredentialMemory {
  readonly #options: CredentialMemoryOptions;
  readonly #known = new Map<string, Known>();
  #index: CredentialIndex = noCredentials;
  /** Of the index's file as it was read last. */
  #stamp = "";
  #asking: { readonly done: Promise<void>; readonly since: number; readonly stop: AbortController } | undefined;
  #closed = false;
  #waitedInVain = false;

  constructor(options: CredentialMemoryOptions) {
    this.#options = options;
  }

  get index(): CredentialIndex {
    return this.#index;
  }

  /**
   * Reads the index again, forgets the secrets of logins that are gone, and lets those that could not be read be asked for again.
   * @throws FlywheelError `credentials-unusable`: then everything stays as it was
   */
  load(): void {
    this.#stamp = credentialsStamp(this.#options.paths);
    const before = this.#index.entries.map(({ generation }) => generation);
    this.#index = readCredentials(this.#options.paths);
    const logins = new Set(this.#index.entries.map(({ generation }) => generation));
    // One that waits for a locked keyring must not keep the secret of a new login waiting.
    if (before.length !== logins.size || before.some((login) => !logins.has(login))) this.#stop();
    for (const generation of this.#known.keys()) if (!logins.has(generation)) this.#known.delete(generation);
    this.reconsider();
  }

  /** Whether somebody logged in or out since, who told another daemon of it than this one, or none. */
  get outdated(): boolean {
    return credentialsStamp(this.#options.paths) !== this.#stamp;
  }

  /** Somebody is there now who may unlock a keyring: what could not be read is asked for again, at the next need. */
  reconsider(): void {
    for (const [generation, known] of this.#known) if (!("credential" in known)) this.#known.delete(generation);
  }

  /** The login to an endpoint of a profile. @param spellings the endpoint and its aliases */
  entry(profile: string, spellings: readonly Endpoint[]): CredentialEntry | undefined {
    return entryFor(this.#index, profile, spellings);
  }

  /** What is kept for an endpoint of a profile; asks for its secret at the first need, and waits for it a moment. */
  async kept(profile: string, spellings: readonly Endpoint[]): Promise<KeptCredential | undefined> {
    const entry = this.entry(profile, spellings);
    return entry === undefined ? undefined : await this.read(entry);
  }

  async read(login: CredentialEntry): Promise<KeptCredential> {
    const entry = asOfToday(login);
    const { how, generation, expires, at: since } = entry;
    const asked = { scheme: how.scheme, login: entry };
    if (expires !== null && hasExpired(entry, this.#now)) return { state: "expired", ...asked, since, expires };
    if (how.scheme === "mtls") return { state: "ready", credential: how, since, generation, login: entry };
    const known = this.#known.get(generation) ?? (await this.#ask(generation));
    if (known === undefined) {
      const reason = "the keyring has not answered yet";
      return { state: "unreadable", ...asked, since, reason, next: "unlock the keyring where it asks, or: flywheel up" };
    }
    return "credential" in known
      ? { state: "ready", credential: known.credential, since, generation, login: entry }
      : { state: "unreadable", ...asked, since, ...known };
  }

  close(): void {
    this.#closed = true;
    this.#stop();
  }

  #stop(): void {
    this.#asking?.stop.abort();
    this.#asking = undefined;
  }

  get #now(): Date {
    return this.#options.now?.() ?? new Date();
  }

  /** @returns undefined where it is not known in time */
  async #ask(generation: string): Promise<Known | undefined> {
    if (this.#closed) return undefined;
    if (this.#asking === undefined) {
      const stop = new AbortController();
      this.#asking = { done: this.#askAll(stop.signal), since: performance.now(), stop };
    }
    const { done, since } = this.#asking;
    const left = since + firstAnswer - performance.now();
    if (left > 0) await Promise.race([done, delay(left, undefined, { ref: false })]);
    const known = this.#known.get(generation);
    if (known === undefined) this.#waitedInVain = true;
    return known;
  }

  /** One child for all that are not known. */
  async #askAll(signal: AbortSignal): Promise<void> {
    const { paths, env, onLate, timeoutMs } = this.#options;
    const wanted = this.#index.entries.filter((entry) => entry.how.scheme !== "mtls" && !hasExpired(entry, this.#now));
    const generations = wanted.map(({ generation }) => generation).filter((generation) => !this.#known.has(generation));
    const ask: AskSecrets = { paths, env, generations, signal };
    const secrets: Secrets = await askSecrets(timeoutMs === undefined ? ask : { ...ask, timeoutMs });
    if (signal.aborted) return;
    const logins = new Set(this.#index.entries.map(({ generation }) => generation));
    for (const [generation, known] of secrets) if (logins.has(generation)) this.#known.set(generation, known);
    this.#asking = undefined;
    if (!this.#waitedInVain) return;
    this.#waitedInVain = false;
    onLate();
  }
}
