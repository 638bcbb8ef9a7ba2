/** Whether a cache asks for the credential that it gets: asked once for each login, without it, on a connection of its own. */
import type { CredentialReport } from "../../contract/api.ts";
import type { Candidate, ProbeResult } from "../../contract/candidate.ts";
import type { ProbeContext } from "../probe/context.ts";
import { Prober } from "../probe/prober.ts";

export type Need = CredentialReport["needed"];

export class Needs {
  readonly #needs = new Map<string, Need>();
  readonly #asking = new Set<Prober>();
  readonly #onChange: () => void;
  #closed = false;

  /** @param onChange told when an answer is there */
  constructor(onChange: () => void) {
    this.#onChange = onChange;
  }

  /** What is known; `unknown` until it was asked. */
  of(generation: string, candidate: Candidate): Need {
    return this.#needs.get(keyOf(generation, candidate)) ?? "unknown";
  }

  /** After a proof with the credential: asks, unless that was done. Nobody waits for it. */
  ask(generation: string, candidate: Candidate, context: ProbeContext): void {
    const key = keyOf(generation, candidate);
    if (this.#needs.has(key) || this.#closed) return;
    this.#needs.set(key, "unknown");
    void this.#probe(candidate, context).then((need) => {
      if (!this.#needs.has(key) || this.#closed) return;
      this.#needs.set(key, need);
      this.#onChange();
    });
  }

  /** It passed a proof without the credential, which was not fit to be sent. */
  passedWithout(generation: string, candidate: Candidate): void {
    if (!this.#closed) this.#needs.set(keyOf(generation, candidate), "no");
  }

  /** Forgets logins that are gone, and what could not be told: that is asked again. */
  retain(logins: readonly string[]): void {
    for (const [key, need] of this.#needs) {
      if (need === "unknown" || !logins.some((login) => key.startsWith(`${login} `))) this.#needs.delete(key);
    }
  }

  async close(): Promise<void> {
    this.#closed = true;
    await Promise.all([...this.#asking].map((prober) => prober.close()));
  }

  async #probe(candidate: Candidate, context: ProbeContext): Promise<Need> {
    const prober = new Prober();
    this.#asking.add(prober);
    try {
      return await needAt(prober, candidate, context);
    } finally {
      this.#asking.delete(prober);
      await prober.close();
    }
  }
}

/** Asks without the credential of `context`, after a proof with it. */
export async function needAt(prober: Prober, candidate: Candidate, context: ProbeContext): Promise<Need> {
  // This machine's Nix has been asked already, and has nothing to say about it.
  const { nix: _, ...rest } = context;
  return needOf(await prober.probe(candidate, { ...rest, kept: undefined, anonymously: true }));
}

function needOf(result: ProbeResult): Need {
  if (result.ok) return "no";
  return result.rung === "authority" ? "yes" : "unknown";
}

function keyOf(generation: string, { endpoint }: Candidate): string {
  return `${generation} ${endpoint.kind} ${endpoint.url}`;
}
