/**
 * What a cache asks of whoever reads it, and for which endpoint it is kept. The index (credentials.json of the state
 * directory) says who has what and holds nothing secret; the secret itself is in the keyring or a file (0600).
 */
import * as v from "valibot";
import { type Endpoint, isLoopback, isTls, parseEndpoint, sameEndpoint, type Tool } from "./endpoint.ts";
import { profileName } from "./published.ts";
import { Secret } from "./secret.ts";

export type Credential =
  /** RFC 6750. */
  | { readonly scheme: "bearer"; readonly token: Secret }
  /** RFC 7617. */
  | { readonly scheme: "basic"; readonly user: string; readonly password: Secret }
  /** A client certificate and its key: absolute paths of PEM files, which stay where they are. */
  | { readonly scheme: "mtls"; readonly certificate: string; readonly key: string };

export type CredentialScheme = Credential["scheme"];

/** Where secrets are kept: the system's keyring, or by the user's choice a file of the state directory (0600). */
export const secretStores = ["keyring", "file"] as const;
export type SecretStore = (typeof secretStores)[number];

const absolute = v.pipe(v.string(), v.startsWith("/"), v.maxLength(4096));

const entrySchema = v.strictObject({
  profile: v.pipe(v.string(), v.regex(profileName)),
  kind: v.picklist(["bazel", "nix"]),
  /** The canonical URL that the user logged in to. */
  endpoint: v.pipe(v.string(), v.maxLength(512)),
  how: v.variant("scheme", [
    v.strictObject({ scheme: v.literal("bearer"), store: v.picklist(secretStores) }),
    v.strictObject({ scheme: v.literal("basic"), store: v.picklist(secretStores), user: v.pipe(v.string(), v.maxLength(256)) }),
    v.strictObject({ scheme: v.literal("mtls"), certificate: absolute, key: absolute }),
  ]),
  /** Another one with each login: names the secret in its store. */
  generation: v.pipe(v.string(), v.regex(/^[0-9a-f]{32}$/)),
  /** ISO 8601: when the user logged in. */
  at: v.string(),
  /** ISO 8601: the token's own word (JWT `exp`), the certificate's notAfter, or what the user said; null where nobody knows. */
  expires: v.nullable(
    v.pipe(
      v.string(),
      v.check((text) => !Number.isNaN(Date.parse(text)), "expires: expected a time"),
    ),
  ),
  /** The user allowed a Bazel that knows no credential helper to get the secret as a header, which it writes down itself. */
  legacyHeader: v.boolean(),
});

export const credentialsSchema = v.strictObject({
  v: v.literal(1),
  /** What the user chose for this machine; null where nobody has chosen, which is the keyring. */
  store: v.nullable(v.picklist(secretStores)),
  entries: v.array(entrySchema),
});

export type CredentialIndex = v.InferOutput<typeof credentialsSchema>;
export type CredentialEntry = v.InferOutput<typeof entrySchema>;

export const noCredentials: CredentialIndex = { v: 1, store: null, entries: [] };

/**
 * The entry that belongs to an endpoint of a profile: its own before an alias's, since there may be a login to each.
 * @param spellings the endpoint and its aliases, in this order: discovery's own word that they are one cache
 */
export function entryFor(index: CredentialIndex, profile: string, spellings: readonly Endpoint[]): CredentialEntry | undefined {
  const logins = index.entries.flatMap((entry) => {
    const own = entry.profile === profile ? endpointOf(entry) : undefined;
    return own === undefined ? [] : [{ entry, own }];
  });
  return spellings.map((spelling) => logins.find(({ own }) => sameEndpoint(own, spelling))?.entry).find((entry) => entry !== undefined);
}

/** The endpoint of an entry; undefined where somebody wrote another text into the index. */
export function endpointOf({ endpoint, kind }: CredentialEntry): Endpoint | undefined {
  const parsed = parseEndpoint(endpoint, kind);
  return parsed.ok ? parsed.endpoint : undefined;
}

/**
 * The value of the Authorization header; undefined for a client certificate.
 * @param tool Nix takes its credentials from a netrc, so a bearer token goes as a password without a user (Attic's way)
 */
export function authorizationOf(credential: Credential, tool: Tool): Secret | undefined {
  switch (credential.scheme) {
    case "bearer":
      return new Secret(tool === "nix" ? basic("", credential.token) : `Bearer ${credential.token.reveal()}`);
    case "basic":
      return new Secret(basic(credential.user, credential.password));
    case "mtls":
      return undefined;
  }
}

function basic(user: string, password: Secret): string {
  return `Basic ${Buffer.from(`${user}:${password.reveal()}`, "utf8").toString("base64")}`;
}

export function hasExpired({ expires }: Pick<CredentialEntry, "expires">, now: Date): boolean {
  return expires !== null && Date.parse(expires) <= now.getTime();
}

/** When a JSON Web Token ends by its own word (RFC 7519, `exp`); undefined for any other token. Its signature is the cache's to judge. */
export function expiryOf(token: Secret): Date | undefined {
  const [header, payload, signature, ...more] = token.reveal().split(".");
  if (header === undefined || payload === undefined || signature === undefined || more.length > 0) return undefined;
  try {
    const claims: unknown = JSON.parse(Buffer.from(payload, "base64url").toString("utf8"));
    const exp = typeof claims === "object" && claims !== null && "exp" in claims ? claims.exp : undefined;
    return typeof exp === "number" && Number.isFinite(exp) && Math.abs(exp) < 1e11 ? new Date(exp * 1000) : undefined;
  } catch {
    return undefined;
  }
}

/** How long a secret may be: characters; of a token, the = at its end do not count. */
export const longestSecret = { token: 8192, password: 1024 } as const;
/** What a bearer token may be made of (RFC 6750, 2.1: b64token): nothing that a header, an rc file or a netrc could take for more. */
export const bearerToken: RegExp = new RegExp(`^[A-Za-z0-9._~+/-]{1,${longestSecret.token}}=*$`);
/** RFC 7617 lets a user have no colon; a netrc and an rc file take no white space, quotes or backslash. */
export const basicUser: RegExp = /^[!#-&(-9;-[\]-~]{1,256}$/;
/** Printable ASCII, in one word, for the same reason. */
export const basicPassword: RegExp = new RegExp(`^[!-~]{1,${longestSecret.password}}$`);

/**
 * Why a secret may not go to an endpoint, or undefined where it may: in plain text it would be read on the way, save
 * inside a tailnet (WireGuard; Tailscale's addresses are 100.64.0.0/10 and fd7a:115c:a1e0::/48) and on this machine.
 */
export function plaintextFault(endpoint: Endpoint): string | undefined {
  if (isTls(endpoint) || isLoopback(endpoint.host) || isTailscaleHost(endpoint.host)) return undefined;
  return `${endpoint.url} is neither TLS nor on a tailnet: whoever is on the way would read the secret`;
}

/** By its name, which whoever resolves it has to see through, or by its address. */
export function isTailscaleHost(host: string): boolean {
  if (host.endsWith(".ts.net") || host.startsWith("fd7a:115c:a1e0:")) return true;
  const [first, second, ...rest] = host.split(".").map(Number);
  return first === 100 && second !== undefined && second >= 64 && second <= 127 && rest.length === 2 && rest.every((part) => part < 256);
}
