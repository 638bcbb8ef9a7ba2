/** The workspace here: whether it is guarded, what it declares, and what would keep its actions away from a shared cache. */
import { existsSync } from "node:fs";
import { dirname, join } from "node:path";
import { isAtLeast, parseBazelVersion } from "../../contract/bazel/version.ts";
import type { Config } from "../../contract/config.ts";
import { envFileName } from "../../contract/env-file.ts";
import { manifestName } from "../../contract/manifest.ts";
import { typed } from "../../contract/quote.ts";
import { printable } from "../../contract/text.ts";
import { noTrust } from "../../contract/trust.ts";
import { askedVersion } from "../../shim/bazel-version.ts";
import { readEnvFile } from "../../shim/env-file.ts";
import { findWorkspace, scopeOf, type Workspace } from "../../shim/scope.ts";
import { usualRcFiles } from "../bazelrc.ts";
import { strictEnvironment } from "./bazelrc.ts";
import { type Facts, known } from "./facts.ts";
import { checkRcEndpoints } from "./rc-endpoints.ts";
import { type Check, checksOf } from "./report.ts";

const { ok, warn, fail } = checksOf("workspace");

/** From this Bazel on the strict action environment is the default (incompatible_strict_action_env was flipped in 9.0). */
const strictSince = [9, 0] as const;

export function checkWorkspace(facts: Facts): readonly Check[] {
  const { cwd, env } = facts;
  if (!cwd.ok) return [warn("workspace", cwd.error.message, { next: cwd.error.next ?? null })];
  const workspace = findWorkspace(cwd.value, env["PWD"]);
  const bazelRoot = findBazelWorkspace(cwd.value);
  return [
    ...manifest(workspace),
    ...(facts.config.ok ? [scope(workspace, facts.config.value, env["GF_GUARD_SCOPE"])] : []),
    ...envFile(workspace, facts),
    ...(bazelRoot === undefined ? [] : [strict(bazelRoot, facts), ...checkRcEndpoints(bazelRoot)]),
  ];
}

function manifest({ root, manifest }: Workspace): readonly Check[] {
  switch (manifest.state) {
    case "absent":
    case "not-enrolled":
      return [];
    case "enrolled":
      return [ok("manifest", `${manifestName} declares ${manifest.mode}`)];
    case "invalid":
      return [fail("manifest", printable(manifest.message, 400), { next: `mend ${printable(join(root, manifestName), 400)}` })];
  }
}

function scope(workspace: Workspace, config: Config, asked: string | undefined): Check {
  const found = scopeOf(workspace, config, asked);
  const root = printable(workspace.root, 400);
  return found.kind === "inside"
    ? ok("scope", `${root} is guarded`, { reason: printable(found.why, 400) })
    : ok("scope", `${root} is not guarded: everything passes through`, { reason: printable(found.why, 400), next: found.next });
}

function envFile({ root }: Workspace, { trust }: Facts): readonly Check[] {
  const file = readEnvFile(root, known(trust) ?? noTrust);
  switch (file.state) {
    case "absent":
      return [];
    case "untrusted":
      return [
        warn("env-file", `${envFileName} is not trusted, so it counts for nothing`, {
          reason: "it is the repository's, and you have not trusted this content of it",
          next: `flywheel trust file ${typed(printable(file.path, 400))}`,
        }),
      ];
    case "invalid":
      return [
        fail("env-file", `${envFileName} cannot be understood: ${printable(file.message, 300)}`, {
          next: `mend ${printable(file.path, 400)}`,
        }),
      ];
    case "trusted":
      return [ok("env-file", `${envFileName} is trusted`)];
  }
}

function strict(root: string, { bazelVersion, env, home }: Facts): Check {
  const found = strictEnvironment(root, usualRcFiles(root, env["HOME"] || home));
  const next = `add "build --incompatible_strict_action_env" to ${printable(join(root, ".bazelrc"), 300)}`;
  const why = "PATH is then part of every shell action's key, so machines do not share results";
  switch (found.seen) {
    case "on":
      return ok("strict-action-env", "a strict action environment is asked for", { reason: `${printable(found.file, 300)}:${found.line}` });
    case "off":
      return warn("strict-action-env", "the strict action environment is turned off", {
        reason: `${printable(found.file, 300)}:${found.line}; ${why}`,
        next,
      });
    case "not-seen": {
      // Where no Bazel stands behind the guard, or the workspace's own tools/bazel chooses it, by what is asked for.
      const version = bazelVersion ?? parseBazelVersion(askedVersion(root, env) ?? "");
      if (version !== undefined && isAtLeast(version, strictSince)) {
        return ok("strict-action-env", `a strict action environment is the default of Bazel ${printable(version.text, 40)}`);
      }
      const only = found.config === undefined ? "not seen in .bazelrc" : `seen only under --config=${printable(found.config, 60)}`;
      return warn("strict-action-env", `a strict action environment was ${only}`, {
        reason: `before Bazel ${strictSince[0]} it is not the default: ${why}`,
        next,
      });
    }
  }
}

/** Bazel's own rule for where a workspace begins. */
function findBazelWorkspace(from: string): string | undefined {
  for (let at = from; ; at = dirname(at)) {
    if (["MODULE.bazel", "REPO.bazel", "WORKSPACE", "WORKSPACE.bazel"].some((name) => existsSync(join(at, name)))) return at;
    if (at === dirname(at)) return undefined;
  }
}
