/** The user's logins, as the daemon uses them: to prove a cache, to tell of it, and to hand them to the tools it is for. */
import { createHash } from "node:crypto";
import type { CredentialAnswer, CredentialReport, CredentialRequest, GenerationRequest } from "../../contract/api.ts";
import { bazelrcText } from "../../contract/bazel/credential-rc.ts";
import type { Candidate } from "../../contract/candidate.ts";
import type { CredentialEntry } from "../../contract/credential.ts";
import { askedOf } from "../../contract/credential-helper.ts";
import { type Endpoint, parseEndpoint, sameEndpoint, type Tool } from "../../contract/endpoint.ts";
import { FlywheelError } from "../../contract/errors.ts";
import { loginCommand } from "../../contract/login-command.ts";
import { netrcText } from "../../contract/nix/netrc.ts";
import type { OwnNetrc } from "../../contract/nix/trust.ts";
import type { Paths } from "../../contract/paths.ts";
import { Secret } from "../../contract/secret.ts";
import { printable } from "../../contract/text.ts";
import { asOfToday } from "../api/client/credentials/certificate-end.ts";
import { generationDirectory } from "../api/client/credentials/generations.ts";
import type { ProbeContext } from "../probe/context.ts";
import { Generations } from "./generations.ts";
import { helperAnswer, reach, unusable } from "./helper.ts";
import type { KeptCredential } from "./kept.ts";
import { CredentialMemory } from "./memory.ts";
import { Needs } from "./needs.ts";

/** How often old directories are looked for, besides at each new one: milliseconds. */
const prunes = 3_600_000;

export interface CredentialsOptions {
  readonly paths: Paths;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** What discovery found for a profile; none where it is not in use. */
  readonly candidates: (profile: string, kind: Tool) => readonly Candidate[];
  /** What this user's Nix would read without us. @param userConf of the request */
  readonly ownNetrc: (userConf: readonly string[] | undefined) => OwnNetrc;
  /** Secrets came after somebody stopped waiting for them: what was proved without is to be proved again. */
  readonly onLate: () => void;
  /** What there is to tell of a credential is another now. */
  readonly onChange: () => void;
}

export class Credentials {
  readonly #options: CredentialsOptions;
  readonly #memory: CredentialMemory;
  readonly #needs: Needs;
  readonly #generations: Generations;
  readonly #timer: NodeJS.Timeout;

  constructor(options: CredentialsOptions) {
    const { paths, env, onLate, onChange } = options;
    this.#options = options;
    this.#memory = new CredentialMemory({ paths, env, onLate });
    this.#needs = new Needs(onChange);
    this.#generations = new Generations(paths);
    this.#timer = setInterval(() => this.#generations.prune(), prunes).unref();
  }

  /**
   * Reads what the user is logged in to again; what belongs to a login that is gone goes at once.
   * @throws FlywheelError `credentials-unusable`: then everything stays as it was
   */
  load(): void {
    this.#memory.load();
    this.#needs.retain(this.logins);
    this.#generations.prune(this.logins);
  }

  /**
   * A login or logout tells the daemon of its own runtime directory: one in another, over ssh say, comes to this one by the
   * file alone. What cannot be read changes nothing, as at a reload, which says so.
   */
  #catchUp(): void {
    if (!this.#memory.outdated) return;
    try {
      this.load();
    } catch (error) {
      if (!(error instanceof FlywheelError)) throw error;
    }
  }

  /** Somebody is there now: a keyring that was locked is asked again. */
  reconsider(): void {
    this.#memory.reconsider();
    this.#needs.retain(this.logins);
  }

  /** The generations of all logins. */
  get logins(): readonly string[] {
    return this.#memory.index.entries.map(({ generation }) => generation);
  }

  /** The login to a candidate: by its endpoint, or by an alias that discovery itself gave. */
  entry(profile: string, { endpoint, aliases }: Candidate): CredentialEntry | undefined {
    return this.#memory.entry(profile, [endpoint, ...aliases]);
  }

  /** What a probe of a candidate may send. */
  kept(profile: string, { endpoint, aliases }: Candidate): Promise<KeptCredential | undefined> {
    this.#catchUp();
    return this.#memory.kept(profile, [endpoint, ...aliases]);
  }

  /** A candidate passed its probe. */
  proved(candidate: Candidate, context: ProbeContext): void {
    const { kept, profile } = context;
    if (kept?.state === "ready") this.#needs.ask(kept.generation, candidate, context);
    const login = kept?.state === "expired" && profile !== undefined ? this.entry(profile, candidate) : undefined;
    if (login !== undefined) this.#needs.passedWithout(login.generation, candidate);
  }

  report(profile: string, candidate: Candidate): CredentialReport | undefined {
    const entry = this.entry(profile, candidate);
    if (entry === undefined) return undefined;
    const { how, at, expires, generation } = asOfToday(entry);
    return { scheme: how.scheme, since: at, expires, needed: this.#needs.of(generation, candidate), next: loginCommand(entry) };
  }

  /** @throws FlywheelError `usage`, or `credentials-unusable` where there is one that cannot be used */
  async answer({ profile, uri }: CredentialRequest): Promise<CredentialAnswer> {
    this.#catchUp();
    const asked = askedOf(uri);
    if (asked === undefined) throw new FlywheelError("usage", "uri: expected an http or https URI");
    const reaching = this.#memory.index.entries
      .filter((entry) => entry.profile === profile)
      .flatMap((entry) => {
        const length = reach(asked, entry, this.#candidatesOf(entry));
        return length === undefined ? [] : [{ entry, length }];
      });
    const longest = Math.max(...reaching.map(({ length }) => length));
    const owners = reaching.filter(({ length }) => length === longest).map(({ entry }) => entry);
    return owners.length === 0 ? { headers: {}, expires: null } : await this.#common(owners);
  }

  /**
   * Makes the files from which a tool takes the credential of an endpoint, or only looks whether it could.
   * @returns their directory
   * @throws FlywheelError `endpoint-invalid`, `credentials-unusable`, `runtime-directory-unsafe`
   */
  async generation({ profile, kind, endpoint: text, userConf, look }: GenerationRequest): Promise<string> {
    this.#catchUp();
    const parsed = parseEndpoint(text, kind);
    if (!parsed.ok) throw new FlywheelError("endpoint-invalid", printable(parsed.message));
    const { endpoint } = parsed;
    const entry = this.#memory.entry(profile, this.#spellings(profile, endpoint));
    if (entry === undefined) {
      throw new FlywheelError("credentials-unusable", `no credential is kept for ${endpoint.url}`, {
        next: loginCommand({ profile, kind, endpoint: endpoint.url }),
      });
    }
    if (kind === "bazel" && !entry.legacyHeader) {
      throw new FlywheelError(
        "credentials-unusable",
        `a Bazel before 6.3 takes the credential of ${endpoint.url} only as a header, which it writes to files of its own, and that was not allowed`,
        { next: `${loginCommand(entry)} --allow-legacy-header   (or use Bazel 6.3 and newer)` },
      );
    }
    const kept = await this.#memory.read(entry);
    if (kept.state === "expired") throw unusable(entry, kept);
    const ready = (): Extract<KeptCredential, { state: "ready" }> => {
      if (kept.state !== "ready") throw unusable(entry, kept);
      return kept;
    };
    const make = (directory: string, file: string, write: () => Secret): Promise<void> =>
      look === true ? this.#generations.look(directory, write) : this.#generations.make(directory, file, write);
    const base = generationDirectory(this.#options.paths, entry, endpoint);
    if (kind === "bazel") {
      await make(base, "bazelrc", () => new Secret(bazelrcText(endpoint, ready().credential)));
      return base;
    }
    const own = this.#ownNetrc(userConf);
    // With what the user's own netrc says besides: another one makes another directory.
    const directory = own === "" ? base : `${base}-${createHash("sha256").update(own).digest("hex").slice(0, 16)}`;
    await make(directory, "netrc", () => new Secret(netrcText(endpoint, ready().credential, own)));
    return directory;
  }

  async close(): Promise<void> {
    clearInterval(this.#timer);
    this.#memory.close();
    await this.#needs.close();
  }

  /** Of several logins to one place: what they all say, or nobody knows which is meant. */
  async #common(owners: readonly CredentialEntry[]): Promise<CredentialAnswer> {
    const answers = await Promise.all(owners.map(async (entry) => helperAnswer(entry, await this.#memory.read(entry))));
    const [first] = answers;
    const differ = answers.some(({ headers }) => headers["Authorization"]?.[0] !== first?.headers["Authorization"]?.[0]);
    if (first !== undefined && !differ) return first;
    const endpoints = owners.map((entry) => entry.endpoint).join(" and ");
    throw new FlywheelError("credentials-unusable", `there are different credentials for ${endpoints}, which Bazel asks for alike`, {
      next: "flywheel logout <endpoint> for the one that is not meant",
    });
  }

  /** The candidates that are the cache of a login, by discovery's own word. */
  #candidatesOf(entry: CredentialEntry): readonly Candidate[] {
    const { profile, kind } = entry;
    return this.#options.candidates(profile, kind).filter((candidate) => this.entry(profile, candidate) === entry);
  }

  #spellings(profile: string, endpoint: Endpoint): readonly Endpoint[] {
    const candidate = this.#options
      .candidates(profile, endpoint.kind)
      .find((one) => [one.endpoint, ...one.aliases].some((spelling) => sameEndpoint(spelling, endpoint)));
    return candidate === undefined ? [endpoint] : [candidate.endpoint, ...candidate.aliases];
  }

  #ownNetrc(userConf: readonly string[] | undefined): string {
    const own = this.#options.ownNetrc(userConf);
    if (own.state === "read") return own.text;
    throw new FlywheelError("credentials-unusable", `${own.file}, from which this machine's Nix takes credentials, cannot be read here`, {
      next: 'have an administrator keep the credential there, and say so in the profile: [nix] netrc = "system"',
    });
  }
}
