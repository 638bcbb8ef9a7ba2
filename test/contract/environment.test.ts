import { expect, test } from "vitest";
import { fleetEnvironment, hasLocalProof } from "../../contract/environment.ts";

test("an empty variable is an unset one", () => {
  expect(fleetEnvironment({ BAZEL_REMOTE_CACHE: "", GF_BAZEL_SUBSTRATE_MODE: "" })).toMatchObject({
    cache: undefined,
    mode: { state: "unset" },
  });
});

test("closed vocabularies keep what they do not know, for the message", () => {
  const env = fleetEnvironment({ GF_BAZEL_SUBSTRATE_MODE: "turbo", GF_FLYWHEEL_PROFILE_STATE: "local-proof" });
  expect(env.mode).toEqual({ state: "unknown", text: "turbo" });
  expect(env.profileState).toEqual({ state: "known", value: "local-proof" });
});

test("lists are split as the fleet splits them", () => {
  const env = fleetEnvironment({ GF_BAZEL_RUNNER_LABELS: " a,b  c,", BAZEL_DISTDIR: "/x::/y" });
  expect(env.runnerLabels).toEqual(["a", "b", "c"]);
  expect(env.distdirs).toEqual(["/x", "/y"]);
});

test.each([
  [{}, false],
  [{ GF_BAZEL_LOCAL_PROOF: "port-forward" }, false],
  [{ GF_BAZEL_ALLOW_LOCALHOST_PROOF: "true" }, false],
  [{ GF_BAZEL_LOCAL_PROOF: "port-forward", GF_BAZEL_ALLOW_LOCALHOST_PROOF: "TRUE" }, false],
  [{ GF_BAZEL_LOCAL_PROOF: "port-forward", GF_BAZEL_ALLOW_LOCALHOST_PROOF: "true" }, true],
])("a local proof takes both markers: %j", (env, expected) => {
  expect(hasLocalProof(env)).toBe(expected);
});
