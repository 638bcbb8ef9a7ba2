/** What a cache makes of a credential, before it is kept. */
import type { ProbeReport } from "../../contract/api.ts";
import type { Credential } from "../../contract/credential.ts";
import type { Endpoint } from "../../contract/endpoint.ts";
import { hasLocalProof } from "../../contract/environment.ts";
import { FlywheelError } from "../../contract/errors.ts";
import { type Login, loginCommand } from "../../contract/login-command.ts";
import { printable } from "../../contract/text.ts";
import { probeOnce } from "../../daemon/api/client/probe-once.ts";
import type { Context } from "../context.ts";
import { waitingFor } from "../output/progress.ts";

export type Proof =
  | { readonly outcome: "proved" }
  /** Nobody asked, or nobody answered. */
  | { readonly outcome: "unproved"; readonly reason: string };

/**
 * @param login what is being typed, to be typed again after a refusal
 * @throws FlywheelError `credentials-unusable` where the cache answers and will not have it
 */
export async function prove({ env, profile, output }: Context, endpoint: Endpoint, credential: Credential, login: Login): Promise<Proof> {
  const request = { profile, kind: endpoint.kind, endpoint: endpoint.url, localProof: hasLocalProof(env) };
  const report: ProbeReport = await waitingFor(output, "asking the cache with it", () => probeOnce(request, credential));
  // Such a cache lets a wrong one pass too.
  if (report.ok && report.needed === "no") return { outcome: "unproved", reason: "it answers anybody, without a credential too" };
  if (report.ok) return { outcome: "proved" };
  const reason = `${report.rung}: ${printable(report.reason, 400)}`;
  // A key that nobody has trusted yet, or a Nix that takes no caches from this user: nothing against the credential.
  if (report.over !== "credential") return { outcome: "unproved", reason };
  // The prober knows nothing of the login but its credential.
  const again = report.next === loginCommand({ ...login, legacyHeader: false }) ? loginCommand(login) : report.next;
  const asPassword = credential.scheme === "bearer" && endpoint.kind === "bazel" ? "--basic --user NAME where it wants a password; " : "";
  throw new FlywheelError("credentials-unusable", `nothing was kept: ${endpoint.url} does not take it: ${reason}`, {
    next: `${again === null ? "log in with another" : printable(again, 640)}   (${asPassword}--no-verify keeps it all the same)`,
  });
}
