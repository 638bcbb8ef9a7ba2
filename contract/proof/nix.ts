/** Whether a store path came from the attached Nix cache, signed by the attached key, and for everybody. */
import { type Endpoint, sameEndpoint } from "../endpoint.ts";
import type { Counts } from "../invocation.ts";
import type { Reason } from "./record.ts";

export type NixAttachmentSeen =
  | {
      readonly state: "attached";
      readonly endpoint: Endpoint;
      readonly publicKey: string;
    }
  /** Also where this machine's Nix would ignore the cache: such a one is never attached. */
  | { readonly state: "unattached"; readonly reason: string; readonly next: string | undefined };

export type PathSeen =
  | { readonly state: "chosen"; readonly path: string; readonly by: "named" | "found" }
  | { readonly state: "none"; readonly reason: string; readonly next: string };

export interface SubstitutionSeen {
  readonly exitCode: number;
  readonly interrupted: boolean;
  readonly wallMs: number;
  /** What Nix said, where it failed. */
  readonly said: string;
  readonly counts: Counts;
  /** Of what now lies in the scratch store, by the attached key. */
  readonly signature: "valid" | "missing" | "invalid" | "unchecked";
}

export interface NixSeen {
  readonly before: NixAttachmentSeen;
  /** undefined: it did not come to it. */
  readonly after: NixAttachmentSeen | undefined;
  readonly path: PathSeen | undefined;
  readonly substitution: SubstitutionSeen | undefined;
}

export type NixRule =
  | "nix-unattached"
  | "nix-attachment-lost"
  | "nix-swapped"
  | "interrupted"
  | "no-path"
  | "not-substituted"
  | "other-substituter"
  | "built-here"
  | "not-signed";

/** @returns why it is not proved; nothing where it is */
export function judgeNix({ before, after, path, substitution }: NixSeen): readonly Reason[] {
  if (before.state === "unattached") return [reason("nix-unattached", before.reason, before.next ?? "flywheel status")];
  if (path === undefined) return [reason("no-path", "no store path was tried", "flywheel proof --nix <store path>")];
  if (path.state === "none") return [reason("no-path", path.reason, path.next)];
  if (substitution === undefined) return [reason("not-substituted", `${path.path} was not fetched`, "flywheel proof, once more")];
  if (substitution.interrupted) return [reason("interrupted", "fetching was interrupted", "flywheel proof, once more")];
  return [...judgeAfter(before, after), ...judgeSubstitution(substitution, path.path, before)];
}

function judgeAfter(before: Extract<NixAttachmentSeen, { state: "attached" }>, after: NixAttachmentSeen | undefined): Reason[] {
  if (after === undefined || after.state === "unattached") {
    const why = after === undefined ? "nobody looked again" : after.reason;
    return [reason("nix-attachment-lost", `the Nix attachment was lost on the way: ${why}`, after?.next ?? "flywheel status")];
  }
  const [was, is] = [before.endpoint.url, after.endpoint.url];
  if (!sameEndpoint(before.endpoint, after.endpoint)) {
    return [reason("nix-swapped", `it began attached to ${was} and went on to ${is}`, "flywheel proof, once more")];
  }
  if (before.publicKey === after.publicKey) return [];
  return [reason("nix-swapped", `the key of ${was} changed on the way`, "flywheel trust key --list")];
}

function judgeSubstitution(
  { exitCode, said, counts, signature }: SubstitutionSeen,
  path: string,
  { endpoint, publicKey }: Extract<NixAttachmentSeen, { state: "attached" }>,
): Reason[] {
  const reasons: Reason[] = [];
  if (counts.other > 0) {
    reasons.push(
      reason("other-substituter", `${counts.other} paths came from another cache than ${endpoint.url}`, "report it: no other was named"),
    );
  }
  if (counts.misses > 0) {
    reasons.push(reason("built-here", `${counts.misses} derivations were built`, "report it: nothing was to be built"));
  }
  if (exitCode !== 0 || counts.hits === 0) {
    const why = said === "" ? `Nix ended with exit code ${exitCode} and fetched nothing` : said;
    const next = "name a path that CI pushed, and that everybody may read: flywheel proof --nix <store path>";
    reasons.push(reason("not-substituted", `${path} did not come from ${endpoint.url} without a token: ${why}`, next));
    return reasons;
  }
  const name = publicKey.slice(0, publicKey.indexOf(":"));
  switch (signature) {
    case "valid":
      return reasons;
    case "missing":
      return [...reasons, reason("not-signed", `${path} carries no signature of the key ${name}`, "name a path that CI built and pushed")];
    case "invalid":
      return [
        ...reasons,
        reason("not-signed", `the signature of ${path} is not the key ${name}'s`, "compare the key with the cache's operator"),
      ];
    case "unchecked":
      return [...reasons, reason("not-signed", `the signature of ${path} could not be read`, "report it, with the version of Nix")];
    default:
      return signature satisfies never;
  }
}

function reason(rule: NixRule, message: string, next: string): Reason {
  return { part: "nix", rule, message, next };
}
