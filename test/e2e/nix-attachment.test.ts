/**
 * A Nix cache is attached only where it would be used: an unprivileged user, a real nix-daemon, a real cache, and the
 * daemon that tells the truth about them. What it says is then tried on Nix.
 */
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import type { StatusReport } from "../../contract/api.ts";
import { makeNixCache, type NixCache } from "../daemon/nix/cache.ts";
import { type Companion, startCompanion } from "../daemon/nix/companion.ts";
import { cannotRun, makeNixMachine, type NixMachine } from "../daemon/nix/machine.ts";

let machine: NixMachine;
let cache: NixCache;
const closing: AsyncDisposable[] = [];

const settled = ({ nix }: StatusReport): boolean => !nix.unsettled;

describe.skipIf(cannotRun)("a Nix cache, for an unprivileged user", { timeout: 60_000 }, () => {
  beforeEach(async () => {
    machine = await makeNixMachine();
    closing.push(machine);
    cache = await makeNixCache(machine.storeDir);
    closing.push(cache);
  });
  afterEach(async () => {
    for (const each of closing.splice(0).reverse()) await each[Symbol.asyncDispose]();
  });

  async function companion(options: { readonly cache?: string; readonly key?: string | undefined } = {}): Promise<Companion> {
    const key = "key" in options ? options.key : cache.publicKey;
    const started = await startCompanion(machine, { cache: options.cache ?? cache.url, ...(key === undefined ? {} : { key }) });
    closing.push(started);
    return started;
  }

  /** An administrator follows the advice, as far as nix.conf goes. */
  async function follow(advice: string | undefined): Promise<void> {
    machine.configure([...(advice ?? "").split("\n")]);
    await machine.restart();
  }

  test("is unattached while Nix would ignore it, with what an administrator adds; that done, it is attached and used", async () => {
    const flywheel = await companion();
    const before = await flywheel.until("settled", settled);
    expect(before.nix).toMatchObject({
      state: "unattached",
      rung: "authority",
      trusted: false,
      endpoint: null,
      publicKey: cache.publicKey,
      reason: `nobody is no trusted user of the Nix daemon, which lists no ${cache.url}: it would ignore the cache`,
      advice: { nixConf: expect.stringContaining(`extra-trusted-substituters = ${cache.url}\n`) },
    });
    expect(flywheel.published()).toMatchObject({ ok: true, published: { state: "unattached", endpoint: undefined } });
    expect(flywheel.published()).not.toHaveProperty("published.nix");
    const text = (await flywheel.flywheel(["status"])).stdout;
    expect(text).toContain("  nix      unattached  authority: nobody is no trusted user of the Nix daemon");
    expect(text).toContain("next   an administrator adds trusted-substituters and trusted-public-keys: flywheel doctor");
    const { nixConf = "", nixos = "", nixDarwin = "" } = before.nix.advice ?? {};
    const doctor = (await flywheel.flywheel(["doctor"])).stdout;
    for (const line of [nixConf, nixos, nixDarwin].flatMap((part) => part.split("\n"))) expect(doctor).toContain(`    ${line}\n`);
    expect(doctor).not.toContain("trusted-users");
    expect((await flywheel.flywheel(["env"])).stdout).not.toContain("NIX_CONFIG");

    await follow(nixConf);
    const after = await flywheel.up();
    expect(after.nix).toMatchObject({ state: "attached", trusted: true, endpoint: cache.url, storeDir: machine.storeDir });
    expect(after.nix).not.toHaveProperty("advice");
    expect(flywheel.published()).toMatchObject({
      ok: true,
      published: {
        state: "local-proof",
        endpoint: { url: cache.url },
        nix: { publicKey: cache.publicKey, trustedUser: false },
        upload: false,
      },
    });
    // By effect, with no more than what was published for this user.
    const run = await machine.nix(["build", "--no-link", "-f", cache.expression, "p0", "--extra-substituters", cache.url]);
    expect(run).toMatchObject({ exitCode: 0 });
    expect(run.stderr).not.toContain("ignoring");
    expect(cache.requests().filter((request) => request.startsWith("GET /main/nar/"))).toHaveLength(1);
  });

  test("is attached where the administrator's list has a last slash", async () => {
    machine.configure([`trusted-substituters = ${cache.url}/`, `trusted-public-keys = ${cache.publicKey}`]);
    await machine.restart();
    const flywheel = await companion();
    expect((await flywheel.until("attached", ({ nix }) => nix.state === "attached")).nix.trusted).toBe(true);
  });

  test("says so where nix.conf was changed, and the daemon that runs has not read it", async () => {
    const flywheel = await companion();
    const before = await flywheel.until("settled", settled);
    machine.configure([...(before.nix.advice?.nixConf ?? "").split("\n")]);
    const { nix } = await flywheel.up();
    expect(nix).toMatchObject({
      state: "unattached",
      trusted: false,
      reason: expect.stringContaining("but the Nix daemon runs with an older one"),
    });
    expect(nix.next).toContain("systemctl restart nix-daemon");
    await machine.restart();
    expect((await flywheel.up()).nix.state).toBe("attached");
  });

  test("is unattached while the Nix daemon is dead, and again attached once it lives", async () => {
    machine.configure(["trusted-users = nobody"]);
    await machine.restart();
    const flywheel = await companion();
    await flywheel.until("attached", ({ nix }) => nix.state === "attached");
    expect(flywheel.published()).toMatchObject({ published: { nix: { trustedUser: true } } });
    await machine.stopDaemon();
    const { nix } = await flywheel.up();
    expect(nix).toMatchObject({
      state: "unattached",
      rung: "authority",
      reason: expect.stringMatching(/^no Nix daemon listens on \/.*daemon\.sock/),
    });
    await machine.restart();
    expect((await flywheel.up()).nix).toMatchObject({ state: "attached", trusted: true });
  });

  test("waits no longer for a Nix daemon that hangs than for a cache, and takes its late answer", async () => {
    machine.configure(["trusted-users = nobody"]);
    await machine.restart();
    machine.hold("held");
    const flywheel = await companion();
    const { nix } = await flywheel.until("settled", settled);
    expect(nix).toMatchObject({
      state: "unattached",
      rung: "authority",
      trusted: null,
      reason: expect.stringContaining("has not said yet"),
    });
    machine.hold("running");
    await flywheel.until("attached", (status) => status.nix.state === "attached");
  });

  test("is still told with its key while the daemon is gone and its lease runs", async () => {
    machine.configure(["trusted-users = nobody"]);
    await machine.restart();
    const flywheel = await companion();
    await flywheel.until("attached", ({ nix }) => nix.state === "attached");
    await flywheel.kill();
    const { nix, daemon } = JSON.parse((await flywheel.flywheel(["status", "--json"])).stdout) as StatusReport;
    expect(daemon).toBeNull();
    expect(nix).toMatchObject({ state: "attached", endpoint: cache.url, publicKey: cache.publicKey, trusted: true });
  });

  test("of another store fails at capabilities, and says both", async () => {
    const elsewhere = await makeNixMachine();
    closing.push(elsewhere);
    const other = await makeNixCache(elsewhere.storeDir);
    closing.push(other);
    const flywheel = await companion({ cache: other.url });
    const { nix } = await flywheel.until("settled", settled);
    expect(nix).toMatchObject({ state: "unattached", rung: "capabilities", trusted: null });
    expect(nix.reason).toContain(`serves the store ${elsewhere.storeDir}, not ${machine.storeDir}`);
  });

  test("with another key than the configured one fails at authority, whatever Nix would say", async () => {
    machine.configure(["trusted-users = *"]);
    await machine.restart();
    cache.serveKey(`main:${"B".repeat(43)}=`);
    const flywheel = await companion();
    const { nix } = await flywheel.until("settled", settled);
    expect(nix).toMatchObject({
      state: "unattached",
      rung: "authority",
      trusted: null,
      reason: expect.stringContaining("none of those configured"),
    });
  });

  test("without a configured key shows the served one; pinned, it attaches", async () => {
    machine.configure(["trusted-users = *"]);
    await machine.restart();
    cache.serveKey(cache.publicKey);
    const flywheel = await companion({ key: undefined });
    const { nix } = await flywheel.until("settled", settled);
    expect(nix).toMatchObject({ state: "unattached", rung: "authority", publicKey: null });
    expect(nix.next).toBe(`compare with its operator, then: flywheel trust key ${cache.publicKey}`);
    expect(await flywheel.flywheel(["trust", "key", cache.publicKey, "--yes"])).toMatchObject({ exitCode: 0 });
    const pinned = await flywheel.until("attached", (status) => status.nix.state === "attached");
    expect(pinned.nix).toMatchObject({ publicKey: cache.publicKey, trusted: true });
  });

  test("that dies is unattached with its rung, and nothing of it is published any more", async () => {
    machine.configure(["trusted-users = *"]);
    await machine.restart();
    const flywheel = await companion();
    await flywheel.until("attached", ({ nix }) => nix.state === "attached");
    await cache.stop();
    const { nix } = await flywheel.up();
    expect(nix).toMatchObject({ state: "unattached", rung: "connect" });
    expect(flywheel.published()).toMatchObject({ published: { state: "unattached", endpoint: undefined } });
    // Nix, not told of it, builds at once instead of trying for five seconds.
    const run = await machine.nix(["build", "--no-link", "-f", cache.expression, "p1"]);
    expect(run.stderr).toContain("building '");
    expect(run.stderr).not.toContain("unable to download");
  });

  test("that breaks off within an archive fails Nix's command; once the cache is gone and not named, Nix goes on", async () => {
    machine.configure(["trusted-users = *"]);
    await machine.restart();
    const flywheel = await companion();
    const { nix } = await flywheel.until("attached", (status) => status.nix.state === "attached");
    cache.cutArchives();
    const build = ["build", "--no-link", "-f", cache.expression, "p2"];
    const attached = [...build, "--extra-substituters", nix.endpoint ?? "", "--extra-trusted-public-keys", nix.publicKey ?? ""];
    const cut = await machine.nix([...attached, "--option", "download-attempts", "1"]);
    expect(cut.exitCode).toBe(1);
    expect(cut.stderr).toContain("some substitutes for the outputs of derivation");
    await cache.stop();
    expect((await flywheel.up()).nix.state).toBe("unattached");
    expect(await machine.nix(build)).toMatchObject({ exitCode: 0, stderr: expect.stringContaining("building '") });
  });

  test("never exports a server beside a token", async () => {
    machine.configure(["trusted-users = *"]);
    await machine.restart();
    const flywheel = await companion();
    await flywheel.until("attached", ({ nix }) => nix.state === "attached");
    expect((await flywheel.flywheel(["env"])).stdout).toContain("ATTIC_SERVER");
    const armed = (await flywheel.flywheel(["env"], { ATTIC_TOKEN: "secret" })).stdout;
    expect(armed).toContain("NIX_CONFIG");
    expect(armed).not.toMatch(/ATTIC_SERVER|secret/);
  });
});
