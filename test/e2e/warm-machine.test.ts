/** What a laptop does to a daemon: it sleeps, and its network becomes another. On a machine of the test's own. */
import { mkdirSync, readFileSync } from "node:fs";
import { watch as watchDirectory } from "node:fs/promises";
import { join } from "node:path";
import { beforeEach, expect, onTestFinished, test } from "vitest";
import type { Clock } from "../../contract/published.ts";
import { readPublished } from "../../daemon/api/client/published.ts";
import { entry, type Home, makeHome, nodeFlags } from "../daemon/home.ts";
import { readEvents } from "../fixtures/caches/journal.ts";
import { type LocalApi, startLocalApi, tailnetState } from "../fixtures/localapi/state.ts";
import { required } from "../fixtures/peers.ts";
import { faketimeHere, type Machine, makeMachine, namespaces } from "./warm-machine.ts";

/** The daemon looks after its machine every 5 s, and a ladder has 2 s; a renewal would take 15: milliseconds. */
const soon = 9_000;
const port = 9092;
const cacheAddress = "100.64.0.5";

let home: Home;
let machine: Machine;
let localApi: LocalApi;

async function setUp(clock: "boot" | "wall"): Promise<void> {
  home = makeHome();
  machine = await makeMachine(home.dir, clock);
  // The cache's address is this machine's own: the kernel then sends from it, so it is the tailnet's word for this node too.
  machine.ip("addr", "add", `${cacheAddress}/32`, "dev", "lo");
  localApi = await startLocalApi(
    home.dir,
    tailnetState({
      self: { name: "laptop", addresses: [cacheAddress] },
      nodes: [{ name: "cache", addresses: [cacheAddress], tags: ["tag:bazel-cache"] }],
    }),
  );
  home.configure("profiles/default.toml", `[tailnet]\nname = "stand-in.example"\n[bazel]\ngrpc_ports = [${port}]\nhttp_ports = []\n`);
  onTestFinished(async () => {
    await home.client.stop().catch(() => undefined);
    await machine[Symbol.asyncDispose]();
    await localApi.stop();
    await home[Symbol.asyncDispose]();
  });
}

beforeEach(({ skip }) => void required(namespaces(), (reason) => skip(reason)));

async function startCache(): Promise<{ requests(): number; kill(): Promise<void> }> {
  const dir = join(home.dir, "cache");
  mkdirSync(dir, { recursive: true });
  const log = join(dir, "journal.jsonl");
  const script = join(import.meta.dirname, "../fixtures/caches/grpc-cache.ts");
  const args = ["--dir", dir, "--host", cacheAddress, "--port", String(port), "--log", log];
  const { child } = await machine.start([process.execPath, script, ...args]);
  return {
    requests: () => readEvents(log).filter((event) => event.event === "request").length,
    kill: async () => {
      const exited = new Promise((resolve) => child.once("exit", resolve));
      child.kill("SIGKILL");
      await exited;
    },
  };
}

async function startDaemon(): Promise<void> {
  const { config, state, runtime } = home.paths;
  const env = { HOME: home.dir, GF_CONFIG_DIR: config, GF_STATE_DIR: state, GF_RUNTIME_DIR: runtime };
  const { said } = await machine.start([process.execPath, ...nodeFlags, entry, "run"], env);
  expect(JSON.parse(said)).toMatchObject({ result: "started" });
}

/** Resolves once the daemon's log has the text so many times: pushed by the file system, never polled. */
async function logged(text: string, times = 1): Promise<void> {
  const holds = (): boolean => readFileSync(join(home.paths.state, "daemon.log"), "utf8").split(text).length > times;
  for await (const _ of watchDirectory(home.paths.state, { signal: AbortSignal.timeout(soon) })) if (holds()) return;
}

const believed = (clock: Omit<Clock, "seconds"> = bootClock) =>
  readPublished(home.paths, "default", "bazel", { ...clock, seconds: machine.now() });
const bootClock = { source: "boot", bootId: readFileSync("/proc/sys/kernel/random/boot_id", "latin1").trim() } as const;

test("status says connected after sleep: never; the cache is proved again at once, or found dead", { timeout: 60_000 }, async () => {
  await setUp("boot");
  const cache = await startCache();
  await startDaemon();
  await home.until((status) => status.bazel.state === "attached");
  expect(believed()).toMatchObject({ state: "live" });

  machine.sleep(3_600);
  expect(believed()).toMatchObject({ state: "stale" });
  const woken = await home.client.status("default");
  expect(woken.bazel).toMatchObject({ state: "unattached", unsettled: true, endpoint: null });
  expect(woken.bazel.reason).toMatch(/was proved (59|60) min ago, before this machine slept or hung: proving it again/);
  const again = await home.until((status) => status.bazel.state === "attached");
  expect(again.bazel.proofAgeS).toBeLessThan(5);
  expect(believed()).toMatchObject({ state: "live", published: { state: "shared-cache-backed" } });

  machine.sleep(3_600);
  await cache.kill();
  expect((await home.client.status("default")).bazel.state).toBe("unattached");
  expect((await home.until((status) => !status.bazel.unsettled)).bazel).toMatchObject({ state: "unattached", rung: "connect" });
});

test("after sleep it proves by itself, though nobody asks", { timeout: 60_000 }, async () => {
  await setUp("boot");
  const cache = await startCache();
  await startDaemon();
  await home.until((status) => status.bazel.state === "attached");
  const before = cache.requests();
  const woken = logged("the machine woke up: proving again");
  machine.sleep(20);
  await woken;
  await home.until((status) => status.bazel.state === "attached" && (status.bazel.proofAgeS ?? 99) < 5);
  expect(cache.requests()).toBeGreaterThan(before);
});

test("where the wall clock is all there is: set forward or back, nothing proved before is believed, and it is proved at once", {
  timeout: 60_000,
}, async ({ skip }) => {
  required(faketimeHere(), (reason) => skip(reason));
  await setUp("wall");
  await startCache();
  await startDaemon();
  const wall = { source: "wall", bootId: "none" } as const;
  await home.until((status) => status.bazel.state === "attached");
  expect(believed(wall)).toMatchObject({ state: "live", published: { clock: "wall" } });
  for (const jump of [3_600, -7_200]) {
    machine.sleep(jump);
    expect(believed(wall).state).not.toBe("live");
    const asked = await home.client.status("default");
    expect(asked.bazel).toMatchObject({ state: "unattached", unsettled: true });
    expect(asked.bazel.reason).toMatch(jump > 0 ? /was proved 60 min ago/ : /was proved by a clock that was set back since/);
    await home.until((status) => status.bazel.state === "attached");
    expect(believed(wall)).toMatchObject({ state: "live" });
  }
});

test("a change of the network proves at once: an address, and a default route alone", { timeout: 60_000 }, async () => {
  await setUp("boot");
  machine.ip("link", "add", "cable", "type", "veth", "peer", "name", "cable-end");
  machine.ip("link", "add", "radio", "type", "veth", "peer", "name", "radio-end");
  for (const [link, network] of [
    ["cable", 1],
    ["radio", 2],
  ] as const) {
    machine.ip("link", "set", `${link}-end`, "up");
    machine.ip("link", "set", link, "up");
    machine.ip("addr", "add", `10.9.${network}.2/24`, "dev", link);
  }
  machine.ip("route", "add", "default", "via", "10.9.1.1", "dev", "cable");
  await startCache();
  await startDaemon();
  await home.until((status) => status.bazel.state === "attached");

  const proved = async (times: number): Promise<void> => {
    const { verifiedAt } = (await home.client.status("default")).bazel;
    await logged("the network changed: proving again", times);
    await home.until(({ bazel }) => bazel.state === "attached" && (bazel.verifiedAt ?? "") > (verifiedAt ?? ""));
  };
  const byRoute = proved(1);
  machine.ip("route", "replace", "default", "via", "10.9.2.1", "dev", "radio");
  await byRoute;
  const byAddress = proved(2);
  machine.ip("addr", "add", "10.9.2.77/24", "dev", "radio");
  await byAddress;
});

test("the path to the attached cache's node is shown, as the last disco ping told it", async () => {
  await setUp("boot");
  await startCache();
  await startDaemon();
  const pinged = await home.until((status) => status.bazel.path !== null);
  expect(pinged.bazel.path).toEqual({ via: "direct", address: `${cacheAddress}:41641` });
  expect(localApi.requests()).toContain(`POST /localapi/v0/ping?ip=${cacheAddress}&type=disco`);
});
