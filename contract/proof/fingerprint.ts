/**
 * What a signature of a Nix store path signs (ValidPathInfo::fingerprint of src/libstore/path-info.cc), and what a public
 * key is in a form that others than Nix read.
 */

export interface StorePathFacts {
  readonly path: string;
  /** `sha256:<base32>`, as `nix-store --query --hash` tells it. */
  readonly narHash: string;
  readonly narSize: number;
  /** Whole paths. */
  readonly references: readonly string[];
  /** `<key name>:<base64>`. */
  readonly signatures: readonly string[];
}

export function fingerprint({ path, narHash, narSize, references }: Omit<StorePathFacts, "signatures">): string {
  return `1;${path};${narHash};${narSize};${[...references].sort().join(",")}`;
}

/** Signatures that carry the key's name: whether one of them is good is for whoever can verify. */
export function signaturesBy(publicKey: string, signatures: readonly string[]): readonly string[] {
  const prefix = publicKey.slice(0, publicKey.indexOf(":") + 1);
  return signatures.filter((signature) => signature.startsWith(prefix)).map((signature) => signature.slice(prefix.length));
}

/** The part of a Nix public key that is the key: base64 of 32 bytes. */
export function keyBytes(publicKey: string): string {
  return publicKey.slice(publicKey.indexOf(":") + 1);
}
