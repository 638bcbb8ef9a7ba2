/**
 * The JSON of Tailscale's LocalAPI, named after its Go types, as far as this module uses them. Go's
 * encoder leaves empty fields out or writes null, and versions differ, so every field may be missing.
 * Answers are checked to be JSON objects and nothing more: who reads a field must check its type.
 */

/** ipnstate.PeerStatus */
export interface PeerStatus {
  /** tailcfg.StableNodeID */
  readonly ID?: string;
  readonly HostName?: string;
  /** MagicDNS name with its last dot. */
  readonly DNSName?: string;
  readonly TailscaleIPs?: readonly string[] | null;
  /** CIDR. */
  readonly PrimaryRoutes?: readonly string[] | null;
  readonly Tags?: readonly string[] | null;
  /** Whether the node holds a link to the control plane: no word about whether it can be reached. */
  readonly Online?: boolean;
  readonly Expired?: boolean;
  /** The node belongs to another tailnet, whose user something was shared with. */
  readonly ShareeNode?: boolean;
}

/** ipnstate.TailnetStatus */
export interface TailnetStatus {
  readonly Name?: string;
  readonly MagicDNSSuffix?: string;
  readonly MagicDNSEnabled?: boolean;
}

/** ipnstate.Status */
export interface Status {
  readonly Version?: string;
  /** Whether the client made a network interface; false in userspace networking. */
  readonly TUN?: boolean;
  /** NoState, NeedsLogin, NeedsMachineAuth, Stopped, Starting or Running. */
  readonly BackendState?: string;
  readonly TailscaleIPs?: readonly string[] | null;
  readonly Self?: PeerStatus | null;
  readonly Health?: readonly string[] | null;
  readonly CurrentTailnet?: TailnetStatus | null;
  /** By node key. */
  readonly Peer?: Readonly<Record<string, PeerStatus>> | null;
}

/** tailcfg.Node, the fields of WhoIsResponse.Node that name it. */
export interface WhoIsNode {
  readonly ID?: number;
  readonly StableID?: string;
  /** MagicDNS name with its last dot. */
  readonly Name?: string;
  /** CIDR. */
  readonly Addresses?: readonly string[] | null;
  readonly Tags?: readonly string[] | null;
}

/** apitype.WhoIsResponse */
export interface WhoIsResponse {
  readonly Node?: WhoIsNode | null;
}

/** tailcfg.ServiceDetails */
export interface ServiceDetails {
  /** `svc:` and a DNS label. */
  readonly Name?: string;
  readonly DisplayName?: string;
  readonly Addrs?: readonly string[] | null;
  /** tailcfg.ProtoPortRange as text: `tcp:443`, `udp:53-54`, `tcp:*`, `443`. */
  readonly Ports?: readonly string[] | null;
}

/** By Service name. */
export type Services = Readonly<Record<string, ServiceDetails>>;

/** tailcfg.PingType: `disco` measures the path of WireGuard's packets without the peer's own network stack. */
export type PingType = "disco" | "TSMP" | "ICMP" | "peerapi";

/** ipnstate.PingResult */
export interface PingResult {
  readonly IP?: string;
  readonly NodeName?: string;
  /** Empty where the ping was answered. */
  readonly Err?: string;
  readonly LatencySeconds?: number;
  /** ip:port of a direct path; empty over a relay. */
  readonly Endpoint?: string;
  readonly PeerRelay?: string;
  readonly DERPRegionCode?: string;
}

/** ipn.Notify: one message of the watch bus. Its fields are unstable between versions. */
export type Notify = Readonly<Record<string, unknown>>;

/** ipn.NotifyWatchOpt: bits that an older client does not know are ignored by it. */
export const notifyWatch = {
  /** Say the state and preferences at once. */
  initialState: 2,
  /** Say the health at once. */
  initialHealth: 128,
  /** Say which peers changed (1.97 and newer). */
  peerChanges: 4096,
} as const;
