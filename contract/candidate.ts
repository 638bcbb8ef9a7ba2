/** What discovery and probing speak of: candidates, where they came from, and what the ladder found. */
import type { Endpoint, Tool } from "./endpoint.ts";
import type { NixHonoured } from "./nix/trust.ts";

/** In order of trust, strongest first: ranking uses this order. */
export const sources = ["operator", "service", "peer", "cluster", "local-proof"] as const;
export type SourceName = (typeof sources)[number];

/**
 * Where a candidate came from. `node` is a MagicDNS name without its last dot. `pin` lists the only
 * addresses that may be dialled for it: discovery fixed them from the tailnet's own word, so that
 * a name that resolves elsewhere is a failed rung, never a connection.
 */
export type CandidateSource =
  | { name: "operator"; from: "config" | "attach" | "environment" | "env-file"; localProof: boolean }
  | { name: "service"; service: string; pin: readonly string[] }
  | { name: "peer"; node: string; nodeId: string; tag: string; pin: readonly string[] }
  | { name: "cluster"; route: string; node: string; pin: readonly string[] }
  | { name: "local-proof"; from: "config" };

/** An endpoint that a source named: not yet proved. */
export interface Candidate {
  readonly endpoint: Endpoint;
  readonly source: CandidateSource;
  /** The other URLs of the same endpoint (by name, by address), so that a user's own spelling is recognised. */
  readonly aliases: readonly Endpoint[];
}

/** A node, service or file that a source looked at and turned down before anything was dialled. */
export interface Rejection {
  readonly kind: Tool;
  readonly source: SourceName;
  /** What was turned down, printable: a node or service name, an endpoint, a file. */
  readonly subject: string;
  readonly reason: string;
  /** The reason says by itself what was turned down. */
  readonly namesItself?: true;
  /** What would change that, where the user can: a command or a sentence. */
  readonly next?: string;
}

/** The ladder, in order: a probe climbs it and names the rung that it could not take. */
export const rungs = ["resolve", "route", "connect", "handshake", "capabilities", "authority"] as const;
export type Rung = (typeof rungs)[number];

/** What a cache said of itself, as far as its protocol has words for it. */
export interface CacheFacts {
  /** gRPC: the digest functions of CacheCapabilities, e.g. `SHA256`. */
  readonly digestFunctions?: readonly string[];
  /** gRPC: ActionCacheUpdateCapabilities.update_enabled. */
  readonly updateEnabled?: boolean;
  /** Nix: StoreDir and Priority of nix-cache-info. */
  readonly storeDir?: string;
  readonly priority?: number;
  /** Nix: the public key that the cache itself serves (Attic's cache-config): shown, never trusted. */
  readonly servedKey?: string;
  /** Nix: on what terms this machine's Nix takes the cache; absent where nobody asked it. */
  readonly honoured?: NixHonoured;
}

export type ProbeResult =
  | { readonly ok: true; readonly latencyMs: number; readonly address: string; readonly facts: CacheFacts }
  | {
      readonly ok: false;
      readonly rung: Rung;
      readonly reason: string;
      readonly next?: string;
      /** Of `authority`: it fell over the credential, or for want of one, and not over a key or this machine's Nix. */
      readonly over?: "credential";
    };
