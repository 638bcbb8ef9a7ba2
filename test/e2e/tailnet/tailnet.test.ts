/**
 * The companion on a real tailnet: headscale, and real Tailscale clients on machines of their own. What is
 * waited for is what the daemon pushes, what it publishes, or what a cache and a kernel counted; never time.
 * The tests share one bed and run in order; each has a home and a daemon of its own, and mends what it broke.
 */
import { afterAll, beforeAll, describe, expect, onTestFinished, type TestContext, test } from "vitest";
import type { CandidateReport, StatusReport } from "../../../contract/api.ts";
import { LocalApiClient, notifyWatch, UnsupportedMethodError } from "../../../daemon/tailnet/localapi/index.ts";
import { npmBazel } from "../../fixtures/bazel/real.ts";
import { removeBazelRoot, runBazel } from "../../fixtures/bazel/run.ts";
import { makeWorkspace } from "../../fixtures/bazel/workspace.ts";
import { peersRequired, required } from "../../fixtures/peers.ts";
import { type Bed, cacheTag, clusterName, makeBed } from "../../fixtures/tailnet/bed.ts";
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

/** A companion, on `dev` unless another node is given, attached from nothing. */
async function attachedCompanion(bed: Bed, node = bed.dev): Promise<Companion> {
  const dev = bed.companion(node);
  onTestFinished(() => dev.down());
  await dev.flywheel("up");
  // What the test before mended may take a moment longer than `up` waits.
  await dev.until("attached", ({ bazel }) => bazel.state === "attached");
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
  // A move for latency's sake alone comes with the third proof of both: after these it is over.
  for (let proofs = 0; proofs < 4; proofs += 1) await dev.flywheel("up");
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

/** The first netmap that a node's bus carries from now on. */
function netmapsOn(node: TailnetNode): { readonly client: LocalApiClient; readonly first: Promise<unknown> } {
  const client = new LocalApiClient({ socketPath: node.socket });
  const listen = async (): Promise<unknown> => {
    for await (const { NetMap } of client.watchIpnBus(notifyWatch.initialState, AbortSignal.timeout(30_000))) if (NetMap) return NetMap;
    return undefined;
  };
  return { client, first: listen() };
}

function lastPart(address: string): number {
  return Number(address.split(".").at(-1));
}

describe("a real tailnet", { timeout: 180_000 }, () => {
  test("from nothing: one command finds the tagged caches, proves one and publishes it", async (context) => {
    const bed = bedOf(context);
    const started = new Date();
    const dev = bed.companion(bed.dev);
    onTestFinished(() => dev.down());
    const up = await dev.flywheel("up");
    expect(up.exitCode, up.stderr + up.stdout).toBe(0);
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

  test("a secret goes to a cache in plain text through the tailnet, and not while Tailscale is down", async (context) => {
    const bed = bedOf(context);
    const dev = await attachedCompanion(bed);
    const { at } = await caches(bed, dev);
    const url = `grpc://${await at.node.address()}:9092`;
    const login = () => dev.run(["sh", "-c", 'printf t0ken | exec "$@"', "sh", ...dev.flywheelCommand("login", url, "--store", "file")]);
    expect((await login()).stderr).toContain("is not proved: it answers anybody, without a credential too");
    await dev.until("attached with it", ({ bazel }) => bazel.state === "attached" && bazel.credential?.scheme === "bearer");
    onTestFinished(async () => void (await bed.dev.tailscale("up")));
    onTestFinished(async () => void (await dev.flywheel("logout", url)));
    await bed.dev.tailscale("down");
    const down = await login();
    expect(down.exitCode, down.stderr).toBe(0);
    expect(down.stderr).toContain("is not proved: route: no Tailscale client says that this machine is on a tailnet now");
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
    const { bazel } = await dev
      .until("unattached", (status) => status.bazel.state === "unattached" && !status.bazel.unsettled)
      // Whatever comes of it: the tests that follow need both.
      .catch(async (error: unknown) => {
        await other.node.startCache();
        throw error;
      });
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

  // Which packets are lost is chance: now and then it is three in a row.
  test("links of 300 ms and 5 % loss: attached, and stays so without flapping", { retry: 2 }, async (context) => {
    const bed = bedOf(context);
    const links = [bed.links.cache1, bed.links.cache2];
    onTestFinished(async () => {
      for (const link of links) await link.mend();
    });
    for (const link of links) await link.set("both", { delayMs: 150, loss: 0.05 });
    const dev = await attachedCompanion(bed);
    const hosts: (string | null)[] = [];
    const proofs = new Set<string>();
    await dev.until(
      "three renewals",
      ({ bazel }) => {
        const host = bazel.endpoint === null ? null : new URL(bazel.endpoint).hostname;
        if (hosts.at(-1) !== host) hosts.push(host);
        if (bazel.verifiedAt !== null) proofs.add(bazel.verifiedAt);
        return proofs.size > 3;
      },
      90_000,
    );
    // It may change its mind once, when it has measured the other, and never goes back.
    expect(hosts, "where it was attached, in order").not.toContain(null);
    expect(hosts.length).toBeLessThanOrEqual(2);
  });

  test("the control server is gone: the attachment goes on, fails over as ever, and new tags are heard when it is back", async (context) => {
    const bed = bedOf(context);
    const dev = await attachedCompanion(bed);
    onTestFinished(() => bed.control.start());
    await bed.control.kill();
    await provedAfter(dev, new Date());
    const { at, other } = await caches(bed, dev);
    onTestFinished(() => at.node.startCache());
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

  test("another tailnet with the same tag: not attached, its cache not dialled, until the user trusts it", async (context) => {
    const bed = bedOf(context);
    const other = await bed.otherTailnet();
    const dev = await attachedCompanion(bed);
    onTestFinished(async () => {
      await bed.dev.tailscale("logout");
      await bed.dev.join(bed.control, [], "--force-reauth");
    });
    await bed.dev.tailscale("logout");
    await dev.until("unattached", ({ bazel }) => bazel.state === "unattached");
    await bed.dev.join(other.control, [], "--force-reauth");
    const status = await dev.until("on the other tailnet", ({ bazel, tailnet }) => {
      return tailnet.name === other.control.tailnetName && tailnet.backendState === "Running" && !bazel.unsettled;
    });
    expect(status).toMatchObject({
      tailnet: { trusted: false, magicDnsSuffix: "other.test" },
      bazel: {
        state: "unattached",
        reason: expect.stringContaining("other.test"),
        next: "flywheel trust tailnet   (only if it is your organisation's)",
      },
      candidates: [],
    });
    await dev.published("nothing attached", (published) => published?.endpoint === undefined);
    expect(await other.cache.dials()).toBe(0);

    expect((await dev.flywheel("trust", "tailnet", "--yes")).exitCode).toBe(0);
    await dev.until("attached there", ({ bazel }) => bazel.node === "other-cache.other.test");
    expect(await other.cache.dials()).toBeGreaterThan(0);
  });

  test("a cache's node comes back with another address: attached there, and the old one is forgotten", async (context) => {
    const bed = bedOf(context);
    const dev = await attachedCompanion(bed);
    const { at, other } = await caches(bed, dev);
    onTestFinished(() => other.node.startCache());
    await other.node.killCache();
    const old = await at.node.address();
    const moved = new Date();
    // Two leave, and come back in an order in which neither gets its own address back, whatever headscale hands out next.
    const leaving = [
      { node: at.node, tags: [cacheTag], last: lastPart(old) },
      { node: bed.devUser, tags: [], last: lastPart(await bed.devUser.address()) },
    ];
    for (const { node } of leaving) await bed.control.remove(node.name);
    for (const { node, tags } of leaving.sort((a, b) => b.last - a.last)) await node.join(bed.control, tags, "--force-reauth");
    expect(await at.node.address()).not.toBe(old);
    const status = await attachedTo(dev, at, moved);
    expect(status.candidates.filter(({ endpoint }) => isOf(endpoint, old))).toEqual([]);
  });

  test("dev itself gets another address from its network: proved again from there", async (context) => {
    const bed = bedOf(context);
    const dev = await attachedCompanion(bed);
    await caches(bed, dev);
    onTestFinished(() => bed.dev.machine.readdress(bed.dev.machine.address));
    await bed.dev.machine.readdress("10.99.0.200");
    await provedAfter(dev, new Date());
  });

  test("a node that takes an attached cache's name gets nothing by it", async (context) => {
    const bed = bedOf(context);
    const dev = await attachedCompanion(bed);
    const { at } = await caches(bed, dev);
    const { name } = at.node;
    onTestFinished(async () => {
      await bed.control.rename(name, "stranger");
      await bed.control.rename("moved-away", name);
    });
    await bed.control.rename(name, "moved-away");
    await bed.control.rename("stranger", name);
    const address = await at.node.address();
    const status = await dev.until("told of the names", ({ candidates, rejections }) => {
      return (
        candidates.some(({ node }) => node === "moved-away.fleet.test") &&
        rejections.some(({ subject }) => subject === `${name}.fleet.test`)
      );
    });
    expect(status.bazel).toMatchObject({ state: "attached", node: "moved-away.fleet.test" });
    expect(isOf(status.bazel.endpoint, address)).toBe(true);
    expect(status.candidates.map(({ node }) => node)).not.toContain(`${name}.fleet.test`);
    // Nor does a URL by the old name count as the attached endpoint any more.
    await dev.published("no alias by the old name", (published) => {
      return published?.endpoint !== undefined && !published.aliases.some(({ host }) => host === name || host === `${name}.fleet.test`);
    });
  });

  // Begun anew without UDP, the client at times answers no disco ping for longer than anybody waits, while packets pass:
  // seen with 1.101. What we show is what it answers; so it is begun anew again.
  test("the path to the cache is shown: direct, and through the relay where UDP is blocked", { retry: 2 }, async (context) => {
    const bed = bedOf(context);
    const dev = await attachedCompanion(bed);
    await dev.until("direct", ({ bazel }) => bazel.path?.via === "direct", 60_000);
    onTestFinished(() => bed.dev.machine.nft("delete table inet blocked"));
    // STUN stays, as it often does: the client must find out by itself that nothing else passes.
    await bed.dev.machine.nft(`table inet blocked {
      chain leaving { type filter hook output priority 0; oifname "eth0" udp dport != 3478 drop; }
      chain arriving { type filter hook input priority 0; iifname "eth0" udp sport != 3478 drop; }
    }`);
    // Begun anew, it has no direct path that it still trusts: how long it would is its own affair.
    await bed.dev.killTailscaled();
    await bed.dev.startTailscaled();
    const relayed = await dev.until("relayed", ({ bazel }) => bazel.path?.via === "derp", 90_000);
    expect(relayed.bazel).toMatchObject({ state: "attached", path: { via: "derp", region: "relay" } });
    await provedAfter(dev, new Date());
  });

  test("a cache behind a subnet router, by its cluster name: only by a tagged router whose routes this machine accepts", async (context) => {
    const bed = bedOf(context);
    const dev = bed.companion(bed.dev, {
      profile: `grpc_ports = [1]\nhttp_ports = []\n\n[cluster]\nenabled = true\nbazel = ["grpc://${clusterName}:9092"]\n`,
    });
    onTestFinished(async () => {
      await dev.down();
      await bed.dev.tailscale("set", "--accept-routes=false");
      await bed.control.tag("router", ["tag:router"]);
    });
    await bed.control.approve("router", bed.innerSubnet);
    expect((await dev.flywheel("up")).exitCode).toBe(3);
    const untagged = await dev.until("settled", ({ bazel }) => !bazel.unsettled);
    expect(untagged.rejections).toContainEqual(
      expect.objectContaining({ source: "cluster", reason: `no node with ${cacheTag} routes to a subnet` }),
    );

    await bed.control.tag("router", [cacheTag]);
    const ofCluster = ({ source, rung }: CandidateReport): boolean => source === "cluster" && rung !== null;
    const tagged = await dev.until("a candidate", ({ candidates }) => candidates.some(ofCluster));
    expect(tagged.candidates.find(ofCluster)).toMatchObject({ rung: "route" });

    await bed.dev.tailscale("set", "--accept-routes");
    const { bazel } = await dev.until("attached", ({ bazel }) => bazel.state === "attached", 60_000);
    expect(bazel).toMatchObject({ source: "cluster", endpoint: `grpc://${bed.inner.address}:9092` });
    expect(bazel.aliases).toContain(`grpc://${clusterName}:9092`);
  });

  test("a Tailscale client whose bus carries the netmap, and that knows no Services: attached, and told of tags all the same", async (context) => {
    const bed = bedOf(context);
    const dev = await attachedCompanion(bed, bed.devOlder);
    const { at, other } = await caches(bed, dev);
    onTestFinished(() => bed.control.tag(at.node.name, [cacheTag]));
    const address = await at.node.address();
    const isCandidate = ({ candidates }: StatusReport): boolean => candidates.some(({ endpoint }) => isOf(endpoint, address));
    const taken = new Date();
    const bus = netmapsOn(bed.devOlder);
    // Sooner than the slow poll, twice in a row: it was the bus that told.
    await bed.control.tag(at.node.name, ["tag:router"]);
    await dev.until("no candidate", (status) => !isCandidate(status), 10_000);
    await attachedTo(dev, other, taken);
    await bed.control.tag(at.node.name, [cacheTag]);
    await dev.until("a candidate again", isCandidate, 10_000);
    expect(await bus.first).toBeTypeOf("object");
    await expect(bus.client.services()).rejects.toThrow(UnsupportedMethodError);
    await bus.client.close();
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
