import type { NixHonour, NixQuestion } from "../../contract/nix/trust.ts";
import type { NixTerms } from "../../contract/published.ts";
import type { KeptCredential } from "../credentials/kept.ts";
import type { Tailnet } from "../tailnet/tailnet.ts";

/** What a Tailscale client tells of the node that it is. */
export interface OwnNode {
  /** Whether it is connected: BackendState `Running`. */
  readonly running: boolean;
  /** Whether it has a network device. */
  readonly tun: boolean;
  /** Its own addresses in the tailnet. */
  readonly addresses: readonly string[];
}

/** @returns undefined where the client tells of no tailnet */
export function ownNode(tailnet: Tailnet | undefined): OwnNode | undefined {
  if (tailnet?.state !== "known") return undefined;
  return { running: tailnet.backendState === "Running", tun: tailnet.tun, addresses: tailnet.self.addresses };
}

/** What a probe must know of this machine and its configuration. */
export interface ProbeContext {
  /** For the whole ladder: milliseconds. */
  readonly timeoutMs: number;
  /** Whether loopback may be dialled. */
  readonly localProof: boolean;
  /** This node in its tailnet; undefined where no tailnet is known. */
  readonly tailnet: OwnNode | undefined;
  /** The endpoint is a Service of the cluster that this machine is a pod of: whoever runs both says what goes there in plain text. */
  readonly ownCluster?: boolean;
  /** Nix public keys that the configuration names: authority never comes from the cache itself. */
  readonly nixKeys: readonly string[];
  /** This machine's Nix; absent where nobody asks it, so that only the cache is judged. */
  readonly nix?: {
    readonly storeDir: string;
    readonly honour: (question: NixQuestion) => Promise<NixHonour>;
    /** Why a credential that the cache asks for would not reach it; absent where nobody wants to know. */
    readonly withheld?: (terms: Pick<NixTerms, "trustedUser">) => { readonly reason: string; readonly next: string } | undefined;
  };
  /** The REAPI instance to ask about; undefined is the unnamed one. */
  readonly instanceName: string | undefined;
  /** What the user logged in to this very candidate with; absent where nothing is kept for it. */
  readonly kept?: KeptCredential | undefined;
  /** The question is whether the cache answers anybody at all: nothing is sent although something may be kept. */
  readonly anonymously?: true;
  /** Whose probe it is, for what to type; the default one where absent. */
  readonly profile?: string;
}

export const defaultTimeoutMs = 2000;
