import type { NixHonour, NixQuestion } from "../../contract/nix/trust.ts";

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
  /** This machine's Nix; absent where nobody asks it, so that only the cache is judged. */
  readonly nix?: {
    readonly storeDir: string;
    readonly honour: (question: NixQuestion) => Promise<NixHonour>;
  };
  /** The REAPI instance to ask about; undefined is the unnamed one. */
  readonly instanceName: string | undefined;
}

export const defaultTimeoutMs = 2000;
