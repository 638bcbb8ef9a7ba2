/** This machine and this shell, as parity puts them beside CI. */
import type { StatusReport } from "../../contract/api.ts";
import type { RcLine } from "../../contract/ci/rc.ts";
import type { Here } from "../../contract/ci/rules/rule.ts";
import type { Environment } from "../../contract/environment.ts";
import { exportedVariable } from "../../contract/parity-environment.ts";
import type { Profile } from "../../contract/profile.ts";
import { uploadPolicy } from "../../shim/decide.ts";
import { findRealTool } from "../../shim/tool.ts";

/** @param rc all rc files that Bazel reads here */
export function hereOf(
  env: Environment,
  of: { readonly status: StatusReport; readonly profile: Profile; readonly rc: readonly RcLine[] },
): Here {
  const { status, profile, rc } = of;
  const cache = env["BAZEL_REMOTE_CACHE"] || undefined;
  return {
    status,
    // What a shell hook exported follows the attachment.
    named: cache === env[exportedVariable] ? undefined : cache,
    // One that is neither yes nor no is refused by the guard: nothing is uploaded.
    upload: uploadPolicy(env, status.bazel.upload) ?? false,
    instanceName: env["BAZEL_REMOTE_INSTANCE_NAME"] || (status.bazel.instanceName ?? profile.bazel.instanceName),
    path: findRealTool("bazel", env).path,
    rc,
    bazelVersion: env["USE_BAZEL_VERSION"] || undefined,
    endpoints: env["GITHUB_ACTIONS"] === "true" || env["GITLAB_CI"] === "true" ? "redacted" : "shown",
  };
}
