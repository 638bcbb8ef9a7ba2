/** Where the guard learns what the user is logged in to, and gets the rc files that a Bazel without credential helpers reads. */
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readdirSync, renameSync, rmSync, statSync, utimesSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { importingRc } from "../../contract/bazel/credentials.ts";
import type { CredentialEntry, CredentialIndex } from "../../contract/credential.ts";
import { plainPath } from "../../contract/credential-helper.ts";
import type { Endpoint } from "../../contract/endpoint.ts";
import { FlywheelError } from "../../contract/errors.ts";
import type { Paths } from "../../contract/paths.ts";
import type { Profile } from "../../contract/profile.ts";
import { projectedTokenPath } from "../../contract/reapi.ts";
import { DaemonClient } from "../../daemon/api/client/connection.ts";
import { generationDirectory } from "../../daemon/api/client/credentials/generations.ts";
import { readCredentials } from "../../daemon/api/client/credentials/index-file.ts";
import { inspectRuntimeDirectory, unsafe } from "../../daemon/api/client/directory.ts";
import { reasonOf } from "../../daemon/api/client/errno.ts";
import { onlyLooks, type Patience } from "../attachment.ts";
import { answersAnybody } from "./needless.ts";

export interface CredentialSource {
  /** @throws FlywheelError `credentials-unusable` */
  index(): CredentialIndex;
  /** The path of flywheel-credential-helper. */
  helper(): string;
  /** Whether the fleet's projected token is here. */
  projectedToken(): boolean;
  /** Whether the daemon knows of the attached endpoint that it answers anybody; false where nobody can tell. */
  answersAnybody(profile: Profile, endpoint: Endpoint): Promise<boolean>;
  /**
   * The rc file with the header of one credential for one endpoint, and with what the user's --bazelrc name.
   * @throws FlywheelError where the daemon cannot make it
   */
  rcFile(profile: Profile, entry: CredentialEntry, endpoint: Endpoint, imports: readonly string[]): Promise<string>;
}

/** An rc file that imports others is kept as long as the daemon keeps what it imports: milliseconds. */
const kept = 24 * 3600 * 1000;

/** @param patience of one that only looks nothing is made: the path is only said */
export function credentialSource(paths: Paths, patience: Patience): CredentialSource {
  return {
    index: () => readCredentials(paths),
    helper: () => {
      const places = ["../bin/flywheel-credential-helper", "../../dist/bin/flywheel-credential-helper"];
      const found = places.map((place) => fileURLToPath(new URL(place, import.meta.url))).find((path) => existsSync(path));
      if (found === undefined) throw new FlywheelError("internal", "flywheel-credential-helper was not built", { next: "npm run build" });
      return found;
    },
    projectedToken: () => existsSync(projectedTokenPath),
    answersAnybody: (profile, endpoint) => answersAnybody(paths, profile.name, endpoint),
    async rcFile(profile, entry, endpoint, imports) {
      const directory = generationDirectory(paths, entry, endpoint);
      if (!plainPath.test(directory)) {
        throw new FlywheelError("runtime-directory-unsafe", `${paths.runtime} is a path that Bazel's rc files cannot carry`, {
          next: "set GF_RUNTIME_DIR to a path in plain characters",
        });
      }
      if (!onlyLooks(patience)) {
        const answer = await new DaemonClient(paths).generation({ profile: profile.name, kind: "bazel", endpoint: endpoint.url });
        // Another generation is another login's, made since the index was read: what was decided by it is no longer so.
        if (answer.directory !== directory) {
          throw new FlywheelError("credentials-unusable", `the credential of ${endpoint.url} was changed just now`, {
            next: "repeat the command",
          });
        }
      }
      const rc = join(directory, "bazelrc");
      if (imports.length === 0) return rc;
      return onlyLooks(patience) ? importingPath(paths, [rc, ...imports]) : writeImporting(paths, [rc, ...imports]);
    },
  };
}

/** Named by what is in it: no two write different texts into one file. */
function importingPath(paths: Paths, files: readonly string[]): string {
  return join(paths.runtime, "bazelrc", createHash("sha256").update(importingRc(files)).digest("hex").slice(0, 32));
}

function writeImporting(paths: Paths, files: readonly string[]): string {
  const file = importingPath(paths, files);
  const directory = join(file, "..");
  const now = new Date();
  try {
    mkdirSync(directory, { recursive: true, mode: 0o700 });
    const own = inspectRuntimeDirectory(directory);
    if (!own.ok) throw unsafe(own);
    if (existsSync(file)) utimesSync(file, now, now);
    else {
      for (const name of readdirSync(directory)) {
        const old = join(directory, name);
        if (now.getTime() - (statSync(old, { throwIfNoEntry: false })?.mtimeMs ?? 0) > kept) rmSync(old, { force: true });
      }
      // Never seen half written; whoever writes it at the same time writes the same bytes.
      const fresh = `${file}-${process.pid}`;
      writeFileSync(fresh, importingRc(files), { mode: 0o600 });
      renameSync(fresh, file);
    }
    return file;
  } catch (error) {
    if (error instanceof FlywheelError) throw error;
    throw new FlywheelError("runtime-directory-unsafe", `${directory} cannot be written (${reasonOf(error)})`, {
      next: "set GF_RUNTIME_DIR to a directory of your own",
      cause: error,
    });
  }
}
