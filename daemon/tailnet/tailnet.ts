/**
 * The tailnet as the rest of the daemon sees it: parsed once, at this edge, from answers that nothing
 * vouches for. Every string is printable and bounded; a field of the wrong type is as if it were absent.
 */
import { isAddress } from "../../contract/endpoint.ts";
import { printable } from "../../contract/text.ts";
import type { PeerStatus, Services, Status } from "./localapi/index.ts";

export interface TailnetNode {
  /** tailcfg.StableNodeID: whois names a node by it. */
  readonly id: string;
  /** MagicDNS name, no last dot, lower case. */
  readonly name: string;
  readonly addresses: readonly string[];
  readonly tags: readonly string[];
  /** Whether it holds a link to the control plane: no word about whether it can be reached. */
  readonly online: boolean;
  readonly expired: boolean;
  /** Of another tailnet: ShareeNode, or a name outside this tailnet's MagicDNS suffix. */
  readonly sharedIn: boolean;
  /** PrimaryRoutes: the subnets that the node routes to, CIDR. */
  readonly routes: readonly string[];
}

export interface PortRange {
  readonly first: number;
  readonly last: number;
}

export interface TailnetService {
  /** `svc:x` */
  readonly name: string;
  readonly addresses: readonly string[];
  /** TCP only. */
  readonly ports: readonly PortRange[];
}

export interface UnreachableTailnet {
  readonly state: "unreachable";
  readonly via: string | null;
  readonly systemSocket: boolean;
  readonly code: "absent" | "denied" | "protocol" | "unsafe-socket";
  readonly reason: string;
  readonly next: string | undefined;
}

export interface KnownTailnet {
  readonly state: "known";
  /** The LocalAPI socket's path, or `tailscale status --json`. */
  readonly via: string;
  readonly systemSocket: boolean;
  /** NoState, NeedsLogin, NeedsMachineAuth, Stopped, Starting or Running. */
  readonly backendState: string;
  /** Whether there is a network interface: without one the kernel has no route into the tailnet. */
  readonly tun: boolean;
  /** CurrentTailnet.Name; empty where the client is logged out. */
  readonly name: string;
  /** No dots at either end, lower case; empty where there is none. */
  readonly magicDnsSuffix: string;
  readonly self: { readonly name: string; readonly addresses: readonly string[] };
  readonly health: readonly string[];
  readonly nodes: readonly TailnetNode[];
  /** undefined: this client does not tell (older than 1.98, or the command line). */
  readonly services: readonly TailnetService[] | undefined;
}

export type Tailnet = UnreachableTailnet | KnownTailnet;

/** Of one node or Service. How many of these there are, the size of the client's answer bounds: which one is the profile's is not known here. */
const most = { addresses: 16, tags: 64, routes: 256, ports: 256, health: 16 } as const;

/** @param services undefined where the client does not tell of any */
export function parseTailnet(
  status: Status,
  services: Services | undefined,
  where: { readonly via: string; readonly systemSocket: boolean },
): KnownTailnet {
  const suffix = dnsName(status.CurrentTailnet?.MagicDNSSuffix);
  const peers = record(status.Peer);
  const nodes: TailnetNode[] = [];
  for (const key in peers) {
    const node = parseNode(record(peers[key]), suffix);
    if (node !== undefined) nodes.push(node);
  }
  // The order of a JSON object is its writer's: ours must not change with it.
  nodes.sort((a, b) => (a.id < b.id ? -1 : a.id > b.id ? 1 : 0));
  return {
    state: "known",
    ...where,
    backendState: text(status.BackendState, 32) || "NoState",
    tun: status.TUN === true,
    name: text(status.CurrentTailnet?.Name, 256),
    magicDnsSuffix: suffix,
    self: { name: dnsName(status.Self?.DNSName), addresses: addresses(status.Self?.TailscaleIPs ?? status.TailscaleIPs) },
    health: texts(status.Health, most.health, 256),
    nodes,
    services: services === undefined ? undefined : parseServices(services),
  };
}

function parseNode(peer: PeerStatus, suffix: string): TailnetNode | undefined {
  const id = text(peer.ID, 128);
  if (id === "") return undefined;
  const name = dnsName(peer.DNSName);
  return {
    id,
    name,
    addresses: addresses(peer.TailscaleIPs),
    tags: texts(peer.Tags, most.tags, 128),
    online: peer.Online === true,
    expired: peer.Expired === true,
    // Without a suffix nobody can say whose a node is, so it is nobody's.
    sharedIn: peer.ShareeNode === true || suffix === "" || !name.endsWith(`.${suffix}`),
    routes: texts(peer.PrimaryRoutes, most.routes, 64),
  };
}

function parseServices(services: Services): readonly TailnetService[] {
  const parsed: TailnetService[] = [];
  for (const [key, value] of Object.entries(services)) {
    const service = record(value);
    const name = text(key, 128);
    if (service["Name"] !== undefined && service["Name"] !== key) continue;
    const ports = texts(service["Ports"], most.ports, 32).flatMap((port) => parsePorts(port) ?? []);
    parsed.push({ name, addresses: addresses(service["Addrs"]), ports });
  }
  return parsed.sort((a, b) => (a.name < b.name ? -1 : 1));
}

/**
 * tailcfg.ProtoPortRange as text: `tcp:443`, `tcp:8000-8010`, `tcp:*`, `443`, `*`.
 * @returns undefined where it is not TCP, or no range
 */
export function parsePorts(range: string): PortRange | undefined {
  const match = /^(?:([A-Za-z0-9-]+):)?(?:(\*)|(\d{1,5})(?:-(\d{1,5}))?)$/.exec(range);
  if (match === null || !["tcp", "6", "*", undefined].includes(match[1]?.toLowerCase())) return undefined;
  if (match[2] !== undefined) return { first: 1, last: 65_535 };
  const first = Number(match[3]);
  const last = Number(match[4] ?? match[3]);
  return first >= 1 && first <= last && last <= 65_535 ? { first, last } : undefined;
}

/** A DNS name in one spelling: printable, lower case, no dot at either end. Whether it is a valid one, the endpoint grammar says. */
export function dnsName(value: unknown): string {
  return text(value, 253)
    .toLowerCase()
    .replaceAll(/^\.+|\.+$/g, "");
}

function addresses(value: unknown): readonly string[] {
  return texts(value, most.addresses, 64)
    .map((address) => address.toLowerCase())
    .filter(isAddress);
}

function texts(value: unknown, count: number, limit: number): readonly string[] {
  if (!Array.isArray(value)) return [];
  const clean: string[] = [];
  for (const item of value.slice(0, count)) {
    const one = text(item, limit);
    if (one !== "") clean.push(one);
  }
  return clean;
}

/** Nearly every string of 10,000 peers is plain: only the others pay for the cleaning. */
function text(value: unknown, limit: number): string {
  if (typeof value !== "string") return "";
  return value.length <= limit && /^[\x20-\x7e]*$/.test(value) ? value : printable(value, limit);
}

function record(value: unknown): Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value) ? (value as Record<string, unknown>) : {};
}
