/**
 * A private Nix cache, a real nix-daemon (root) and an unprivileged user: what the user logged in with reaches Nix as a
 * netrc that nobody else can read, and where it would not, nothing is attached.
 */
import { randomBytes } from "node:crypto";
import { chmodSync, chownSync, existsSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { type CredentialEntry, type CredentialIndex, noCredentials } from "../../contract/credential.ts";
import { makeNixCache, type NixCache } from "../daemon/nix/cache.ts";
import { type Companion, startCompanion } from "../daemon/nix/companion.ts";
import { cannotRun, client, makeNixMachine, type NixMachine, type Ran } from "../daemon/nix/machine.ts";

const token = `planted-${randomBytes(8).toString("hex")}`;
const asNixSays = `Basic ${Buffer.from(`:${token}`).toString("base64")}`;

let machine: NixMachine;
let cache: NixCache;
let companion: Companion;

describe.skipIf(cannotRun)("a private cache", { timeout: 60_000 }, () => {
  beforeEach(async () => {
    machine = await makeNixMachine();
    cache = await makeNixCache(machine.storeDir);
    companion = await startCompanion(machine, { cache: cache.url, key: cache.publicKey });
    cache.demand(asNixSays);
  });
  afterEach(async () => {
    await companion[Symbol.asyncDispose]();
    await cache[Symbol.asyncDispose]();
    await machine[Symbol.asyncDispose]();
  });

  const trusted = async (): Promise<void> => {
    machine.configure(["trusted-users = nobody"]);
    await machine.restart();
  };
  const listed = async (): Promise<void> => {
    machine.configure([`trusted-substituters = ${cache.url}`, `trusted-public-keys = ${cache.publicKey}`]);
    await machine.restart();
  };
  const build = (name: string, env: Readonly<Record<string, string>> = {}, ...more: readonly string[]): Promise<Ran> =>
    companion.shim("nix", ["build", "--no-link", "-f", cache.expression, name, ...more], env);
  const cameFromCache = async (name: string): Promise<boolean> =>
    (await machine.nix(["path-info", "--json", "-f", cache.expression, name])).stdout.includes('"main:');
  const state = (): string => join(machine.home, "state");

  /** As `flywheel login --store file` leaves it; `up` has the daemon read it. */
  function keep(secret: string, more: Partial<CredentialEntry> = {}): void {
    const entry: CredentialEntry = {
      ...{ profile: "default", kind: "nix", endpoint: cache.url, how: { scheme: "bearer", store: "file" } },
      ...{ generation: randomBytes(16).toString("hex"), at: new Date().toISOString(), expires: null, legacyHeader: false },
      ...more,
    };
    const index: CredentialIndex = { ...noCredentials, store: "file", entries: [entry] };
    mkdirSync(join(state(), "credentials"), { recursive: true, mode: 0o700 });
    writeFileSync(join(state(), "credentials.json"), JSON.stringify(index), { mode: 0o600 });
    writeFileSync(join(state(), "credentials", entry.generation), secret, { mode: 0o600 });
    for (const made of ["", "credentials", "credentials.json", `credentials/${entry.generation}`])
      chownSync(join(state(), made), client.uid, client.gid);
  }

  test("without a login is unattached, and says what to type; a wrong token is told from a missing one", async () => {
    await trusted();
    const without = await companion.up();
    expect(without.nix).toMatchObject({ state: "unattached", rung: "authority" });
    expect(without.nix.next).toContain(`flywheel login --kind nix ${cache.url}`);
    keep("another-token");
    const wrong = await companion.up();
    expect(wrong.nix).toMatchObject({ state: "unattached", rung: "authority", reason: expect.stringContaining("bearer token kept since") });
    expect(JSON.stringify(wrong)).not.toContain("another-token");
    await cache.stop();
    expect((await companion.up()).nix).toMatchObject({ state: "unattached", rung: "connect" });
  });

  test("a trusted user's login goes to Nix in a file that is theirs alone, and the cache substitutes", async () => {
    await trusted();
    keep(token);
    const up = await companion.up();
    expect(up.nix, JSON.stringify(up.nix)).toMatchObject({ state: "attached", credential: { scheme: "bearer" } });
    const run = await build("p0");
    expect(run.exitCode, run.stderr).toBe(0);
    expect(await cameFromCache("p0")).toBe(true);
    expect(run.stderr).not.toContain(token);
    const root = join(machine.home, "run/credentials");
    const [directory = ""] = readdirSync(root);
    const netrc = join(root, directory, "netrc");
    expect([root, join(root, directory), netrc].map((path) => statSync(path).mode & 0o777)).toEqual([0o700, 0o700, 0o600]);
    expect(statSync(netrc).uid).toBe(client.uid);
    expect(readFileSync(netrc, "utf8")).toBe(`machine 127.0.0.1\nlogin ""\npassword ${token}\n`);
  });

  test("explain names the file that a command would get, and makes none", async () => {
    await trusted();
    keep(token);
    await companion.up();
    const root = join(machine.home, "run/credentials");
    const explain = (...more: readonly string[]) =>
      companion.flywheel(["explain", ...more, "--", "nix", "build", ".#x"], { GF_GUARD_SCOPE: "all" });
    const told = await explain("--json");
    expect(told.exitCode, told.stdout).toBe(0);
    const { decision } = JSON.parse(told.stdout) as { decision: { cache: { netrc: string } } };
    const view = (await explain()).stdout;
    expect(view).toContain(`netrc      with what is kept for ${cache.url}: the daemon writes it`);
    expect(view).toMatch(/path +slow/);
    expect(existsSync(root)).toBe(false);
    expect((await build("p0")).exitCode).toBe(0);
    expect(readdirSync(root).map((directory) => join(root, directory, "netrc"))).toEqual([decision.cache.netrc]);
    // What the guard would fail over is told as well.
    chmodSync(root, 0o755);
    expect((await explain()).stdout).toMatch(/refused: .*the credential of \S+ cannot be used: .*is open to other users/);
  });

  test("what Nix's own netrc says besides stays known to it", async () => {
    await trusted();
    const own = join(machine.dir, "conf/netrc");
    writeFileSync(own, "machine other.example password theirs\n");
    chmodSync(own, 0o644);
    keep(token);
    await companion.up();
    const run = await build("p0");
    expect(run.exitCode, run.stderr).toBe(0);
    expect(await cameFromCache("p0")).toBe(true);
    const root = join(machine.home, "run/credentials");
    const texts = readdirSync(root).map((directory) => readFileSync(join(root, directory, "netrc"), "utf8"));
    expect(texts).toEqual([`machine 127.0.0.1\nlogin ""\npassword ${token}\n\nmachine other.example password theirs\n`]);
  });

  test("nor is what the command's own environment has Nix read lost, though the daemon has another", async () => {
    await trusted();
    const file = (name: string, text: string): string => {
      writeFileSync(join(machine.home, name), text);
      chownSync(join(machine.home, name), client.uid, client.gid);
      return join(machine.home, name);
    };
    const conf = file("mine.conf", "include token.conf\n");
    file("token.conf", `netrc-file = ${file("mine.netrc", "machine other.example password mine\n")}\n`);
    keep(token);
    await companion.up();
    const run = await build("p0", { NIX_USER_CONF_FILES: conf });
    expect(run.exitCode, run.stderr).toBe(0);
    expect(await cameFromCache("p0")).toBe(true);
    const root = join(machine.home, "run/credentials");
    const texts = readdirSync(root).map((directory) => readFileSync(join(root, directory, "netrc"), "utf8"));
    expect(texts).toEqual([`machine 127.0.0.1\nlogin ""\npassword ${token}\n\nmachine other.example password mine\n`]);
  });

  test("one that would leave an administrator's netrc out is not attached, but where the profile says that it has the credential", async () => {
    await trusted();
    const own = join(machine.dir, "conf/netrc");
    writeFileSync(own, `machine 127.0.0.1\npassword ${token}\n`, { mode: 0o600 });
    keep(token);
    expect((await companion.up()).nix).toMatchObject({
      ...{ state: "unattached", rung: "authority" },
      reason: expect.stringContaining(`${own}, which cannot be read here`),
    });
    companion.profile(`[nix]\npublic_key = "${cache.publicKey}"\nnetrc = "system"\n`);
    expect((await companion.up()).nix.state).toBe("attached");
    expect((await build("p0")).exitCode).toBe(0);
    expect(await cameFromCache("p0")).toBe(true);
  });

  test("a user whom Nix does not trust: not attached, since Nix would take no credential from them", async () => {
    await listed();
    keep(token);
    const { nix } = await companion.up();
    expect(nix).toMatchObject({ state: "unattached", rung: "authority", reason: expect.stringContaining("takes no credential of theirs") });
    expect(nix.next).toContain('netrc = "system"');
    expect((await build("p0")).exitCode).toBe(78);
  });

  test("a netrc of the user's own beside it is refused, and so is a login that expired", async () => {
    await trusted();
    keep(token);
    expect((await companion.up()).nix.state).toBe("attached");
    for (const run of [await build("p1", {}, "--netrc-file", "/dev/null"), await build("p1", { NIX_CONFIG: "netrc-file = /dev/null" })]) {
      expect(run.exitCode).toBe(78);
      expect(run.stderr).toContain("netrc-file leaves out the credential of the attached cache");
    }
    keep(token, { expires: new Date(Date.now() - 3_600_000).toISOString() });
    // The proof after those commands may still have been on its way with the old one: counted from when the new one is read.
    await companion.up();
    const said = cache.said().filter((each) => each !== "").length;
    const { nix } = await companion.up();
    expect(nix).toMatchObject({ state: "unattached", rung: "authority", reason: expect.stringContaining("expired") });
    expect(cache.said().filter((each) => each !== "")).toHaveLength(said);
  });

  test("a login that has expired, at a cache that answers anybody, is in nobody's way", async () => {
    await trusted();
    cache.demand(undefined);
    keep(token, { expires: new Date(Date.now() - 3_600_000).toISOString() });
    expect((await companion.up()).nix).toMatchObject({ state: "attached", credential: { needed: "no" } });
    const run = await build("p0");
    expect(run.exitCode, run.stderr).toBe(0);
    expect(await cameFromCache("p0")).toBe(true);
    expect(existsSync(join(machine.home, "run/credentials"))).toBe(false);
  });

  test("a cache that ATTIC_SERVER alone names gets the credential too, and where it cannot the command is refused, in CI as without", async () => {
    await trusted();
    keep(token);
    writeFileSync(join(machine.home, "config/config.toml"), '[local_proof]\nmode = "port-forward"\nallow_localhost = true\n');
    expect((await companion.up()).nix.state).toBe("unattached");
    const named = { ATTIC_SERVER: cache.url.replace(/\/main$/, ""), ATTIC_CACHE: "main" };
    const withKey = `substitute = true\nexperimental-features = nix-command\nextra-trusted-public-keys = ${cache.publicKey}`;
    for (const [name, more] of [
      ["p0", {}],
      ["p1", { CI: "true" }],
      ["p2", { NIX_CONFIG: withKey }],
    ] as const) {
      const run = await build(name, { ...named, ...more });
      expect(run.exitCode, run.stderr).toBe(0);
      expect(await cameFromCache(name), name).toBe(true);
    }
    // No daemon was ever started there, and in CI none is.
    const refused = await build("p3", { ...named, CI: "true", GF_RUNTIME_DIR: join(machine.home, "runner") });
    expect(refused.exitCode, refused.stderr).toBe(78);
    expect(refused.stderr).toContain(`the credential of ${cache.url} cannot be used: `);
    expect(refused.stderr).toContain("next: flywheel up");
    expect((await machine.nix(["path-info", "-f", cache.expression, "p3"])).exitCode).toBe(1);
  });
});
