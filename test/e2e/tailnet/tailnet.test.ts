/**
 * The companion on a real tailnet: headscale, and real Tailscale clients on machines of their own. What is
 * waited for is what the daemon pushes, what it publishes, or what a cache and a kernel counted; never time.
 * The tests share one bed and run in order; each has a home and a daemon of its own, and mends what it broke.
 */
import { afterAll, beforeAll, describe, expect, onTestFinished, type TestContext, test } from "vitest";
import type { StatusReport } from "../../../contract/api.ts";
import { npmBazel } from "../../fixtures/bazel/real.ts";
import { removeBazelRoot, runBazel } from "../../fixtures/bazel/run.ts";
import { makeWorkspace } from "../../fixtures/bazel/workspace.ts";
import { peersRequired, required } from "../../fixtures/peers.ts";
import { type Bed, cacheTag, makeBed } from "../../fixtures/tailnet/bed.ts";
import type { Companion } from "../../fixtures/tailnet/companion.ts";
import type { Link } from "../../fixtures/tailnet/network.ts";
import type { TailnetNode } from "../../fixtures/tailnet/node.ts";
import { tailnetPeers } from "../../fixtures/tailnet/peers.ts";

/** Loss on the links comes from it. */
const seed = 20_261_120;

let laidOut: Bed | undefined;
let missing = "the bed was not laid out";

beforeAll(async () => {
  const peers = await tailnetPeers();
  if (!peers.available) {
    if (peersRequired()) throw new Error(peers.reason);
    missing = peers.reason;
    return;
  }
  laidOut = await makeBed(peers.programs, seed);
  // Building the peers for the first time takes minutes.
}, 900_000);

afterAll(async () => {
  await laidOut?.dispose();
});

/** The test is skipped, with the reason, where there can be no bed. */
function bedOf({ skip }: TestContext): Bed {
  return laidOut ?? skip(missing);
}

/** A companion on `dev`, attached from nothing. */
async function attachedCompanion(bed: Bed): Promise<Companion> {
  const dev = bed.companion(bed.dev);
  onTestFinished(() => dev.down());
  const up = await dev.flywheel("up");
  expect(up.exitCode, up.stderr + up.stdout).toBe(0);
  return dev;
}

interface Cache {
  readonly node: TailnetNode;
  readonly link: Link;
}

/** The cache that `dev` is attached to, and the other one. */
async function caches(bed: Bed, dev: Companion): Promise<{ readonly at: Cache; readonly other: Cache }> {
  await dev.until("attached, and every candidate tried", ({ bazel, candidates }) => {
    return bazel.state === "attached" && candidates.every(({ health }) => health !== "unknown");
  });
  // As it is now: what was pushed may be a moment old.
  const { bazel } = JSON.parse((await dev.flywheel("status", "--json")).stdout) as StatusReport;
  const first = { node: bed.cache1, link: bed.links.cache1 };
  const second = { node: bed.cache2, link: bed.links.cache2 };
  return isOf(bazel.endpoint, await first.node.address()) ? { at: first, other: second } : { at: second, other: first };
}

/** Whether an endpoint is at that address, by whichever protocol. */
function isOf(endpoint: string | null | undefined, address: string): boolean {
  return endpoint?.includes(`//${address}:`) === true;
}

/** Attached to it later than a moment: told to watchers and published, both. */
async function attachedTo(dev: Companion, { node }: Cache, after: Date): Promise<StatusReport> {
  const address = await node.address();
  const status = await dev.until(`attached to ${node.name}`, ({ bazel }) => {
    return isOf(bazel.endpoint, address) && bazel.since !== null && new Date(bazel.since) > after;
  });
  await dev.published(`attached to ${node.name}`, (published) => isOf(published?.endpoint?.url, address));
  return status;
}

/** Attached, by a proof that was begun later. */
function provedAfter(dev: Companion, moment: Date): Promise<StatusReport> {
  return dev.until(`proved after ${moment.toISOString()}`, ({ bazel }) => {
    return bazel.state === "attached" && bazel.verifiedAt !== null && new Date(bazel.verifiedAt) > moment;
  });
}

describe("a real tailnet", { timeout: 180_000 }, () => {
  test("from nothing: one command finds the tagged caches, proves one and publishes it", async (context) => {
    const bed = bedOf(context);
    const started = new Date();
    const dev = await attachedCompanion(bed);
    const { at } = await caches(bed, dev);
    const status = await attachedTo(dev, at, started);
    expect(status).toMatchObject({
      mode: "shared-cache-backed",
      profileState: "shared-cache-backed",
      bazel: { source: "peer", node: `${at.node.name}.fleet.test`, health: "healthy" },
      tailnet: {
        ...{ name: bed.control.tailnetName, magicDnsSuffix: "fleet.test", trusted: true, backendState: "Running" },
        ...{ self: "dev.fleet.test", systemSocket: false },
      },
    });
    expect(new Set(status.candidates.map((candidate) => candidate.node))).toEqual(new Set(["cache1.fleet.test", "cache2.fleet.test"]));
  });

  test("a real Bazel builds through it: the second time everything comes from the cache", async (context) => {
    const bed = bedOf(context);
    bed.install("bazel", required(npmBazel(), context.skip));
    const dev = await attachedCompanion(bed);
    const root = dev.directory("bazel");
    onTestFinished(() => removeBazelRoot(root));
    const workspace = makeWorkspace(dev.directory("workspace"), { targets: 5, rc: "build --symlink_prefix=/\n" });
    const [file, ...prefix] = dev.command(["bazel"]);
    const build = (outputBase: string) =>
      runBazel({ bazel: file, prefix, workspace, outputUserRoot: root, outputBase, args: ["build", "//:all"], env: dev.env });
    const first = await build("first");
    expect(first, first.stderr).toMatchObject({ exitCode: 0, processes: { hits: 0, total: 5 } });
    const second = await build("second");
    expect(second, second.stderr).toMatchObject({ exitCode: 0, processes: { hits: 5, total: 5 } });
  });

  test("a cache's process dies while its node stays up: failed over to the other", async (context) => {
    const bed = bedOf(context);
    const dev = await attachedCompanion(bed);
    const { at, other } = await caches(bed, dev);
    onTestFinished(() => at.node.startCache());
    const broken = new Date();
    await at.node.killCache();
    await attachedTo(dev, other, broken);
  });

  test("both caches die: unattached at the rung connect, and attached again as soon as one is back", async (context) => {
    const bed = bedOf(context);
    const dev = await attachedCompanion(bed);
    const { at, other } = await caches(bed, dev);
    onTestFinished(() => at.node.startCache());
    await Promise.all([at.node.killCache(), other.node.killCache()]);
    const { bazel } = await dev.until("unattached", (status) => status.bazel.state === "unattached");
    expect(bazel).toMatchObject({ rung: "connect", endpoint: null });
    await dev.published("unattached", (published) => published?.state === "unattached");
    const mended = new Date();
    await other.node.startCache();
    await attachedTo(dev, other, mended);
  });

  test("a node goes offline: failed over to the other", async (context) => {
    const bed = bedOf(context);
    const dev = await attachedCompanion(bed);
    const { at, other } = await caches(bed, dev);
    onTestFinished(async () => void (await at.node.tailscale("up")));
    const broken = new Date();
    await at.node.tailscale("down");
    await attachedTo(dev, other, broken);
  });

  test.for([
    ["both ways", "both"],
    ["towards the cache only", "in"],
    ["from the cache only", "out"],
  ] as const)("the link is cut, %s: failed over to the other", async ([, way], context) => {
    const bed = bedOf(context);
    const dev = await attachedCompanion(bed);
    const { at, other } = await caches(bed, dev);
    onTestFinished(() => at.link.mend());
    const broken = new Date();
    await at.link.cut(way);
    await attachedTo(dev, other, broken);
  });

  test("links of 300 ms and 5 % loss: attached, and stays so without flapping", async (context) => {
    const bed = bedOf(context);
    const links = [bed.links.cache1, bed.links.cache2];
    onTestFinished(async () => {
      for (const link of links) await link.mend();
    });
    for (const link of links) await link.set("both", { delayMs: 150, loss: 0.05 });
    const dev = await attachedCompanion(bed);
    const hosts: string[] = [];
    const proofs = new Set<string>();
    await dev.until(
      "three renewals",
      ({ bazel }) => {
        const host = bazel.endpoint === null ? `none: ${bazel.reason}` : new URL(bazel.endpoint).hostname;
        if (hosts.at(-1) !== host) hosts.push(host);
        if (bazel.verifiedAt !== null) proofs.add(bazel.verifiedAt);
        return proofs.size > 3;
      },
      90_000,
    );
    expect(hosts, "where it was attached, in order").toHaveLength(1);
  });

  test("the control server is gone: the attachment goes on, fails over as ever, and new tags are heard when it is back", async (context) => {
    const bed = bedOf(context);
    const dev = await attachedCompanion(bed);
    const { at, other } = await caches(bed, dev);
    onTestFinished(() => at.node.startCache());
    await bed.control.kill();
    await provedAfter(dev, new Date());
    const broken = new Date();
    await at.node.killCache();
    await attachedTo(dev, other, broken);
    await bed.control.start();
    onTestFinished(() => bed.control.tag(at.node.name, [cacheTag]));
    await bed.control.tag(at.node.name, ["tag:router"]);
    const address = await at.node.address();
    await dev.until("told of the tag", ({ candidates }) => !candidates.some(({ endpoint }) => isOf(endpoint, address)), 90_000);
  });

  test("a tag is taken from the attached node: at once it is no candidate; given back, it is one again", async (context) => {
    const bed = bedOf(context);
    const dev = await attachedCompanion(bed);
    const { at, other } = await caches(bed, dev);
    onTestFinished(() => bed.control.tag(at.node.name, [cacheTag]));
    const taken = new Date();
    await bed.control.tag(at.node.name, ["tag:router"]);
    const address = await at.node.address();
    await dev.until("no candidate", ({ candidates }) => !candidates.some(({ endpoint }) => isOf(endpoint, address)));
    await attachedTo(dev, other, taken);
    await bed.control.tag(at.node.name, [cacheTag]);
    await dev.until("proved again", ({ candidates }) => candidates.some((one) => isOf(one.endpoint, address) && one.provedAt !== null));
  });

  test("tailscaled is killed and started: unattached meanwhile, attached again by itself", async (context) => {
    const bed = bedOf(context);
    const dev = await attachedCompanion(bed);
    await bed.dev.killTailscaled();
    await dev.until("unattached", ({ bazel }) => bazel.state === "unattached");
    await dev.published("nothing attached", (published) => published?.endpoint === undefined);
    await bed.dev.startTailscaled();
    await caches(bed, dev);
  });

  test("without a network device there is no route: unattached, and it says why", async (context) => {
    const bed = bedOf(context);
    const user = bed.companion(bed.devUser);
    onTestFinished(() => user.down());
    const up = await user.flywheel("up");
    expect(up.exitCode, up.stdout).toBe(3);
    const { bazel } = await user.until("settled", (status) => !status.bazel.unsettled);
    expect(bazel).toMatchObject({ state: "unattached", rung: "route", reason: expect.stringContaining("userspace networking") });
  });
});

describe("the node without the tag", { timeout: 60_000 }, () => {
  test("was never dialled, whatever happened above; with the tag it is, and without it again no more", async (context) => {
    const bed = bedOf(context);
    expect(await bed.stranger.dials()).toBe(0);
    expect(bed.connectionsToStranger()).toBe(0);
    const dev = await attachedCompanion(bed);
    const address = await bed.stranger.address();
    await bed.control.tag("stranger", [cacheTag]);
    await dev.until("proved", ({ candidates }) => candidates.some((one) => isOf(one.endpoint, address) && one.provedAt !== null));
    // Which shows that the two counters count.
    expect(await bed.stranger.dials()).toBeGreaterThan(0);
    expect(bed.connectionsToStranger()).toBeGreaterThan(0);
    await bed.control.tag("stranger", ["tag:router"]);
    await dev.until("no candidate", ({ candidates }) => !candidates.some((one) => isOf(one.endpoint, address)));
  });
});
