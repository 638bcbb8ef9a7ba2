import type { CacheFacts } from "../../contract/candidate.ts";

/** What a cache that passed is worth. */
export interface Judgement {
  /** Of one request on the warm connection: milliseconds. */
  readonly latencyMs: number;
  readonly facts: CacheFacts;
}
