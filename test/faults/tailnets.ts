/** The tailnets that a machine may find itself on, and what each of them permits: the model's own reading of design's trust rules. */
import type { NodeInWords, TailnetInWords } from "../fixtures/localapi/state.ts";
import { type PlaceName, places, type Situation } from "./plan.ts";

/** Of every machine's profile, and where the daemon's node is. */
export const home = { name: "faults.example", suffix: "tailfa017.ts.net", self: "100.64.0.1" } as const;
export const ports = { grpc: 9092, http: 8080 } as const;

/** Where each cache is dialled. The first three belong to nodes with the tag; `o` is on no node at all. */
export const hosts: Readonly<Record<PlaceName, string>> = { a: "100.64.1.1", b: "100.64.1.2", c: "100.64.1.3", o: "100.64.3.1" };
export const kinds: Readonly<Record<PlaceName, "grpc" | "http">> = { a: "grpc", b: "grpc", c: "http", o: "grpc" };

export function urlOf(place: PlaceName): string {
  return `${kinds[place]}://${hosts[place]}:${ports[kinds[place]]}`;
}

export function placeAt(host: string, port: number): PlaceName | undefined {
  return places.find((place) => hosts[place] === host && ports[kinds[place]] === port);
}

export interface Place {
  readonly tailnet: TailnetInWords | "gone";
  /** Hosts that may be dialled while it holds. */
  readonly permits: readonly string[];
  /** Caches that discovery must find. */
  readonly offers: readonly PlaceName[];
  /** Whether the client answers at all. */
  readonly tells: boolean;
}

const tag = "tag:bazel-cache";
const [a, b, c]: [NodeInWords, NodeInWords, NodeInWords] = [
  { name: "cache-a", addresses: [hosts.a], tags: [tag] },
  { name: "cache-b", addresses: [hosts.b], tags: [tag] },
  { name: "cache-c", addresses: [hosts.c], tags: [tag, "tag:other"] },
];
/** Always there: a cache in all but the tag. */
const untagged: NodeInWords = { name: "bazel-cache", addresses: ["100.64.9.1"], tags: ["tag:nix-builder"] };
const others: readonly NodeInWords[] = [untagged, { name: "phone", addresses: ["100.64.9.2"] }];
/** Names that mean something to a terminal, to sh, or to a line format. */
const evil = [
  "$(touch /tmp/owned)",
  "a\nendpoint grpc://100.64.9.1:9092",
  "`id`",
  "\u001b]0;owned\u0007",
  "--remote_cache=x",
  "' ; true '",
];

function ten(make: (index: number) => NodeInWords): readonly NodeInWords[] {
  return Array.from({ length: 10 }, (_, index) => make(index));
}

export function placeOf(situation: Situation): Place {
  const self = { name: "laptop", addresses: [home.self] };
  const at = (nodes: readonly NodeInWords[], more: TailnetInWords = {}): TailnetInWords => ({
    name: home.name,
    suffix: home.suffix,
    self,
    nodes: [...nodes, ...others],
    ...more,
  });
  const all = { permits: [hosts.a, hosts.b, hosts.c], offers: ["a", "b", "c"], tells: true } as const;
  const none = { permits: [], offers: [], tells: true } as const;
  /** The client says nothing: what it said last may still be dialled for a moment, and nothing need be found. */
  const mute = { permits: all.permits, offers: [], tells: false } as const;
  const without = (place: PlaceName) => ({
    permits: all.permits.filter((host) => host !== hosts[place]),
    offers: all.offers.filter((offered) => offered !== place),
    tells: true,
  });
  switch (situation) {
    case "home":
      return { tailnet: at([a, b, c]), ...all };
    case "foreign": {
      const nodes = [a, ...ten((index) => ({ name: `bazel-cache-${index}`, addresses: [`100.64.8.${index + 1}`], tags: [tag] }))];
      return { tailnet: at(nodes, { name: "evil.example", suffix: "tail6666.ts.net" }), ...none };
    }
    case "logged-out":
      return { tailnet: { name: "", suffix: "", self, backendState: "NeedsLogin" }, ...none };
    case "stopped":
      return { tailnet: at([a, b, c], { backendState: "Stopped" }), ...none };
    case "client-gone":
      return { tailnet: "gone", ...mute };
    case "client-hangs":
      return { tailnet: at([a, b, c], { fault: "hang" }), ...mute };
    case "client-garbage":
      return { tailnet: at([a, b, c], { fault: "garbage" }), ...mute };
    case "client-denies":
      return { tailnet: at([a, b, c], { fault: "403" }), ...mute };
    case "untagged-a":
      return { tailnet: at([{ ...a, tags: [] }, b, c]), ...without("a") };
    case "untagged-b":
      return { tailnet: at([a, { ...b, tags: ["tag:bazel-cache-old"] }, c]), ...without("b") };
    case "taken-over-a":
      return { tailnet: at([a, b, c], { whois: { [hosts.a]: "phone" } }), ...without("a") };
    case "expired-b":
      return { tailnet: at([a, { ...b, expired: true }, c]), ...without("b") };
    case "shared-c":
      return { tailnet: at([a, b, { ...c, shared: true }]), ...without("c") };
    case "offline-a":
      return { tailnet: at([{ ...a, offline: true }, b, c]), ...all };
    case "userspace":
      return { tailnet: at([a, b, c], { tun: false }), ...all, offers: [] };
    case "lookalikes":
      return {
        tailnet: at([...ten((index) => ({ name: `bazel-cache-${index}`, addresses: [`100.64.9.${index + 10}`] })), a, b, c]),
        ...all,
      };
    case "crowd": {
      const crowd = ten((index) => ({ name: `idle-${index}`, addresses: [`${crowdPrefix}${index + 1}`], tags: [tag] }));
      return { tailnet: at([a, b, c, ...crowd]), ...all, permits: [...all.permits, ...crowd.flatMap((node) => node.addresses)] };
    }
    case "hostile": {
      const nodes = evil.map((name, index) => ({ name, addresses: [`100.64.9.${index + 30}`], tags: [tag, name] }));
      // Its name stands in no URL, so that no address of it may be dialled either.
      return { tailnet: at([...nodes, a, b, c], { health: evil }), ...all };
    }
  }
}

/** Where the nodes of `crowd` are: permitted, but nothing answers there. */
export const crowdPrefix = "100.64.7.";
