/**
 * What to do wherever loopback was turned down for want of the operator's word: the fleet's two markers (facts:
 * bazel-cache-contract.sh and its copies), or their twins in config.toml.
 */
export const localProofNext =
  "export GF_BAZEL_LOCAL_PROOF=port-forward GF_BAZEL_ALLOW_LOCALHOST_PROOF=true, or write [local_proof] into config.toml";
