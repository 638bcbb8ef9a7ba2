/** Looks at everything, changes nothing, and gives the report. */
import type { StatusReport } from "../../contract/api.ts";
import type { Tool } from "../../contract/endpoint.ts";
import { manifestName } from "../../contract/manifest.ts";
import { type PolicyAdvice, policyAdvice } from "../../contract/policy.ts";
import type { Profile } from "../../contract/profile.ts";
import { findWorkspace } from "../../shim/scope.ts";
import { checkAttachments, checkTailnet } from "./attachment.ts";
import { checkConfiguration } from "./configuration.ts";
import { checkCredentials } from "./credentials.ts";
import { checkDaemon, checkVersions } from "./daemon.ts";
import { checkDirectories } from "./directories.ts";
import { checkEnvironment } from "./environment.ts";
import { type Facts, known } from "./facts.ts";
import { checkLadders, checkRejections, laddersOf } from "./ladders.ts";
import { checkFlake } from "./nix.ts";
import { type Check, type DoctorReport, doctorSchema } from "./report.ts";
import { checkRepositories } from "./repositories.ts";
import { checkService } from "./service.ts";
import { checkShim } from "./shim.ts";
import { checkWorkspace } from "./workspace.ts";

/**
 * @param proved checks of endpoints that were proved just now, for `--probe`
 */
export function examine(facts: Facts, proved: readonly Check[] = []): DoctorReport {
  const status = known(facts.status);
  const ladders = status === undefined ? [] : laddersOf(status);
  const alone = buildsAlone(facts);
  const checks = [
    ...checkDaemon(facts),
    ...checkService(facts),
    ...checkVersions(facts),
    ...checkDirectories(facts),
    ...checkConfiguration(facts),
    ...checkCredentials(facts),
    ...(status === undefined
      ? []
      : [...checkTailnet(status), ...checkAttachments(status), ...checkLadders(ladders, status), ...checkRejections(status)].map((check) =>
          alone ? notNeeded(check) : check,
        )),
    ...proved,
    ...checkShim(facts),
    ...checkWorkspace(facts),
    ...(facts.cwd.ok ? checkFlake(facts.cwd.value) : []),
    ...checkRepositories(facts),
    ...checkEnvironment(facts).map((check) => (alone && check.id === "local-proof-not-asked-for" ? notNeeded(check) : check)),
  ];
  return {
    schema: doctorSchema,
    ok: checks.every((check) => check.state !== "fail"),
    profile: facts.profileName,
    checks,
    ladders,
    policy: advice(known(facts.profile), status),
    nixAdvice: status?.nix.advice ?? null,
  };
}

/** Whether the workspace here says itself that it takes no shared cache. */
function buildsAlone({ cwd, env }: Facts): boolean {
  if (!cwd.ok) return false;
  const { manifest } = findWorkspace(cwd.value, env["PWD"]);
  return manifest.state === "enrolled" && manifest.mode === "compatibility-local-only";
}

/** What keeps a workspace from a cache is no fault where it asks for none. */
function notNeeded(check: Check): Check {
  if (check.state !== "fail") return check;
  const why = `${manifestName} here declares compatibility-local-only, so that nothing here needs it`;
  return { ...check, state: "warn", reason: check.reason === null ? why : `${check.reason}; ${why}` };
}

function advice(profile: Profile | undefined, status: StatusReport | undefined): PolicyAdvice | null {
  if (profile === undefined) return null;
  const missing = (["bazel", "nix"] as const).filter((kind) => foundNothing(status, kind));
  // Nix alone is no reason to fill a screen: `--policy` shows its lines.
  return missing.includes("bazel") ? policyAdvice(profile, missing) : null;
}

/** Whether a trusted tailnet was looked through and no cache of the kind was in it; not while something else is attached. */
function foundNothing(status: StatusReport | undefined, kind: Tool): boolean {
  if (status === undefined || status.daemon === null || !status.tailnet.trusted) return false;
  if (status[kind].state === "attached" || status[kind].unsettled) return false;
  return !status.candidates.some(
    (one) => one.kind === kind && (one.source === "service" || one.source === "peer" || one.source === "cluster"),
  );
}
