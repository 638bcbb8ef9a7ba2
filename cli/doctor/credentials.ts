/** What `flywheel login` kept: where, until when, and whether nobody else can read it. No keyring is asked: that may open a dialog. */
import { existsSync, readdirSync } from "node:fs";
import { dirname, join } from "node:path";
import { type CredentialEntry, type CredentialIndex, hasExpired } from "../../contract/credential.ts";
import { credentialWords } from "../../contract/credential-words.ts";
import { loginCommand } from "../../contract/login-command.ts";
import { type Paths, secretPath } from "../../contract/paths.ts";
import { typed } from "../../contract/quote.ts";
import { inspectRuntimeDirectory } from "../../daemon/api/client/directory.ts";
import { closing, exposure } from "../login/exposure.ts";
import { entryExpiry } from "../login/words.ts";
import type { Facts } from "./facts.ts";
import { look } from "./look.ts";
import { type Check, checksOf } from "./report.ts";

const { ok, warn, fail } = checksOf("credentials");

export function checkCredentials({ credentials, env, paths, profileName }: Facts): readonly Check[] {
  if (!credentials.ok) return [fail("credential-index", credentials.error.message, { next: credentials.error.next ?? null })];
  const index = credentials.value;
  const now = new Date();
  return [
    store(index),
    ...keyring(index, env),
    ...files(index, paths),
    ...index.entries.flatMap((entry) => [entryCheck(entry, profileName, now), ...certificateFiles(entry)]),
  ];
}

function store({ store: chosen, entries }: CredentialIndex): Check {
  const count = entries.length === 0 ? "nothing is kept" : `${entries.length} ${entries.length === 1 ? "login is" : "logins are"} kept`;
  const where = chosen === "file" ? "in files of yours, by your choice" : "in the system's keyring";
  return ok("credential-store", `${count}; new secrets go ${where}`);
}

/** Whether there can be one; what it says when asked, only `flywheel up` finds out. */
function keyring({ entries }: CredentialIndex, env: Facts["env"]): readonly Check[] {
  const held = entries.find(({ how }) => how.scheme !== "mtls" && how.store === "keyring");
  if (held === undefined) return [];
  const next = "flywheel up   (asks it, and tells whether it is unlocked)";
  if (process.platform !== "linux") return [ok("keyring", "the system's keyring holds secrets; it was not asked", { next })];
  const runtime = env["XDG_RUNTIME_DIR"];
  const bus = env["DBUS_SESSION_BUS_ADDRESS"] || (runtime?.startsWith("/") === true && existsSync(join(runtime, "bus")));
  if (bus) return [ok("keyring", "there is a session bus for the keyring; it was not asked, since that may open a dialog", { next })];
  return [
    fail("keyring", "secrets are in the system's keyring, and there is no session bus to ask it on", {
      reason: "neither DBUS_SESSION_BUS_ADDRESS nor a bus in XDG_RUNTIME_DIR: a login by ssh often has none",
      next: `work in a desktop session, or log in again: ${loginCommand(held)} --store file`,
    }),
  ];
}

function files({ entries }: CredentialIndex, paths: Paths): readonly Check[] {
  const directory = dirname(secretPath(paths, "x"));
  const inFiles = entries.filter(({ how }) => how.scheme !== "mtls" && how.store === "file");
  const found = inspectRuntimeDirectory(directory);
  if (!found.ok && found.fault !== "absent")
    return [fail("credential-directory", found.message, { next: `chmod 700 ${typed(directory)}` })];
  const known = new Set(inFiles.map(({ generation }) => generation));
  const left = found.ok ? readdirSync(directory).filter((name) => !known.has(name)) : [];
  return [
    ...inFiles.flatMap((entry) => secretFile(secretPath(paths, entry.generation), entry)),
    ...(left.length === 0
      ? []
      : [
          warn("credential-left", `${directory} holds ${left.length} that no login needs`, {
            next: `look, then rm ${left
              .slice(0, 4)
              .map((name) => typed(join(directory, name)))
              .join(" ")}`,
          }),
        ]),
  ];
}

function secretFile(file: string, entry: CredentialEntry): readonly Check[] {
  const seen = look(file);
  if (seen.state !== "there") {
    return [
      fail("credential-file", `the secret of ${entry.endpoint} cannot be looked at`, {
        reason: `${file}: ${seen.reason}`,
        next: loginCommand(entry),
      }),
    ];
  }
  const fault = exposure(seen.stats);
  return fault === undefined
    ? []
    : [
        fail("credential-file", `${file} is not used: ${fault}`, {
          next: `${closing(file, seen.stats)}   (or with another secret: ${loginCommand(entry)})`,
        }),
      ];
}

function entryCheck(entry: CredentialEntry, own: string, now: Date): Check {
  const { endpoint, kind, profile, how, at, expires, legacyHeader } = entry;
  const where = profile === own ? "" : `, profile ${profile}`;
  const legacy = legacyHeader ? "; older Bazels get it as a header, and write it down" : "";
  const what = `${kind} ${endpoint} (${how.scheme}${where}): ${expires === null ? "when it expires is not known" : entryExpiry(entry, now)}${legacy}`;
  const detail = { since: at, next: loginCommand(entry) };
  if (hasExpired(entry, now)) return (profile === own ? fail : warn)("credential", what, { ...detail, reason: "it is not sent any more" });
  const { worry } = credentialWords({ scheme: how.scheme, since: at, expires, needed: "unknown" }, now);
  return worry ? warn("credential", what, detail) : ok("credential", what, { since: at });
}

function certificateFiles({ how, endpoint }: CredentialEntry): readonly Check[] {
  if (how.scheme !== "mtls") return [];
  const certificate = look(how.certificate);
  const key = look(how.key);
  const fault = key.state === "there" ? exposure(key.stats) : key.reason;
  return [
    ...(certificate.state === "there"
      ? []
      : [
          fail("certificate", `the certificate for ${endpoint} cannot be read`, {
            reason: `${how.certificate}: ${certificate.reason}`,
            next: "put it back, or log in with another",
          }),
        ]),
    ...(fault === undefined
      ? []
      : [
          fail("certificate", `the key for ${endpoint} cannot be used`, {
            reason: `${how.key}: ${fault}`,
            next:
              key.state === "there" ? `${closing(how.key, key.stats)}   (or log in with another)` : "put it back, or log in with another",
          }),
        ]),
  ];
}
