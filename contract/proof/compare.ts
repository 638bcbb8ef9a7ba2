/** A record of this machine beside one of CI: the same cache, mode, policy and effect. The route to it may differ. */
import type { Comparison, EndpointIdentity, ProofRecord, Reason } from "./record.ts";

type Line = Comparison["lines"][number];

const none = "none";

/** @returns each thing that both can tell; what only one of them proved is drift */
export function compareProofs(here: ProofRecord, ci: ProofRecord): Comparison {
  const lines = [
    line("proved", yes(here.proved), yes(ci.proved), ci.proved && here.proved),
    line("mode", here.mode, ci.mode),
    line("profile state", here.profileState, ci.profileState),
    ...(here.parts.includes("bazel") ? bazelLines(here, ci) : []),
    ...(here.parts.includes("nix") ? nixLines(here, ci) : []),
  ];
  return { madeAt: ci.madeAt, lines };
}

/** Each drift as a reason why the two are not alike. */
export function driftReasons({ lines }: Comparison): readonly Reason[] {
  return lines
    .filter(({ verdict }) => verdict === "drift")
    .map(({ what, here, ci }) => ({
      part: "ci",
      rule: "drift",
      message: `${what}: ${here} here, ${ci} in CI`,
      next: what === "proved" ? "compare with a record of CI that is proved" : "flywheel parity",
    }));
}

function bazelLines(here: ProofRecord, ci: ProofRecord): Line[] {
  const [own, other] = [here.bazel, ci.bazel];
  if (own === null || other === null)
    return [line("Bazel", own === null ? "not tried" : "tried", other === null ? "not tried" : "tried", false)];
  const flags = [...new Set([...Object.keys(own.flags), ...Object.keys(other.flags)])].sort();
  const alike = sameWords(own.targets, other.targets);
  return [
    route("Bazel endpoint", own.endpoint, other.endpoint),
    line("Bazel instance name", own.instanceName ?? none, other.instanceName ?? none),
    line(
      "Bazel upload policy",
      own.upload ? "may fill" : "read-only",
      other.upload ? "may fill" : "read-only",
      own.upload === other.upload,
    ),
    line("Bazel version", own.version ?? "unknown", other.version ?? "unknown"),
    ...flags.map((name) => line(`--${name}`, own.flags[name] ?? "not set", other.flags[name] ?? "not set")),
    line("targets", own.targets.join(" "), other.targets.join(" "), alike),
    // The same targets are answered alike, or the actions have other keys: another PATH, another compiler.
    ...(alike ? [line("hits of the rebuild", share(here), share(ci), hitsAreNotFewer(here, ci))] : []),
  ];
}

function nixLines(here: ProofRecord, ci: ProofRecord): Line[] {
  const [own, other] = [here.nix, ci.nix];
  if (own === null || other === null)
    return [line("Nix", own === null ? "not tried" : "tried", other === null ? "not tried" : "tried", false)];
  return [
    route("Nix endpoint", own.endpoint, other.endpoint),
    line("Nix cache", own.cache ?? none, other.cache ?? none),
    line("Nix public key", own.publicKey ?? none, other.publicKey ?? none),
  ];
}

/** Two machines reach one cache in two ways; that there is none on one of them is another thing. */
function route(what: string, here: EndpointIdentity | null, ci: EndpointIdentity | null): Line {
  const told = (endpoint: EndpointIdentity | null): string =>
    endpoint === null ? none : `${endpoint.url} (${endpoint.digest}, ${endpoint.source})`;
  const verdict = here === null || ci === null ? (here === ci ? "same" : "drift") : here.digest === ci.digest ? "same" : "route";
  return { what, here: told(here), ci: told(ci), verdict };
}

function hitsAreNotFewer(here: ProofRecord, ci: ProofRecord): boolean {
  const [own, other] = [here.bazel?.rebuild?.processes, ci.bazel?.rebuild?.processes];
  if (!own || !other) return false;
  const all = (of: typeof own): number => of.hits + of.other + of.misses;
  return own.hits * all(other) >= other.hits * all(own);
}

function share({ bazel }: ProofRecord): string {
  const processes = bazel?.rebuild?.processes;
  if (!processes) return "unknown";
  return `${processes.hits} of ${processes.hits + processes.other + processes.misses}`;
}

function sameWords(a: readonly string[], b: readonly string[]): boolean {
  const sorted = (words: readonly string[]): string => [...words].sort().join(" ");
  return sorted(a) === sorted(b);
}

function yes(value: boolean): string {
  return value ? "yes" : "no";
}

function line(what: string, here: string, ci: string, same: boolean = here === ci): Line {
  return { what, here, ci, verdict: same ? "same" : "drift" };
}
