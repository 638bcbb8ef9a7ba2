import { execFile } from "node:child_process";
import { EventEmitter, on, once } from "node:events";
import { chmodSync, chownSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer as createHttpServer, type ServerResponse } from "node:http";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { systemSocket } from "../../../daemon/tailnet/localapi/index.ts";
import { locateSocket } from "../../../daemon/tailnet/locate.ts";
import type { Tailnet } from "../../../daemon/tailnet/tailnet.ts";
import { TailnetWatcher, type TailnetWatcherOptions } from "../../../daemon/tailnet/watch.ts";
import { type LocalApi, startLocalApi, tailnetState } from "../../fixtures/localapi/state.ts";

let dir: string;
let standIn: LocalApi | undefined;
let watcher: TailnetWatcher | undefined;

beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), "gf-tw-"));
});

afterEach(async () => {
  await watcher?.close();
  await standIn?.stop();
  watcher = standIn = undefined;
  rmSync(dir, { recursive: true, force: true });
});

/** A started watcher, and its changes as a stream to await. */
function watch(options: Omit<TailnetWatcherOptions, "onChange">): { next: () => Promise<Tailnet>; count: () => number } {
  const emitter = new EventEmitter();
  const changes = on(emitter, "change");
  let count = 0;
  watcher = new TailnetWatcher({
    timeoutMs: 1000,
    ...options,
    onChange: (tailnet) => {
      count += 1;
      emitter.emit("change", tailnet);
    },
  });
  watcher.start();
  return { next: async () => (await changes.next()).value?.[0], count: () => count };
}

const names = (tailnet: Tailnet) => (tailnet.state === "known" ? tailnet.nodes.map((node) => node.name) : tailnet.code);

describe("the watcher", () => {
  it("follows the tailnet by its bus", async () => {
    standIn = await startLocalApi(dir, tailnetState());
    const { next } = watch({ socket: standIn.socket });
    expect(await next()).toMatchObject({
      state: "known",
      via: standIn.socket,
      systemSocket: false,
      backendState: "Running",
      tun: true,
      name: "stand-in.example",
      magicDnsSuffix: "tail0ffee.ts.net",
      self: { name: "laptop.tail0ffee.ts.net", addresses: ["127.0.0.1"] },
      nodes: [],
      services: [],
    });
    await standIn.set(tailnetState({ nodes: [{ name: "cache", addresses: ["127.0.0.2"] }], services: null }));
    const changed = await next();
    expect(names(changed)).toEqual(["cache.tail0ffee.ts.net"]);
    expect(changed).toMatchObject({ services: undefined });
    expect(watcher?.current).toBe(changed);
  });

  it("stays on a bus whose messages are larger than any answer may be", async () => {
    let { status } = tailnetState();
    let connections = 0;
    const { promise: opened, resolve: open } = Promise.withResolvers<ServerResponse>();
    const server = createHttpServer((request, response) => {
      if (request.url?.startsWith("/localapi/v0/status")) response.end(JSON.stringify(status));
      else if (request.url?.startsWith("/localapi/v0/watch-ipn-bus")) {
        connections += 1;
        response.flushHeaders();
        open(response);
      } else response.writeHead(404).end();
    });
    const socket = join(dir, "netmap.sock");
    server.listen(socket);
    await once(server, "listening");
    try {
      const { next } = watch({ socket });
      await next();
      const bus = await opened;
      ({ status } = tailnetState({ nodes: [{ name: "first", addresses: ["127.0.0.2"] }] }));
      // Older clients send the whole netmap: 10,000 peers of it.
      bus.write(`{"NetMap":"${"x".repeat(16 * 1024 * 1024)}"}\n`);
      expect(names(await next())).toEqual(["first.tail0ffee.ts.net"]);
      ({ status } = tailnetState({ nodes: [{ name: "second", addresses: ["127.0.0.2"] }] }));
      bus.write("{}\n");
      expect(names(await next())).toEqual(["second.tail0ffee.ts.net"]);
      expect(connections).toBe(1);
    } finally {
      server.close();
      server.closeAllConnections();
    }
  });

  it("reports differences only", async () => {
    const state = tailnetState({ health: ["all is well"] });
    standIn = await startLocalApi(dir, state);
    const { next, count } = watch({ socket: standIn.socket });
    await next();
    // RxBytes is no part of the snapshot: the bus rings, and nothing is told.
    const noise = { ...state, status: { ...state.status, RxBytes: 42 } };
    await standIn.set(noise);
    await watcher?.refresh();
    await watcher?.refresh();
    expect(count()).toBe(1);
    await standIn.set(tailnetState({ health: ["all is not well"] }));
    await watcher?.refresh();
    expect(count()).toBe(2);
  });

  it("a refresh never gives what was read before it was asked for", async () => {
    standIn = await startLocalApi(dir, tailnetState());
    watch({ socket: standIn.socket });
    const early = watcher?.refresh();
    await standIn.set(tailnetState({ nodes: [{ name: "late", addresses: ["127.0.0.3"] }] }));
    const [, late] = await Promise.all([early, watcher?.refresh()]);
    expect(late && names(late)).toEqual(["late.tail0ffee.ts.net"]);
  });

  it("sees the client die and come back", async () => {
    standIn = await startLocalApi(dir, tailnetState());
    const { next } = watch({ socket: standIn.socket });
    await next();
    await standIn.kill();
    expect(await next()).toMatchObject({ state: "unreachable", code: "absent", via: standIn.socket });
    standIn = await startLocalApi(dir, tailnetState({ name: "again" }));
    expect(await next()).toMatchObject({ state: "known", name: "again" });
  });

  it.each([
    ["403", "denied"],
    ["hang", "protocol"],
    ["garbage", "protocol"],
    ["endless", "protocol"],
  ] as const)("says why nothing is known: %s", async (fault, code) => {
    standIn = await startLocalApi(dir, tailnetState({ fault }));
    const { next } = watch({ socket: standIn.socket, timeoutMs: 300 });
    const tailnet = await next();
    expect(tailnet).toMatchObject({ state: "unreachable", code });
    expect(tailnet.state === "unreachable" && tailnet.reason).toMatch(/Tailscale/);
    await standIn.set(tailnetState());
    expect(await watcher?.refresh()).toMatchObject({ state: "known" });
  });

  it("whois and ping say undefined and why, and never throw", async () => {
    standIn = await startLocalApi(dir, tailnetState({ nodes: [{ name: "cache", addresses: ["127.0.0.2"], id: "nX" }] }));
    const { next } = watch({ socket: standIn.socket });
    await next();
    expect(await watcher?.whois("127.0.0.2:9092")).toEqual({ nodeId: "nX", name: "cache.tail0ffee.ts.net" });
    expect(await watcher?.whois("127.0.0.3:9092")).toBeUndefined();
    expect(await watcher?.whois("no address\n")).toBeUndefined();
    expect(await watcher?.ping("127.0.0.2")).toEqual({ ok: true, latencyMs: 4.2, path: "127.0.0.2:41641" });
    expect(await watcher?.ping("127.0.0.3")).toEqual({ ok: false, reason: "no matching peer" });
    await standIn.stop();
    expect(await watcher?.whois("127.0.0.2:9092")).toBeUndefined();
    expect(await watcher?.ping("127.0.0.2")).toMatchObject({ ok: false });
  });

  it("goes on when its listener throws, and is silent once closed", async () => {
    standIn = await startLocalApi(dir, tailnetState());
    const logged: string[] = [];
    let calls = 0;
    watcher = new TailnetWatcher({
      socket: standIn.socket,
      log: (_, message) => logged.push(message),
      onChange: () => {
        calls += 1;
        throw new Error("a listener's own trouble");
      },
    });
    expect(await watcher.refresh()).toMatchObject({ state: "known" });
    expect(logged.join()).toContain("a listener's own trouble");
    await watcher.close();
    await standIn.set(tailnetState({ name: "later" }));
    expect(await watcher.refresh()).toMatchObject({ name: "stand-in.example" });
    expect(calls).toBe(1);
  });

  it("lets its process end once closed", async () => {
    standIn = await startLocalApi(dir, tailnetState());
    const script = `
      import { TailnetWatcher } from ${JSON.stringify(new URL("../../../daemon/tailnet/watch.ts", import.meta.url).href)};
      const watcher = new TailnetWatcher({ socket: process.argv[1], onChange: (t) => { console.log(t.state); void watcher.close(); } });
      watcher.start();`;
    const { stdout } = await promisify(execFile)(process.execPath, ["--input-type=module", "-e", script, standIn.socket], {
      timeout: 20_000,
    });
    expect(stdout).toBe("known\n");
  });

  it("takes 10,000 peers", async () => {
    const nodes = Array.from({ length: 10_000 }, (_, i) => ({
      name: `node-${i}`,
      addresses: [`100.${64 + (i >> 16)}.${(i >> 8) & 255}.${i & 255}`],
      tags: ["tag:server"],
    }));
    standIn = await startLocalApi(dir, tailnetState({ nodes }));
    const { next } = watch({ socket: standIn.socket, timeoutMs: 10_000 });
    expect(names(await next())).toHaveLength(10_000);
    await standIn.set(tailnetState({ nodes: nodes.slice(1) }));
    expect(names(await next())).toHaveLength(9999);
  });
});

describe("the socket", () => {
  it("is the system's unless one is named", async () => {
    const path = systemSocket(process.platform);
    expect(await locateSocket(undefined)).toEqual({ state: "usable", path, system: true });
    expect(await locateSocket(path)).toMatchObject({ system: true });
    expect(await locateSocket(join(dir, "absent.sock"))).toMatchObject({ state: "usable", system: false });
    expect(await locateSocket("relative.sock")).toMatchObject({ state: "unsafe" });
  });

  it.skipIf(process.getuid?.() !== 0)("of another user is not believed, nor opened", async () => {
    const path = join(dir, "theirs.sock");
    let opened = 0;
    const server = createServer(() => {
      opened += 1;
    }).listen(path);
    await once(server, "listening");
    // As root, every socket would belong to root or to us: a third party owns this one.
    chownSync(path, 65534, 65534);
    const { next } = watch({ socket: path });
    const tailnet = await next();
    expect(tailnet).toMatchObject({ state: "unreachable", code: "unsafe-socket", via: path, systemSocket: false });
    expect(tailnet.state === "unreachable" && tailnet.reason).toContain("belongs to uid 65534");
    expect(await watcher?.whois("127.0.0.1:1")).toBeUndefined();
    expect(await watcher?.ping("127.0.0.1")).toMatchObject({ ok: false });
    expect(opened).toBe(0);
    server.close();
  });

  it.skipIf(process.getuid?.() !== 0)("of the user is believed, of a third is not, for an unprivileged user", async () => {
    const mine = join(dir, "mine.sock");
    const roots = join(dir, "roots.sock");
    const theirs = join(dir, "theirs.sock");
    for (const path of [mine, roots, theirs]) writeFileSync(path, "");
    chmodSync(dir, 0o755);
    chownSync(mine, 65534, 65534);
    chownSync(theirs, 65533, 65533);
    const script = `
      import { locateSocket } from ${JSON.stringify(new URL("../../../daemon/tailnet/locate.ts", import.meta.url).href)};
      process.setgroups([]); process.setgid(65534); process.setuid(65534);
      for (const path of process.argv.slice(1)) console.log((await locateSocket(path)).state);`;
    const { stdout } = await promisify(execFile)(process.execPath, ["--input-type=module", "-e", script, mine, roots, theirs]);
    expect(stdout).toBe("usable\nusable\nunsafe\n");
  });
});

describe("the command line, where no socket is", () => {
  const program = (body: string): string => {
    const path = join(dir, "tailscale");
    writeFileSync(path, `#!/bin/sh\n${body}\n`, { mode: 0o755 });
    return path;
  };

  it.skipIf(systemSocketExists())("gives the tailnet, and does not know of services", async () => {
    const state = tailnetState({ nodes: [{ name: "cache", addresses: ["127.0.0.2"], id: "nX" }] });
    writeFileSync(join(dir, "status.json"), JSON.stringify(state.status));
    writeFileSync(join(dir, "whois.json"), JSON.stringify(state.whois["127.0.0.2"]));
    const file = program(`case "$1 $2 $3" in
      "status --json ") exec cat ${dir}/status.json ;;
      "whois --json 127.0.0.2:9092") exec cat ${dir}/whois.json ;;
      *) echo "peer not found" >&2; exit 1 ;;
    esac`);
    const { next } = watch({ socket: undefined, commandFiles: [join(dir, "not-here"), file] });
    const tailnet = await next();
    expect(tailnet).toMatchObject({ state: "known", via: "tailscale status --json", systemSocket: true, services: undefined });
    expect(names(tailnet)).toEqual(["cache.tail0ffee.ts.net"]);
    expect(await watcher?.whois("127.0.0.2:9092")).toEqual({ nodeId: "nX", name: "cache.tail0ffee.ts.net" });
    expect(await watcher?.whois("127.0.0.9:9092")).toBeUndefined();
  });

  it.skipIf(systemSocketExists())("gives the socket's own reason where the command fails as well", async () => {
    const { next } = watch({ socket: undefined, commandFiles: [program("echo nonsense")] });
    expect(await next()).toMatchObject({
      state: "unreachable",
      code: "absent",
      systemSocket: true,
      next: "install and start Tailscale, then: tailscale up; or, without a tailnet: flywheel attach <endpoint>",
    });
  });

  it("never answers for a socket that the user named", async () => {
    const { next } = watch({ socket: join(dir, "absent.sock"), commandFiles: [program("touch ran; echo {}")] });
    expect(await next()).toMatchObject({
      state: "unreachable",
      code: "absent",
      systemSocket: false,
      next: expect.stringMatching(/unset GF_TAILSCALED_SOCKET.*; or, without a tailnet: flywheel attach <endpoint>$/),
    });
  });
});

function systemSocketExists(): boolean {
  return process.platform === "darwin" || process.getBuiltinModule("node:fs").existsSync(systemSocket(process.platform));
}
