/** What is asked of caches, and how often: counted at a real listener, and by the probes that are made. */
import { once } from "node:events";
import { type AddressInfo, createServer } from "node:net";
import { expect, onTestFinished, test } from "vitest";
import type { Candidate, ProbeResult } from "../../../contract/candidate.ts";
import { gloriousflywheel } from "../../../contract/profile.ts";
import { Keeper } from "../../../daemon/attachment/keeper.ts";
import { startCache } from "../../fixtures/caches/start.ts";
import { endpointOf } from "../../fixtures/endpoint.ts";
import { makeHome } from "../home.ts";

test("with Nix unattached, a Bazel candidate that is known to be dead is not dialled with every round", async () => {
  await using home = makeHome();
  const cache = await startCache({ kind: "grpc", host: "127.0.0.2" });
  let dialled = 0;
  const dead = createServer((socket) => {
    dialled += 1;
    socket.destroy();
  }).listen(0, "127.0.0.3");
  onTestFinished(async () => {
    dead.close();
    await cache.dispose();
  });
  await once(dead, "listening");
  const { port } = dead.address() as AddressInfo;
  home.configure(
    "config.toml",
    `[local_proof]\nmode = "port-forward"\nallow_localhost = true\n[endpoints]\nbazel = ["${cache.url}", "grpc://127.0.0.3:${port}"]\n[tailnet]\nsocket = "${home.dir}/none.sock"\n`,
  );
  await home.started();
  const settled = await home.until(
    ({ bazel, candidates }) => bazel.state === "attached" && candidates.every(({ health }) => health !== "unknown"),
  );
  expect(settled).toMatchObject({ bazel: { endpoint: cache.url }, nix: { state: "unattached" } });
  // The rounds that were asked for at the start may still go on.
  await home.client.verify("default");
  const before = dialled;
  expect(before).toBeGreaterThan(0);
  for (let round = 0; round < 4; round += 1) await home.client.verify("default");
  expect(dialled).toBe(before);
});

test("what a round finds anew is proved in it, and of an unattached kind everything; the others wait for the survey", async () => {
  const candidate = (kind: "bazel" | "nix", host: string): Candidate => ({
    endpoint: endpointOf({ kind, scheme: "http", host, port: 80 }),
    source: { name: "operator", from: "config", localProof: false },
    aliases: [],
  });
  const found = [candidate("bazel", "good"), candidate("bazel", "bad"), candidate("nix", "bad")];
  const probed: string[] = [];
  const keeper = new Keeper({
    profile: gloriousflywheel,
    discover: async () => ({ candidates: found, rejections: [], trusted: true }),
    probe: async (_, { endpoint }): Promise<ProbeResult> => {
      probed.push(`${endpoint.kind} ${endpoint.host}`);
      if (endpoint.host === "good") return { ok: true, latencyMs: 1, address: "192.0.2.1", facts: {} };
      return { ok: false, rung: "connect", reason: "refused" };
    },
    clock: () => ({ seconds: 100, bootId: "b", source: "boot" }),
    tailnetKnown: () => false,
    ping: () => undefined,
    onChange: () => undefined,
    onFault: (thrown) => expect.unreachable(String(thrown)),
  });
  onTestFinished(() => keeper.close());
  const roundOf = async (asked: () => Promise<void>): Promise<readonly string[]> => {
    probed.length = 0;
    await asked();
    return probed.toSorted();
  };
  const all = ["bazel bad", "bazel good", "nix bad"];
  expect(await roundOf(() => keeper.reconsider())).toEqual(all);
  expect(await roundOf(() => keeper.verify())).toEqual(["bazel good", "nix bad"]);
  found.push(candidate("bazel", "new"));
  expect(await roundOf(() => keeper.verify())).toEqual(["bazel good", "bazel new", "nix bad"]);
  expect(await roundOf(() => keeper.verify())).toEqual(["bazel good", "nix bad"]);
  expect(await roundOf(() => keeper.reconsider())).toEqual(["bazel bad", "bazel good", "bazel new", "nix bad"]);
});
