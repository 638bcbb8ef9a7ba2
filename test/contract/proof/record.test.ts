/** Records: what they are put together from, what they hide, how two compare, and that schema and type are one. */
import * as v from "valibot";
import { describe, expect, test } from "vitest";
import { checkContract } from "../../../contract/check.ts";
import { gloriousflywheel } from "../../../contract/profile.ts";
import { type ProofFacts, proofRecord } from "../../../contract/proof/assemble.ts";
import { compareProofs, driftReasons } from "../../../contract/proof/compare.ts";
import { flagsOf } from "../../../contract/proof/flags.ts";
import { hideEndpoints } from "../../../contract/proof/hide.ts";
import { proofMarkdown } from "../../../contract/proof/markdown.ts";
import { type ProofRecord, proofRecordSchema } from "../../../contract/proof/record.ts";
import { expectSchema, proofJsonSchema } from "../../e2e/proof/schema.ts";
import { endpointAt } from "../../fixtures/endpoint.ts";
import { schemaFaults } from "../../fixtures/json-schema.ts";

const url = "grpc://cache-1.tail1234.ts.net:9092";
const publicKey = `main:${"A".repeat(43)}=`;
const storePath = `/nix/store/${"a".repeat(32)}-x`;
const counts = { hits: 3, other: 0, misses: 1, local: 1, internal: 1 };
const options = new Map(
  Object.entries({ remote_cache: url, remote_accept_cached: "1", remote_upload_local_results: "false", disk_cache: "" }),
);
const build = {
  exitCode: 0,
  interrupted: false,
  wallMs: 900,
  events: { startedAt: undefined, version: "7.4.1", options, counts, exitCode: 0, namesDiskCache: false, exitName: "SUCCESS" },
};
const seen = { state: "attached", endpoint: endpointAt(url), upload: false, instanceName: undefined } as const;
const nixSeen = { state: "attached", endpoint: endpointAt("https://nix.tail1234.ts.net/main", "nix"), publicKey } as const;
const identity = { url: "grpc://<redacted>:9092", digest: "0123456789ab", source: "peer", by: "tag:bazel-cache", node: null } as const;

const environment = {
  BAZEL_REMOTE_CACHE: url,
  NIX_CONFIG: `extra-substituters = https://nix.tail1234.ts.net/main\nextra-trusted-public-keys = ${publicKey}`,
};
const profile = { ...gloriousflywheel, nix: { ...gloriousflywheel.nix, publicKey } };
const contract = checkContract({
  environment,
  profile,
  require: { cache: true, nix: true },
  endpoints: "redacted",
  machine: { nix: undefined, projectedToken: false },
});

const facts: ProofFacts = {
  ...{
    madeAt: "2026-11-21T14:00:00.000Z",
    tookMs: 4000,
    version: "0.1.0",
    profile: "default",
    localProof: false,
    ci: undefined,
    hidden: [],
  },
  machine: { os: "linux", arch: "x64", cores: 8, memoryGiB: 16, context: "developer-machine", runnerClass: null },
  standing: { mode: "shared-cache-backed", profileState: "shared-cache-backed" },
  contract,
  bazel: {
    tool: "bazel",
    targets: ["//..."],
    endpoint: identity,
    seen: { claimed: undefined, before: seen, later: [seen], fill: undefined, rebuild: build },
  },
  nix: {
    ...{ version: "2.24.1", endpoint: { ...identity, url: "https://<redacted>:443" }, cache: "main" },
    seen: {
      ...{ before: nixSeen, after: nixSeen, path: { state: "chosen", path: storePath, by: "found" } },
      substitution: {
        exitCode: 0,
        interrupted: false,
        wallMs: 300,
        said: "",
        counts: { ...counts, misses: 0, local: 0 },
        signature: "valid",
      },
    },
  },
};
const good = proofRecord(facts);

test("all that was asked for is proved, and evidence of a product where no part is local", () => {
  expect(good).toMatchObject({ proved: true, productEvidence: true, reasons: [], parts: ["bazel", "nix"], ci: null });
  expectSchema(good);
  expect(good.shown.join("\n")).toContain("3 processes of 4 of //... answered by the attached Bazel cache");
  expect(good.notShown).toContain("that this machine could fill the cache: uploads are off");
  const local = proofRecord({ ...facts, localProof: true });
  expect(local).toMatchObject({ proved: true, productEvidence: false });
  expect(local.notShown[0]).toContain("not product evidence");
});

test.for<[string, Partial<ProofFacts>]>([
  ["nothing asked for", { bazel: undefined, nix: undefined }],
  [
    "a broken contract",
    {
      contract: checkContract({
        environment: {},
        profile,
        require: { cache: true, nix: false },
        endpoints: "redacted",
        machine: { nix: undefined, projectedToken: false },
      }),
    },
  ],
  ["Bazel alone not", { bazel: facts.bazel && { ...facts.bazel, seen: { ...facts.bazel.seen, later: [], rebuild: undefined } } }],
  ["Nix alone not", { nix: facts.nix && { ...facts.nix, seen: { ...facts.nix.seen, after: undefined } } }],
])("%s: never written as proved", ([, less]) => {
  const record = proofRecord({ ...facts, ...less });
  expect(record).toMatchObject({ proved: false, productEvidence: false, shown: [] });
  expectSchema(record);
});

test("the mode is executor-backed only where an executor ran something", () => {
  const claiming = (remote: number): ProofRecord => {
    const rebuild = { ...build, events: { ...build.events, counts: { ...counts, misses: remote, local: 0 } } };
    return proofRecord({
      ...facts,
      standing: { mode: "executor-backed", profileState: "shared-cache-backed" },
      bazel: facts.bazel && { ...facts.bazel, seen: { ...facts.bazel.seen, claimed: "executor-backed", rebuild } },
    });
  };
  expect(claiming(2)).toMatchObject({ mode: "executor-backed", proved: true });
  expect(claiming(2).shown.join("\n")).toContain("2 processes run by an executor");
  expect(claiming(2).notShown.join("\n")).not.toContain("not remote execution");
  expect(claiming(0)).toMatchObject({ mode: "shared-cache-backed", proved: false, reasons: [{ rule: "executor-claimed" }] });
});

test("sentences name no endpoint and no machine, unless they were to be shown", () => {
  const swapped = {
    ...facts,
    bazel: facts.bazel && {
      ...facts.bazel,
      seen: { ...facts.bazel.seen, later: [{ ...seen, endpoint: endpointAt("grpc://10.1.2.3:9092") }] },
    },
  };
  const [hidden] = proofRecord({ ...swapped, hidden: ["10.1.2.3", "cache-1.tail1234.ts.net"] }).reasons;
  expect(hidden?.message).toBe("it began attached to grpc://<redacted>:9092 and went on to grpc://<redacted>:9092");
  const [shown] = proofRecord({ ...swapped, hidden: undefined }).reasons;
  expect(shown?.message).toContain("grpc://10.1.2.3:9092");
  expect(hideEndpoints("nothing listens on 10.1.2.3:9092, not 10.1.2.34; http://[fd7a::1]:8080/x", ["10.1.2.3"])).toBe(
    "nothing listens on <redacted>:9092, not 10.1.2.34; http://<redacted>:8080/x",
  );
});

test("flags that two machines must share; places only by their presence", () => {
  expect(flagsOf(undefined)).toEqual({});
  const more = new Map([
    ...options,
    ["incompatible_strict_action_env", "1"],
    ["remote_proxy", "unix:/private"],
    ["remote_header", "x=secret"],
  ]);
  expect(flagsOf(more)).toEqual({
    remote_accept_cached: "1",
    remote_upload_local_results: "false",
    incompatible_strict_action_env: "1",
    remote_proxy: "set",
  });
});

describe("beside CI's record", () => {
  const ci: ProofRecord = {
    ...good,
    bazel: good.bazel && { ...good.bazel, endpoint: { ...identity, digest: "ffffffffffff", source: "operator" } },
  };
  const drift = (other: ProofRecord): readonly string[] => driftReasons(compareProofs(good, other)).map(({ message }) => message);
  const bazel = (more: Partial<NonNullable<ProofRecord["bazel"]>>): ProofRecord => ({ ...ci, bazel: ci.bazel && { ...ci.bazel, ...more } });
  const nix = (more: Partial<NonNullable<ProofRecord["nix"]>>): ProofRecord => ({ ...ci, nix: ci.nix && { ...ci.nix, ...more } });
  const rebuilt = (hits: number, misses: number) => ({
    exitCode: 0,
    wallMs: 1,
    processes: { hits, misses, other: 0, local: misses, remote: 0, internal: 0 },
  });

  test("another route to the same cache is no drift", () => {
    expect(drift(ci)).toEqual([]);
    expect(compareProofs(good, ci).lines.find(({ verdict }) => verdict === "route")?.what).toBe("Bazel endpoint");
    expect(proofRecord({ ...facts, ci })).toMatchObject({ proved: true, ci: { madeAt: ci.madeAt } });
    const showing: ProofRecord = {
      ...ci,
      bazel: ci.bazel && { ...ci.bazel, endpoint: { ...identity, url: "grpc://inside.example.org:9092", digest: "f" } },
    };
    expect(JSON.stringify(proofRecord({ ...facts, ci: showing }).ci)).not.toContain("inside.example.org");
    expect(JSON.stringify(proofRecord({ ...facts, ci: showing, hidden: undefined }).ci)).toContain("inside.example.org");
  });

  test.for<[string, ProofRecord]>([
    ["proved: yes here, no in CI", { ...ci, proved: false }],
    ["mode: shared-cache-backed here, executor-backed in CI", { ...ci, mode: "executor-backed" }],
    ["profile state: shared-cache-backed here, local-proof in CI", { ...ci, profileState: "local-proof" }],
    ["Bazel: tried here, not tried in CI", { ...ci, bazel: null }],
    ["Bazel instance name: none here, main in CI", bazel({ instanceName: "main" })],
    ["Bazel upload policy: read-only here, may fill in CI", bazel({ upload: true })],
    ["Bazel version: 7.4.1 here, 8.0.0 in CI", bazel({ version: "8.0.0" })],
    [
      "--incompatible_strict_action_env: not set here, 1 in CI",
      bazel({ flags: { ...ci.bazel?.flags, incompatible_strict_action_env: "1" } }),
    ],
    ["targets: //... here, //app in CI", bazel({ targets: ["//app"] })],
    ["hits of the rebuild: 3 of 4 here, 4 of 4 in CI", bazel({ rebuild: rebuilt(4, 0) })],
    ["Nix: tried here, not tried in CI", { ...ci, nix: null }],
    ["Nix cache: main here, tenant in CI", nix({ cache: "tenant" })],
    [`Nix public key: ${publicKey} here, other:x in CI`, nix({ publicKey: "other:x" })],
  ])("%s", ([message, other]) => {
    expect(drift(other)).toEqual([message]);
    const record = proofRecord({ ...facts, ci: other });
    expect(record).toMatchObject({ proved: false, productEvidence: false, reasons: [{ part: "ci", rule: "drift", message }] });
    expectSchema(record);
  });

  test("more hits here than in CI are no drift", () => {
    expect(drift(bazel({ rebuild: rebuilt(1, 3) }))).toEqual([]);
  });
});

test("a page of it, whose cells nothing breaks", () => {
  const page = proofMarkdown({ ...good, profile: "a|b", shown: ["one\ntwo"] });
  expect(page).toMatch(/^# Proof of bazel and nix: proved\n/);
  expect(page).toContain("| profile | a\\|b: shared-cache-backed, shared-cache-backed |");
  expect(page).toContain("- one two\n");
  expect(
    proofMarkdown(
      proofRecord({
        ...facts,
        contract: { ...contract, errors: [{ rule: "strict-cache", variable: "X", message: "broken", next: "mend" }] },
      }),
    ),
  ).toContain("# Proof of bazel and nix: not proved\n");
});

/** Every place of a value, with what it would be if that were missing, more, or something else. */
function* mutations(value: unknown): Generator<unknown> {
  yield Symbol.for("gone");
  for (const other of [null, true, -1, 0.5, "", "other", [], {}, [{}]]) if (JSON.stringify(other) !== JSON.stringify(value)) yield other;
  if (Array.isArray(value)) {
    for (const [index, each] of value.entries())
      for (const changed of mutations(each)) yield changed === Symbol.for("gone") ? value.toSpliced(index, 1) : value.with(index, changed);
  } else if (typeof value === "object" && value !== null) {
    yield { ...value, more: 1 };
    for (const [name, each] of Object.entries(value)) {
      for (const changed of mutations(each)) {
        const { [name]: _, ...rest } = Object.fromEntries(Object.entries(value));
        yield changed === Symbol.for("gone") ? rest : { ...rest, [name]: changed };
      }
    }
  }
}

test("the published schema and the type that --ci is read by agree on every change of a record", () => {
  const records = [proofRecord({ ...facts, ci: good }), proofRecord({ ...facts, bazel: undefined, nix: undefined })];
  let [taken, turnedDown] = [0, 0];
  for (const changed of records.flatMap((record) => [...mutations(record)])) {
    if (typeof changed === "symbol") continue;
    const bySchema = schemaFaults(proofJsonSchema, changed);
    const byType = v.safeParse(proofRecordSchema, changed);
    expect(bySchema.length === 0, `${JSON.stringify(bySchema)} ${JSON.stringify(changed)}`).toBe(byType.success);
    if (byType.success) taken += 1;
    else turnedDown += 1;
  }
  expect(taken).toBeGreaterThan(100);
  expect(turnedDown).toBeGreaterThan(1000);
});
