/** Endpoints that the operator named, by the fleet's rules for endpoints (facts: bazel-cache-contract.sh and its copies). */
import type { Candidate, CandidateSource, Rejection } from "../../contract/candidate.ts";
import { type Config, namedFor } from "../../contract/config.ts";
import { isLoopback, parseEndpoint, type Tool, withoutCredentials } from "../../contract/endpoint.ts";
import { localProofNext } from "../../contract/local-proof.ts";
import type { OperatorEndpoint } from "../../contract/operator.ts";
import type { Profile } from "../../contract/profile.ts";
import { stalePatterns } from "../../contract/stale.ts";
import { printable } from "../../contract/text.ts";
import type { Finding } from "./finding.ts";

export type Judged = { readonly ok: true; readonly candidate: Candidate } | { readonly ok: false; readonly rejection: Rejection };

/**
 * Judges one endpoint that an operator named, wherever: the configuration, `flywheel attach`, the
 * invoking environment. Nothing is resolved or dialled.
 * @param text as somebody wrote it
 * @param options.localProof both of the fleet's markers, or their twins in the configuration, were there
 */
export function judgeOperatorEndpoint(
  text: string,
  kind: Tool,
  options: {
    readonly from: Extract<CandidateSource, { name: "operator" }>["from"];
    readonly localProof: boolean;
    readonly profile: Profile;
  },
): Judged {
  const { from, localProof, profile } = options;
  const reject = (reason: string, next?: string): Judged => ({
    ok: false,
    rejection: { kind, source: "operator", subject: subjectOf(text), reason, ...(next === undefined ? {} : { next }) },
  });
  const parsed = parseEndpoint(text, kind);
  if (!parsed.ok) return reject(parsed.message, correction[from]);
  const { endpoint } = parsed;
  const stale = stalePatterns(profile).find((pattern) => pattern.test(endpoint.url));
  if (stale !== undefined)
    return reject(`it names a place that no longer exists (stale pattern ${printable(stale.source, 80)})`, correction[from]);
  if (isLoopback(endpoint.host) && !localProof) return reject("it is on loopback, which is no shared cache", localProofNext);
  return { ok: true, candidate: { endpoint, source: { name: "operator", from, localProof }, aliases: [] } };
}

const correction: Record<Extract<CandidateSource, { name: "operator" }>["from"], string> = {
  config: "mend the endpoint in config.toml or the profile",
  attach: "flywheel attach <endpoint>, with the right one",
  environment: "mend the endpoint in the environment",
  "env-file": "mend the endpoint in .env.flywheel.local",
};

/** The profile's `[endpoints]` and substituter, what `flywheel attach` kept for it, and config.toml's `[endpoints]` where they are its. */
export function fromOperator(
  kind: Tool,
  input: { readonly profile: Profile; readonly config: Config; readonly operator: readonly OperatorEndpoint[] },
): Finding {
  const { profile, config, operator } = input;
  const { allowed } = config.localProof;
  const substituter = kind === "nix" && profile.nix.substituter !== undefined ? [profile.nix.substituter] : [];
  const judged = [
    ...operator
      .filter((entry) => entry.profile === profile.name && entry.kind === kind)
      .map((entry) => judgeOperatorEndpoint(entry.endpoint, kind, { from: "attach", localProof: entry.localProof || allowed, profile })),
    ...[...namedFor(profile.name, kind, config).endpoints, ...profile.endpoints[kind], ...substituter].map((text) =>
      judgeOperatorEndpoint(text, kind, { from: "config", localProof: allowed, profile }),
    ),
  ];
  return {
    candidates: judged.flatMap((one) => (one.ok ? [one.candidate] : [])),
    rejections: judged.flatMap((one) => (one.ok ? [] : [one.rejection])),
  };
}

/** The endpoint as the user wrote it, without credentials: this is shown and logged. */
function subjectOf(text: string): string {
  return printable(withoutCredentials(text), 120) || "(empty)";
}
