/** What the user wants to log in with, read from the options of `flywheel login`: everything but the secret. */
import { resolve } from "node:path";
import { basicUser, type SecretStore } from "../../contract/credential.ts";
import { type Endpoint, isTls } from "../../contract/endpoint.ts";
import { FlywheelError } from "../../contract/errors.ts";
import { netrcFault } from "../../contract/nix/netrc.ts";
import { printable } from "../../contract/text.ts";

export interface LoginOptions {
  readonly bearer: boolean;
  readonly basic: boolean;
  readonly user: string | undefined;
  readonly certificate: string | undefined;
  readonly key: string | undefined;
  readonly tokenFile: string | undefined;
  readonly expires: string | undefined;
  readonly store: SecretStore | undefined;
  readonly allowLegacyHeader: boolean;
}

export type Wish =
  | (WithSecret & { readonly scheme: "bearer" })
  | (WithSecret & { readonly scheme: "basic"; readonly user: string })
  /** Absolute paths. */
  | { readonly scheme: "mtls"; readonly certificate: string; readonly key: string };

interface WithSecret {
  /** An absolute path; undefined: standard input, or a prompt. */
  readonly tokenFile: string | undefined;
  /** What the user said; undefined where he said nothing. */
  readonly expires: Date | undefined;
  /** The user's choice, to be remembered; undefined where he said nothing. */
  readonly store: SecretStore | undefined;
  readonly header: "helper" | "legacy";
}

/** @throws FlywheelError `usage` where the options do not go together, or with this endpoint */
export function wishFrom(
  options: LoginOptions,
  { endpoint, cwd, now }: { readonly endpoint: Endpoint; readonly cwd: () => string; readonly now: Date },
): Wish {
  const { bearer, basic, user, certificate, key, tokenFile, expires, store, allowLegacyHeader } = options;
  const mtls = certificate !== undefined || key !== undefined;
  if ([bearer, basic, mtls].filter(Boolean).length > 1) throw usage("--bearer, --basic and --certificate stand for one another: give one");
  if (basic !== (user !== undefined)) throw usage("--basic and --user go together");
  const path = (file: string): string => (file.startsWith("/") ? file : resolve(cwd(), file));
  if (mtls) {
    if (certificate === undefined || key === undefined) throw usage("--certificate and --key go together");
    if (tokenFile !== undefined || expires !== undefined || store !== undefined || allowLegacyHeader) {
      throw usage("a certificate has no token: it tells its own end, stays where it is, and is never a header");
    }
    if (endpoint.kind === "nix") throw usage("Nix takes its credentials from a netrc, which holds no certificate");
    if (!isTls(endpoint)) throw usage(`${endpoint.url} is not TLS, and only TLS asks for certificates`);
    return { scheme: "mtls", certificate: path(certificate), key: path(key) };
  }
  if (allowLegacyHeader && endpoint.kind === "nix") throw usage("--allow-legacy-header is about Bazel: Nix reads a netrc");
  const common: WithSecret = {
    tokenFile: tokenFile === undefined ? undefined : path(tokenFile),
    expires: expires === undefined ? undefined : dateFrom(expires, now),
    store,
    header: allowLegacyHeader ? "legacy" : "helper",
  };
  if (user === undefined) return { ...common, scheme: "bearer" };
  if (!basicUser.test(user)) throw usage("--user: a user's name has no colon, white space, quotes or backslash (RFC 7617)");
  const unreadable = endpoint.kind === "nix" ? netrcFault(user) : undefined;
  if (unreadable !== undefined) throw usage(`--user: Nix cannot read this name: it ${unreadable}`);
  return { ...common, scheme: "basic", user };
}

/** ISO 8601: a day (its first moment, UTC), or a time with its zone. */
function dateFrom(text: string, now: Date): Date {
  const form = /^\d{4}-\d{2}-\d{2}(?:T\d{2}:\d{2}(?::\d{2}(?:\.\d{1,3})?)?(?:Z|[+-]\d{2}:\d{2}))?$/;
  const date = new Date(form.test(text) ? text : Number.NaN);
  if (Number.isNaN(date.getTime())) {
    throw usage(`--expires: expected a date such as 2027-01-31 or 2027-01-31T12:00:00Z, found ${printable(text, 40)}`);
  }
  // To Date, the 31st of February is the 3rd of March.
  const [year = 0, month = 0, day = 0] = text.slice(0, 10).split("-").map(Number);
  if (new Date(Date.UTC(year, month - 1, day)).getUTCDate() !== day) throw usage(`--expires: there is no ${printable(text, 40)}`);
  if (date <= now) throw usage(`--expires: ${printable(text, 40)} is past`);
  return date;
}

function usage(message: string): FlywheelError {
  return new FlywheelError("usage", message, { next: "flywheel login --help" });
}
