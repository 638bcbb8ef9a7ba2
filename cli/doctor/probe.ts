/** `flywheel doctor --probe`: proves the endpoints that somebody named, one by one and without the daemon. */
import * as v from "valibot";
import type { ProbeReport } from "../../contract/api.ts";
import { rungs } from "../../contract/candidate.ts";
import { namedFor } from "../../contract/config.ts";
import { type Endpoint, parseEndpoint, sameEndpoint } from "../../contract/endpoint.ts";
import { hasLocalProof } from "../../contract/environment.ts";
import { operatorSchema } from "../../contract/operator.ts";
import { printable } from "../../contract/text.ts";
import { latency } from "../../contract/words.ts";
import { probeOnce } from "../../daemon/api/client/probe-once.ts";
import { readSmall } from "../bazelrc.ts";
import { type Facts, known } from "./facts.ts";
import { type Check, checksOf } from "./report.ts";

const { ok, warn, fail } = checksOf("candidates");

interface Named {
  readonly endpoint: Endpoint;
  /** Where it was named. */
  readonly where: string;
  readonly localProof: boolean;
}

/** At most so many are proved, all at once: each takes 2 s at most. */
const mostNamed = 8;

/** @returns one check an endpoint; none where nobody named any */
export async function proveNamed(facts: Facts): Promise<readonly Check[]> {
  const named = namedEndpoints(facts);
  const proved = await Promise.all(named.slice(0, mostNamed).map((one) => prove(one, facts.profileName)));
  const left = named.length - proved.length;
  return left === 0 ? proved : [...proved, warn("probe", `${left} more endpoints were left out: ${mostNamed} are the most at once`)];
}

async function prove({ endpoint, where, localProof }: Named, profile: string): Promise<Check> {
  const report = await probeOnce({ profile, kind: endpoint.kind, endpoint: endpoint.url, localProof });
  const what = `${endpoint.kind} ${endpoint.url} (${where})`;
  if (report.ok) return ok("probe", `${what} proved itself in ${latency(report.latencyMs)}`);
  const next = report.next ?? `flywheel doctor --probe again once it answers, or take it out of ${where}`;
  // As in the rest of the report: without a Nix cache everything works, only slower.
  return (endpoint.kind === "nix" ? warn : fail)("probe", `${what} does not prove itself`, { reason: howFar(report), next });
}

function howFar(report: Extract<ProbeReport, { ok: false }>): string {
  const passed = rungs.slice(0, rungs.indexOf(report.rung));
  const way = passed.length === 0 ? "" : `${passed.join(", ")} passed; `;
  return `${way}${report.rung}: ${printable(report.reason, 400)}`;
}

function namedEndpoints(facts: Facts): readonly Named[] {
  const { env } = facts;
  const config = known(facts.config);
  const markers = hasLocalProof(env);
  const allowed = config?.localProof.allowed === true;
  const texts = [
    { kind: "bazel" as const, text: env["BAZEL_REMOTE_CACHE"] ?? "", where: "BAZEL_REMOTE_CACHE", localProof: markers },
    ...attached(facts).map((one) => ({
      kind: one.kind,
      text: one.endpoint,
      where: "flywheel attach",
      localProof: one.localProof || allowed,
    })),
    ...(["bazel", "nix"] as const).flatMap((kind) =>
      (known(facts.profile)?.endpoints[kind] ?? []).map((text) => ({ kind, text, where: "the profile", localProof: allowed })),
    ),
    ...(config === undefined
      ? []
      : (["bazel", "nix"] as const).flatMap((kind) => {
          const { endpoints, localProof } = namedFor(facts.profileName, kind, config);
          return [
            ...endpoints.map((text) => ({ kind, text, where: "config.toml", localProof: allowed })),
            ...localProof.map((text) => ({ kind, text, where: "local_proof of config.toml", localProof: allowed })),
          ];
        })),
    { kind: "nix" as const, text: known(facts.profile)?.nix.substituter ?? "", where: "the profile", localProof: allowed },
  ];
  const named: Named[] = [];
  for (const { kind, text, where, localProof } of texts) {
    const parsed = parseEndpoint(text, kind);
    // What is no endpoint, the other checks say.
    if (!parsed.ok || named.some((one) => sameEndpoint(one.endpoint, parsed.endpoint))) continue;
    named.push({ endpoint: parsed.endpoint, where, localProof });
  }
  return named;
}

/** What `flywheel attach` kept; nothing where the file is not what the daemon writes, which the daemon says. */
function attached({ paths, profileName }: Facts): readonly { kind: "bazel" | "nix"; endpoint: string; localProof: boolean }[] {
  try {
    const raw: unknown = JSON.parse(readSmall(`${paths.state}/operator.json`) ?? "{}");
    const parsed = v.safeParse(operatorSchema, raw);
    return parsed.success ? parsed.output.attached.filter((one) => one.profile === profileName) : [];
  } catch {
    return [];
  }
}
