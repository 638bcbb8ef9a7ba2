/** The directories of what a tool reads from files: another one for each endpoint and each credential, so that none is ever rewritten. */
import { createHash } from "node:crypto";
import type { CredentialEntry } from "../../../../contract/credential.ts";
import type { Endpoint } from "../../../../contract/endpoint.ts";
import { generationPath, type Paths } from "../../../../contract/paths.ts";

/** Of `bazelrc` (Bazel) or `netrc` (Nix); whether it is there yet, only the daemon knows. */
export function generationDirectory(paths: Paths, { generation }: Pick<CredentialEntry, "generation">, endpoint: Endpoint): string {
  return generationPath(paths, `${generation}-${createHash("sha256").update(endpoint.url).digest("hex").slice(0, 16)}`);
}
