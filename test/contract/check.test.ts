import { describe, expect, test } from "vitest";
import { type ContractInput, type ContractRule, checkContract } from "../../contract/check.ts";
import type { Environment } from "../../contract/environment.ts";
import { gloriousflywheel } from "../../contract/profile.ts";

const cache = "grpc://cache.example.ts.net:9092";
const executor = { BAZEL_REMOTE_CACHE: cache, BAZEL_REMOTE_EXECUTOR: cache };
const wholeExecutor = {
  ...executor,
  GF_BAZEL_REMOTE_EXECUTION_PLATFORM: "gloriousflywheel-rbe-linux-x86_64",
  GF_BAZEL_REAPI_PROOF_IMAGE_DIGEST: "sha256:00",
};

function check(environment: Environment, over: Partial<Omit<ContractInput, "environment">> = {}) {
  return checkContract({
    environment,
    profile: gloriousflywheel,
    require: { cache: false, nix: false },
    endpoints: "redacted",
    machine: { nix: undefined, projectedToken: false },
    ...over,
  });
}
const strict = { require: { cache: true, nix: false } };
const strictNix = { require: { cache: false, nix: true } };

function rules(environment: Environment, over?: Partial<Omit<ContractInput, "environment">>): ContractRule[] {
  return check(environment, over).errors.map((error) => error.rule);
}

describe("what the endpoints mean", () => {
  test.each([
    [{}, "compatibility-local-only"],
    [{ BAZEL_REMOTE_CACHE: "" }, "compatibility-local-only"],
    [{ BAZEL_REMOTE_CACHE: cache }, "shared-cache-backed"],
    [wholeExecutor, "executor-backed"],
  ] as const)("%j is %s and passes", (environment, mode) => {
    expect(check(environment)).toMatchObject({ ok: true, exitCode: 0, mode, errors: [] });
  });

  test("the context is told as the fleet's scripts tell it", () => {
    expect(check({ GITHUB_ACTIONS: "true", CI: "true" }).context).toBe("github-actions");
    expect(check({ CI: "1" }).context).toBe("ci");
    expect(check({ CI: "" }).context).toBe("developer-machine");
  });
});

describe("each rule of each copy", () => {
  type Over = Partial<Omit<ContractInput, "environment">>;
  const cases: readonly (readonly [ContractRule, string, Environment, Over?])[] = [
    ["mode-disagrees", "a declared mode without its endpoint", { GF_BAZEL_SUBSTRATE_MODE: "shared-cache-backed" }],
    [
      "mode-disagrees",
      "an endpoint against a declared local-only",
      { BAZEL_REMOTE_CACHE: cache, GF_BAZEL_SUBSTRATE_MODE: "compatibility-local-only" },
    ],
    ["mode-unknown", "a mode that is none", { GF_BAZEL_SUBSTRATE_MODE: "turbo" }],
    ["state-unattached", "unattached with an endpoint", { BAZEL_REMOTE_CACHE: cache, GF_FLYWHEEL_PROFILE_STATE: "unattached" }],
    ["state-shared-cache-backed", "that state without a cache", { GF_FLYWHEEL_PROFILE_STATE: "shared-cache-backed" }],
    ["state-shared-cache-backed", "that state with an executor", { ...wholeExecutor, GF_FLYWHEEL_PROFILE_STATE: "shared-cache-backed" }],
    ["state-executor-backed", "that state with a cache alone", { BAZEL_REMOTE_CACHE: cache, GF_FLYWHEEL_PROFILE_STATE: "executor-backed" }],
    ["state-local-proof", "local-proof without its marker", { BAZEL_REMOTE_CACHE: cache, GF_FLYWHEEL_PROFILE_STATE: "local-proof" }],
    [
      "state-local-proof",
      "local-proof without a cache",
      { GF_BAZEL_LOCAL_PROOF: "port-forward", GF_FLYWHEEL_PROFILE_STATE: "local-proof" },
    ],
    ["state-unknown", "a mode that is no state", { GF_FLYWHEEL_PROFILE_STATE: "compatibility-local-only" }],
    ["endpoint-placeholder", "${…}", { BAZEL_REMOTE_CACHE: "grpc://${CACHE_HOST}:9092" }],
    ["endpoint-placeholder", "a stray {", { BAZEL_REMOTE_CACHE: "grpc://cache{:9092" }],
    ["endpoint-placeholder", "a stray }", { BAZEL_REMOTE_CACHE: "grpc://cache}:9092" }],
    ["endpoint-scheme", "ftp", { BAZEL_REMOTE_CACHE: "ftp://cache.example:21" }],
    ["endpoint-scheme", "no scheme", { BAZEL_REMOTE_CACHE: "cache.example:9092" }],
    ...["localhost", "127.0.0.1", "[::1]", "0.0.0.0"].map(
      (host) => ["endpoint-loopback", host, { BAZEL_REMOTE_CACHE: `grpc://${host}:9092` }] as const,
    ),
    ["executor-without-cache", "an executor alone", { ...wholeExecutor, BAZEL_REMOTE_CACHE: "" }],
    ["executor-separate", "two endpoints", { ...wholeExecutor, BAZEL_REMOTE_EXECUTOR: "grpc://other.example:9092" }],
    ["executor-digest", "no proof image", { ...wholeExecutor, GF_BAZEL_REAPI_PROOF_IMAGE_DIGEST: "" }],
    ["executor-platform", "no platform", { ...wholeExecutor, GF_BAZEL_REMOTE_EXECUTION_PLATFORM: "" }],
    [
      "executor-scheme",
      "an executor by http",
      { ...wholeExecutor, BAZEL_REMOTE_CACHE: "http://c.example", BAZEL_REMOTE_EXECUTOR: "http://c.example" },
    ],
    ...["ubuntu-latest", "self-hosted", "self-hosted, linux", "some-repo-runner"].map(
      (labels) => ["runner-class", labels, { BAZEL_REMOTE_CACHE: cache, GF_BAZEL_RUNNER_LABELS: labels }, strict] as const,
    ),
    ["runner-class", "executor mode asks without --strict", { ...wholeExecutor, GF_BAZEL_RUNNER_LABELS: "ubuntu-latest" }],
    ["strict-cache", "--strict without a cache", {}, strict],
    ["path-placeholder", "a repository cache that nothing expanded", { BAZEL_REPOSITORY_CACHE: "${HOME}/repos" }],
    ["path-placeholder", "one of several distdirs", { BAZEL_DISTDIR: "/a:$HOME/b" }],
    [
      "credential-ambiguous",
      "a token twice",
      { GF_REAPI_CREDENTIAL_HELPER_TOKEN: "secret", GF_REAPI_CREDENTIAL_HELPER_TOKEN_FILE: "/run/token" },
    ],
    [
      "credential-missing",
      "the cell without a token",
      { BAZEL_REMOTE_CACHE: "grpc://gf-reapi-cell.gf-rbe.svc.cluster.local:8980" },
      strict,
    ],
  ];
  test.each(cases.map(([rule, what, environment, over]) => ({ rule, what, environment, over })))(
    "$rule: $what",
    ({ rule, environment, over }) => {
      const report = check(environment, over);
      expect(report.errors.map((error) => error.rule)).toContain(rule);
      expect(report).toMatchObject({ ok: false, exitCode: 1 });
      for (const error of report.errors) expect(error.next).not.toBe("");
    },
  );

  test.each(["attic-cache-dev.example", "x.fuzzy-dev.example", "attic.dev-cluster.example", "attic.tinyland.example"])(
    "endpoint-stale: %s, for cache and executor",
    (host) => {
      expect(rules({ BAZEL_REMOTE_CACHE: `grpc://${host}:9092` })).toEqual(["endpoint-stale"]);
      const both = { ...wholeExecutor, BAZEL_REMOTE_CACHE: `grpc://${host}:9092`, BAZEL_REMOTE_EXECUTOR: `grpc://${host}:9092` };
      expect(check(both).errors.map((error) => error.variable)).toEqual(["BAZEL_REMOTE_CACHE", "BAZEL_REMOTE_EXECUTOR"]);
    },
  );
});

describe("the holes of the fleet's script", () => {
  test.each([
    ["grpc://[::1]:9092", ["endpoint-loopback"]],
    ["grpc://[::ffff:127.0.0.1]:9092", ["endpoint-loopback"]],
    ["grpc://127.0.0.2:9092", ["endpoint-loopback"]],
    ["grpc://LOCALHOST:9092", ["endpoint-loopback"]],
    ["grpc://u:p@127.0.0.1:9092", ["endpoint-userinfo", "endpoint-loopback"]],
    ["grpc://u:p@cache.example:9092", ["endpoint-userinfo"]],
    ["grpc://", ["endpoint-host"]],
    ["grpc://:9092", ["endpoint-host"]],
    ["grpc://$HOST:9092", ["endpoint-placeholder"]],
    ["grpc://bazel-cache.attic-cache-dev.svc.cluster.local:9092", ["endpoint-stale"]],
    ["grpc://cache.example:99999", ["endpoint-malformed"]],
    ["grpc://cache example:9092", ["endpoint-malformed"]],
  ] as const)("%s", (endpoint, expected) => {
    expect(rules({ BAZEL_REMOTE_CACHE: endpoint }, strict)).toEqual(expected);
  });
});

describe("permissions", () => {
  test("only the literal true counts", () => {
    const local = { BAZEL_REMOTE_CACHE: "grpc://127.0.0.1:9092" };
    expect(rules({ ...local, GF_BAZEL_ALLOW_LOCALHOST_PROOF: "1" })).toEqual(["endpoint-loopback"]);
    expect(rules({ ...local, GF_BAZEL_ALLOW_LOCALHOST_PROOF: "true" })).toEqual([]);
  });

  test("local-proof needs both markers", () => {
    const local = {
      BAZEL_REMOTE_CACHE: "grpc://127.0.0.1:9092",
      GF_FLYWHEEL_PROFILE_STATE: "local-proof",
      GF_BAZEL_LOCAL_PROOF: "port-forward",
    };
    expect(rules(local, strict)).toEqual(["endpoint-loopback"]);
    expect(rules({ ...local, GF_BAZEL_ALLOW_LOCALHOST_PROOF: "true" }, strict)).toEqual([]);
  });

  test("a hosted runner and a separate executor can be allowed", () => {
    expect(
      rules({ BAZEL_REMOTE_CACHE: cache, GF_BAZEL_RUNNER_LABELS: "ubuntu-latest", GF_BAZEL_ALLOW_HOSTED_RUNNER: "true" }, strict),
    ).toEqual([]);
    const separate = {
      ...wholeExecutor,
      BAZEL_REMOTE_EXECUTOR: "grpc://other.example:9092",
      GF_BAZEL_ALLOW_SEPARATE_EXECUTOR_CACHE: "true",
    };
    expect(rules(separate, strict)).toEqual([]);
  });

  test("a runner class among the labels passes", () => {
    const report = check({ BAZEL_REMOTE_CACHE: cache, GF_BAZEL_RUNNER_LABELS: "self-hosted,tinyland-nix-heavy" }, strict);
    expect(report).toMatchObject({ ok: true, runnerClass: "tinyland-nix-heavy" });
  });
});

test("REAPI credentials: each state", () => {
  const cell = { BAZEL_REMOTE_CACHE: "grpc://gf-reapi-cell.gf-rbe.svc.cluster.local:8980" };
  const state = (environment: Environment, projectedToken = false) =>
    check(environment, { machine: { nix: undefined, projectedToken } }).credentials;
  expect(state({ BAZEL_REMOTE_CACHE: cache })).toBe("not-required");
  expect(state(cell)).toBe("missing");
  expect(state(cell, true)).toBe("projected-token-file");
  expect(state({ ...cell, GF_REAPI_CREDENTIAL_HELPER_TOKEN: "t" })).toBe("inline-token");
  expect(state({ ...cell, GF_REAPI_CREDENTIAL_HELPER_TOKEN_FILE: "/t" })).toBe("token-file");
});

describe("--strict-nix", () => {
  const url = "https://nix-cache.tinyland.dev/main";
  const key = "main:eaUydxuDu7xBoy5cCo3MdknYAkVyTIASQ7DGuwxa+XA=";
  const attic = { ATTIC_SERVER: "https://nix-cache.tinyland.dev/", ATTIC_CACHE: "main", ATTIC_PUBLIC_KEY: key };
  const whole = `extra-substituters = ${url}\nextra-trusted-public-keys = ${key}`;
  test.each([
    ["attached", { ...attic, NIX_CONFIG: whole }],
    ["attached", { NIX_CONFIG: whole }],
    ["partial", { ...attic, NIX_CONFIG: `extra-substituters = ${url}` }],
    ["partial", { ...attic, NIX_CONFIG: `extra-trusted-public-keys = ${key}` }],
    ["not-attached", attic],
    ["not-attached", { ...attic, ATTIC_SERVER: "https://other.example", ATTIC_PUBLIC_KEY: `other:${"A".repeat(43)}=`, NIX_CONFIG: whole }],
    ["stale", { ...attic, NIX_CONFIG: "extra-substituters = https://nix-cache.fuzzy-dev.tinyland.dev/main" }],
    ["partial", { ...attic, NIX_CONFIG: `${whole}\nsubstituters = https://cache.nixos.org` }],
    ["not-attached", { ...attic, NIX_CONFIG: `# ${whole.replace("\n", "\n# ")}` }],
  ] as const)("%s", (state, environment) => {
    const report = check(environment, strictNix);
    expect(report.nix.state).toBe(state);
    expect(report.errors.map((error) => error.rule)).toEqual(state === "attached" ? [] : [`nix-${state}`]);
    expect(rules(environment)).toEqual([]);
  });

  test("a right nix.conf counts, as Nix reports it", () => {
    const machine = { nix: { substituters: ["https://cache.nixos.org/", url], trustedPublicKeys: [key] }, projectedToken: false };
    expect(check(attic, { ...strictNix, machine })).toMatchObject({ ok: true, nix: { state: "attached", seenIn: "nix config" } });
  });
});

test("all errors at once", () => {
  const report = check(
    {
      BAZEL_REMOTE_CACHE: "grpc://u:p@LOCALHOST:9092",
      GF_BAZEL_SUBSTRATE_MODE: "turbo",
      GF_FLYWHEEL_PROFILE_STATE: "unattached",
      BAZEL_DISTDIR: "${X}",
    },
    strict,
  );
  expect(report.errors.map((error) => error.rule)).toEqual([
    "mode-unknown",
    "state-unattached",
    "endpoint-userinfo",
    "endpoint-loopback",
    "path-placeholder",
  ]);
});

test("endpoints are hidden unless asked for, and always in GitHub Actions", () => {
  const secret = { BAZEL_REMOTE_CACHE: "grpc://secret-host.example:9092" };
  expect(JSON.stringify(check(secret))).not.toContain("secret-host");
  expect(check(secret).cache).toBe("grpc://<redacted>:9092");
  expect(check(secret, { endpoints: "shown" }).cache).toBe("grpc://secret-host.example:9092");
  expect(check({ ...secret, GITHUB_ACTIONS: "true" }, { endpoints: "shown" }).cache).toBe("grpc://<redacted>:9092");
  const malformed = { BAZEL_REMOTE_CACHE: "grpc://u:hunter2@secret-host:x\u001b[31m" };
  expect(JSON.stringify(check(malformed))).not.toMatch(/hunter2|secret-host/);
});

test("stale names and runner classes are the profile's", () => {
  const profile = { ...gloriousflywheel, contract: { stale: ["^grpc://old\\."], runnerLabels: ["^big$"] } };
  expect(rules({ BAZEL_REMOTE_CACHE: "grpc://OLD.example:1" }, { profile })).toEqual(["endpoint-stale"]);
  expect(rules({ BAZEL_REMOTE_CACHE: "grpc://x.fuzzy-dev.example:1", GF_BAZEL_RUNNER_LABELS: "big" }, { profile, ...strict })).toEqual([]);
});
