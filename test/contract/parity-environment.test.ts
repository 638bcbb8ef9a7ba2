import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { NixReport, StatusReport } from "../../contract/api.ts";
import { checkContract } from "../../contract/check.ts";
import type { Environment } from "../../contract/environment.ts";
import { parityEnvironment } from "../../contract/parity-environment.ts";
import { gloriousflywheel } from "../../contract/profile.ts";

const key = "main:eaUydxuDu7xBoy5cCo3MdknYAkVyTIASQ7DGuwxa+XA=";
const none = {
  state: "unattached",
  endpoint: null,
  source: null,
  node: null,
  since: null,
  path: null,
  verifiedAt: null,
  proofAgeS: null,
  latencyMs: null,
  trail: [],
  health: "unknown",
  reason: "nothing answers",
  rung: null,
  next: null,
  unsettled: false,
} as const;
const bazelRest = { upload: false, digestFunctions: null, updateEnabled: null, aliases: [], instanceName: null };
const nixNone: NixReport = { ...none, publicKey: null, trusted: null, storeDir: null };
const nixAttached: NixReport = { ...nixNone, state: "attached", endpoint: "http://100.64.0.9/main", publicKey: key };

function status(endpoint: string | null, nix: NixReport = nixNone, upload = false): StatusReport {
  const local = endpoint?.includes("127.0.0.1") === true;
  return {
    schema: 1,
    mode: endpoint === null ? "compatibility-local-only" : "shared-cache-backed",
    profileState: endpoint === null ? "unattached" : local ? "local-proof" : "shared-cache-backed",
    profile: "default",
    detached: false,
    bazel: { ...none, ...bazelRest, state: endpoint === null ? "unattached" : "attached", endpoint, upload },
    nix,
    tailnet: {
      name: null,
      magicDnsSuffix: null,
      trusted: false,
      backendState: null,
      self: null,
      health: [],
      via: null,
      systemSocket: true,
      reason: null,
      next: null,
    },
    candidates: [],
    refusals: { today: 0, last: null },
    running: [],
    recent: [],
    hitRates: null,
    rejections: [],
    daemon: null,
    escapes: { today: 0, last: null },
  };
}

function applied(report: StatusReport, env: Environment): Environment {
  const { set, unset } = parityEnvironment(report, env);
  const left = Object.entries(env).filter(([name]) => !unset.includes(name));
  return { ...Object.fromEntries(left), ...set };
}

function check(environment: Environment, require: { cache: boolean; nix: boolean }) {
  const machine = { nix: undefined, projectedToken: false };
  return checkContract({ environment, profile: gloriousflywheel, require, endpoints: "shown", machine });
}

test("attached: the set of the fleet's runners, uploads off unless the status says so", () => {
  const { set, unset } = parityEnvironment(status("grpc://100.64.0.5:9092", nixAttached), {});
  expect(set).toEqual({
    BAZEL_REMOTE_CACHE: "grpc://100.64.0.5:9092",
    GF_BAZEL_SUBSTRATE_MODE: "shared-cache-backed",
    GF_FLYWHEEL_PROFILE_STATE: "shared-cache-backed",
    GF_BAZEL_REMOTE_UPLOAD: "false",
    ATTIC_CACHE: "main",
    ATTIC_PUBLIC_KEY: key,
    ATTIC_SERVER: "http://100.64.0.9",
    NIX_CONFIG: `# flywheel env: begin\nextra-substituters = http://100.64.0.9/main\nextra-trusted-public-keys = ${key}\n# flywheel env: end`,
  });
  expect(unset).toEqual(["BAZEL_REMOTE_EXECUTOR", "BAZEL_REMOTE_EXECUTOR_CACHE"]);
  expect(parityEnvironment(status("grpc://100.64.0.5:9092", nixNone, true), {}).set["GF_BAZEL_REMOTE_UPLOAD"]).toBe("true");
});

test("a local proof carries both markers", () => {
  expect(parityEnvironment(status("grpc://127.0.0.1:9092"), {}).set).toMatchObject({
    GF_FLYWHEEL_PROFILE_STATE: "local-proof",
    GF_BAZEL_LOCAL_PROOF: "port-forward",
    GF_BAZEL_ALLOW_LOCALHOST_PROOF: "true",
  });
});

test("unattached: unsets what would contradict it, and leaves the user's Nix alone", () => {
  const env = { BAZEL_REMOTE_CACHE: "grpc://old:1", NIX_CONFIG: "cores = 2", ATTIC_SERVER: "https://mine.example" };
  expect(parityEnvironment(status(null), env).set).toEqual({});
  expect(applied(status(null), env)).toEqual({ NIX_CONFIG: "cores = 2", ATTIC_SERVER: "https://mine.example" });
});

test("a token at hand: ATTIC_SERVER would arm pushes", () => {
  const { set } = parityEnvironment(status(null, nixAttached), { ATTIC_TOKEN: "secret" });
  expect(set).not.toHaveProperty("ATTIC_SERVER");
  expect(JSON.stringify(set)).not.toContain("secret");
});

test("a token that comes later: the server that an earlier call exported is taken back, the user's own is not", () => {
  const before = applied(status(null, nixAttached), {});
  expect(before["ATTIC_SERVER"]).toBe("http://100.64.0.9");
  const armed = { ...before, ATTIC_TOKEN: "secret" };
  expect(applied(status(null, nixAttached), armed)).not.toHaveProperty("ATTIC_SERVER");
  expect(applied(status(null), armed)).toEqual({ ATTIC_TOKEN: "secret" });
  const own = { ...armed, ATTIC_SERVER: "https://mine.example" };
  expect(applied(status(null, nixAttached), own)["ATTIC_SERVER"]).toBe("https://mine.example");
  expect(applied(status(null), own)["ATTIC_SERVER"]).toBe("https://mine.example");
});

test("nor is one that asks for a credential: only the guard hands it over", () => {
  const environmentWith = (needed: "yes" | "no" | "unknown") =>
    parityEnvironment(status(null, { ...nixAttached, credential: { scheme: "bearer", since: "", expires: null, needed, next: "" } }), {})
      .set;
  expect([environmentWith("yes"), environmentWith("unknown")]).toEqual([{}, {}]);
  expect(environmentWith("no")).toHaveProperty("NIX_CONFIG");
});

test("a substituter that the Nix daemon ignores is not attached", () => {
  expect(parityEnvironment(status(null, { ...nixAttached, trusted: false }), {}).set).toEqual({});
});

describe("by property", () => {
  const endpoint = fc.constantFrom(
    "grpc://100.64.0.5:9092",
    "grpcs://cache.example.ts.net:9092",
    "http://[fd7a::1]:8080/cache",
    "grpc://127.0.0.1:9092",
  );
  const word = fc.option(fc.string({ maxLength: 30 }), { nil: undefined });
  const environment = fc.record({
    BAZEL_REMOTE_CACHE: word,
    BAZEL_REMOTE_EXECUTOR: word,
    BAZEL_REMOTE_EXECUTOR_CACHE: word,
    GF_BAZEL_SUBSTRATE_MODE: fc.option(fc.constantFrom("executor-backed", "turbo", "shared-cache-backed"), { nil: undefined }),
    GF_FLYWHEEL_PROFILE_STATE: fc.option(fc.constantFrom("executor-backed", "unattached", "compatibility-local-only"), { nil: undefined }),
    GF_BAZEL_LOCAL_PROOF: word,
    GF_BAZEL_ALLOW_LOCALHOST_PROOF: word,
    GF_BAZEL_RUNNER_LABELS: fc.constantFrom(undefined, "tinyland-nix"),
    ATTIC_TOKEN: fc.constantFrom(undefined, "secret"),
    NIX_CONFIG: fc.constantFrom(undefined, "", "cores = 2", "cores = 2\n", "substituters = https://cache.nixos.org\n# mine"),
  });

  test("what is applied satisfies --strict, and --strict-nix where Nix is attached too", () => {
    fc.assert(
      fc.property(endpoint, environment, (url, env) => {
        expect(check(applied(status(url, nixAttached), env), { cache: true, nix: true }).errors).toEqual([]);
        expect(check(applied(status(url), env), { cache: true, nix: false }).errors).toEqual([]);
        expect(check(applied(status(null), env), { cache: false, nix: false }).errors).toEqual([]);
      }),
    );
  });

  test("applied twice is applied once, and taking it away gives the user's NIX_CONFIG back", () => {
    fc.assert(
      fc.property(endpoint, environment, (url, env) => {
        const once = applied(status(url, nixAttached), env);
        expect(applied(status(url, nixAttached), once)).toEqual(once);
        const moved = applied(status(url, { ...nixAttached, endpoint: "https://elsewhere.example/main" }), once);
        expect(moved["NIX_CONFIG"]).not.toContain("100.64.0.9");
        expect(applied(status(null), moved)["NIX_CONFIG"] ?? "").toBe(env.NIX_CONFIG ?? "");
      }),
    );
  });
});
