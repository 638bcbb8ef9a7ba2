/** The tailnet, and what is attached over it. */
import type { AttachmentReport, StatusReport } from "../../contract/api.ts";
import type { Tool } from "../../contract/endpoint.ts";
import { lease } from "../../contract/published.ts";
import { printable } from "../../contract/text.ts";
import { latency, pathWords, span } from "../../contract/words.ts";
import { checkNixTrust } from "./nix.ts";
import { type Check, checksOf } from "./report.ts";

export function checkTailnet({ tailnet, daemon, bazel }: StatusReport): readonly Check[] {
  const { ok, warn, fail } = checksOf("tailnet");
  // Where Bazel is attached all the same, a tailnet that is not there costs nothing now.
  const bad = bazel.state === "attached" ? warn : fail;
  const reason = tailnet.reason === null ? null : printable(tailnet.reason, 400);
  const next = tailnet.next === null ? null : printable(tailnet.next, 400);
  if (daemon === null) return [warn("tailnet", "not known: only the daemon asks the Tailscale client", { next })];
  if (tailnet.name === null && tailnet.backendState === null) return [bad("tailnet", "no Tailscale client answers", { reason, next })];
  const name = printable(tailnet.name ?? "", 200) || "without a name";
  const self = tailnet.self === null ? "" : `, this node is ${printable(tailnet.self, 200)}`;
  return [
    tailnet.backendState === "Running"
      ? ok("tailnet", `${name}: Running${self}`)
      : bad("tailnet", `the Tailscale client is ${printable(tailnet.backendState ?? "in no state", 40)}`, {
          reason,
          next: next ?? "tailscale up",
        }),
    tailnet.trusted ? ok("tailnet-trust", `${name} is trusted`) : bad("tailnet-trust", `${name} is not trusted`, { reason, next }),
    ...(tailnet.systemSocket
      ? []
      : [warn("tailnet-socket", `read from ${printable(tailnet.via ?? "nowhere", 200)}, which is not the system's own place`)]),
    ...tailnet.health.map((line) => warn("tailnet-health", printable(line, 400), { next: "tailscale status" })),
  ];
}

export function checkAttachments(status: StatusReport): readonly Check[] {
  return [...checkAttachment("bazel", status.bazel, status), ...checkAttachment("nix", status.nix, status), ...checkNixTrust(status)];
}

const nextOfAdvice = "an administrator adds to this machine's Nix what stands at the end of this report";

function checkAttachment(kind: Tool, report: AttachmentReport, status: StatusReport): readonly Check[] {
  const { ok, warn, fail } = checksOf("attachment");
  const advised = kind === "nix" && status.nix.advice !== undefined;
  const next = advised ? nextOfAdvice : report.next === null ? null : printable(report.next, 400);
  if (report.state === "unattached") {
    const rung = report.rung === null ? "" : `${report.rung}: `;
    const last = report.proofAgeS === null ? "" : `; last proved ${span(report.proofAgeS)} ago`;
    // The tailnet's own check stands above with its reason and what to do.
    const { tailnet } = status;
    const told = tailnet.reason !== null && report.reason?.endsWith(tailnet.reason) === true && report.next === tailnet.next;
    const words = told ? "no candidate, for the tailnet's reason above" : printable(report.reason ?? "no reason is known", 400);
    const detail = { since: report.since, reason: `${rung}${words}${last}`, next: told && !advised ? null : next };
    if (status.detached) return [warn(kind, `${kind} is detached by \`flywheel detach\``, { since: report.since, next: "flywheel up" })];
    if (report.unsettled) return [warn(kind, `${kind} is not attached yet: a first answer is still coming`, detail)];
    // The mode is the Bazel attachment's; without Nix's everything works, only slower.
    return [(kind === "bazel" ? fail : warn)(kind, `${kind} is not attached`, detail)];
  }
  const spare = status.candidates.filter((one) => one.kind === kind && one.standby).length;
  const facts = [
    report.source === null ? undefined : `source ${report.source}`,
    report.node === null ? undefined : printable(report.node, 200),
    report.latencyMs === null ? undefined : latency(report.latencyMs),
    report.path === null ? undefined : pathWords(report.path),
    report.proofAgeS === null ? undefined : `proved ${span(report.proofAgeS)} ago`,
    spare === 0 ? undefined : `${spare} standing by`,
  ].filter((fact) => fact !== undefined);
  const what = `${kind} is attached to ${printable(report.endpoint ?? "", 512)}`;
  const detail = { since: report.since, reason: facts.join(", "), next };
  const stale = (report.proofAgeS ?? 0) > lease.longestBelievable;
  return [
    report.health === "degraded" || report.health === "down" || stale
      ? warn(kind, `${what}, but ${stale ? "its proof is old" : `it is ${report.health}`}`, detail)
      : ok(kind, what, detail),
    ...(report.path?.via === "derp"
      ? [
          warn("path", `the path to it is relayed through DERP region ${printable(report.path.region, 40)}`, {
            reason: "no direct path was found: downloads are slower",
            next:
              report.node === null ? "tailscale netcheck" : `tailscale ping ${printable(report.node, 200)}; UDP must pass between the two`,
          }),
        ]
      : []),
    ...(kind === "bazel" && status.profileState === "local-proof"
      ? [warn("local-proof", "a local proof: the cache is on this machine and proves no shared one")]
      : []),
  ];
}
