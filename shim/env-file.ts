/** A workspace's `.env.flywheel.local`: repository content, so it counts only once the user has trusted that very text. */
import { createHash } from "node:crypto";
import { realpathSync } from "node:fs";
import { join } from "node:path";
import { envFileName, largestEnvFile, parseEnvFile } from "../contract/env-file.ts";
import { messageOf } from "../contract/errors.ts";
import type { TrustStore } from "../contract/trust.ts";
import { readBounded } from "../daemon/api/client/bounded.ts";

export type EnvFile =
  | { readonly state: "absent" }
  | { readonly state: "untrusted"; readonly path: string }
  | { readonly state: "invalid"; readonly path: string; readonly message: string }
  /** `cache` is what it sets BAZEL_REMOTE_CACHE to; it still has to pass every rule for endpoints. */
  | { readonly state: "trusted"; readonly path: string; readonly cache: string | undefined; readonly localProof: boolean };

/** @param root the workspace's root: the file of no other directory counts */
export function readEnvFile(root: string, trust: TrustStore): EnvFile {
  const file = join(root, envFileName);
  let content: Buffer;
  let path: string;
  try {
    path = realpathSync(file);
    content = readBounded(path, largestEnvFile);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return { state: "absent" };
    return { state: "invalid", path: file, message: `it cannot be read (${(error as NodeJS.ErrnoException).code ?? messageOf(error)})` };
  }
  const sha256 = createHash("sha256").update(content).digest("hex");
  if (!trust.files.some((trusted) => trusted.path === path && trusted.sha256 === sha256)) return { state: "untrusted", path };
  const parsed = parseEnvFile(content.toString("utf8"));
  if (!parsed.ok) {
    const [fault] = parsed.faults;
    return { state: "invalid", path, message: `line ${fault?.line ?? 1}: ${fault?.message ?? "not understood"}` };
  }
  const { values } = parsed;
  return {
    state: "trusted",
    path,
    cache: values["BAZEL_REMOTE_CACHE"] || undefined,
    localProof: values["GF_BAZEL_LOCAL_PROOF"] === "port-forward" && values["GF_BAZEL_ALLOW_LOCALHOST_PROOF"] === "true",
  };
}
