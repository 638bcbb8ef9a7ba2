/** Logs in as `flywheel login` does: the secret first, then the index. */
import { randomBytes } from "node:crypto";
import type { CredentialEntry } from "../../../contract/credential.ts";
import type { Tool } from "../../../contract/endpoint.ts";
import type { Paths } from "../../../contract/paths.ts";
import { Secret } from "../../../contract/secret.ts";
import { fileVault } from "../../../daemon/api/client/credentials/files.ts";
import { changeCredentials } from "../../../daemon/api/client/credentials/index-file.ts";

export interface Login {
  readonly endpoint: string;
  readonly kind?: Tool;
  readonly profile?: string;
  readonly expires?: string;
  readonly legacyHeader?: boolean;
  readonly how:
    | { readonly token: string }
    | { readonly user: string; readonly password: string }
    | { readonly certificate: string; readonly key: string };
  /** Where the index says that the secret is; the file it is in is not asked where that is the keyring. */
  readonly store?: "file" | "keyring";
}

/** @returns the entry that the index has now */
export async function login(paths: Paths, { endpoint, how, ...rest }: Login): Promise<CredentialEntry> {
  const generation = randomBytes(16).toString("hex");
  const store = rest.store ?? "file";
  const secret = "token" in how ? how.token : "password" in how ? how.password : undefined;
  const entry: CredentialEntry = {
    profile: rest.profile ?? "default",
    kind: rest.kind ?? "bazel",
    endpoint,
    how:
      "token" in how
        ? { scheme: "bearer", store }
        : "password" in how
          ? { scheme: "basic", store, user: how.user }
          : { scheme: "mtls", ...how },
    generation,
    at: "2026-11-20T08:00:00Z",
    expires: rest.expires ?? null,
    legacyHeader: rest.legacyHeader ?? false,
  };
  // The index makes the state directory, which is whoever's own that logs in.
  await changeCredentials(paths, (index) => index);
  if (secret !== undefined) await fileVault(paths).write(generation, new Secret(secret));
  const { profile, kind } = entry;
  const others = (one: CredentialEntry): boolean => one.endpoint !== endpoint || one.profile !== profile || one.kind !== kind;
  await changeCredentials(paths, (index) => ({ ...index, entries: [...index.entries.filter(others), entry] }));
  return entry;
}

export async function logout(paths: Paths, { generation }: CredentialEntry): Promise<void> {
  await changeCredentials(paths, (index) => ({ ...index, entries: index.entries.filter((one) => one.generation !== generation) }));
  await fileVault(paths).remove(generation);
}
