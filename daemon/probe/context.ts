/** What a probe must know of this machine and its configuration. */
export interface ProbeContext {
  /** For the whole ladder: milliseconds. */
  readonly timeoutMs: number;
  /** Whether loopback may be dialled. */
  readonly localProof: boolean;
  /** This node in its tailnet; undefined where no tailnet is known. `addresses` are the node's own. */
  readonly tailnet: { readonly tun: boolean; readonly addresses: readonly string[] } | undefined;
  /** Nix public keys that the configuration names: authority never comes from the cache itself. */
  readonly nixKeys: readonly string[];
  /** The REAPI instance to ask about; undefined is the unnamed one. */
  readonly instanceName: string | undefined;
}

export const defaultTimeoutMs = 2000;
