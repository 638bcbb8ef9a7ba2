import { spawn } from "node:child_process";
import { once } from "node:events";
import { connect, type Socket } from "node:net";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { afterEach, describe, expect, it } from "vitest";
import { Prober } from "../../../daemon/probe/prober.ts";
import { candidate, healthyGrpc, healthyHttp, listen, listenGrpc, listenHttp, type Peer, proofContext, script } from "./peers.ts";

const cleanup: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of cleanup.splice(0).reverse()) await close();
});

function prober(): Prober {
  const made = new Prober();
  cleanup.push(() => made.close());
  return made;
}

async function peer(starting: Promise<Peer>): Promise<Peer> {
  const started = await starting;
  cleanup.push(() => started.close());
  return started;
}

const protocols: readonly ["http" | "grpc", (port?: number) => Promise<Peer>, number][] = [
  ["http", (port = 0) => listenHttp(healthyHttp, { port }), 1],
  // One to tell what answers, one that stays.
  ["grpc", (port = 0) => listenGrpc(healthyGrpc, { port }), 2],
];

describe.each(protocols)("the warm connection of %s", (scheme, start, dialled) => {
  it("is used by the next probes", async () => {
    const cache = await peer(start());
    const probing = prober();
    for (let round = 0; round < 4; round += 1) {
      expect(await probing.probe(candidate(`${scheme}://127.0.0.1:${cache.port}`), proofContext)).toMatchObject({ ok: true });
      expect(cache.connections()).toBe(dialled);
    }
  });

  it("is closed by retain of others and by close", async () => {
    const cache = await peer(start());
    const probing = prober();
    const one = candidate(`${scheme}://127.0.0.1:${cache.port}`);
    for (const close of [() => probing.retain([], []), () => probing.close()]) {
      await probing.probe(one, proofContext);
      probing.retain([one.endpoint], []);
      const [kept] = cache.open().filter((socket) => !socket.destroyed && !socket.readableEnded);
      if (kept === undefined) throw new Error("no connection was kept");
      const closed = cache.open().map((socket) => once(socket, "close"));
      await close();
      await Promise.all(closed);
    }
  });

  it("is replaced when the server restarted meanwhile", async () => {
    const cache = await start();
    const probing = prober();
    const one = candidate(`${scheme}://127.0.0.1:${cache.port}`);
    expect(await probing.probe(one, proofContext)).toMatchObject({ ok: true });
    await cache.close();
    expect(await probing.probe(one, proofContext)).toMatchObject({ ok: false, rung: "connect" });
    const again = await peer(start(cache.port));
    expect(await probing.probe(one, proofContext)).toMatchObject({ ok: true });
    expect(again.connections()).toBe(dialled);
  });

  it("is replaced within one probe when it fell silent", async () => {
    const silent = new Set<Socket>();
    const cache = await peer(start());
    // What a sleep leaves behind: a proxy whose old connections lead nowhere.
    const proxy = await peer(
      listen((from) => {
        const to = connect(cache.port, "127.0.0.1").on("error", () => from.destroy());
        from.on("data", (data) => silent.has(from) || to.write(data));
        to.on("data", (data) => silent.has(from) || from.write(data));
        from.on("close", () => to.destroy());
      }),
    );
    const probing = prober();
    const one = candidate(`${scheme}://127.0.0.1:${proxy.port}`);
    const context = { ...proofContext, timeoutMs: 2000 };
    expect(await probing.probe(one, context)).toMatchObject({ ok: true });
    for (const socket of proxy.open()) silent.add(socket);
    expect(await probing.probe(one, context)).toMatchObject({ ok: true });
    expect(proxy.connections()).toBe(2 * dialled);
  });

  it("is not kept after a probe that was called off, which ends at once", async () => {
    const server = await peer(listen(() => {}));
    const calling = new AbortController();
    const connected = server.next();
    const probing = prober().probe(
      candidate(`${scheme}://127.0.0.1:${server.port}`),
      { ...proofContext, timeoutMs: 60_000 },
      calling.signal,
    );
    const socket = await connected;
    await once(socket, "data");
    const closed = once(socket, "close");
    calling.abort();
    expect(await probing).toMatchObject({ ok: false, rung: "handshake", reason: "the probe was called off" });
    socket.resume();
    await closed;
  });

  it("neither holds a process open nor goes through a proxy of the environment", async () => {
    const cache = await peer(start());
    const proxy = await peer(listenHttp(healthyHttp));
    const at = join(import.meta.dirname, "../../..");
    const { file, remove } = script(`
      const { Prober } = await import(${JSON.stringify(join(at, "daemon/probe/prober.ts"))});
      const { parseEndpoint } = await import(${JSON.stringify(join(at, "contract/endpoint.ts"))});
      const { endpoint } = parseEndpoint(${JSON.stringify(`${scheme}://127.0.0.1:${cache.port}`)}, "bazel");
      const source = { name: "operator", from: "config", localProof: true };
      const context = { timeoutMs: 10000, localProof: true, tailnet: undefined, nixKeys: [], instanceName: undefined };
      console.log((await new Prober().probe({ endpoint, source, aliases: [] }, context)).ok);
    `);
    cleanup.push(remove);
    const url = `http://127.0.0.1:${proxy.port}`;
    const env = {
      PATH: process.env["PATH"],
      http_proxy: url,
      HTTP_PROXY: url,
      https_proxy: url,
      all_proxy: url,
      ALL_PROXY: url,
      grpc_proxy: url,
      NODE_USE_ENV_PROXY: "1",
    };
    const child = spawn(process.execPath, [file], { env, stdio: ["ignore", "pipe", "inherit"] });
    cleanup.push(() => child.kill("SIGKILL"));
    const [output, [code]] = await Promise.all([text(child.stdout), once(child, "exit")]);
    expect([output, code]).toEqual(["true\n", 0]);
    expect(cache.connections()).toBe(dialled);
    expect(proxy.connections()).toBe(0);
  });
});
