import { randomBytes } from "node:crypto";
import { type Credential, type CredentialEntry, expiryOf, hasExpired, type SecretStore } from "../../contract/credential.ts";
import type { Endpoint } from "../../contract/endpoint.ts";
import { FlywheelError } from "../../contract/errors.ts";
import { Exit } from "../../contract/exit.ts";
import type { Secret } from "../../contract/secret.ts";
import { readCredentials } from "../../daemon/api/client/credentials/index-file.ts";
import { defineCommand } from "../command.ts";
import type { Context } from "../context.ts";
import { endpointFrom, refusePlaintext } from "../endpoint.ts";
import { checkCertificate } from "../login/certificate.ts";
import { keep } from "../login/keep.ts";
import { type Proof, prove } from "../login/prove.ts";
import { readSecret } from "../login/secret.ts";
import { type LoginOptions, type Wish, wishFrom } from "../login/wish.ts";
import { entryExpiry, entryReport, loginTable, storeOf } from "../login/words.ts";
import { choiceWords } from "../profile.ts";
import { tellDaemon } from "../tell.ts";

const schema = 1;

export default defineCommand({
  name: "login",
  summary: "keep a credential for a cache that asks for one; alone, list what is kept",
  details:
    "The secret comes from --token-file, from standard input, or from a prompt that does not show it, and never from the command line. It is kept in the system's keyring, or by your choice in a file that only you can read. Before that the cache is asked with it: one that refuses it keeps nothing, one that cannot be reached is kept with a notice. It is for one endpoint of one profile, and goes nowhere else.",
  arguments: [{ name: "[endpoint]", summary: "the cache's URL, without a user in it", completes: "endpoint" }],
  options: {
    kind: { flag: "--kind <kind>", summary: "bazel or nix (bazel)", choices: ["bazel", "nix"] },
    bearer: { flag: "--bearer", summary: "a token, as Authorization: Bearer (the default; to Nix as a netrc's password)" },
    basic: { flag: "--basic", summary: "a user and a password" },
    user: { flag: "--user <name>", summary: "with --basic: the user" },
    certificate: { flag: "--certificate <file>", summary: "a client certificate, PEM; with --key", completes: "file" },
    key: { flag: "--key <file>", summary: "its key, PEM of PKCS#8, readable by you alone; both stay where they are", completes: "file" },
    tokenFile: { flag: "--token-file <file>", summary: "take the token or password from a file of yours (0600)", completes: "file" },
    expires: { flag: "--expires <date>", summary: "until when it holds, such as 2027-01-31 (else what the token or certificate says)" },
    store: { flag: "--store <store>", summary: "where secrets are kept from now on: keyring or file", choices: ["keyring", "file"] },
    allowLegacyHeader: {
      flag: "--allow-legacy-header",
      summary: "let Bazel older than 6.3 have it as a header, which Bazel itself writes down in its logs",
    },
    noVerify: { flag: "--no-verify", summary: "do not ask the cache first" },
  },
  examples: [
    { line: "flywheel login", does: "what is kept, where, and when it expires" },
    { line: "flywheel login grpcs://cache.example.org", does: "ask for a token, prove it, and keep it in the keyring" },
    { line: "flywheel login --kind nix https://nix.example.org/main --token-file token", does: "for a Nix cache, from a file" },
    { line: "pass cache | flywheel login --basic --user ann https://cache.example.org", does: "a password from another program" },
    { line: "flywheel login grpcs://cache.example.org --store file", does: "on a machine without a desktop: in a file, remembered" },
    { line: "flywheel login grpcs://cache.example.org --certificate me.pem --key me.key", does: "a client certificate" },
  ],
  exits: [{ code: Exit.failed, means: "nothing was kept: the cache refuses it, or there is nowhere to keep it" }],
  async run(context, { kind, noVerify, ...options }, [text]) {
    const index = readCredentials(context.paths);
    if (text === undefined) {
      if (noVerify || kind !== undefined || Object.values(options).some((value) => value !== undefined && value !== false)) {
        throw new FlywheelError("usage", "these options are about an endpoint", {
          next: "flywheel login --help",
        });
      }
      list(context, index);
      return Exit.ok;
    }
    const endpoint = endpointFrom(text, kind ?? "bazel", "login");
    refusePlaintext(endpoint);
    return login(context, endpoint, { options, verify: noVerify ? "never" : "first", store: index.store ?? "keyring" });
  },
});

async function login(
  context: Context,
  endpoint: Endpoint,
  { options, verify, store }: { readonly options: LoginOptions; readonly verify: "first" | "never"; readonly store: SecretStore },
): Promise<number> {
  const { output, paths, profile } = context;
  const now = new Date();
  const wish = wishFrom(options, { endpoint, cwd: () => context.cwd, now });
  const choice = choiceWords(context.profileChoice);
  if (choice !== undefined) output.notice(choice);
  if (wish.scheme !== "mtls" && wish.header === "legacy") output.notice(legacyWarning);
  const found = await credentialFor(context, endpoint, wish);
  if (found === undefined) {
    output.notice("nothing was kept");
    return Exit.failed;
  }
  const { credential, secret, expires } = found;
  const entry: CredentialEntry = {
    profile,
    kind: endpoint.kind,
    endpoint: endpoint.url,
    how: howOf(wish, store),
    generation: randomBytes(16).toString("hex"),
    at: now.toISOString(),
    expires: expires?.toISOString() ?? null,
    legacyHeader: wish.scheme !== "mtls" && wish.header === "legacy",
  };
  if (hasExpired(entry, now)) {
    throw new FlywheelError("credentials-unusable", `nothing was kept: by its own word the token ${entryExpiry(entry, now)}`, {
      next: "get another one from the cache's operator",
    });
  }
  const proof: Proof =
    verify === "first" ? await prove(context, endpoint, credential, entry) : { outcome: "unproved", reason: "--no-verify was given" };
  const chosen = wish.scheme === "mtls" ? undefined : wish.store;
  const left = await keep(paths, entry, { secret, chosen });
  const told = await tellDaemon(context);
  for (const words of [...left, ...told]) output.notice(words);
  if (output.format === "json") {
    output.json({
      schema,
      ...entryReport(entry),
      proved: proof.outcome === "proved",
      reason: proof.outcome === "proved" ? null : proof.reason,
    });
    return Exit.ok;
  }
  output.line(keptWords(entry, proof, now));
  if (proof.outcome === "unproved") output.notice(`whether ${endpoint.url} takes it is not proved: ${proof.reason}`);
  return Exit.ok;
}

/** Said before anything is asked or kept. */
const legacyWarning =
  "Bazel older than 6.3 gets this secret as a header. Bazel itself then writes it, readable, into its build event file (--build_event_*) and its server's log (java.log), and with --announce_rc onto the terminal: treat those as secret.";

interface Found {
  readonly credential: Credential;
  /** undefined for a certificate: nothing of it is kept but where it lies. */
  readonly secret: Secret | undefined;
  readonly expires: Date | undefined;
}

async function credentialFor({ output }: Context, endpoint: Endpoint, wish: Wish): Promise<Found | undefined> {
  switch (wish.scheme) {
    case "mtls":
      return { credential: wish, secret: undefined, expires: checkCertificate(wish, new Date()) };
    case "bearer": {
      const token = await readSecret("token", { file: wish.tokenFile, endpoint, output });
      return token && { credential: { scheme: "bearer", token }, secret: token, expires: wish.expires ?? expiryOf(token) };
    }
    case "basic": {
      const password = await readSecret("password", { file: wish.tokenFile, endpoint, output });
      return password && { credential: { scheme: "basic", user: wish.user, password }, secret: password, expires: wish.expires };
    }
  }
}

function howOf(wish: Wish, before: SecretStore): CredentialEntry["how"] {
  switch (wish.scheme) {
    case "mtls":
      return { scheme: "mtls", certificate: wish.certificate, key: wish.key };
    case "bearer":
      return { scheme: "bearer", store: wish.store ?? before };
    case "basic":
      return { scheme: "basic", store: wish.store ?? before, user: wish.user };
  }
}

function keptWords(entry: CredentialEntry, proof: Proof, now: Date): string {
  const store = storeOf(entry);
  const place = store === null ? "where its files are" : store === "file" ? "in a file that only you can read" : "in the system's keyring";
  const proved = proof.outcome === "proved" ? ", and the cache answers with it" : "";
  const end = entry.expires === null ? "" : `; it ${entryExpiry(entry, now)}`;
  return `kept for ${entry.endpoint} (${entry.how.scheme}, ${place})${proved}${end}`;
}

function list({ output }: Context, { store, entries }: ReturnType<typeof readCredentials>): void {
  if (output.format === "json") output.json({ schema, store, entries: entries.map(entryReport) });
  else output.line(entries.length === 0 ? "nothing is kept" : loginTable(entries, new Date()));
}
