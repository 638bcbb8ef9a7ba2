/**
 * Credentials, proved by their effect: real Bazels behind the real shim and daemon, before caches that let nobody else in.
 * No Bazel of 6.3 or newer is here: what such a one would be given is told by an executable that says it is one.
 */
import {
  appendFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { createServer } from "node:http2";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { execa } from "execa";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { realBazels } from "../fixtures/bazel/real.ts";
import { type BazelRun, removeBazelRoot, runBazel } from "../fixtures/bazel/run.ts";
import { makeWorkspace, type Workspace } from "../fixtures/bazel/workspace.ts";
import { bazelRemote, startBazelRemote } from "../fixtures/bazel-remote/bazel-remote.ts";
import { startCache } from "../fixtures/caches/start.ts";
import { headerOf, type Login, logIn } from "../fixtures/credentials/login.ts";
import { bazel as guarded, statusWhen } from "../fixtures/guarded.ts";
import { nginx, startNginx } from "../fixtures/nginx/nginx.ts";
import { built, makeStage, type Stage } from "../fixtures/stage.ts";
import { script } from "../shim/house.ts";

const slowly = { timeout: 180_000 };
const targets = 3;
const nginxPeer = nginx();
const bazelRemotePeer = await bazelRemote();
const tailnet = { nodes: [{ name: "cache", addresses: ["127.0.0.1"], tags: ["tag:bazel-cache"] }] };
const basic = { user: "dev", secret: "planted-password-0123456789" };
const bearer = { secret: "planted.bearer-0123456789" };

const portOf = (url: string): number => Number(url.slice(url.lastIndexOf(":") + 1));

describe.for(realBazels())("Bazel $version", (bazel) => {
  const needs = bazel.available ? slowly : { skip: true };
  const real = bazel.available ? bazel.path : "/nonexistent";
  let root: string;
  let tools: string;
  let count = 0;

  beforeAll(() => {
    root = mkdtempSync(join(tmpdir(), "gf-cr-"));
    tools = join(root, "tools");
    mkdirSync(tools);
    symlinkSync(real, join(tools, "bazel"));
  });
  afterAll(() => removeBazelRoot(root));

  const workspace = (rc = ""): Workspace => {
    count += 1;
    return makeWorkspace(join(root, `workspace-${count}`), { targets, rc });
  };
  const through = (
    stage: Stage,
    where: Workspace,
    more: { readonly base?: string; readonly startup?: readonly string[]; readonly env?: object; readonly args?: readonly string[] } = {},
  ) => ({
    ...{ bazel: join(built.shim, "bazel"), workspace: where, outputUserRoot: root, env: { ...stage.env, ...more.env } },
    ...{ outputBase: more.base ?? "base", startup: more.startup ?? [], args: more.args ?? ["build", "//:all"] },
  });
  /** A stage that is attached to a cache by a login. */
  async function attached(url: string, login: Omit<Login, "endpoint">): Promise<Stage> {
    const port = [portOf(url)];
    const stage = await makeStage(
      [tools],
      url.startsWith("grpc") ? { grpcPorts: port, httpPorts: [], tailnet } : { grpcPorts: [], httpPorts: port, tailnet },
    );
    await stage.flywheel(["up"]);
    await logIn(stage, { ...login, endpoint: url });
    const up = await stage.flywheel(["up"]);
    expect(up.exitCode, up.stderr + up.stdout).toBe(0);
    return stage;
  }
  /** Fills the cache, and reads it into an output base from nothing. */
  async function fillAndHit(stage: Stage, where: Workspace): Promise<void> {
    const filled = await runBazel(through(stage, where, { base: "fill", env: { GF_BAZEL_REMOTE_UPLOAD: "true" } }));
    expect(filled.processes, filled.stderr).toEqual({ hits: 0, total: targets });
    count += 1;
    const hit = await runBazel(through(stage, where, { base: `hit-${count}` }));
    expect(hit.processes, hit.stderr).toEqual({ hits: targets, total: targets });
    for (const text of [filled.stderr, hit.stderr, hit.stdout]) expect(text).not.toMatch(/planted|UNAUTHENTICATED|401 Unauthorized/);
  }

  test(
    "hits a bazel-remote that asks for a password: by HTTP, and by gRPC from Bazel 4 on",
    bazelRemotePeer.available ? needs : { skip: true },
    async () => {
      if (!bazelRemotePeer.available) return;
      await using cache = await startBazelRemote(bazelRemotePeer.path, { users: { [basic.user]: basic.secret } });
      {
        await using stage = await attached(cache.httpUrl, { ...basic, legacyHeader: true });
        await fillAndHit(stage, workspace());
      }
      await using stage = await attached(cache.grpcUrl, { ...basic, legacyHeader: true });
      if (bazel.version !== "2.1.0") return await fillAndHit(stage, workspace());
      // It asks for the capabilities without any header: refused before it would fail, and print the header.
      const run = await runBazel(through(stage, workspace()));
      expect([run.exitCode, run.stdout]).toEqual([78, ""]);
      expect(run.stderr).toContain("asks a gRPC cache what it can do without any header");
      expect(run.stderr).not.toContain(headerOf(basic));
    },
  );

  test("hits an nginx that asks for a token", nginxPeer.available ? needs : { skip: true }, async () => {
    if (!nginxPeer.available) return;
    await using cache = await startNginx(nginxPeer.path, { authorization: headerOf(bearer) });
    await using stage = await attached(cache.url, { ...bearer, legacyHeader: true });
    await fillAndHit(stage, workspace());
    expect(cache.requests().some((line) => line.startsWith("PUT ") && line.endsWith(" 201"))).toBe(true);
  });

  describe("before a cache that asks for a token", () => {
    let cache: Awaited<ReturnType<typeof startCache>>;
    let stage: Stage;
    let where: Workspace;

    beforeAll(async () => {
      if (!bazel.available) return;
      cache = await startCache({ kind: "http", authorization: headerOf(bearer) });
      stage = await attached(cache.url, { ...bearer, legacyHeader: true });
      where = workspace("build --show_timestamps --color=no\n");
      writeFileSync(join(where.dir, "own.rc"), "build --subcommands --test_arg=own\n");
    });
    afterAll(async () => {
      await stage?.dispose();
      await cache?.dispose();
    });

    test("is refused with what to type where the login did not allow the header", needs, async () => {
      await logIn(stage, { ...bearer, endpoint: cache.url, legacyHeader: false });
      const run = await runBazel(through(stage, where));
      expect([run.exitCode, run.stdout]).toEqual([78, ""]);
      expect(run.stderr).toMatch(/^flywheel: refused bazel build: Bazel \S+ takes a credential only as a header/);
      expect(run.stderr).toContain(`flywheel login ${cache.url} --allow-legacy-header`);
      await logIn(stage, { ...bearer, endpoint: cache.url, legacyHeader: true });
    });

    test("is refused with what to type where it has expired", needs, async () => {
      await logIn(stage, { ...bearer, endpoint: cache.url, legacyHeader: true, expires: "2020-01-01T00:00:00Z" });
      const run = await runBazel(through(stage, where));
      expect([run.exitCode, run.stdout]).toEqual([78, ""]);
      expect(run.stderr).toContain(`flywheel login ${cache.url}`);
      await logIn(stage, { ...bearer, endpoint: cache.url, legacyHeader: true });
      await statusWhen(stage, "attached again", (status) => status.bazel.state === "attached");
    });

    test.for([
      [[], 0],
      [["--bazelrc=own.rc"], 1],
      [["--bazelrc", "own.rc"], 1],
      [["--bazelrc=/dev/null"], 0],
      [["--nohome_rc"], 0],
    ] as const)("the user's own rc files are read as ever, each once: %j", needs, async ([startup, read]) => {
      count += 1;
      const run = await runBazel(through(stage, where, { startup, base: `own-${count}` }));
      expect(run.exitCode, run.stderr).toBe(0);
      // The workspace's, and the one that the user names.
      expect(run.stderr).toMatch(/\(\d\d:\d\d:\d\d\) /);
      expect(run.stderr.match(/SUBCOMMAND: # \/\/:t0 /g)?.length ?? 0).toBe(read);
      const announced = await runBazel({
        ...through(stage, where, { startup, base: `own-${count}` }),
        args: ["build", "--announce_rc", "//:all"],
      });
      expect(announced.stderr.match(/--test_arg=own/g)?.length ?? 0, announced.stderr).toBe(read);
    });

    test("the server stays, with what it analysed", needs, async () => {
      const pid = async (): Promise<string> => (await runBazel(through(stage, where, { args: ["info", "server_pid"] }))).stdout.trim();
      const bare = await runBazel({ ...through(stage, where), bazel: real });
      expect(bare.exitCode, bare.stderr).toBe(0);
      const before = await pid();
      writeFileSync(join(where.dir, "plain.rc"), "build --subcommands\n");
      for (const startup of [[], [`--bazelrc=${join(where.dir, "plain.rc")}`], []]) {
        const run = await runBazel(through(stage, where, { startup }));
        expect(run.exitCode, run.stderr).toBe(0);
        expect(run.stderr).not.toMatch(/discarding analysis cache|Starting local Bazel server/);
        // What was built without is not built again.
        expect(run.processes ?? { total: 0 }, run.stderr).toMatchObject({ total: 0 });
      }
      expect(await pid()).toBe(before);
    });

    test("the secret is in no process's arguments or environment, and the rc is nobody else's to read", needs, async () => {
      count += 1;
      const [started, release] = [join(root, `started-${count}`), join(root, `release-${count}`)];
      await execa("mkfifo", [release]);
      const waiting = makeWorkspace(join(root, `workspace-${count}`), { targets: 1 });
      writeFileSync(
        join(waiting.dir, "BUILD.bazel"),
        `genrule(name = "t0", outs = ["t0.txt"], local = 1, cmd = "touch ${started}; read -r line <${release}; echo > $@")\n`,
      );
      const building = runBazel(through(stage, waiting, { args: ["build", "//:t0"] }));
      while (!existsSync(started)) await new Promise((resolve) => setTimeout(resolve, 50));
      const found = readdirSync("/proc").filter((pid) => {
        if (!/^\d+$/.test(pid) || pid === String(process.pid)) return false;
        return ["cmdline", "environ"].some((name) => {
          try {
            return readFileSync(`/proc/${pid}/${name}`, "latin1").includes(bearer.secret);
          } catch {
            return false;
          }
        });
      });
      writeFileSync(release, "\n");
      expect((await building).exitCode).toBe(0);
      expect(found).toEqual([]);
      const directory = join(stage.dir, "run/credentials");
      const names = readdirSync(directory);
      expect(names.length).toBeGreaterThan(0);
      for (const name of names) {
        const modes = [directory, join(directory, name), join(directory, name, "bazelrc")].map((path) => statSync(path).mode & 0o777);
        expect(modes).toEqual([0o700, 0o700, 0o600]);
      }
      // What imports it holds nothing secret.
      const importing = join(stage.dir, "run/bazelrc");
      if (existsSync(importing))
        for (const name of readdirSync(importing)) expect(readFileSync(join(importing, name), "utf8")).not.toContain(bearer.secret);
    });

    test("what is recorded of a build has no secret, nor has anything else that we wrote", needs, async () => {
      const recorded = await runBazel({ ...through(stage, where), bazel: built.flywheel, prefix: ["exec", "--record", "--", "bazel"] });
      expect(recorded.exitCode, recorded.stderr).toBe(0);
      const spool = join(stage.dir, "state/journal");
      expect(readdirSync(spool).length).toBeGreaterThan(0);
      const found = await execa("grep", ["-rlF", "-e", bearer.secret, "-e", headerOf(bearer), stage.dir], { reject: false });
      // The secret's own file, and the rc files that carry it.
      const allowed = /^(?:state\/credentials\/[0-9a-f]{32}|run\/credentials\/[^/]+\/bazelrc)$/;
      const files = found.stdout.split("\n").map((file) => file.slice(stage.dir.length + 1));
      expect(files.length).toBeGreaterThan(1);
      expect(files.filter((file) => !allowed.test(file))).toEqual([]);
      expect(recorded.stdout + recorded.stderr).not.toContain(bearer.secret);
    });

    test("a build event service that an rc file names is told nothing of it", needs, async () => {
      // Answers every call with an empty message, which is enough for Bazel to tell it all.
      const told: Buffer[] = [];
      const service = createServer().on("stream", (call) => {
        call.on("data", (data: Buffer) => told.push(data)).on("error", () => {});
        call.on("end", () => {
          call.on("wantTrailers", () => call.sendTrailers({ "grpc-status": "0" }));
          call.respond({ ":status": 200, "content-type": "application/grpc" }, { waitForTrailers: true });
          call.end(Buffer.alloc(5));
        });
      });
      await new Promise<void>((resolve) => service.listen(0, "127.0.0.1", resolve));
      try {
        const { port } = service.address() as AddressInfo;
        const rc = `build --bes_backend=grpc://127.0.0.1:${port} --bes_lifecycle_events=false --bes_timeout=5s\n`;
        const telling = workspace(rc);
        const run = await runBazel(through(stage, telling));
        expect(run.exitCode, run.stderr).toBe(0);
        expect(Buffer.concat(told).includes(bearer.secret)).toBe(false);
        // It would have been told: the service is one.
        await runBazel({ ...through(stage, telling), bazel: real });
        expect(Buffer.concat(told).length).toBeGreaterThan(0);
      } finally {
        service.close();
      }
    });

    test("explain shows it all but the secret", needs, async () => {
      const explained = await stage.flywheel(["explain", "--json", "--", "bazel", "build", "//:all"], { cwd: where.dir });
      expect(explained.stdout).toContain("--bazelrc=");
      expect(explained.stdout + explained.stderr).not.toMatch(/planted|Bearer/);
    });
  });

  test("a failover during a build sends neither cache the other's credential", needs, async () => {
    const [one, two] = [{ secret: "planted-one-0123456789" }, { secret: "planted-two-0123456789" }];
    await using first = await startCache({ kind: "http", authorization: headerOf(one) });
    await using second = await startCache({ kind: "http", authorization: headerOf(two) });
    await using stage = await makeStage([tools], { grpcPorts: [], httpPorts: [first.port, second.port], tailnet });
    await stage.flywheel(["up"]);
    await logIn(stage, { ...one, endpoint: first.url, legacyHeader: true });
    await logIn(stage, { ...two, endpoint: second.url, legacyHeader: true });
    const { bazel: at } = await statusWhen(stage, "attached", (status) => status.bazel.state === "attached");
    const [attachedTo, other] = at.endpoint === first.url ? [first, second] : [second, first];
    count += 1;
    const [started, release] = [join(root, `started-${count}`), join(root, `release-${count}`)];
    await execa("mkfifo", [release]);
    const where = workspace();
    writeFileSync(
      join(where.dir, "BUILD.bazel"),
      `genrule(name = "a", outs = ["a.txt"], local = 1, cmd = "touch ${started}; read -r line <${release}; echo ${where.seed} > $@")
genrule(name = "b", srcs = ["a.txt"], outs = ["b.txt"], cmd = "cat $< > $@")\n`,
    );
    const building: Promise<BazelRun> = runBazel(
      through(stage, where, { args: ["build", "//:b"], env: { GF_BAZEL_REMOTE_UPLOAD: "true" } }),
    );
    while (!existsSync(started)) await new Promise((resolve) => setTimeout(resolve, 50));
    await attachedTo.kill();
    await statusWhen(stage, `attached to ${other.url}`, (status) => status.bazel.endpoint === other.url, 30_000);
    writeFileSync(release, "\n");
    await building;
    const next = await runBazel(through(stage, workspace(), { env: { GF_BAZEL_REMOTE_UPLOAD: "true" } }));
    expect(next.processes, next.stderr).toEqual({ hits: 0, total: targets });
    for (const [cache, login] of [
      [first, one],
      [second, two],
    ] as const) {
      const sent = new Set(cache.requests().flatMap(({ authorization }) => authorization ?? []));
      expect([...sent]).toEqual([headerOf(login)]);
    }
    expect(other.requests().some(({ method }) => method === "PUT")).toBe(true);
  });
});

test("a Bazel that says it is 7.4.1 is given the helper, which answers it from the daemon", slowly, async () => {
  await using cache = await startCache({ kind: "http", authorization: headerOf(bearer) });
  const root = mkdtempSync(join(tmpdir(), "gf-cr-"));
  const tools = join(root, "tools");
  mkdirSync(tools);
  // Asks each helper that it is named, as Bazel does.
  script(
    join(tools, "bazel"),
    `if [ "$1" = --version ]; then echo "bazel 7.4.1"; exit; fi
for word in "$@"; do
  printf '%s\\n' "$word"
  case $word in --credential_helper=*) echo '{"uri":"${cache.url}/ac"}' | "\${word##*=}" get ;; esac
done`,
  );
  await using stage = await makeStage([tools], { grpcPorts: [], httpPorts: [cache.port], tailnet });
  await stage.flywheel(["up"]);
  await logIn(stage, { ...bearer, endpoint: cache.url, legacyHeader: false });
  await statusWhen(stage, "attached", (status) => status.bazel.state === "attached");
  const run = await guarded(stage, ["build", "//x"]);
  expect(run.exitCode, run.stderr).toBe(0);
  const lines = run.stdout.split("\n");
  expect(lines.slice(0, 3)).toEqual(["build", "//x", `--remote_cache=${cache.url}`]);
  expect(lines.find((line) => line.startsWith("--credential_helper="))).toBe(
    `--credential_helper=127.0.0.1=${join(import.meta.dirname, "../../dist/bin/flywheel-credential-helper")}`,
  );
  expect(JSON.parse(lines.find((line) => line.startsWith("{")) ?? "")).toEqual({ headers: { Authorization: [headerOf(bearer)] } });
  expect(run.stdout).not.toContain("--bazelrc");
});

test("a login that a cache does not ask for is in nobody's way", slowly, async () => {
  await using cache = await startCache({ kind: "http" });
  const tools = join(mkdtempSync(join(tmpdir(), "gf-cr-")), "tools");
  mkdirSync(tools);
  const says = (version: string) =>
    script(join(tools, "bazel"), `if [ "$1" = --version ]; then echo "bazel ${version}"; exit; fi\nprintf '%s\\n' "$@"`);
  says("5.0.0");
  await using stage = await makeStage([tools], { grpcPorts: [], httpPorts: [cache.port], tailnet });
  await stage.flywheel(["up"]);
  await logIn(stage, { ...bearer, endpoint: cache.url, legacyHeader: false });
  await statusWhen(stage, "known not to ask", (status) => status.bazel.credential?.needed === "no");
  const valid = await guarded(stage, ["build", "//x"]);
  expect(valid.exitCode).toBe(78);
  expect(valid.stderr).toContain(`  next: flywheel logout ${cache.url}   (the cache answers anybody)\n`);

  await logIn(stage, { ...bearer, endpoint: cache.url, legacyHeader: false, expires: "2020-01-01T00:00:00Z" });
  await stage.flywheel(["up"]);
  await statusWhen(stage, "proved without", (status) => status.bazel.credential?.needed === "no");
  const expired = await guarded(stage, ["build", "//x"]);
  expect(expired.exitCode, expired.stderr).toBe(0);
  expect(expired.stdout.split("\n").slice(0, 3)).toEqual(["build", "//x", `--remote_cache=${cache.url}`]);
  expect(expired.stdout).not.toMatch(/credential|bazelrc/);
});

test("a REAPI cell gets the token that the environment names, proved before; a wrong one is refused", slowly, async () => {
  await using cache = await startCache({ kind: "grpc", authorization: headerOf(bearer) });
  const root = mkdtempSync(join(tmpdir(), "gf-cr-"));
  const tools = join(root, "tools");
  mkdirSync(tools);
  script(join(tools, "bazel"), `if [ "$1" = --version ]; then echo "bazel 7.4.1"; exit; fi\nprintf '%s\\n' "$@"`);
  await using stage = await makeStage([tools], { grpcPorts: [], httpPorts: [], tailnet: { nodes: [] } });
  appendFileSync(join(stage.env["GF_CONFIG_DIR"] ?? "", "profiles/default.toml"), 'reapi_hosts = ["127.0.0.1"]\n');
  const token = join(root, "token");
  const env = { BAZEL_REMOTE_CACHE: cache.url, GF_REAPI_CREDENTIAL_HELPER_TOKEN_FILE: token };
  writeFileSync(token, bearer.secret, { mode: 0o600 });
  const right = await guarded(stage, ["build", "//x"], { env });
  expect(right.exitCode, right.stderr).toBe(0);
  expect(right.stdout.split("\n")).toContainEqual(expect.stringMatching(/^--credential_helper=127\.0\.0\.1=\//));
  writeFileSync(token, "another-token", { mode: 0o600 });
  const wrong = await guarded(stage, ["build", "//x"], { env });
  expect(wrong.exitCode).toBe(78);
  expect(wrong.stderr).toMatch(/fails at authority: .* refuses the bearer token given/);
  expect(wrong.stderr).toContain(`renew ${token}`);
  for (const text of [right.stdout, right.stderr, wrong.stderr]) expect(text).not.toMatch(/planted|another-token/);
});
