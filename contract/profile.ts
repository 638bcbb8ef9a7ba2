/**
 * A profile: everything about one organisation's fleet that is not code. The built-in one holds
 * GloriousFlywheel's coordinates; another organisation writes a TOML file of the same shape.
 */
import * as v from "valibot";
import { noSources, type RepositorySources } from "./bazel/repositories.ts";
import { nixPublicKey } from "./nix/key.ts";

const hostName = v.pipe(v.string(), v.regex(/^[a-z0-9]([a-z0-9.-]*[a-z0-9])?$/, "expected a lower-case host name"));
const tag = v.pipe(v.string(), v.regex(/^tag:[a-zA-Z][a-zA-Z0-9-]*$/, "expected a Tailscale tag such as tag:bazel-cache"));
const serviceName = v.pipe(
  v.string(),
  v.regex(/^svc:[a-z0-9]([a-z0-9-]*[a-z0-9])?$/, "expected a Tailscale Service name such as svc:bazel-cache"),
);
const port = v.pipe(
  v.number("expected a port number"),
  v.integer("expected a port number"),
  v.minValue(1, "expected a port, 1 to 65535"),
  v.maxValue(65_535, "expected a port, 1 to 65535"),
);
const pattern = v.pipe(
  v.string(),
  v.check((text) => {
    try {
      new RegExp(text);
      return true;
    } catch {
      return false;
    }
  }, "expected a regular expression"),
);
const nixKey = v.pipe(v.string(), v.regex(nixPublicKey, "expected a Nix public key: <name>:<base64 of 32 bytes>"));
const plainPath = v.pipe(
  v.string(),
  v.regex(/^\/(?!.*(?:\/\/|%workspace%))[A-Za-z0-9._/+@,=:-]*$/, "expected an absolute path in plain characters"),
);
const hostPattern = v.pipe(v.string(), v.regex(/^[a-z0-9*][a-z0-9.*-]{0,252}$/, "expected a host's name, * for any part of a label"));
/** A REAPI instance name as it may stand in a flag and in an rc file; the unnamed instance has none. */
export const instanceNames = /^[A-Za-z0-9][A-Za-z0-9._/-]{0,127}$/;
const cacheName = v.pipe(v.string(), v.regex(/^[a-z0-9][a-z0-9._-]*$/, "expected a cache name"));

export const profileSchema = v.strictObject({
  /** Take what is not said here from this profile. Only the built-in one can be named. */
  extends: v.optional(v.literal("gloriousflywheel")),
  tailnet: v.optional(
    v.strictObject({
      /** CurrentTailnet.Name as `tailscale status --json` shows it. */
      name: v.optional(v.string()),
      /** CurrentTailnet.MagicDNSSuffix. */
      magic_dns_suffix: v.optional(hostName),
    }),
  ),
  bazel: v.optional(
    v.strictObject({
      service: v.optional(serviceName),
      tag: v.optional(tag),
      grpc_ports: v.optional(v.array(port)),
      http_ports: v.optional(v.array(port)),
      upload: v.optional(v.boolean()),
      /** Empty is the unnamed one, whatever the profile that is extended has. */
      instance_name: v.optional(
        v.pipe(
          v.string(),
          v.check((text) => text === "" || instanceNames.test(text), "expected an instance name"),
        ),
      ),
      /** Hosts that take the token of GF_REAPI_CREDENTIAL_HELPER_TOKEN_FILE: nobody else ever gets it. `*` stops at a dot. */
      reapi_hosts: v.optional(v.pipe(v.array(hostPattern), v.maxLength(16, "expected at most 16 patterns"))),
      /** Where external repositories come from: the action cache cannot help them. */
      repositories: v.optional(
        v.strictObject({
          repository_cache: v.optional(plainPath),
          distdir: v.optional(v.pipe(v.array(plainPath), v.maxLength(8, "expected at most 8 directories"))),
          downloader_config: v.optional(plainPath),
        }),
      ),
    }),
  ),
  nix: v.optional(
    v.strictObject({
      service: v.optional(serviceName),
      tag: v.optional(tag),
      https_ports: v.optional(v.array(port)),
      http_ports: v.optional(v.array(port)),
      cache: v.optional(cacheName),
      public_key: v.optional(nixKey),
      /** The public address of the shared cache, tried as an operator candidate. */
      substituter: v.optional(v.string()),
      /** `system`: an administrator keeps the cache's credential in the netrc of this machine's Nix. */
      netrc: v.optional(v.picklist(["user", "system"], 'expected "user" or "system"')),
    }),
  ),
  /** Endpoints that the organisation names outright: operator candidates of this profile alone. */
  endpoints: v.optional(v.strictObject({ bazel: v.optional(v.array(v.string())), nix: v.optional(v.array(v.string())) })),
  cluster: v.optional(
    v.strictObject({
      enabled: v.optional(v.boolean()),
      /** In-cluster endpoints, by name. */
      bazel: v.optional(v.array(v.string())),
      nix: v.optional(v.array(v.string())),
    }),
  ),
  contract: v.optional(
    v.strictObject({
      /** Regular expressions: an endpoint that matches one names a place that no longer exists. */
      stale: v.optional(v.array(pattern)),
      /** Regular expressions: at least one runner label must match one under --strict. */
      runner_labels: v.optional(v.array(pattern)),
    }),
  ),
});

export type ProfileFile = v.InferOutput<typeof profileSchema>;

export interface Profile {
  readonly name: string;
  readonly tailnet: { readonly name: string | undefined; readonly magicDnsSuffix: string | undefined };
  readonly bazel: {
    readonly service: string;
    readonly tag: string;
    readonly grpcPorts: readonly number[];
    readonly httpPorts: readonly number[];
    readonly upload: boolean;
    readonly instanceName: string | undefined;
    readonly reapiHosts: readonly string[];
    readonly repositories: RepositorySources;
  };
  readonly nix: {
    readonly service: string;
    readonly tag: string;
    readonly httpsPorts: readonly number[];
    readonly httpPorts: readonly number[];
    readonly cache: string;
    readonly publicKey: string | undefined;
    readonly substituter: string | undefined;
    /** Whose word on the credential Nix gets: what the user logged in with, or what an administrator keeps for it. */
    readonly netrc: "user" | "system";
  };
  readonly endpoints: { readonly bazel: readonly string[]; readonly nix: readonly string[] };
  readonly cluster: { readonly enabled: boolean; readonly bazel: readonly string[]; readonly nix: readonly string[] };
  readonly contract: { readonly stale: readonly string[]; readonly runnerLabels: readonly string[] };
}

/** The values of a profile that sets nothing: the conventions, and no organisation's names, keys or tailnet. */
const conventions: Omit<Profile, "name"> = {
  tailnet: { name: undefined, magicDnsSuffix: undefined },
  bazel: {
    service: "svc:bazel-cache",
    tag: "tag:bazel-cache",
    grpcPorts: [9092],
    httpPorts: [8080],
    upload: false,
    instanceName: undefined,
    reapiHosts: [],
    repositories: noSources,
  },
  nix: {
    service: "svc:nix-cache",
    tag: "tag:nix-cache",
    httpsPorts: [443],
    httpPorts: [80, 8080],
    cache: "main",
    publicKey: undefined,
    substituter: undefined,
    netrc: "user",
  },
  endpoints: { bazel: [], nix: [] },
  cluster: { enabled: false, bazel: [], nix: [] },
  contract: { stale: [], runnerLabels: ["^[a-z0-9][a-z0-9-]*-(nix|nix-heavy|nix-kvm|nix-gpu|docker|dind)$"] },
};

/** GloriousFlywheel's own coordinates, from the fleet's public repositories (facts of 2026). */
export const gloriousflywheel: Profile = {
  ...conventions,
  name: "gloriousflywheel",
  tailnet: { name: undefined, magicDnsSuffix: "taila4c78d.ts.net" },
  bazel: { ...conventions.bazel, reapiHosts: ["gf-reapi-cell*", "*.gf-rbe.svc", "*.gf-rbe.svc.cluster.local"] },
  nix: {
    ...conventions.nix,
    publicKey: "main:eaUydxuDu7xBoy5cCo3MdknYAkVyTIASQ7DGuwxa+XA=",
    substituter: "https://nix-cache.tinyland.dev/main",
  },
  cluster: {
    enabled: false,
    bazel: ["grpc://bazel-cache.nix-cache.svc.cluster.local:9092"],
    nix: ["http://attic.nix-cache.svc.cluster.local/main"],
  },
  contract: {
    ...conventions.contract,
    stale: ["attic-cache-dev", "fuzzy-dev", "attic\\.dev-cluster", "attic\\.tinyland", "dev-cluster", "attic-api\\.nix-cache"],
  },
};

/** Fills a parsed profile file up from the profile that it extends, or from the conventions alone. */
export function resolveProfile(name: string, file: ProfileFile): Profile {
  const base = file.extends === undefined ? conventions : gloriousflywheel;
  return {
    name,
    tailnet: {
      name: file.tailnet?.name ?? base.tailnet.name,
      magicDnsSuffix: file.tailnet?.magic_dns_suffix ?? base.tailnet.magicDnsSuffix,
    },
    bazel: {
      service: file.bazel?.service ?? base.bazel.service,
      tag: file.bazel?.tag ?? base.bazel.tag,
      grpcPorts: file.bazel?.grpc_ports ?? base.bazel.grpcPorts,
      httpPorts: file.bazel?.http_ports ?? base.bazel.httpPorts,
      upload: file.bazel?.upload ?? base.bazel.upload,
      instanceName: (file.bazel?.instance_name ?? base.bazel.instanceName) || undefined,
      reapiHosts: file.bazel?.reapi_hosts ?? base.bazel.reapiHosts,
      repositories: {
        repositoryCache: file.bazel?.repositories?.repository_cache ?? base.bazel.repositories.repositoryCache,
        distdirs: file.bazel?.repositories?.distdir ?? base.bazel.repositories.distdirs,
        downloaderConfig: file.bazel?.repositories?.downloader_config ?? base.bazel.repositories.downloaderConfig,
      },
    },
    nix: {
      service: file.nix?.service ?? base.nix.service,
      tag: file.nix?.tag ?? base.nix.tag,
      httpsPorts: file.nix?.https_ports ?? base.nix.httpsPorts,
      httpPorts: file.nix?.http_ports ?? base.nix.httpPorts,
      cache: file.nix?.cache ?? base.nix.cache,
      publicKey: file.nix?.public_key ?? base.nix.publicKey,
      substituter: file.nix?.substituter ?? base.nix.substituter,
      netrc: file.nix?.netrc ?? base.nix.netrc,
    },
    endpoints: {
      bazel: file.endpoints?.bazel ?? base.endpoints.bazel,
      nix: file.endpoints?.nix ?? base.endpoints.nix,
    },
    cluster: {
      enabled: file.cluster?.enabled ?? base.cluster.enabled,
      bazel: file.cluster?.bazel ?? base.cluster.bazel,
      nix: file.cluster?.nix ?? base.cluster.nix,
    },
    contract: {
      stale: file.contract?.stale ?? base.contract.stale,
      runnerLabels: file.contract?.runner_labels ?? base.contract.runnerLabels,
    },
  };
}
