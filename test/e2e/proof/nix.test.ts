/** The Nix half on a real Nix: a path of a signed cache, fetched as anybody could; and everything that only looks like it. */
import { mkdirSync, readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { execa } from "execa";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { ProofRecord } from "../../../contract/proof/record.ts";
import { makeNixCache } from "../../daemon/nix/cache.ts";
import { startCompanion } from "../../daemon/nix/companion.ts";
import { cannotRun, makeNixMachine as makeSharedMachine } from "../../daemon/nix/machine.ts";
import { nginx } from "../../fixtures/nginx/nginx.ts";
import { type NixCache, startNixCache } from "../../fixtures/nix/cache.ts";
import { makeNixMachine, type NixMachine } from "../../fixtures/nix/machine.ts";
import { peersRequired, programOnPath } from "../../fixtures/peers.ts";
import { makeStage, type Stage } from "../../fixtures/stage.ts";
import { expectSchema } from "./schema.ts";

const [nix, nginxPeer] = [programOnPath("nix"), nginx()];
const missing = [nix, nginxPeer].flatMap((peer) => (peer.available ? [] : [peer.reason]));
if (missing.length > 0 && peersRequired()) throw new Error(missing.join("; "));
const nginxPath = nginxPeer.available ? nginxPeer.path : "";

const rulesOf = ({ reasons }: ProofRecord): readonly string[] => reasons.map(({ rule }) => rule);

async function standUp(machine: NixMachine, cache: NixCache): Promise<Stage> {
  const stage = await makeStage([], { grpcPorts: [], httpPorts: [], tailnet: { nodes: [] } });
  const config = stage.env["GF_CONFIG_DIR"] ?? "";
  writeFileSync(join(config, "config.toml"), `[local_proof]\nmode = "port-forward"\nallow_localhost = true\nnix = ["${cache.url}"]\n`);
  writeFileSync(join(config, "profiles/default.toml"), `[nix]\ncache = "main"\npublic_key = "${cache.publicKey}"\n`);
  await stage.flywheel(["up"], { env: machine.env });
  return stage;
}

/** A temporary directory of its own: what a proof makes there is gone behind it. */
function temporaryOf({ dir }: NixMachine): string {
  const temporary = join(dir, "tmp");
  mkdirSync(temporary, { recursive: true });
  return temporary;
}

async function prove(machine: NixMachine, stage: Stage, words: readonly string[], env: Readonly<Record<string, string>> = {}) {
  const run = await stage.flywheel(["proof", "--json", ...words], {
    cwd: machine.dir,
    env: { ...machine.env, TMPDIR: temporaryOf(machine), ...env },
  });
  const record = JSON.parse(run.stdout) as ProofRecord;
  expectSchema(record);
  return { ...run, record };
}

describe.skipIf(missing.length > 0)("the Nix half of a proof", { timeout: 60_000 }, () => {
  let machine: NixMachine;
  let cache: NixCache;
  let stage: Stage;
  const storeNames = (): readonly string[] => readdirSync(machine.env["NIX_STORE_DIR"] ?? "").sort();
  /** All that a proof could leave behind; the code that Node compiled is flywheel's own. */
  const everything = () => ({
    store: storeNames(),
    home: readdirSync(machine.env["HOME"] ?? "", { recursive: true }).filter((name) => !String(name).startsWith(".cache/gloriousflywheel")),
    temporary: readdirSync(temporaryOf(machine)),
  });

  beforeAll(async () => {
    machine = await makeNixMachine();
    cache = await startNixCache(nginxPath, { storeDir: machine.env["NIX_STORE_DIR"] ?? "", name: "main" });
    stage = await standUp(machine, cache);
  }, 60_000);
  afterAll(async () => {
    await stage.dispose();
    await cache.dispose();
    await machine.remove();
  });

  test("a path that is named is fetched from the cache, and nothing of the user's is changed", async () => {
    const path = await machine.publish(machine.derivation("named"), cache);
    const before = everything();
    const { record, exitCode, stderr } = await prove(machine, stage, ["--nix", path]);
    expect(exitCode, stderr).toBe(0);
    expect(record).toMatchObject({
      ...{ proved: true, productEvidence: false, parts: ["nix"], reasons: [], bazel: null, ci: null },
      nix: {
        ...{ version: expect.stringMatching(/^\d+\.\d+/), cache: "main", publicKey: cache.publicKey, signature: "valid" },
        ...{ path: { path, chosen: "named" }, substituted: { byCache: 1, byOthers: 0, built: 0 } },
        endpoint: { url: expect.stringMatching(/^http:\/\/<redacted>:\d+$/), source: "local-proof", node: null },
      },
    });
    expect(record.shown.join("\n")).toContain(`${path} is signed by the key test-cache`);
    expect(record.notShown.join("\n")).toContain("not product evidence");
    expect(everything()).toEqual(before);
    expect((await machine.run("nix-store", ["--check-validity", path])).exitCode).not.toBe(0);
  });

  test("where none is named, one that this machine uses and the cache has; where it has none of them, nothing is proved", async () => {
    const none = await prove(machine, stage, ["--kind", "nix"]);
    expect(none.exitCode).toBe(1);
    expect(none.record).toMatchObject({ proved: false, nix: { path: null, substituted: null } });
    expect(rulesOf(none.record)).toEqual(["no-path"]);

    const path = await machine.publish(machine.derivation("used"), cache);
    const fetching = ["--option", "substituters", cache.url, "--option", "trusted-public-keys", cache.publicKey];
    await machine.must("nix-store", ["--realise", path, ...fetching]);
    const { record, exitCode } = await prove(machine, stage, ["--kind", "nix"]);
    expect(exitCode, JSON.stringify(record.reasons)).toBe(0);
    expect(record.nix).toMatchObject({ path: { path, chosen: "found" }, substituted: { byCache: 1 } });
  });

  test("an installable is evaluated without building it, and without a trace in the user's store", async () => {
    const attribute = machine.derivation("installable");
    const path = await machine.publish(attribute, cache);
    const flake = join(machine.dir, "flake");
    mkdirSync(flake);
    writeFileSync(join(flake, "flake.nix"), `{ outputs = { self }: { it = ${attribute}; }; }`);
    const before = storeNames();
    const { record, exitCode, stderr } = await prove(machine, stage, ["--nix", `path:${flake}#it`]);
    expect(exitCode, stderr + JSON.stringify(record.reasons)).toBe(0);
    expect(record.nix?.path).toEqual({ path, chosen: "named" });
    expect(storeNames()).toEqual(before);
  });

  test("a path that the cache lacks, and words that name none, prove nothing", async () => {
    const lacking = await prove(machine, stage, ["--nix", `${machine.env["NIX_STORE_DIR"]}/${"0".repeat(32)}-nowhere`]);
    expect(lacking.exitCode).toBe(1);
    expect(rulesOf(lacking.record)).toEqual(["not-substituted"]);
    const word = await prove(machine, stage, ["--nix", "no-such-flake#x"]);
    expect(rulesOf(word.record)).toEqual(["no-path"]);
    expect(word.record.reasons[0]?.message).toMatch(/^no-such-flake#x names no path of /);
  });

  test("a path that another key signed is turned down", async () => {
    const secret = join(machine.dir, "other.secret");
    await machine.must("nix-store", ["--generate-binary-cache-key", "test-cache", secret, join(machine.dir, "other.public")]);
    const path = await machine.publish(machine.derivation("foreign"), { files: cache.files, secretKeyFile: secret });
    const { record, exitCode } = await prove(machine, stage, ["--nix", path]);
    expect(exitCode).toBe(1);
    expect(record).toMatchObject({ proved: false, nix: { signature: "unchecked" } });
    expect(rulesOf(record)).toEqual(["not-substituted"]);
    expect(record.reasons[0]?.message).toMatch(/signature|not signed/);
  });

  test("a path whose content gives its name, which Nix takes from anybody, is not proved without a signature", async () => {
    writeFileSync(join(machine.dir, "content"), "anybody's");
    const path = await machine.must("nix-store", ["--add", join(machine.dir, "content")]);
    await machine.must("nix", ["copy", "--to", `file://${cache.files}?compression=none`, path]);
    const { record, exitCode } = await prove(machine, stage, ["--nix", path]);
    expect(exitCode).toBe(1);
    // It came, and from the right cache: that alone would be believed.
    expect(record.nix).toMatchObject({ substituted: { byCache: 1 }, signature: "missing" });
    expect(rulesOf(record)).toEqual(["not-signed"]);
  });

  test("a Nix that is told to substitute nothing is not attached", async () => {
    const { record, exitCode } = await prove(machine, stage, ["--kind", "nix"], { NIX_CONFIG: "substitute = false" });
    expect(exitCode).toBe(1);
    expect(rulesOf(record)).toContain("nix-unattached");
    expect(record.nix).toMatchObject({ endpoint: null, publicKey: null, path: null });
  });
});

describe.skipIf(missing.length > 0)("a Nix cache that wants a token", { timeout: 60_000 }, () => {
  test("is not proved, although this user's own Nix has it and gets everything", async () => {
    const machine = await makeNixMachine();
    const credentials = { user: "ann", password: "a-token-of-hers" };
    const cache = await startNixCache(nginxPath, { storeDir: machine.env["NIX_STORE_DIR"] ?? "", name: "main", credentials });
    const stage = await standUp(machine, cache);
    try {
      const netrc = join(machine.dir, "netrc");
      writeFileSync(netrc, `machine 127.0.0.1 login ${credentials.user} password ${credentials.password}\n`);
      writeFileSync(
        join(machine.dir, "etc/nix.conf"),
        `experimental-features = nix-command\nsubstitute = true\nbuild-users-group =\nsandbox = false\nnetrc-file = ${netrc}\n`,
      );
      const path = await machine.publish(machine.derivation("private"), cache);
      const fetching = ["--option", "substituters", cache.url, "--option", "trusted-public-keys", cache.publicKey];
      await machine.must("nix-store", ["--realise", path, ...fetching]);
      const env = { ATTIC_TOKEN: credentials.password, NETRC: netrc, NIX_CONFIG: `netrc-file = ${netrc}` };
      const named = await prove(machine, stage, ["--nix", path], env);
      expect(named.exitCode).toBe(1);
      expect(rulesOf(named.record)).toContain("not-substituted");
      expect(named.record.nix).toMatchObject({ substituted: { byCache: 0 }, path: { chosen: "named" } });
      const found = await prove(machine, stage, ["--kind", "nix"], env);
      expect(rulesOf(found.record)).toContain("no-path");
      expect(found.record.reasons[0]?.message).toContain("HTTP 401");
      expect(`${named.stdout}${named.stderr}${found.stdout}`).not.toContain(credentials.password);
    } finally {
      await stage.dispose();
      await cache.dispose();
      await machine.remove();
    }
  });
});

describe.skipIf(cannotRun)("an unprivileged user of a nix-daemon", { timeout: 120_000 }, () => {
  test("has nothing proved by a substituter that is configured and ignored; trusted, it is", async () => {
    await using machine = await makeSharedMachine();
    await using cache = await makeNixCache(machine.storeDir);
    await using companion = await startCompanion(machine, { cache: cache.url, key: cache.publicKey });
    const path = await publishedPath(machine.storeDir, cache.expression, machine.home);
    // As a user would write it: the client shows it, and the daemon ignores it.
    const env = { NIX_CONFIG: `substitute = true\nextra-substituters = ${cache.url}\nextra-trusted-public-keys = ${cache.publicKey}` };
    const ask = async () => {
      const run = await companion.flywheel(["proof", "--json", "--nix", path], env);
      const record = JSON.parse(run.stdout) as ProofRecord;
      expectSchema(record);
      return { exitCode: run.exitCode, record };
    };
    const ignored = await ask();
    expect(ignored.exitCode).toBe(1);
    expect(ignored.record.proved).toBe(false);
    expect(rulesOf(ignored.record)).toContain("nix-unattached");
    expect(ignored.record.reasons[0]?.message).toContain("it would ignore the cache");
    expect(cache.requests().filter((request) => request.includes(".narinfo"))).toEqual([]);

    machine.configure([`trusted-substituters = ${cache.url}`, `trusted-public-keys = ${cache.publicKey}`]);
    await machine.restart();
    const taken = await ask();
    expect(taken.record.reasons).toEqual([]);
    expect(taken.exitCode).toBe(0);
    expect(taken.record.nix).toMatchObject({ cache: "main", signature: "valid", substituted: { byCache: 1 } });
  });
});

/** Of the cache's own expression. */
async function publishedPath(storeDir: string, expression: string, home: string): Promise<string> {
  const env = { NIX_STORE_DIR: storeDir, NIX_STATE_DIR: join(home, "asking"), NIX_REMOTE: "local", HOME: home, PATH: "/usr/bin:/bin" };
  const args = ["--extra-experimental-features", "nix-command", "eval", "--read-only", "--raw", "-f", expression, "p0"];
  return (await execa("nix", args, { env, extendEnv: false })).stdout.trim();
}
