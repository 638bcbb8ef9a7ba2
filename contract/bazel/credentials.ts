/**
 * How a Bazel gets the credential of the endpoint that it is attached to, or why it does not. One decision, by one entry:
 * the flags of one endpoint never go with the credential of another.
 */
import { type CredentialEntry, hasExpired, plaintextFault } from "../credential.ts";
import { helperFlag, plainPath } from "../credential-helper.ts";
import { type Endpoint, isTls } from "../endpoint.ts";
import { loginCommand } from "../login-command.ts";
import type { StartupFacts } from "./command-line.ts";
import { type BazelVersion, isAtLeast } from "./version.ts";

/** --credential_helper lost its `experimental_` (bazelbuild/bazel 0573eee). */
const helperSince = [6, 3] as const;
/** --tls_client_certificate: 2.1 does not know it, 4.2 does. */
const clientCertificateSince = [4, 0] as const;
/** GetCapabilities with a header: 2.1 sends it with none, whichever option names it; 4.2 does with --remote_cache_header. */
const capabilitiesHeaderSince = [3, 0] as const;
/** Several --bazelrc count: 2.1 honours only the first, 4.2 all (bazelbuild/bazel#12740). */
const severalRcsSince = [4, 2] as const;

/** One whose version nobody knows does not. */
export function takesHelper(version: BazelVersion | undefined): boolean {
  return version !== undefined && isAtLeast(version, helperSince);
}

/**
 * Bazel tells each build event service every option, those of rc files too: the header would be in what it gets (tried on
 * 2.1 and 4.2). At the end of the command line this one overrules an rc's.
 */
export const withoutEventService = "--bes_backend=";

export type Presentation =
  | { readonly kind: "flags"; readonly flags: readonly string[] }
  /**
   * The header of the generation's rc file, in front of the user's own.
   * `imports`: also what the user's --bazelrc name, since this Bazel may honour only the first; null where it honours all
   */
  | { readonly kind: "header"; readonly imports: readonly string[] | null }
  | { readonly kind: "refuse"; readonly reason: string; readonly next: string };

export interface Presenting {
  readonly entry: CredentialEntry;
  readonly endpoint: Endpoint;
  readonly version: BazelVersion | undefined;
  readonly startup: StartupFacts;
  /** The words after the tool's name. */
  readonly args: readonly string[];
  /** The path of flywheel-credential-helper. */
  readonly helper: string;
  readonly cwd: string;
  readonly now: Date;
}

export function present({ entry, endpoint, version, startup, args, helper, cwd, now }: Presenting): Presentation {
  const again = loginCommand(entry);
  if (hasExpired(entry, now)) return refuse(`the credential of ${endpoint.url} expired at ${entry.expires}`, again);
  const { how } = entry;
  if (how.scheme === "mtls") return certificate(endpoint, version, how);
  const plaintext = plaintextFault(endpoint);
  if (plaintext !== undefined) return refuse(plaintext, "attach its TLS endpoint, or reach it over the tailnet");
  if (takesHelper(version)) {
    return plainPath.test(helper)
      ? { kind: "flags", flags: [helperFlag(helper, endpoint.host)] }
      : refuse(
          "flywheel-credential-helper lies at a path that Bazel's option cannot carry",
          "install flywheel at a path in plain characters",
        );
  }
  if (!entry.legacyHeader) {
    return refuse(
      `${nameOf(version)} takes a credential only as a header, which it writes into its own event file and java.log, and may print`,
      `${again} --allow-legacy-header   (or use Bazel 6.3 and newer${version === undefined ? ", with its version in .bazelversion" : ""})`,
    );
  }
  if (version !== undefined && endpoint.scheme.startsWith("grpc") && !isAtLeast(version, capabilitiesHeaderSince)) {
    return refuse(
      `Bazel ${version.text} asks a gRPC cache what it can do without any header, and prints the header when that fails`,
      "attach the cache's HTTP endpoint, or use Bazel 4 or newer",
    );
  }
  if (namesEventService(args)) {
    return refuse(
      `${nameOf(version)} would tell the credential to the service that --bes_backend names`,
      "leave that option out, or use Bazel 6.3 or newer",
    );
  }
  return header(version, startup, cwd);
}

/** Whether the user's own words name one; what an rc says is overruled in silence. */
function namesEventService(args: readonly string[]): boolean {
  const end = args.indexOf("--");
  const options = end === -1 ? args : args.slice(0, end);
  return options.some((word, at) => /^--bes_backend=./.test(word) || (word === "--bes_backend" && options[at + 1] !== ""));
}

function certificate(
  endpoint: Endpoint,
  version: BazelVersion | undefined,
  how: Extract<CredentialEntry["how"], { scheme: "mtls" }>,
): Presentation {
  if (!isTls(endpoint)) return refuse(`${endpoint.url} is not TLS, and a client certificate is part of TLS`, "attach its TLS endpoint");
  if (version !== undefined && !isAtLeast(version, clientCertificateSince)) {
    return refuse(`Bazel ${version.text} knows no client certificate`, "use Bazel 4 or newer");
  }
  if (![how.certificate, how.key].every((path) => plainPath.test(path))) {
    return refuse(
      "the client certificate lies at a path that Bazel's option cannot carry",
      "move its files to paths in plain characters, then log in with them",
    );
  }
  return { kind: "flags", flags: [`--tls_client_certificate=${how.certificate}`, `--tls_client_key=${how.key}`] };
}

function header(version: BazelVersion | undefined, startup: StartupFacts, cwd: string): Presentation {
  if (startup.ignoresRcFiles) {
    return refuse(
      `with --ignore_all_rc_files ${nameOf(version)} cannot be given the credential`,
      "leave that option out, or use Bazel 6.3 or newer",
    );
  }
  if (startup.bazeliskMode) return refuse("bazelisk's own modes leave no place for the credential's rc file", "leave that option out");
  if (version !== undefined && isAtLeast(version, severalRcsSince)) return { kind: "header", imports: null };
  const counting = startup.rcFiles.slice(0, startup.rcFiles.includes("/dev/null") ? startup.rcFiles.indexOf("/dev/null") : undefined);
  const paths = counting.map((path) => (path.startsWith("/") || path === "" ? path : `${cwd}/${path}`));
  if (paths.length > 1) return refuse("cannot tell which --bazelrc this Bazel would honour", "give only one, and import the others in it");
  // Read in any case, a second import would double whatever adds up.
  if (!paths.every((path) => plainPath.test(path) && !/\/(?:\.bazelrc|bazel\.bazelrc)$/.test(path))) {
    return refuse(
      "the credential's rc file cannot stand beside that --bazelrc",
      "name a file in plain characters that Bazel does not read by itself",
    );
  }
  return { kind: "header", imports: paths };
}

/** What goes in front of every other word. `/dev/null` keeps a Bazel that honours several from reading again what is imported. */
export function startupWords(rc: string, imports: readonly string[] | null): readonly string[] {
  return [`--bazelrc=${rc}`, ...(imports === null || imports.length === 0 ? [] : ["--bazelrc=/dev/null"])];
}

/** The text of an rc file that brings others, and holds nothing secret itself. */
export function importingRc(files: readonly string[]): string {
  return files.map((file) => `import ${file}\n`).join("");
}

function nameOf(version: BazelVersion | undefined): string {
  return version === undefined ? "a Bazel whose version is not known" : `Bazel ${version.text}`;
}

function refuse(reason: string, next: string): Presentation {
  return { kind: "refuse", reason, next };
}
