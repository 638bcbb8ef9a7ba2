/** Port-forwards on loopback: the fleet's local proof, only by the operator's explicit word in config.toml. */
import type { Candidate, Rejection } from "../../contract/candidate.ts";
import { type Config, namedFor } from "../../contract/config.ts";
import { isLoopback, parseEndpoint, type Tool, withoutCredentials } from "../../contract/endpoint.ts";
import { localProofNext } from "../../contract/local-proof.ts";
import type { Profile } from "../../contract/profile.ts";
import { printable } from "../../contract/text.ts";
import type { Finding } from "./finding.ts";

export function fromLocalProof(kind: Tool, { config, profile }: { readonly config: Config; readonly profile: Profile }): Finding {
  const candidates: Candidate[] = [];
  const rejections: Rejection[] = [];
  for (const text of namedFor(profile.name, kind, config).localProof) {
    const reject = (reason: string, next: string) =>
      rejections.push({ kind, source: "local-proof", subject: printable(withoutCredentials(text), 120), reason, next });
    const parsed = parseEndpoint(text, kind);
    if (!parsed.ok) reject(parsed.message, `mend local_proof.${kind} in config.toml`);
    else if (!isLoopback(parsed.endpoint.host))
      reject("a local proof is on loopback, and this is not", `name it under endpoints.${kind} instead`);
    else if (!config.localProof.allowed) reject("a local proof is not allowed", localProofNext);
    else candidates.push({ endpoint: parsed.endpoint, source: { name: "local-proof", from: "config" }, aliases: [] });
  }
  return { candidates, rejections };
}
