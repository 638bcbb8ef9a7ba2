/** What a daemon says in each state, at fixed times. */
import type { AttachmentReport, CandidateReport, RunningReport, StatusReport } from "../../../contract/api.ts";
import type { Rung } from "../../../contract/candidate.ts";
import type { Tool } from "../../../contract/endpoint.ts";
import type { Invocation } from "../../../contract/invocation.ts";

const endpoint = { bazel: "grpc://100.64.0.7:9092", nix: "https://nix-cache.example.ts.net/main" } as const;

const attachedBase: AttachmentReport = {
  state: "attached",
  since: "2026-11-20T08:30:00Z",
  endpoint: null,
  source: "peer",
  node: "cache-1.example.ts.net",
  verifiedAt: "2026-11-20T12:00:00Z",
  proofAgeS: 3,
  latencyMs: 1.84,
  trail: [1.7, 1.9, 1.8, 2.6, 1.8, null, 3.9, 2.2, 1.8, 1.7, 1.9, 1.84],
  path: { via: "direct", address: "192.0.2.7:41641" },
  health: "healthy",
  reason: null,
  rung: null,
  next: null,
  unsettled: false,
};

function candidate(kind: Tool, more: Partial<CandidateReport>): CandidateReport {
  return {
    endpoint: endpoint[kind],
    kind,
    source: "peer",
    node: "cache-1.example.ts.net",
    health: "healthy",
    rung: null,
    reason: null,
    next: null,
    latencyMs: 1.84,
    attached: false,
    standby: false,
    why: null,
    since: "2026-11-20T08:30:00Z",
    provedAt: "2026-11-20T12:00:00Z",
    ...more,
  };
}

export function ended(more: Partial<Invocation> = {}): Invocation {
  return {
    id: "9f0c6e5a-0001",
    tool: "bazel",
    command: "build",
    workspace: "/home/me/src/widgets",
    profile: "default",
    endpoint: endpoint.bazel,
    startedAt: "2026-11-20T11:40:00Z",
    endedAt: "2026-11-20T11:40:42Z",
    wallMs: 42_000,
    exitCode: 0,
    outcome: "succeeded",
    tally: {
      state: "counted",
      counts: { hits: 410, other: 0, misses: 90, local: 90, internal: 31 },
      source: "command.log",
      doubt: null,
    },
    lost: null,
    recordedBy: "daemon",
    ...more,
  };
}

const recent: readonly Invocation[] = [
  ended(),
  ended({
    id: "9f0c6e5a-0002",
    command: "test",
    workspace: "/home/me/src/gadgets",
    startedAt: "2026-11-20T11:10:00Z",
    wallMs: 183_000,
    outcome: "failed",
    exitCode: 3,
    tally: {
      state: "counted",
      counts: { hits: 12, other: 0, misses: 88, local: 88, internal: 4 },
      source: "build-events",
      doubt: "a disk cache may have answered them",
    },
  }),
  ended({
    id: "9f0c6e5a-0003",
    startedAt: "2026-11-20T10:55:00Z",
    wallMs: 900,
    tally: { state: "counted", counts: { hits: 0, other: 0, misses: 0, local: 0, internal: 1 }, source: "command.log", doubt: null },
  }),
  ended({
    id: "9f0c6e5a-0004",
    startedAt: "2026-11-20T10:30:00Z",
    endedAt: null,
    wallMs: null,
    exitCode: null,
    outcome: "unknown",
    tally: { state: "unknown", why: "another command wrote over Bazel's record" },
  }),
];

export const attached: StatusReport = {
  schema: 1,
  mode: "shared-cache-backed",
  profileState: "shared-cache-backed",
  profile: "default",
  detached: false,
  bazel: {
    ...attachedBase,
    endpoint: endpoint.bazel,
    upload: false,
    digestFunctions: ["SHA256"],
    updateEnabled: true,
    aliases: [],
    instanceName: null,
  },
  nix: {
    ...attachedBase,
    endpoint: endpoint.nix,
    node: "cache-2.example.ts.net",
    path: { via: "derp", region: "fra" },
    latencyMs: 31.2,
    trail: [30, 31, 33, 30, 29, 31.2],
    publicKey: "main:abc",
    trusted: true,
    storeDir: "/nix/store",
  },
  tailnet: {
    name: "example.org",
    magicDnsSuffix: "example.ts.net",
    trusted: true,
    backendState: "Running",
    self: "laptop.example.ts.net",
    health: [],
    via: "/var/run/tailscale/tailscaled.sock",
    systemSocket: true,
    reason: null,
    next: null,
  },
  candidates: [
    candidate("bazel", { endpoint: "http://100.64.0.7:8080", why: "grpc comes before http on one node", standby: false }),
    candidate("bazel", { attached: true }),
    candidate("bazel", {
      endpoint: "grpc://100.64.0.9:9092",
      node: "cache-3.example.ts.net",
      standby: true,
      why: "as good, but the other one was first",
    }),
    candidate("nix", { attached: true, node: "cache-2.example.ts.net", latencyMs: 31.2 }),
  ],
  rejections: [
    {
      kind: "bazel",
      source: "peer",
      subject: "old-cache.other.ts.net",
      reason: "it was shared in from another tailnet",
      next: null,
    },
  ],
  daemon: { pid: 4242, version: "0.1.0", startedAt: "2026-11-20T07:00:00Z", faults: [] },
  escapes: { today: 0, last: null },
  refusals: { today: 2, last: { at: "2026-11-20T09:12:00Z", reason: "no shared cache is attached", command: "bazel build" } },
  running: [],
  recent,
  hitRates: {
    today: { builds: 7, counted: 5, hits: 812, misses: 178 },
    week: { builds: 31, counted: 29, hits: 9_120, misses: 4_003 },
  },
};

export const localProof: StatusReport = {
  ...attached,
  profileState: "local-proof",
  bazel: { ...attached.bazel, endpoint: "grpc://127.0.0.1:19092", source: "local-proof", node: null, path: null },
  nix: { ...attached.nix, ...unattachedNow("no candidate names a Nix cache", null, "flywheel doctor") },
  candidates: [candidate("bazel", { endpoint: "grpc://127.0.0.1:19092", source: "local-proof", node: null, attached: true })],
  rejections: [],
};

export const degraded: StatusReport = {
  ...attached,
  bazel: { ...attached.bazel, health: "degraded", latencyMs: 240, trail: [1.8, 1.9, null, 200, null, 240] },
};

function unattachedNow(reason: string, rung: Rung | null, next: string | null): Partial<AttachmentReport> {
  return {
    state: "unattached",
    endpoint: null,
    source: null,
    node: null,
    path: null,
    latencyMs: null,
    trail: [],
    health: "down",
    since: "2026-11-20T11:58:00Z",
    proofAgeS: 754,
    reason,
    rung,
    next,
  };
}

const failures: Readonly<Record<Rung, string>> = {
  resolve: "cache-1.example.ts.net has no address",
  route: "no route leads to 100.64.0.7",
  connect: "nothing listens on 100.64.0.7:9092 (connection refused)",
  handshake: "what answers on 100.64.0.7:9092 speaks no HTTP/2",
  capabilities: "100.64.0.7:9092 answers GetCapabilities with UNIMPLEMENTED: it is no cache",
  authority: "whois names other.example.ts.net for 100.64.0.7, not cache-1.example.ts.net",
};

/** No cache, since the ladder broke off at that rung. */
export function unattachedAt(rung: Rung): StatusReport {
  const reason = failures[rung];
  return {
    ...attached,
    mode: "compatibility-local-only",
    profileState: "unattached",
    bazel: { ...attached.bazel, ...unattachedNow(reason, rung, "flywheel doctor") },
    nix: { ...attached.nix, ...unattachedNow("nobody named a Nix cache", null, null), proofAgeS: null },
    candidates: [
      candidate("bazel", { health: "down", rung, reason, latencyMs: null, why: reason, next: "flywheel doctor" }),
      candidate("bazel", {
        endpoint: "http://100.64.0.7:8080",
        health: "down",
        rung: "connect",
        reason: "nothing listens on 100.64.0.7:8080 (connection refused)",
        latencyMs: null,
        why: "nothing listens on 100.64.0.7:8080 (connection refused)",
        provedAt: null,
      }),
    ],
  };
}

export const untrusted: StatusReport = {
  ...unattachedAt("authority"),
  bazel: { ...attached.bazel, ...unattachedNow("this tailnet is not trusted", null, "flywheel trust tailnet") },
  tailnet: { ...attached.tailnet, trusted: false, next: "flywheel trust tailnet" },
  candidates: [],
  rejections: [],
};

export const escaped: StatusReport = {
  ...attached,
  escapes: {
    today: 1,
    last: { at: "2026-11-20T11:30:00Z", reason: "demo on a plane", command: "bazel build //app" },
  },
};

/** Of so long ago that the minutes do not change while a test looks. */
export function running(more: Partial<RunningReport> = {}): RunningReport {
  return {
    pid: 777,
    tool: "bazel",
    command: "build",
    directory: "/home/me/src/widgets",
    startedAt: new Date(Date.now() - 12.2 * 60_000).toISOString(),
    endpoint: endpoint.bazel,
    lost: null,
    ...more,
  };
}

export const building: StatusReport = { ...attached, running: [running()] };
export const lost: StatusReport = {
  ...attached,
  running: [running({ lost: "grpc://100.64.0.7:9092 stopped answering" })],
};
