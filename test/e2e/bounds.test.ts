/**
 * Bounds: whatever stands in the place of a file that is read costs a message, not the machine; a tailnet of 100,000
 * peers costs no more than its useful part; and nothing is written outside our own directories.
 *
 * Shown elsewhere: a LocalAPI that answers without end or hangs (test/daemon/tailnet/client.test.ts), a cache that
 * does (test/daemon/probe/http.test.ts, grpc.test.ts), a request's body, connections and slow readers of the socket
 * (test/daemon/api/server.test.ts), a message of the bus (test/daemon/tailnet/client.test.ts).
 */
import { execFileSync } from "node:child_process";
import { once } from "node:events";
import { closeSync, ftruncateSync, mkdirSync, openSync, readFileSync, rmSync, symlinkSync } from "node:fs";
import { createServer } from "node:http";
import { dirname, join, resolve } from "node:path";
import { createInterface } from "node:readline";
import { execa } from "execa";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { parseConfig } from "../../contract/config.ts";
import { gloriousflywheel } from "../../contract/profile.ts";
import { noTrust } from "../../contract/trust.ts";
import { DaemonClient } from "../../daemon/api/client/connection.ts";
import { discover } from "../../daemon/discovery/discover.ts";
import { mostFound } from "../../daemon/discovery/finding.ts";
import type { PeerStatus, Services, Status } from "../../daemon/tailnet/localapi/index.ts";
import { parseTailnet } from "../../daemon/tailnet/tailnet.ts";
import { TailnetWatcher } from "../../daemon/tailnet/watch.ts";
import { type Home, makeHome, type Ran } from "../cli/flywheel.ts";
import { makeHome as makeDaemonHome } from "../daemon/home.ts";
import { startCache } from "../fixtures/caches/start.ts";
import { longestHang } from "../fixtures/guarded.ts";
import { standInTailnet, startLocalApi, tailnetState } from "../fixtures/localapi/state.ts";
import { programOnPath, required } from "../fixtures/peers.ts";

const sparse = "a sparse file of 1 TiB";

/** What may come to stand where a file is expected. */
const intruders: readonly (readonly [string, (path: string) => void])[] = [
  ["a FIFO that nobody writes to", (path) => execFileSync("mkfifo", [path])],
  ["a link to /dev/zero", (path) => symlinkSync("/dev/zero", path)],
  [
    sparse,
    (path) => {
      const opened = openSync(path, "w", 0o600);
      ftruncateSync(opened, 2 ** 40);
      closeSync(opened);
    },
  ],
  ["a directory", (path) => mkdirSync(path)],
];

let home: Home;
beforeEach(() => {
  home = makeHome();
  for (const directory of [home.config, home.state, home.runtime]) mkdirSync(directory, { mode: 0o700 });
  mkdirSync(join(home.dir, "work/.git"), { recursive: true });
});
afterEach(() => home.remove());

/** The guard's slow path, which starts no daemon where CI is set. */
const build = (): Promise<Ran> =>
  home.flywheel(["guard", "--tool", "bazel", "--", "build", "//x"], {
    cwd: join(home.dir, "work"),
    env: { CI: "1", GF_GUARD_SCOPE: "all", PWD: join(home.dir, "work") },
  });

/** Of these only the end is read, however long they are. */
const readAtTheEnd: readonly string[] = ["state/journal/spool.jsonl", "state/daemon.log"];

interface Reading {
  /** Below the home. */
  readonly file: string;
  readonly read: () => Promise<Ran>;
  /** What is said of it, and with which exit code. */
  readonly code: number;
  readonly says: RegExp;
}

const readings: readonly Reading[] = [
  { file: "config/config.toml", read: build, code: 0, says: /refused bazel build: .*config\.toml cannot be read/ },
  { file: "config/profiles/default.toml", read: build, code: 0, says: /refused bazel build: .*default\.toml cannot be read/ },
  {
    file: "config/trust.json",
    read: () => home.flywheel(["trust", "key", keyOf("a"), "--yes"]),
    code: 1,
    says: /trust\.json cannot be read/,
  },
  { file: "work/tinyland.repo.json", read: build, code: 0, says: /refused bazel build: .*tinyland\.repo\.json cannot be read/ },
  { file: "work/.env.flywheel.local", read: build, code: 0, says: /refused bazel build: .*\.env\.flywheel\.local: it (cannot be read|is)/ },
  {
    file: "work/.env.flywheel.local",
    read: () => home.flywheel(["trust", "file", join(home.dir, "work/.env.flywheel.local"), "--yes"]),
    code: 1,
    says: /\.env\.flywheel\.local cannot be read/,
  },
  { file: "run/attachment/default/bazel", read: () => home.flywheel(["status"]), code: 3, says: /unattached/ },
  { file: "state/journal/spool.jsonl", read: () => home.flywheel(["history"]), code: 1, says: /spool\.jsonl cannot be read/ },
  { file: "state/daemon.log", read: () => home.flywheel(["logs"]), code: 1, says: /daemon\.log is no file/ },
  {
    file: ".bashrc",
    read: () => home.flywheel(["shim", "install", "--shell", "bash", "--dry-run"]),
    code: 1,
    says: /\.bashrc cannot be read/,
  },
];

function keyOf(name: string): string {
  return `${name}:${"A".repeat(43)}=`;
}

describe.each(intruders)("%s", (what, put) => {
  test.each(readings)("as $file: a message, and no hang", async ({ file, read, code, says }) => {
    const path = join(home.dir, file);
    mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
    rmSync(path, { recursive: true, force: true });
    put(path);
    const started = performance.now();
    const ran = await read();
    expect(performance.now() - started, what).toBeLessThan(longestHang);
    if (what !== sparse || !readAtTheEnd.includes(file)) {
      expect(`${ran.stdout}${ran.stderr}`).toMatch(says);
      expect(ran.exitCode, ran.stderr).toBe(code);
    }
    expect(ran.stderr).not.toMatch(/^ {4}at /m);
  });
});

test.each(intruders)("%s as operator.json: the daemon runs, and says so", async (_, put) => {
  await using machine = makeDaemonHome();
  mkdirSync(machine.paths.state, { mode: 0o700 });
  put(join(machine.paths.state, "operator.json"));
  await machine.started();
  const { daemon } = await machine.client.status("default");
  expect(daemon?.faults.join()).toMatch(/operator\.json cannot be used: (?:it is|EISDIR)/);
});

describe("a tailnet of 100,000 peers with the tag, and as many Services", () => {
  /** Bytes of the Go types' JSON, as a hostile control server could have it sent. */
  function hostileTailnet(): { status: Status; services: Services } {
    const peers = Array.from({ length: 100_000 }, (_, index): [string, PeerStatus] => [
      `nodekey:${index.toString(16).padStart(64, "0")}`,
      {
        ID: `n${index}`,
        DNSName: `cache-${index}.${standInTailnet.suffix}.`,
        TailscaleIPs: [`100.${64 + (index >> 16)}.${(index >> 8) & 255}.${index & 255}`],
        Tags: ["tag:bazel-cache", "tag:nix-cache"],
        PrimaryRoutes: ["10.0.0.0/8"],
        Online: true,
      },
    ]);
    const services = Array.from({ length: 100_000 }, (_, index): [string, Services[string]] => [
      `svc:x${index}`,
      { Name: `svc:x${index}`, Addrs: ["100.100.0.1"], Ports: ["tcp:9092"] },
    ]);
    const tailnetStatus = { ...tailnetState().status, Peer: Object.fromEntries(peers) };
    // The real one is the last of them.
    const own: [string, Services[string]] = ["svc:bazel-cache", { Name: "svc:bazel-cache", Addrs: ["100.100.0.2"], Ports: ["tcp:9092"] }];
    return { status: tailnetStatus, services: Object.fromEntries([...services, own]) };
  }

  test("costs seconds and some hundred MiB, is asked about a bounded part, and says what was left out", async () => {
    const { status, services } = hostileTailnet();
    const text = JSON.stringify(status);
    const started = performance.now();
    const cpu = process.cpuUsage();
    const tailnet = parseTailnet(JSON.parse(text) as Status, services, { via: "/run/tailscaled.sock", systemSocket: true });
    let asked = 0;
    const config = parseConfig("", "config.toml");
    const profile = { ...gloriousflywheel, tailnet: { name: standInTailnet.name, magicDnsSuffix: undefined } };
    const whois = async (address: string) => {
      asked += 1;
      const node = tailnet.nodes.find((one) => address.startsWith(`${one.addresses[0]}:`));
      return node === undefined ? undefined : { nodeId: node.id, name: node.name };
    };
    const { candidates, rejections } = await discover({ profile, config, tailnet, trust: noTrust, operator: [], whois });
    const took = performance.now() - started;
    const { user, system } = process.cpuUsage(cpu);
    expect((user + system) / 1000, `${Math.round(took)} ms`).toBeLessThan(10_000);
    expect(process.memoryUsage.rss() / 1_048_576).toBeLessThan(1500);
    for (const kind of ["bazel", "nix"] as const) {
      const own = candidates.filter((one) => one.endpoint.kind === kind);
      expect(own.length).toBe(mostFound.candidates);
      expect(rejections.filter((one) => one.kind === kind).length).toBeLessThanOrEqual(mostFound.rejections);
      expect(rejections.filter((one) => one.kind === kind).map((one) => one.reason)).toContain(
        `${100_000 - mostFound.candidates} more nodes carry it and were left out: ${mostFound.candidates} are the most`,
      );
    }
    // Each of the bounded nodes on each of the profile's ports.
    expect(asked).toBeLessThanOrEqual(mostFound.candidates * 2 * 3);
    // The profile's own Service is found behind all the others.
    expect(candidates[0]?.source).toMatchObject({ name: "service", service: "svc:bazel-cache" });
  });

  test("over the socket, larger than any answer may be: said so, and not kept", async () => {
    const { status } = hostileTailnet();
    const local = await startLocalApi(home.dir, { ...tailnetState(), status: { ...status, Health: ["x".repeat(48 * 1_048_576)] } });
    const watcher = new TailnetWatcher({ socket: local.socket, onChange: () => undefined });
    try {
      expect(await watcher.refresh()).toMatchObject({
        state: "unreachable",
        code: "protocol",
        reason: expect.stringMatching(/longer than \d+ bytes/),
      });
      await local.set(tailnetState());
      expect(await watcher.refresh()).toMatchObject({ state: "known", nodes: [] });
    } finally {
      await watcher.close();
      await local.stop();
    }
  });

  test.each([
    ["a million brackets", "[".repeat(1_000_000)],
    ["a million nested peers", `{"Peer":${'{"a":'.repeat(1_000_000)}1${"}".repeat(1_000_000)}}`],
    [
      "one string of 32 MiB in every field",
      JSON.stringify({ BackendState: "x".repeat(2 ** 25), CurrentTailnet: { Name: "\u001b".repeat(2 ** 20) } }),
    ],
  ])("%s: a snapshot, in bounded time", async (_, body) => {
    const socket = join(home.dir, "hostile.sock");
    const server = createServer((_request, response) => response.end(body)).listen(socket);
    await once(server, "listening");
    const watcher = new TailnetWatcher({ socket, onChange: () => undefined });
    try {
      const started = performance.now();
      const tailnet = await watcher.refresh();
      expect(performance.now() - started).toBeLessThan(longestHang);
      expect(JSON.stringify(tailnet).length).toBeLessThan(10_000);
    } finally {
      await watcher.close();
      server.closeAllConnections();
      server.close();
    }
  });
});

describe("what the daemon and the commands write", () => {
  const strace = programOnPath("strace");
  /** System calls that make, change or remove a name, or open it: `-y` writes descriptors with their paths. */
  const calls = [
    ...["open", "openat", "openat2", "creat", "mkdir", "mkdirat", "mknod", "mknodat", "rename", "renameat", "renameat2", "link", "linkat"],
    ...[
      "symlink",
      "symlinkat",
      "unlink",
      "unlinkat",
      "rmdir",
      "truncate",
      "bind",
      "chmod",
      "fchmodat",
      "chown",
      "lchown",
      "fchownat",
      "utimensat",
    ],
  ];

  /** The absolute paths that a trace shows being written, made or removed, with the call. */
  function written(trace: string): { readonly path: string; readonly call: string }[] {
    return trace.split("\n").flatMap((line) => {
      const match = /^\d+ +([a-z0-9_]+)\((.*)\) += (-?\d+|\?)/.exec(line);
      if (match === null || (match[1]?.startsWith("open") === true && !/O_(?:WRONLY|RDWR|CREAT|TRUNC)/.test(line))) return [];
      // A socket's own end (AF_NETLINK) has no path.
      const paths = [...(match[2] ?? "").matchAll(/(?:(?:AT_FDCWD|\d+)<([^>]*)>, |sun_path=)?"((?:[^"\\]|\\.)*)"/g)];
      return paths.map(([, at = "/", path = ""]) => ({ path: resolve(at, path), call: line.slice(0, 200) }));
    });
  }

  test("lies in the runtime and state directories, or in the configuration where a command says so", { timeout: 90_000 }, async ({
    skip,
  }) => {
    const program = required(strace, skip);
    const cache = await startCache({ kind: "grpc" });
    const local = await startLocalApi(
      home.dir,
      tailnetState({ nodes: [{ name: "cache", addresses: ["127.0.0.1"], tags: ["tag:bazel-cache"] }] }),
    );
    home.write(
      "config/config.toml",
      `[tailnet]\nsocket = "${local.socket}"\n[local_proof]\nmode = "port-forward"\nallow_localhost = true\n`,
    );
    home.write(
      "config/profiles/default.toml",
      `[tailnet]\nname = "${standInTailnet.name}"\n[bazel]\ngrpc_ports = [${cache.port}]\nhttp_ports = []\n`,
    );
    home.write("work/.env.flywheel.local", "export BAZEL_REMOTE_CACHE=grpc://127.0.0.1:1\n");
    const { GF_TAILSCALED_SOCKET: _, ...env } = home.env;
    const root = join(import.meta.dirname, "../..");
    const traceOf = (name: string): string => join(home.dir, `trace.${name}`);
    /** Under strace, which ends with the last process that it follows. */
    const traced = (name: string, args: readonly string[], more: Readonly<Record<string, string>> = {}) =>
      execa(
        program,
        ["-f", "-qq", "-y", "-s", "4096", "-e", `trace=?${calls.join(",?")}`, "-o", traceOf(name), process.execPath, ...args],
        {
          cwd: join(home.dir, "work"),
          env: { ...env, ...more },
          extendEnv: false,
          stdin: "ignore",
          reject: false,
          timeout: 60_000,
        },
      );
    const cli = join(root, "cli/main.ts");
    const paths = { config: home.config, state: home.state, runtime: home.runtime };
    const daemon = traced("daemon", [join(root, "daemon/main.ts"), "run"]);
    try {
      const client = new DaemonClient(paths);
      await once(createInterface({ input: daemon.stdout as NodeJS.ReadableStream }), "line");
      for await (const status of client.watch("default", AbortSignal.timeout(20_000))) if (status.bazel.state === "attached") break;
      const guard = [cli, "guard", "--tool", "bazel", "--", "build", "//x"];
      const session: readonly (readonly [string, readonly string[], Readonly<Record<string, string>>])[] = [
        ["status", [cli, "status"], {}],
        ["verify", [cli, "up"], {}],
        ["env", [cli, "env"], {}],
        ["guard", guard, { GF_GUARD_SCOPE: "all", PWD: join(home.dir, "work") }],
        ["escape", guard, { GF_GUARD_SCOPE: "all", GF_GUARD_BYPASS: "to see what it writes" }],
        ["explain", [cli, "explain", "--", "bazel", "build", "//x"], { GF_GUARD_SCOPE: "all" }],
        ["trust", [cli, "trust", "file", "--yes"], {}],
        ["attach", [cli, "attach", cache.url], {}],
        ["detach", [cli, "detach"], {}],
        ["history", [cli, "history"], {}],
        ["logs", [cli, "logs"], {}],
      ];
      for (const [name, args, more] of session) await traced(name, args, more);
      await client.stop();
      await daemon;
      const seen = [...session.map(([name]) => name), "daemon"].flatMap((name) =>
        written(readFileSync(traceOf(name), "utf8")).map((each) => ({ name, ...each })),
      );
      const within = (path: string, directory: string): boolean => path === directory || path.startsWith(`${directory}/`);
      const strangers = seen.filter(
        ({ name, path }) =>
          !within(path, home.runtime) &&
          !within(path, home.state) &&
          path !== "/dev/null" &&
          !(name === "trust" && within(path, home.config)),
      );
      expect(strangers).toEqual([]);
      // The trace saw what is known to be written, or it proves nothing.
      for (const file of [
        "run/daemon.pid",
        "run/attachment/default/bazel",
        "state/operator.json",
        "state/journal/spool.jsonl",
        "config/trust.json",
      ]) {
        expect(
          seen.map(({ path }) => path),
          file,
        ).toContain(join(home.dir, file));
      }
    } finally {
      daemon.kill("SIGTERM");
      await daemon;
      await Promise.all([local.stop(), cache.dispose()]);
    }
  });
});
