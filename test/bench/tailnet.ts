/**
 * How long it takes on a real tailnet: from `flywheel up` to an attachment, and from a cache's
 * death, or its link's, to a published failover. `node test/bench/tailnet.ts [rounds]`, as root; ten minutes for 20.
 */
import { setTimeout as pause } from "node:timers/promises";
import { lease } from "../../contract/published.ts";
import { type Bed, makeBed } from "../fixtures/tailnet/bed.ts";
import type { Companion } from "../fixtures/tailnet/companion.ts";
import { tailnetPeers } from "../fixtures/tailnet/peers.ts";
import { median } from "./measure.ts";

const rounds = Number(process.argv[2] ?? 20);
const peers = await tailnetPeers();
if (!peers.available || !Number.isInteger(rounds) || rounds < 1) {
  process.stderr.write(`${peers.available ? "usage: node test/bench/tailnet.ts [rounds]" : peers.reason}\n`);
  process.exit(1);
}

{
  await using bed = await makeBed(peers.programs);
  const dev = bed.companion(bed.dev);
  await dev.flywheel("up");

  const attach: number[] = [];
  const started: number[] = [];
  for (let round = 0; round < rounds; round += 1) {
    await dev.down();
    const from = performance.now();
    await dev.flywheel("up");
    attach.push(performance.now() - from);
    const { bazel, daemon } = await dev.until("attached", ({ bazel }) => bazel.state === "attached");
    started.push(Date.parse(bazel.since ?? "") - Date.parse(daemon?.startedAt ?? ""));
  }
  say("flywheel up, until it says attached", attach);
  say("  of that, daemon start to attached", started);

  say(
    "cache killed to published failover",
    await failovers(bed, dev, async (node) => {
      const at = performance.now();
      await node.killCache();
      return { at, mend: () => node.startCache() };
    }),
  );

  let round = 0;
  const cut = await failovers(bed, dev, async (node) => {
    // At every moment between two renewals alike: what a dead link costs depends on it most.
    await pause((round++ / rounds) * lease.renewEvery * 1000);
    const link = node === bed.cache1 ? bed.links.cache1 : bed.links.cache2;
    const at = performance.now();
    await link.cut("both");
    return { at, mend: () => link.mend() };
  });
  say("link cut to published failover", cut);
  await dev.down();
}

/** Says when it did its harm (performance.now()), and how to undo it. */
type Harm = (node: Bed["cache1"]) => Promise<{ readonly at: number; readonly mend: () => Promise<void> }>;

/** Each with a daemon of its own, so that no history of earlier rounds weighs. Milliseconds. */
async function failovers(bed: Bed, dev: Companion, harm: Harm): Promise<readonly number[]> {
  const taken: number[] = [];
  for (let round = 0; round < rounds; round += 1) {
    await dev.down();
    await dev.flywheel("up");
    const { bazel } = await dev.until("attached, with another to fail over to", ({ bazel, candidates }) => {
      const tried = candidates.every(({ health }) => health !== "unknown");
      return bazel.state === "attached" && tried && candidates.some(({ node, health }) => node !== bazel.node && health === "healthy");
    });
    const address = await bed.cache1.address();
    const node = bazel.endpoint?.includes(`//${address}:`) === true ? bed.cache1 : bed.cache2;
    const lost = await node.address();
    const { at, mend } = await harm(node);
    await dev.published("failed over", (published) => published?.endpoint !== undefined && published.endpoint.host !== lost, 60_000);
    taken.push(performance.now() - at);
    await mend();
    await bed.dev.tailscale("ping", "--c", "20", node.name);
  }
  return taken;
}

function say(what: string, values: readonly number[]): void {
  const seconds = (value: number): string => (value / 1000).toFixed(2).padStart(6);
  process.stdout.write(
    `${what.padEnd(40)} median ${seconds(median(values))} s, worst ${seconds(Math.max(...values))} s, of ${values.length}\n`,
  );
}
