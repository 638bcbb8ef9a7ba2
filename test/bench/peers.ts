/**
 * What tailnets cost the daemon: memory and CPU of one with 10,000 peers over many changes, and of an idle one with
 * 200 peers (design.md, "Budgets"). A report, not a test: it prints whether each figure is within its budget.
 *
 *     node test/bench/peers.ts [--peers 10000] [--changes 1000] [--minutes 0]
 */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { cpSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { parseArgs } from "node:util";
import { makeHome, nodeFlags } from "../daemon/home.ts";
import { startCache } from "../fixtures/caches/start.ts";
import { type LocalApiState, startLocalApi, type TailnetInWords, tailnetState } from "../fixtures/localapi/state.ts";

const { values } = parseArgs({
  options: {
    peers: { type: "string", default: "10000" },
    changes: { type: "string", default: "1000" },
    minutes: { type: "string", default: "0" },
  },
});
const [peers, changes, minutes] = [Number(values.peers), Number(values.changes), Number(values.minutes)];

interface Usage {
  /** Of user and system: milliseconds. */
  readonly cpuMs: number;
  readonly mib: number;
}

/** utime and stime, the 14th and 15th field of proc_pid_stat(5), in ticks of 10 ms; the 2nd may hold spaces. */
function usageOf(pid: number): Usage {
  const fields = readFileSync(`/proc/${pid}/stat`, "utf8")
    .replace(/^.*\) /s, "")
    .split(" ");
  const kib = /^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1];
  return { cpuMs: 10 * (Number(fields[11]) + Number(fields[12])), mib: Number(kib) / 1024 };
}

function line(what: string, figure: string, budget: string, within: boolean): void {
  process.stdout.write(`${what.padEnd(62)} ${figure.padStart(12)}   budget ${budget.padEnd(18)} ${within ? "within" : "OVER"}\n`);
}

/** As long as a peer of a real client's answer, which tells far more of it than we read. */
function asLongAsReal(state: LocalApiState): LocalApiState {
  const now = "2026-11-20T22:13:05.123456789Z";
  const filler = {
    ...{ PublicKey: `nodekey:${"0".repeat(64)}`, OS: "linux", UserID: 1234567890123456, Addrs: null, CurAddr: "", Relay: "fra" },
    ...{ RxBytes: 0, TxBytes: 0, Created: now, LastWrite: now, LastSeen: now, LastHandshake: now, ExitNode: false, ExitNodeOption: false },
    ...{ Active: false, PeerAPIURL: ["http://100.64.0.1:12345"], TaildropTarget: 0, NoFileSharingReason: "", InNetworkMap: true },
    ...{ InMagicSock: true, InEngine: false, KeyExpiry: now, CapMap: { "https://tailscale.com/cap/is-admin": null, funnel: null } },
  };
  const longer = Object.entries(state.status.Peer ?? {}).map(([key, peer]) => [key, { ...filler, ...peer }]);
  return { ...state, status: { ...state.status, Peer: Object.fromEntries(longer) } };
}

function words(count: number, host: string): TailnetInWords {
  const others = Array.from({ length: count - 1 }, (_, index) => ({
    name: `peer-${index}`,
    addresses: [`100.${64 + (index >> 16)}.${(index >> 8) & 255}.${index & 255}`, `fd7a:115c:a1e0::${(index + 16).toString(16)}`],
    tags: ["tag:server"],
  }));
  return { nodes: [{ name: "cache", addresses: [host], tags: ["tag:bazel-cache"] }, ...others] };
}

/** A daemon of its own on a tailnet of so many peers, the cache on one of them. */
async function onTailnet(count: number, cacheIs: "up" | "down", work: (pid: number, tools: Tools) => Promise<void>): Promise<void> {
  await using home = makeHome();
  await using cache = await startCache({ kind: "grpc", host: "127.0.0.2" });
  let state = asLongAsReal(tailnetState(words(count, cache.host)));
  const localApi = await startLocalApi(home.dir, state);
  home.configure("profiles/default.toml", `[tailnet]\nname = "stand-in.example"\n[bazel]\ngrpc_ports = [${cache.port}]\nhttp_ports = []\n`);
  mkdirSync(home.paths.state, { recursive: true });
  // Growth is no garbage that waits for its collection: SIGUSR2, which is nobody else's, collects it. Idle, all counts.
  const collector = join(home.dir, "collect.mjs");
  writeFileSync(collector, 'process.on("SIGUSR2", () => { gc(); gc(); });\n');
  // As it is shipped, and a copy: a daemon ends when its package is built anew.
  const dist = join(home.dir, "dist");
  cpSync(join(import.meta.dirname, "../../dist"), dist, { recursive: true, verbatimSymlinks: true });
  const collecting = cacheIs === "down" ? ["--expose-gc", "--import", collector] : [];
  const entry = join(dist, "lib/flywheeld.js");
  const daemon = spawn(process.execPath, [...nodeFlags, ...collecting, entry, "run"], {
    env: { HOME: home.dir, GF_CONFIG_DIR: home.paths.config, GF_STATE_DIR: home.paths.state, GF_RUNTIME_DIR: home.paths.runtime },
    stdio: ["ignore", "pipe", "inherit"],
  });
  try {
    await once(daemon.stdout, "data");
    if (cacheIs === "down") await cache.kill();
    await home.until(({ bazel }) => (cacheIs === "up" ? bazel.state === "attached" : bazel.reason?.includes("nothing listens") === true));
    const pid = daemon.pid ?? 0;
    await work(pid, {
      change: async (turn) => {
        const entries = Object.entries(state.status.Peer ?? {});
        const [key = "", peer] = entries[1 + (turn % (entries.length - 1))] ?? [];
        const flipped = { ...peer, Online: peer?.Online !== true };
        state = { ...state, status: { ...state.status, Peer: { ...state.status.Peer, [key]: flipped } } };
        await localApi.set(state);
        // Rung at, the daemon waits 0.25 ms a peer between two reads; `up` of an unattached profile reads at once.
        await home.client.up("default");
      },
      settled: async () => {
        if (cacheIs === "down") daemon.kill("SIGUSR2");
        await pause(2_000);
        return usageOf(pid);
      },
      reads: () => localApi.requests().filter((request) => request.startsWith("GET /localapi/v0/status")).length,
    });
  } finally {
    await home.client.stop().catch(() => undefined);
    await localApi.stop();
  }
}

interface Tools {
  /** Flips one peer, and has the daemon take notice. */
  readonly change: (turn: number) => Promise<void>;
  /** After a pause, and where garbage does not count after its collection. */
  readonly settled: () => Promise<Usage>;
  /** How often the daemon read the tailnet. */
  readonly reads: () => number;
}

if (changes > 0) {
  await onTailnet(peers, "down", async (pid, { change, settled, reads }) => {
    const early = Math.min(100, Math.ceil(changes / 10));
    for (let turn = 0; turn < early; turn += 1) await change(turn);
    const before = { ...(await settled()), reads: reads() };
    for (let turn = early; turn < changes; turn += 1) await change(turn);
    const busy = { ...usageOf(pid), reads: reads() };
    const after = await settled();
    const perChange = (busy.cpuMs - before.cpuMs) / (busy.reads - before.reads);
    line(
      `${peers} peers: CPU for a change (${busy.reads - before.reads} reads)`,
      `${perChange.toFixed(0)} ms`,
      "<= 250 ms",
      perChange <= 250,
    );
    const growth = `${before.mib.toFixed(0)} to ${after.mib.toFixed(0)} MiB`;
    line(
      `${peers} peers: resident after ${early} and after ${changes} changes`,
      growth,
      "no growth over 5 %",
      after.mib <= before.mib * 1.05,
    );
  });
}

if (minutes > 0) {
  await onTailnet(200, "up", async (pid, { settled }) => {
    const before = await settled();
    await pause(minutes * 60_000);
    const after = usageOf(pid);
    const percent = (after.cpuMs - before.cpuMs) / (minutes * 600);
    line(`200 peers, idle for ${minutes} min: of a core`, `${percent.toFixed(3)} %`, "<= 0.2 %", percent <= 0.2);
    line(`200 peers, idle for ${minutes} min: resident`, `${after.mib.toFixed(1)} MiB`, "<= 100 MiB", after.mib <= 100);
  });
}
