/** The same repository beside other machines: what its lines say is as much theirs as CI's. */
import { expect, test } from "vitest";
import type { StatusReport } from "../../../contract/api.ts";
import type { RcLine } from "../../../contract/ci/rc.ts";
import type { ParityReport, ParityRule } from "../../../contract/ci/report.ts";
import { gloriousflywheel } from "../../../contract/profile.ts";
import { examineTree, fixture, linesOf, status, treeOf, unattachedStatus } from "./world.ts";

const base = status(gloriousflywheel);
const inCluster = "grpc://bazel-cache.nix-cache.svc.cluster.local:9092";

function bazel(more: Partial<StatusReport["bazel"]>): Partial<StatusReport> {
  return { bazel: { ...base.bazel, ...more } };
}

/** The verdicts of one rule. */
function said(report: ParityReport, rule: ParityRule): readonly string[] {
  return report.lines.filter((line) => line.rule === rule).map(({ verdict }) => verdict);
}

function workflow(body: string, more: Readonly<Record<string, string>> = {}) {
  return treeOf({ ".github/workflows/ci.yml": body, ...more });
}

test("attached by the tailnet: the route differs on purpose", () => {
  const [line] = fixture("github-clean").lines.filter(({ rule }) => rule === "bazel-cache");
  expect(line).toMatchObject({
    verdict: "differs-on-purpose",
    here: "grpc://100.64.0.7:9092 (peer cache-1.example.ts.net)",
    ci: inCluster,
    places: [{ file: ".github/workflows/ci.yml", line: 7 }],
  });
});

test("attached to the very endpoint of CI, or to one that has it as another name: the same", () => {
  expect(said(fixture("github-clean", { status: bazel({ endpoint: inCluster, source: "cluster" }) }), "bazel-cache")).toEqual(["same"]);
  expect(said(fixture("github-clean", { status: bazel({ aliases: [inCluster] }) }), "bazel-cache")).toEqual(["same"]);
});

test("whose cache an operator's endpoint is, or one that stands behind a port-forward, nobody here can tell", () => {
  for (const source of ["operator", "local-proof", null] as const)
    expect(said(fixture("github-clean", { status: bazel({ source }) }), "bazel-cache")).toEqual(["unknown"]);
  const proof = fixture("github-clean", { status: { ...bazel({ source: "local-proof" }), profileState: "local-proof" } });
  expect(said(proof, "profile-state")).toEqual(["differs-on-purpose"]);
  expect(proof.ok).toBe(true);
});

test("not attached: cache, mode and state drift, each with the reason and what to type", () => {
  const report = fixture("github-clean", { status: unattachedStatus });
  expect(report.ok).toBe(false);
  for (const rule of ["bazel-cache", "mode", "profile-state"] as const)
    expect(linesOf(report, "drift", rule)).toMatchObject([{ why: "nothing answers", next: "flywheel doctor" }]);
  expect(linesOf(report, "drift", "nix-cache").length).toBe(2);
});

test("a repository that is local only, beside a machine that is too, has nothing to drift", () => {
  const files = {
    "tinyland.repo.json": '{"enrollment":{"substrateMode":"compatibility-local-only"}}',
    "README.md": "```sh\nbazel build //...\n```\n",
  };
  const report = examineTree(
    workflow("on: push\njobs: { a: { runs-on: ubuntu-latest, steps: [{ run: bazel build //... }] } }\n", files),
    [],
    { status: unattachedStatus },
  );
  expect(linesOf(report, "drift").map(({ rule }) => rule)).toEqual(["strict-action-env"]);
  expect(said(report, "mode")).toEqual(["same"]);
});

test("uploads: this machine by its profile, CI by its branch", () => {
  expect(said(fixture("github-clean", { status: bazel({ upload: true }) }), "upload")).toEqual(["same"]);
  expect(said(fixture("lab-clean", { status: bazel({ upload: true, instanceName: "lab" }) }), "upload")).toEqual(["drift"]);
  expect(said(fixture("lab-clean"), "upload")).toEqual(["same"]);
});

test("another key here is a drift at each place that names CI's", () => {
  const key = "main:BBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBA=";
  const [line, ...more] = linesOf(fixture("github-clean", { status: { nix: { ...base.nix, publicKey: key } } }), "drift");
  expect(more).toEqual([]);
  expect(line).toMatchObject({ rule: "nix-key", here: key, next: `say ${key}` });
  expect(line?.places.map(({ file }) => file)).toEqual([".github/actions/nix/action.yml", ".github/workflows/ci.yml", "flake.nix"]);
});

test("a shell that names an endpoint of its own, by whatever spelling", () => {
  const of = (named: string) => fixture("github-clean", { here: { named } }).lines.find(({ rule }) => rule === "bazel-cache");
  expect(of("grpc://cache-9.example:9092")).toMatchObject({
    verdict: "unknown",
    here: "grpc://cache-9.example:9092 (BAZEL_REMOTE_CACHE of this shell, not proved)",
    next: "unset BAZEL_REMOTE_CACHE",
  });
  expect(of("grpc://CACHE-1.example.ts.net:9092")?.verdict).toBe("differs-on-purpose");
  expect(of(inCluster)?.verdict).toBe("same");
});

test("another Bazel here", () => {
  const [line] = linesOf(fixture("github-clean", { here: { bazelVersion: "7.0.0" } }), "drift");
  expect(line).toMatchObject({
    rule: "bazel-version",
    here: "7.0.0 (USE_BAZEL_VERSION)",
    ci: "8.4.2",
    next: "unset USE_BAZEL_VERSION, or set it to 8.4.2",
  });
});

const building = `on: push\nenv: { BAZEL_REMOTE_CACHE: "${inCluster}" }\njobs: { a: { runs-on: tinyland-nix, env: { PATH: /opt/bin:/bin }, steps: [{ run: flywheel exec -- bazel build //... }] } }\n`;

test("no strict action environment: both PATHs", () => {
  const of = (version: string) => examineTree(workflow(building, { ".bazelversion": version }), [], {});
  expect(linesOf(of("8.4.2"), "drift")).toMatchObject([
    {
      rule: "strict-action-env",
      here: "not asked for; PATH=/usr/bin:/bin",
      ci: "not asked for; PATH=/opt/bin:/bin",
      places: [{ file: ".github/workflows/ci.yml", line: 3 }],
    },
  ]);
  expect(said(of("9.0.0"), "strict-action-env")).toEqual(["same"]);
});

test("what a user's own rc file adds to each action", () => {
  const own: RcLine = { file: "/home/ann/.bazelrc", line: 3, section: "build", config: undefined, words: ["--action_env=TOKEN=secret"] };
  const report = examineTree(workflow(building, { ".bazelversion": "9.0.0" }), [], { here: { rc: [own] } });
  expect(linesOf(report, "drift")).toMatchObject([
    { rule: "action-env", here: "--action_env=TOKEN=…", places: [{ file: "/home/ann/.bazelrc", line: 3 }] },
  ]);
  expect(JSON.stringify(report)).not.toContain("secret");
});

test("a profile that names no in-cluster cache: unknown, and how to name it", () => {
  const profile = {
    ...gloriousflywheel,
    cluster: { enabled: false, bazel: [], nix: [] },
    nix: { ...gloriousflywheel.nix, substituter: undefined },
  };
  const report = fixture("github-clean", { profile });
  expect(said(report, "bazel-cache")).toEqual(["unknown"]);
  expect(said(report, "nix-cache").toSorted()).toEqual(["same", "unknown", "unknown"]);
  expect(report.ok).toBe(true);
});

test("in a forge's log this machine's endpoints do not stand; credentials and control characters never do", () => {
  expect(JSON.stringify(fixture("github-clean", { here: { endpoints: "redacted" } }))).not.toContain("100.64");
  const body = `on: push\nenv:\n  BAZEL_REMOTE_CACHE: "grpc://ann:hunter2@cache.example:1"\n  GF_BAZEL_SUBSTRATE_MODE: "a\\e[31mb\\u202e"\njobs: { a: { runs-on: x, steps: [] } }\n`;
  const report = JSON.stringify(examineTree(workflow(body), [], {}));
  expect(report).not.toContain("hunter2");
  expect(report).not.toMatch(/\\u001b|\u202e/);
  expect(report).toContain("endpoint-userinfo");
});
