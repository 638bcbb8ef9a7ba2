/** This shell's variables: escapes that are in force, and what contradicts itself or the attachment. */
import { existsSync } from "node:fs";
import { checkContract } from "../../contract/check.ts";
import { parseEndpoint, redacted, sameEndpoint } from "../../contract/endpoint.ts";
import { type Environment, hasLocalProof } from "../../contract/environment.ts";
import { localProofNext } from "../../contract/local-proof.ts";
import { exportedVariable } from "../../contract/parity-environment.ts";
import { gloriousflywheel } from "../../contract/profile.ts";
import { projectedTokenPath } from "../../contract/reapi.ts";
import { printable } from "../../contract/text.ts";
import { noTrust } from "../../contract/trust.ts";
import { readEnvFile } from "../../shim/env-file.ts";
import { findWorkspace } from "../../shim/scope.ts";
import { type Facts, known } from "./facts.ts";
import { type Check, checksOf } from "./report.ts";

const { ok, warn, fail } = checksOf("environment");

export function checkEnvironment(facts: Facts): readonly Check[] {
  const checks = [
    ...bypass(facts.env),
    ...scope(facts.env),
    ...relative(facts.env),
    ...upload(facts),
    ...contract(facts),
    ...otherCache(facts),
    ...localProof(facts),
  ];
  return checks.length > 0 ? checks : [ok("environment", "nothing in this shell contradicts itself")];
}

function bypass(env: Environment): readonly Check[] {
  const reason = env["GF_GUARD_BYPASS"];
  if (reason === undefined) return [];
  const next = "unset GF_GUARD_BYPASS";
  if (reason.trim() === "") return [fail("bypass", "GF_GUARD_BYPASS is set without a reason: heavy commands are refused", { next })];
  return [
    warn("bypass", "an escape is in force: GF_GUARD_BYPASS is set in this shell", {
      reason: `heavy commands build alone, recorded as: ${printable(reason, 200)}`,
      next,
    }),
  ];
}

function scope(env: Environment): readonly Check[] {
  const asked = env["GF_GUARD_SCOPE"] ?? "";
  if (["", "all", "enrolled"].includes(asked)) return [];
  return [
    warn("guard-scope", `GF_GUARD_SCOPE=${printable(asked, 60)} is neither all nor enrolled: it counts as all`, {
      next: "unset GF_GUARD_SCOPE",
    }),
  ];
}

/** contract/paths.ts takes absolute paths alone. */
function relative(env: Environment): readonly Check[] {
  return ["GF_RUNTIME_DIR", "GF_STATE_DIR", "GF_CONFIG_DIR"]
    .filter((name) => (env[name] ?? "") !== "" && env[name]?.startsWith("/") === false)
    .map((name) =>
      warn("relative-directory", `${name}=${printable(env[name] ?? "", 200)} is no absolute path: it counts for nothing`, {
        next: `unset ${name}, or set it to an absolute path`,
      }),
    );
}

/** The guard takes this shell's word on uploads before the profile's (shim/decide.ts). */
function upload({ env, profile }: Facts): readonly Check[] {
  const asked = env["GF_BAZEL_REMOTE_UPLOAD"] ?? "";
  const next = "unset GF_BAZEL_REMOTE_UPLOAD";
  if (asked === "" || ["false", "0", "no"].includes(asked)) return [];
  if (!["true", "1", "yes"].includes(asked)) {
    return [
      fail("upload", `GF_BAZEL_REMOTE_UPLOAD=${printable(asked, 40)} is neither true nor false: heavy commands are refused`, { next }),
    ];
  }
  if (env["GF_BAZEL_CACHE_ROLE"] === "read-only" || known(profile)?.bazel.upload !== false) return [];
  return [
    warn("upload", "this shell writes to the shared cache, and the profile does not: GF_BAZEL_REMOTE_UPLOAD is set", {
      reason: "what this machine builds becomes everybody's",
      next,
    }),
  ];
}

function contract({ env, profile }: Facts): readonly Check[] {
  const report = checkContract({
    environment: env,
    // Where the profile cannot be read, which is said elsewhere, the built-in one's stale names still count.
    profile: known(profile) ?? gloriousflywheel,
    require: { cache: false, nix: false },
    endpoints: "redacted",
    machine: { nix: undefined, projectedToken: existsSync(projectedTokenPath) },
  });
  return report.errors.map((error) =>
    fail(error.rule, error.message, { reason: `rule ${error.rule} of flywheel contract`, next: error.next }),
  );
}

/** BAZEL_REMOTE_CACHE is the invoking shell's own word: the guard proves it for itself and takes it before the attachment. */
function otherCache({ env, status }: Facts): readonly Check[] {
  const named = parseEndpoint(env["BAZEL_REMOTE_CACHE"] ?? "", "bazel");
  const bazel = known(status)?.bazel;
  if (!named.ok || bazel === undefined || bazel.endpoint === null) return [];
  const spellings = [bazel.endpoint, ...bazel.aliases].map((text) => parseEndpoint(text, "bazel"));
  if (spellings.some((one) => one.ok && sameEndpoint(one.endpoint, named.endpoint))) return [];
  return [
    warn("other-cache", `BAZEL_REMOTE_CACHE names ${redacted(named.endpoint)}, which is not what is attached`, {
      reason: "heavy commands of this shell use that one, proved by itself",
      next: 'eval "$(flywheel env)", or unset BAZEL_REMOTE_CACHE',
    }),
  ];
}

/** A port-forward that is attached serves only shells that ask for one (shim/decide.ts); one that names its own cache never comes to it. */
function localProof({ env, status, config, trust, cwd }: Facts): readonly Check[] {
  if (known(status)?.profileState !== "local-proof" || hasLocalProof(env) || known(config)?.localProof.allowed !== false) return [];
  const named = env["BAZEL_REMOTE_CACHE"] || undefined;
  if (named !== undefined && named !== env[exportedVariable]) return [];
  const root = cwd.ok ? findWorkspace(cwd.value, env["PWD"]).root : undefined;
  const file = root === undefined ? undefined : readEnvFile(root, known(trust) ?? noTrust);
  if (file?.state === "trusted" && file.cache !== undefined) return [];
  return [
    fail("local-proof-not-asked-for", "only a local proof is attached, and this shell has not asked for one: heavy commands are refused", {
      reason: "the cache is on this machine, or a port-forward to one, which is no shared cache",
      next: localProofNext,
    }),
  ];
}
