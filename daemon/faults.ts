/** What the daemon itself suffers from at the moment, for status: one fault a topic, gone when mended. */
export type FaultTopic = "log" | "publish" | "config" | "operator" | "repositories" | "running" | "journal" | "credentials";

export class Faults {
  readonly #faults = new Map<FaultTopic, string>();

  /** @returns whether that is news */
  set(topic: FaultTopic, fault: string | undefined): boolean {
    if (this.#faults.get(topic) === fault) return false;
    if (fault === undefined) this.#faults.delete(topic);
    else this.#faults.set(topic, fault);
    return true;
  }

  get list(): readonly string[] {
    return [...this.#faults.values()];
  }
}
