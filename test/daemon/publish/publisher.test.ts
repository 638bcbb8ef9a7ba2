import { chmodSync, existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import type { Attached, Unattached } from "../../../contract/attachment.ts";
import { attachmentPath, type Paths } from "../../../contract/paths.ts";
import { leaseFault, parsePublished } from "../../../contract/published.ts";
import { readClock } from "../../../daemon/api/client/clock.ts";
import { readPublished } from "../../../daemon/api/client/published.ts";
import { Publisher, publishedOf } from "../../../daemon/publish/publisher.ts";
import { endpointOf } from "../../fixtures/endpoint.ts";

const now = readClock();
const attached = (host: string): Attached => ({
  state: "attached",
  kind: "bazel",
  candidate: {
    endpoint: endpointOf({ kind: "bazel", scheme: "grpc", host, port: 9092 }),
    source: { name: "operator", from: "config", localProof: true },
    aliases: [],
  },
  latencyMs: 3,
  health: "healthy",
  verified: now.seconds - 10,
  facts: {},
});
const unattached: Unattached = { state: "unattached", kind: "bazel", reason: "nothing\nlistens\u001b[2J", unsettled: false };
const context = { profile: "default", bazel: unattached, now, upload: true, slow: false };

let dir: string;
let paths: Paths;
let faults: (string | undefined)[];
let publisher: Publisher;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), "gf-publish-"));
  paths = { config: join(dir, "config"), state: join(dir, "state"), runtime: join(dir, "run") };
  mkdirSync(paths.runtime, { mode: 0o700 });
  faults = [];
  publisher = new Publisher(paths, (fault) => faults.push(fault));
});
afterEach(() => rmSync(dir, { recursive: true, force: true }));

const read = () => readPublished(paths, "default", "bazel", now);

test("the lease begins with the proof, not with the publication", () => {
  const bazel = attached("100.64.0.5");
  const published = publishedOf(bazel, { ...context, bazel });
  expect(published).toMatchObject({ verified: now.seconds - 10, validUntil: now.seconds + 35, state: "shared-cache-backed", upload: true });
  expect(leaseFault(published, { ...now, seconds: now.seconds + 36 })).toMatch(/ended 1 s ago/);
});

test("loopback is never more than a local proof, and the mode is always Bazel's", () => {
  const bazel = attached("127.0.0.1");
  expect(publishedOf(bazel, { ...context, bazel }).state).toBe("local-proof");
  const endpoint = endpointOf({ kind: "nix", scheme: "https", host: "nix.example", port: 443, path: "/main" });
  const nix: Attached = { ...attached("a"), kind: "nix", candidate: { ...attached("a").candidate, endpoint } };
  expect(publishedOf(nix, context)).toMatchObject({ kind: "nix", state: "shared-cache-backed", mode: "compatibility-local-only" });
});

test("what is published is read back; unattached never says upload, and its reason is printable", () => {
  publisher.publish(publishedOf(unattached, context));
  expect(read()).toMatchObject({ state: "live", published: { state: "unattached", upload: false, reason: "nothinglistens" } });
  const file = attachmentPath(paths, "default", "bazel");
  expect(statSync(file).mode & 0o777).toBe(0o600);
  expect(parsePublished(readFileSync(file, "utf8")).ok).toBe(true);
  const bazel = attached("100.64.0.5");
  publisher.publish(publishedOf(bazel, { ...context, bazel }));
  expect(read()).toMatchObject({ state: "live", published: { endpoint: { url: "grpc://100.64.0.5:9092" } } });
  expect(readdirSync(join(paths.runtime, "attachment/default"))).toEqual(["bazel"]);
  expect(faults).toEqual([undefined, undefined]);
});

test("where it cannot be written the old word is taken back, and it goes on once it can be again", () => {
  publisher.publish(publishedOf(unattached, context));
  const parent = join(paths.runtime, "attachment");
  rmSync(parent, { recursive: true });
  symlinkSync("/dev/null", parent);
  publisher.publish(publishedOf(unattached, context));
  expect(faults.at(-1)).toMatch(/^nothing is published: .*cannot be written/);
  expect(read().state).toBe("unbelievable");
  rmSync(parent);
  publisher.publish(publishedOf(unattached, context));
  expect(faults.at(-1)).toBeUndefined();
  expect(read().state).toBe("live");
});

test("a runtime directory that turned unsafe gets nothing more", () => {
  chmodSync(paths.runtime, 0o777);
  publisher.publish(publishedOf(unattached, context));
  expect(faults).toEqual([expect.stringContaining("open to other users")]);
  expect(existsSync(join(paths.runtime, "attachment"))).toBe(false);
});

test("withdrawing takes one word back, or all", () => {
  for (const profile of ["default", "other"]) publisher.publish({ ...publishedOf(unattached, context), profile });
  publisher.withdraw("default", "bazel");
  publisher.withdraw("default", "nix");
  expect(read()).toEqual({ state: "absent" });
  expect(readPublished(paths, "other", "bazel", now).state).toBe("live");
  publisher.withdrawAll();
  expect(readdirSync(paths.runtime)).toEqual([]);
});

test("the file's time, in whole seconds, changes with the attachment and not with the lease", () => {
  const file = attachmentPath(paths, "default", "bazel");
  const publish = (host: string | undefined, at = now): number => {
    const bazel = host === undefined ? unattached : attached(host);
    publisher.publish(publishedOf(bazel, { ...context, bazel, now: at }));
    return Math.floor(statSync(file).mtimeMs / 1000);
  };
  const first = publish(undefined);
  const second = publish("100.64.0.5");
  expect(second).toBeGreaterThan(first);
  expect(publish("100.64.0.5", { ...now, seconds: now.seconds + 15 })).toBe(second);
  const third = publish("100.64.0.6");
  expect(third).toBeGreaterThan(second);
  expect(publish(undefined)).toBeGreaterThan(third);
});
