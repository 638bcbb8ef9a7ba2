/** Substrate modes and profile states: the fleet's words, derived from the Bazel attachment, never invented. */

export const substrateModes = ["compatibility-local-only", "shared-cache-backed", "executor-backed"] as const;
export type SubstrateMode = (typeof substrateModes)[number];

export const profileStates = ["unattached", "shared-cache-backed", "executor-backed", "local-proof"] as const;
export type ProfileState = (typeof profileStates)[number];

export function isSubstrateMode(text: string): text is SubstrateMode {
  return (substrateModes as readonly string[]).includes(text);
}

export function isProfileState(text: string): text is ProfileState {
  return (profileStates as readonly string[]).includes(text);
}

/** The mode that the presence of endpoints implies, as every copy of the fleet's contract script infers it. */
export function inferMode(has: { cache: boolean; executor: boolean }): SubstrateMode {
  if (has.executor) return "executor-backed";
  return has.cache ? "shared-cache-backed" : "compatibility-local-only";
}
