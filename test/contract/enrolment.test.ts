import { describe, expect, test } from "vitest";
import { checkContract } from "../../contract/check.ts";
import {
  defaultEnrolment,
  type Enrolment,
  type EnrolmentInput,
  type EnrolmentOptions,
  enrolledValues,
  enrolments,
  manifestFault,
  planEnrolment,
} from "../../contract/enrolment.ts";
import { FlywheelError } from "../../contract/errors.ts";
import { gloriousflywheel, resolveProfile } from "../../contract/profile.ts";

const none: EnrolmentOptions = {
  cacheEndpoint: undefined,
  executorEndpoint: undefined,
  instanceName: undefined,
  credentialHelper: undefined,
  credentialHelperTokenFile: undefined,
  remoteHeader: undefined,
  remoteCacheHeader: undefined,
  remoteExecHeader: undefined,
  platform: undefined,
};
const plan = (enrolment: Enrolment, options: Partial<EnrolmentOptions> = {}, more: Partial<EnrolmentInput> = {}) =>
  planEnrolment({
    enrolment,
    options: { ...none, ...options },
    manifest: { state: "absent" },
    fleet: gloriousflywheel,
    attached: undefined,
    portForward: undefined,
    ...more,
  });
const executor = { executorEndpoint: "grpc://cell.example:8980", platform: "linux-x86_64" };
const sound: Readonly<Record<Enrolment, Partial<EnrolmentOptions>>> = {
  "shared-cache-backed": { cacheEndpoint: "grpc://cache.example:9092" },
  "executor-backed": executor,
  "cluster-cache": {},
  "cluster-executor": executor,
  "port-forward-cache": { cacheEndpoint: "grpc://127.0.0.1:19092" },
  "port-forward-executor": { executorEndpoint: "grpc://127.0.0.1:18980", platform: "linux-x86_64" },
  unattached: {},
};

describe.each(enrolments)("%s", (enrolment) => {
  test.each(["proved", "unproved"] as const)(
    "%s: what it writes breaks no rule of the contract but the digest that a run brings",
    (proof) => {
      const made = plan(enrolment, sound[enrolment]);
      expect(made.lacks).toBeUndefined();
      const environment = enrolledValues(made, proof);
      const report = checkContract({
        environment,
        profile: gloriousflywheel,
        require: { cache: false, nix: false },
        endpoints: "redacted",
        machine: { nix: undefined, projectedToken: false },
      });
      expect(report.errors.filter(({ rule }) => rule !== "executor-digest")).toEqual([]);
      expect(report.mode).toBe(made.mode);
    },
  );

  test("says what it lacks instead of guessing", () => {
    const bare = plan(enrolment, {}, { fleet: resolveProfile("acme", {}) });
    if (enrolment === "unattached") expect(bare.lacks).toBeUndefined();
    else expect(bare.lacks?.next).toContain("flywheel");
  });
});

test("a state is claimed by a proof alone; unattached claims nothing that would need one", () => {
  const made = plan("shared-cache-backed", sound["shared-cache-backed"]);
  expect(enrolledValues(made, "unproved").GF_FLYWHEEL_PROFILE_STATE).toBeUndefined();
  expect(enrolledValues(made, "proved").GF_FLYWHEEL_PROFILE_STATE).toBe("shared-cache-backed");
  expect(enrolledValues(plan("unattached"), "unproved").GF_FLYWHEEL_PROFILE_STATE).toBe("unattached");
});

test("the manifest chooses, and is held to", () => {
  expect(defaultEnrolment({ state: "absent" })).toBe("shared-cache-backed");
  expect(defaultEnrolment({ state: "enrolled", mode: "executor-backed" })).toBe("executor-backed");
  expect(defaultEnrolment({ state: "enrolled", mode: "compatibility-local-only" })).toBe("unattached");
  const made = plan("cluster-cache");
  expect(manifestFault(made, { state: "enrolled", mode: "executor-backed" })).toContain("declares executor-backed");
  expect(manifestFault(made, { state: "enrolled", mode: "shared-cache-backed" })).toBeUndefined();
  expect(manifestFault(plan("unattached"), { state: "enrolled", mode: "shared-cache-backed" })).toBeUndefined();
});

test("takes what no option names from where the profile stands", () => {
  expect(plan("cluster-cache").values.BAZEL_REMOTE_CACHE).toBe(gloriousflywheel.cluster.bazel[0]);
  expect(plan("shared-cache-backed", {}, { attached: "grpc://100.64.0.5:9092" }).cacheFrom).toBe("what is attached");
  expect(plan("port-forward-cache", {}, { portForward: "grpc://127.0.0.1:19092" }).values).toMatchObject({
    GF_BAZEL_LOCAL_PROOF: "port-forward",
    GF_BAZEL_ALLOW_LOCALHOST_PROOF: "true",
  });
  expect(plan("executor-backed", executor).values.BAZEL_REMOTE_CACHE).toBe(executor.executorEndpoint);
});

const secrets = [
  "Authorization=Bearer abcdefghijk",
  "authorization=x",
  "x-api-key=1",
  "x-buildbuddy-api-key=abc",
  "x-note=ghp_abcdefghij0123456789",
  "x-note=eyJhbGciOi.eyJzdWIiOi.sig",
  "x-tenant=4f9a8b7c6d5e4f3a2b1c0d9e",
  "cookie=a=b",
];
test.each(secrets)("never takes the credential %s, and does not repeat it", (header) => {
  for (const option of ["remoteHeader", "remoteCacheHeader"] as const) {
    const attempt = () => plan("shared-cache-backed", { ...sound["shared-cache-backed"], [option]: header });
    expect(attempt).toThrow(/looks like a credential/);
    expect(attempt).not.toThrow(new RegExp(header.split("=").at(-1) ?? ""));
  }
});

test("a header that nobody could log in with is written", () => {
  const made = plan("shared-cache-backed", { ...sound["shared-cache-backed"], remoteHeader: "x-tenant=blue\nx-team=build tools" });
  expect(made.values.BAZEL_REMOTE_HEADER).toBe("x-tenant=blue\nx-team=build tools");
});

test.each<[string, Enrolment, Partial<EnrolmentOptions>, RegExp]>([
  ["a token for its file", "shared-cache-backed", { credentialHelperTokenFile: "ghp_abcdefghij0123456789" }, /absolute path of a file/],
  ["a relative helper", "shared-cache-backed", { credentialHelper: "helper" }, /absolute path/],
  ["a helper with a shell in it", "shared-cache-backed", { credentialHelper: "/bin/$(id)" }, /absolute path/],
  ["userinfo", "shared-cache-backed", { cacheEndpoint: "grpc://ann:secret@cache.example:1" }, /credentials do not belong/],
  ["a placeholder", "shared-cache-backed", { cacheEndpoint: "grpc://${HOST}:1" }, /placeholder/],
  ["a stale place", "shared-cache-backed", { cacheEndpoint: "grpc://bazel-cache.attic-cache-dev.svc:9092" }, /endpoint-stale/],
  ["loopback as a shared cache", "shared-cache-backed", { cacheEndpoint: "grpc://127.0.0.1:9092" }, /loopback/],
  ["a routable port-forward", "port-forward-cache", { cacheEndpoint: "grpc://cache.example:9092" }, /not on loopback/],
  ["an executor for a cache", "cluster-cache", { executorEndpoint: "grpc://x.example:1" }, /not remote execution/],
  ["an HTTP executor", "executor-backed", { ...executor, executorEndpoint: "http://x.example:1" }, /executor-scheme/],
  ["an executor without its platform", "executor-backed", { executorEndpoint: "grpc://x.example:1" }, /executor-platform/],
  ["two places in one", "executor-backed", { ...executor, cacheEndpoint: "grpc://y.example:1" }, /executor-separate/],
  ["an endpoint for nothing", "unattached", { cacheEndpoint: "grpc://y.example:1" }, /no endpoint/],
  ["an instance in a sentence", "shared-cache-backed", { cacheEndpoint: "grpc://y.example:1", instanceName: "a b" }, /instance name/],
])("refuses %s", (_, enrolment, options, message) => {
  const attempt = () => plan(enrolment, options);
  expect(attempt).toThrow(FlywheelError);
  expect(attempt).toThrow(message);
  expect(attempt).not.toThrow(/ghp_abc|secret/);
});
