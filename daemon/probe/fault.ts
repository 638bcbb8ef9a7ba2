import type { Rung } from "../../contract/candidate.ts";
import { printable } from "../../contract/text.ts";

/** A rung that could not be taken: the reason in the user's words, and what would change it. Never leaves daemon/probe. */
export class ProbeFault extends Error {
  override readonly name = "ProbeFault";
  readonly rung: Rung;
  readonly next: string | undefined;
  /** `broken`: the connection failed or fell silent, so a new one may do better. `answered`: the cache's own word. */
  readonly kind: "broken" | "answered";
  /** As in ProbeResult. */
  readonly over: "credential" | undefined;

  constructor(
    rung: Rung,
    reason: string,
    options: { next?: string | undefined; kind?: "broken" | "answered"; over?: "credential"; cause?: unknown } = {},
  ) {
    super(printable(reason, 400), options.cause === undefined ? undefined : { cause: options.cause });
    this.rung = rung;
    this.next = options.next === undefined ? undefined : printable(options.next, 640);
    this.kind = options.kind ?? "answered";
    this.over = options.over;
  }
}
