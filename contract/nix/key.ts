/** A Nix public key as trusted-public-keys takes it: `<name>:<base64 of 32 bytes>`. Its text reaches sh, flags and NIX_CONFIG. */
export const nixPublicKey = /^[A-Za-z0-9._-]{1,128}:[A-Za-z0-9+/]{43}=$/;
