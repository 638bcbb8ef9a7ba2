/** Everything that one frame is drawn from. */
import type { StatusReport } from "../../contract/api.ts";
import { printable } from "../../contract/text.ts";

/** How the daemon stands to this screen. */
export type Link =
  | { readonly state: "looking" }
  | { readonly state: "starting" }
  | { readonly state: "live" }
  /** It answered, or never did, and does not now. */
  | { readonly state: "gone"; readonly since: Date; readonly why: string; readonly next: string | null };

export interface News {
  readonly link: Link;
  /** The last that was told; not of now while the link is gone. */
  readonly report: StatusReport | undefined;
  /** performance.now() when it was. */
  readonly receivedAt: number;
}

/** A moment, by the two clocks that ages are counted with. */
export interface Moment {
  /** performance.now() */
  readonly steady: number;
  /** Date.now() */
  readonly wall: number;
}

export interface Scene {
  readonly news: News;
  readonly now: Moment;
}

/** Seconds since the last proof: what the daemon said, and what has passed since it did. While the daemon is gone nobody counts. */
export function proofAge({ news, now }: Scene, toldS: number): number {
  return toldS + Math.max(0, now.steady - news.receivedAt) / 1000;
}

/** Seconds since that time; 0 where it is none, or yet to come. */
export function secondsSince(iso: string, now: Moment): number {
  const at = Date.parse(iso);
  return Number.isNaN(at) ? 0 : Math.max(0, (now.wall - at) / 1000);
}

/** What the tailnet, a cache or a tool's log said, as it may be shown. */
export function clean(text: string): string {
  return printable(text, 400);
}
