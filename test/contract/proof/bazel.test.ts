/** The verdict on Bazel, refusal by refusal: each with everything else as it should be. */
import { expect, test } from "vitest";
import type { BuildEvents } from "../../../contract/bazel/build-events.ts";
import { type BazelAttachmentSeen, type BazelRule, type BazelSeen, type BuildSeen, judgeBazel } from "../../../contract/proof/bazel.ts";
import { endpointAt } from "../../fixtures/endpoint.ts";

const here = endpointAt("grpc://100.64.0.7:9092");
const there = endpointAt("grpc://100.64.0.8:9092");

const attached: BazelAttachmentSeen = { state: "attached", endpoint: here, upload: true, instanceName: undefined };
const lost: BazelAttachmentSeen = { state: "unattached", reason: "nothing listens", next: undefined };

const counts = { hits: 3, other: 0, misses: 1, local: 1, internal: 1 };

function options(more: Readonly<Record<string, string>> = {}): ReadonlyMap<string, string> {
  const usual = {
    remote_cache: here.url,
    remote_accept_cached: "1",
    remote_upload_local_results: "false",
    disk_cache: "",
    remote_executor: "",
  };
  return new Map(Object.entries({ ...usual, ...more }));
}

function build(more: Partial<BuildEvents> = {}, ending: Partial<Omit<BuildSeen, "events">> = {}): BuildSeen {
  const events = {
    startedAt: undefined,
    version: "4.2.3",
    options: options(),
    counts,
    namesDiskCache: false,
    exitCode: 0,
    exitName: "SUCCESS",
    ...more,
  };
  return { exitCode: 0, interrupted: false, wallMs: 10, ...ending, events };
}

const filled = build({ options: options({ remote_upload_local_results: "true" }), counts: { ...counts, hits: 0, misses: 4, local: 4 } });
const good: BazelSeen = { claimed: "shared-cache-backed", before: attached, later: [attached, attached], fill: filled, rebuild: build() };

test("all as it should be is proved, with a first build or without", () => {
  expect(judgeBazel(good)).toEqual([]);
  expect(judgeBazel({ ...good, claimed: undefined, fill: undefined, later: [attached] })).toEqual([]);
});

const refusals: readonly (readonly [what: string, seen: BazelSeen, rules: readonly BazelRule[]])[] = [
  ["nothing attached", { ...good, before: lost, rebuild: undefined, fill: undefined }, ["bazel-unattached"]],
  ["attached only later", { ...good, before: lost }, ["bazel-unattached"]],
  ["lost between the builds", { ...good, later: [lost, attached] }, ["attachment-lost"]],
  ["lost behind them", { ...good, later: [attached, lost] }, ["attachment-lost"]],
  ["swapped between the builds", { ...good, later: [{ ...attached, endpoint: there }, attached] }, ["endpoint-swapped"]],
  ["swapped behind them", { ...good, later: [attached, { ...attached, endpoint: there }] }, ["endpoint-swapped"]],
  ["the first build had another cache", { ...good, fill: build({ options: options({ remote_cache: there.url }) }) }, ["endpoint-swapped"]],
  ["the rebuild had another cache", { ...good, rebuild: build({ options: options({ remote_cache: there.url }) }) }, ["endpoint-swapped"]],
  ["the rebuild had none", { ...good, rebuild: build({ options: options({ remote_cache: "" }) }) }, ["endpoint-swapped"]],
  ["the first build was interrupted", { ...good, fill: build({}, { interrupted: true }) }, ["interrupted"]],
  ["the rebuild was interrupted", { ...good, rebuild: build({}, { interrupted: true }) }, ["interrupted"]],
  ["the first build failed", { ...good, fill: build({}, { exitCode: 1 }), rebuild: undefined }, ["fill-failed"]],
  ["the rebuild failed, with hits", { ...good, rebuild: build({ exitCode: 1 }, { exitCode: 1 }) }, ["rebuild-failed"]],
  ["the rebuild was not run", { ...good, rebuild: undefined }, ["rebuild-failed"]],
  ["no rebuild, and no first build", { ...good, fill: undefined, rebuild: undefined }, ["rebuild-failed"]],
  ["no counts", { ...good, rebuild: build({ counts: undefined }) }, ["events-missing"]],
  ["no options", { ...good, rebuild: build({ options: undefined }) }, ["events-missing"]],
  ["no end in the events", { ...good, rebuild: build({ exitCode: undefined }) }, ["events-missing"]],
  ["another end in the events", { ...good, rebuild: build({ exitCode: 1 }) }, ["events-missing"]],
  ["no options of the first build", { ...good, fill: build({ options: undefined }) }, ["events-missing"]],
  ["the cache was not read", { ...good, rebuild: build({ options: options({ remote_accept_cached: "0" }) }) }, ["cache-not-read"]],
  [
    "the same, as newer Bazels tell it",
    { ...good, rebuild: build({ options: options({ remote_accept_cached: "false" }) }) },
    ["cache-not-read"],
  ],
  [
    "the rebuild could write",
    { ...good, rebuild: build({ options: options({ remote_upload_local_results: "true" }) }) },
    ["cache-written"],
  ],
  ["a disk cache", { ...good, rebuild: build({ options: options({ disk_cache: "/d" }) }) }, ["disk-cache", "doubtful-hits"]],
  [
    "a disk cache of a Bazel that tells it apart",
    { ...good, rebuild: build({ version: "8.0.0", options: options({ disk_cache: "/d" }) }) },
    ["disk-cache"],
  ],
  ["a proxy", { ...good, rebuild: build({ options: options({ remote_proxy: "unix:/p" }) }) }, ["remote-proxy"]],
  ["an executor", { ...good, rebuild: build({ options: options({ remote_executor: "grpc://e:1" }) }) }, ["executor-set"]],
  ["another instance", { ...good, rebuild: build({ options: options({ remote_instance_name: "x" }) }) }, ["instance-name"]],
  ["not the profile's instance", { ...good, before: { ...attached, instanceName: "main" } }, ["instance-name"]],
  ["a null build", { ...good, rebuild: build({ counts: { ...counts, hits: 0, misses: 0, local: 0 } }) }, ["null-build"]],
  ["no hits", { ...good, rebuild: build({ counts: { ...counts, hits: 0 } }) }, ["no-hits"]],
  ["hits of a disk cache alone", { ...good, rebuild: build({ counts: { ...counts, hits: 0, other: 3 } }) }, ["no-hits"]],
  ["a claim to execute remotely", { ...good, claimed: "executor-backed" }, ["executor-claimed"]],
];

test.for(refusals)("not proved: %s", ([, seen, rules]) => {
  const reasons = judgeBazel(seen);
  expect(reasons.map(({ rule }) => rule)).toEqual(rules);
  for (const { part, message, next } of reasons) {
    expect(part).toBe("bazel");
    expect(message).not.toBe("");
    expect(next).not.toBeNull();
  }
});

test("executor-backed is proved by a process that an executor ran, and by nothing less", () => {
  const ran = build({ options: options({ remote_executor: here.url }), counts: { ...counts, misses: 2, local: 1 } });
  expect(judgeBazel({ ...good, claimed: "executor-backed", rebuild: ran })).toEqual([]);
  expect(judgeBazel({ ...good, claimed: "executor-backed", rebuild: build({ counts: { ...counts, misses: 2, local: 2 } }) })).toHaveLength(
    1,
  );
});

test("where the cache could not be filled, a rebuild without hits says who has to fill it", () => {
  const [reason] = judgeBazel({ ...good, fill: undefined, later: [attached], rebuild: build({ counts: { ...counts, hits: 0 } }) });
  expect(reason?.next).toContain("let CI build these targets first");
});
