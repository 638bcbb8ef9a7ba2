/** The bed takes itself down: in order when it is told to, and by the next one when it was killed. */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { readdirSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { execa } from "execa";
import { expect, type TestContext, test } from "vitest";
import { peersRequired } from "../../fixtures/peers.ts";
import { Network } from "../../fixtures/tailnet/network.ts";
import { tailnetPeers } from "../../fixtures/tailnet/peers.ts";

const up = join(import.meta.dirname, "../../fixtures/tailnet/up.ts");

/** `up.ts`, once it says that all is up. */
async function bedUp({ skip }: TestContext): Promise<ChildProcess> {
  const peers = await tailnetPeers();
  if (!peers.available) {
    if (peersRequired()) throw new Error(peers.reason);
    return skip(peers.reason);
  }
  const child = spawn(process.execPath, [up], { stdio: ["ignore", "pipe", "inherit"] });
  for await (const line of createInterface({ input: child.stdout })) if (line.startsWith("Ctrl-C")) return child;
  throw new Error("the bed did not come up");
}

/** Namespaces, and directories, that carry a process's pid. */
async function leftOf(
  pid: number | undefined,
): Promise<{ readonly namespaces: readonly string[]; readonly directories: readonly string[] }> {
  const own = (name: string): boolean => name.startsWith(`gft-${pid}-`);
  const { stdout } = await execa("ip", ["netns", "list"]);
  return { namespaces: stdout.split("\n").filter(own), directories: readdirSync(tmpdir()).filter(own) };
}

test("told to end, it leaves nothing behind", { timeout: 120_000 }, async (context) => {
  const child = await bedUp(context);
  expect((await leftOf(child.pid)).namespaces).not.toEqual([]);
  child.kill("SIGINT");
  expect(await once(child, "exit")).toEqual([0, null]);
  expect(await leftOf(child.pid)).toEqual({ namespaces: [], directories: [] });
});

test("killed, its programs die with it, and the next bed removes what is left", { timeout: 120_000 }, async (context) => {
  const child = await bedUp(context);
  child.kill("SIGKILL");
  await once(child, "exit");
  const { namespaces } = await leftOf(child.pid);
  expect(namespaces).not.toEqual([]);
  const next = await Network.make();
  expect(await leftOf(child.pid)).toEqual({ namespaces: [], directories: [] });
  await next.dispose();
});
