/** By which path packets reach a candidate's node: the last answered disco ping's word. */
import type { PathReport } from "../../contract/api.ts";
import type { Candidate } from "../../contract/candidate.ts";
import { isAddress, isLoopback } from "../../contract/endpoint.ts";
import { lease } from "../../contract/published.ts";
import type { Tailnet } from "../tailnet/tailnet.ts";
import type { Ping } from "../tailnet/watch.ts";

/** An answer is believed as long as a lease runs, so that one lost ping is no news: milliseconds. */
const believed = lease.span * 1000;
/** More nodes than candidates are never asked. */
const most = 256;

/**
 * The tailnet address that stands behind a candidate.
 * @returns undefined where it lies outside the tailnet, as far as the snapshot tells, or on this machine
 */
export function tailnetAddress({ source, endpoint }: Candidate, tailnet: Tailnet): string | undefined {
  if (isLoopback(endpoint.host)) return undefined;
  if ("pin" in source) return source.pin.find((address) => !isLoopback(address));
  if (tailnet.state !== "known") return undefined;
  const node = isAddress(endpoint.host)
    ? tailnet.nodes.find(({ addresses }) => addresses.includes(endpoint.host))
    : tailnet.nodes.find(({ name }) => name === endpoint.host);
  return isAddress(endpoint.host) && node !== undefined ? endpoint.host : node?.addresses[0];
}

export class NodePaths {
  readonly #known = new Map<string, { readonly path: PathReport; readonly at: number }>();

  of(address: string | undefined): PathReport | null {
    return (address === undefined ? undefined : this.#known.get(address)?.path) ?? null;
  }

  /** @returns whether the path is another one than before */
  note(address: string, ping: Ping): boolean {
    const before = this.#known.get(address);
    const now = performance.now();
    if (!ping.ok) return before !== undefined && now - before.at > believed && this.#known.delete(address);
    const path = pathOf(ping.path);
    this.#known.delete(address);
    this.#known.set(address, { path, at: now });
    for (const oldest of this.#known.keys()) {
      if (this.#known.size <= most) break;
      this.#known.delete(oldest);
    }
    return JSON.stringify(before?.path) !== JSON.stringify(path);
  }
}

/** From the words of daemon/tailnet/watch.ts. */
function pathOf(words: string): PathReport {
  const [, derp] = /^DERP (.*)$/.exec(words) ?? [];
  if (derp !== undefined) return { via: "derp", region: derp };
  const [, relay] = /^relay (.*)$/.exec(words) ?? [];
  return relay === undefined ? { via: "direct", address: words } : { via: "peer-relay", address: relay };
}
