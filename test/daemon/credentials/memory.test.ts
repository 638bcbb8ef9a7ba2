/** The daemon's memory of credentials, with the real child that reads them and a real Secret Service. */
import { readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { execa } from "execa";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import type { CredentialEntry } from "../../../contract/credential.ts";
import { parseEndpoint } from "../../../contract/endpoint.ts";
import { credentialsPath, secretPath } from "../../../contract/paths.ts";
import { Secret } from "../../../contract/secret.ts";
import { fileVault } from "../../../daemon/api/client/credentials/files.ts";
import { readCredentials } from "../../../daemon/api/client/credentials/index-file.ts";
import { CredentialMemory, type CredentialMemoryOptions } from "../../../daemon/credentials/memory.ts";
import { type SecretService, secretService, startSecretService } from "../../fixtures/secret-service/secret-service.ts";
import { type Home, makeHome, nodeFlags } from "../home.ts";
import { login, logout } from "./login.ts";

const endpoint = "grpc://100.64.0.5:9092";
const parsed = parseEndpoint(endpoint, "bazel");
const spellings = parsed.ok ? [parsed.endpoint] : [];

let home: Home;
const cleanup: (() => void | Promise<void>)[] = [];
beforeEach(() => {
  home = makeHome();
});
afterEach(async () => {
  for (const end of cleanup.splice(0).reverse()) await end();
  await home[Symbol.asyncDispose]();
});

function memoryOf(options: Partial<CredentialMemoryOptions> = {}): { memory: CredentialMemory; late: Promise<void> } {
  const late = Promise.withResolvers<void>();
  const memory = new CredentialMemory({ paths: home.paths, env: { HOME: home.dir }, onLate: late.resolve, ...options });
  cleanup.push(() => memory.close());
  memory.load();
  return { memory, late: late.promise };
}

/** The secret that is kept, or in which other state it is. */
async function told(memory: CredentialMemory, profile = "default"): Promise<string | undefined> {
  const kept = await memory.kept(profile, spellings);
  if (kept?.state !== "ready") return kept?.state === "unreadable" ? kept.reason : kept?.state;
  return kept.credential.scheme === "bearer" ? kept.credential.token.reveal() : kept.credential.scheme;
}

/** The children of this process that read secrets. */
function readers(): number[] {
  return readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name))
    .flatMap((pid) => {
      try {
        const parent = /^PPid:\t(\d+)$/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1];
        const line = readFileSync(`/proc/${pid}/cmdline`, "utf8");
        return parent === String(process.pid) && line.endsWith("\0secrets\0") ? [Number(pid)] : [];
      } catch {
        return [];
      }
    });
}

test("secrets are read once, at the first need, by one child for all; a new login is read after a load", async () => {
  await login(home.paths, { endpoint, how: { token: "first" } });
  await login(home.paths, { endpoint, how: { token: "theirs" }, profile: "lab" });
  const { memory } = memoryOf();
  expect(readers()).toEqual([]);
  expect(await told(memory)).toBe("first");
  // Both came with the one child: the files are not asked again.
  rmSync(`${home.paths.state}/credentials`, { recursive: true });
  expect(await told(memory, "lab")).toBe("theirs");
  expect(await told(memory, "nobody")).toBeUndefined();

  const second = await login(home.paths, { endpoint, how: { token: "second" } });
  expect(await told(memory)).toBe("first");
  memory.load();
  expect(await told(memory)).toBe("second");
  await logout(home.paths, second);
  memory.load();
  expect(await told(memory)).toBeUndefined();
});

test("one that has expired is not even read; by the clock, not by when it was read", async () => {
  let now = new Date("2026-11-20T10:00:00Z");
  await login(home.paths, { endpoint, how: { token: "short-lived" }, expires: "2026-11-20T11:00:00Z" });
  const { memory } = memoryOf({ now: () => now });
  expect(await told(memory)).toBe("short-lived");
  now = new Date("2026-11-20T11:00:00Z");
  expect(await told(memory)).toBe("expired");
});

test("a client certificate ends when the one does that lies there now: whoever renews it does so in its place", async () => {
  const [certificate, key] = [join(home.dir, "me.pem"), join(home.dir, "me.key")];
  const renew = (days: number) =>
    execa("openssl", [
      ...["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", String(days)],
      ...["-subj", "/CN=me", "-keyout", key, "-out", certificate],
    ]);
  await renew(1);
  const day = 86_400_000;
  await login(home.paths, { endpoint, how: { certificate, key }, expires: new Date(Date.now() + day).toISOString() });
  const { memory } = memoryOf({ now: () => new Date(Date.now() + 2 * day) });
  expect(await told(memory)).toBe("expired");
  await renew(9);
  expect(await told(memory)).toBe("mtls");
  // And to whoever reads the index: the guard, doctor, login's list.
  const [entry] = readCredentials(home.paths).entries;
  expect(Date.parse(entry?.expires ?? "")).toBeGreaterThan(Date.now() + 8 * day);
  // One that is gone is no other login.
  rmSync(certificate);
  expect(await told(memory)).toBe("expired");
});

test("with what is kept comes the login that renews it, whatever became of it", async () => {
  const paths = { certificate: "/own/client.pem", key: "/own/client.key" };
  await login(home.paths, { endpoint, how: paths, expires: "2026-11-20T11:00:00Z" });
  const { memory } = memoryOf();
  expect(await memory.kept("default", spellings)).toMatchObject({
    state: "expired",
    login: { endpoint, how: { scheme: "mtls", ...paths } },
  });
  await login(home.paths, { endpoint, how: { user: "ann", password: "x" }, legacyHeader: true });
  memory.load();
  expect(await memory.kept("default", spellings)).toMatchObject({
    ...{ state: "ready", login: { endpoint, how: { scheme: "basic", user: "ann" }, legacyHeader: true } },
  });
});

test("where no keyring is, what to type is the whole login, and not its pattern", async () => {
  const how = { user: "ann", password: "x" };
  await login(home.paths, { endpoint, how, store: "keyring", legacyHeader: true });
  expect(await memoryOf().memory.kept("default", spellings)).toMatchObject({
    state: "unreadable",
    reason: expect.stringContaining("there is no keyring here"),
    next: expect.stringMatching(/: flywheel login grpc:\/\/100\.64\.0\.5:9092 --basic --user ann --allow-legacy-header --store file$/),
  });
});

test("a secret that is gone is told, and asked for again only when somebody is there", async () => {
  const { generation } = await login(home.paths, { endpoint, how: { token: "first" } });
  rmSync(secretPath(home.paths, generation));
  const { memory } = memoryOf();
  expect(await memory.kept("default", spellings)).toMatchObject({
    state: "unreadable",
    reason: expect.stringContaining("no longer holds the secret"),
    next: `flywheel login ${endpoint}`,
  });
  await fileVault(home.paths).write(generation, new Secret("back"));
  expect(await told(memory)).toMatch(/no longer holds/);
  memory.reconsider();
  expect(await told(memory)).toBe("back");
});

test("an index that is malformed leaves what was known", async () => {
  await login(home.paths, { endpoint, how: { token: "first" } });
  const { memory } = memoryOf();
  expect(await told(memory)).toBe("first");
  writeFileSync(credentialsPath(home.paths), "{");
  expect(() => memory.load()).toThrow(/credentials\.json cannot be used: it is not JSON/);
  expect(await told(memory)).toBe("first");
});

const peer = secretService();
describe.skipIf(!peer.available)("in a keyring", () => {
  async function keyring(): Promise<{ service: SecretService; env: Record<string, string>; entry: CredentialEntry }> {
    const service = await startSecretService();
    cleanup.push(() => service[Symbol.asyncDispose]());
    const entry = await login(home.paths, { endpoint, how: { token: "in-a-file" }, store: "keyring" });
    // By a process of its own: the keyring's native part stays with the first bus that it met.
    const vault = join(import.meta.dirname, "../../../daemon/api/client/credentials/keyring.ts");
    const secret = join(import.meta.dirname, "../../../contract/secret.ts");
    const text = `import { keyringVault } from ${JSON.stringify(vault)}; import { Secret } from ${JSON.stringify(secret)};
      await keyringVault().write(${JSON.stringify(entry.generation)}, new Secret("in-the-keyring"));`;
    await execa(process.execPath, [...nodeFlags, "--input-type=module", "-e", text], { env: service.env });
    return { service, env: { HOME: home.dir, ...service.env }, entry };
  }

  test("the secret comes from there; locked, it says so, and is not asked again by itself", async () => {
    const { service, env } = await keyring();
    expect(await told(memoryOf({ env }).memory)).toBe("in-the-keyring");
    await service.lock();
    const { memory } = memoryOf({ env });
    expect(await memory.kept("default", spellings)).toMatchObject({
      state: "unreadable",
      reason: "the system's keyring is locked, and nobody unlocked it",
      next: expect.stringContaining("flywheel up"),
    });
    const began = performance.now();
    for (let each = 0; each < 50; each += 1) expect(await told(memory)).toMatch(/is locked/);
    // No child was started for any of them.
    expect(performance.now() - began).toBeLessThan(50);
  });

  test("one that hangs holds a probe up for a moment only, and ends with its time", async () => {
    const { service, env } = await keyring();
    service.freeze();
    const { memory, late } = memoryOf({ env, timeoutMs: 3_000 });
    expect(await told(memory)).toBe("the keyring has not answered yet");
    expect(readers()).toHaveLength(1);
    // Hung itself, however long the keyring may take by its own word.
    for (const pid of readers()) process.kill(pid, "SIGSTOP");
    await late;
    expect(await told(memory)).toBe("the process that reads it did not answer within 3 s");
    expect(readers()).toEqual([]);
  });

  test("a child that is killed is told of; a login meanwhile does not wait for the one that hangs", async () => {
    const { service, env } = await keyring();
    service.freeze();
    const { memory, late } = memoryOf({ env });
    expect(await told(memory)).toBe("the keyring has not answered yet");
    for (const pid of readers()) process.kill(pid, "SIGKILL");
    await late;
    expect(await told(memory)).toBe("the process that reads it was killed (SIGKILL)");

    memory.reconsider();
    expect(await told(memory)).toBe("the keyring has not answered yet");
    await login(home.paths, { endpoint, how: { token: "kept-in-a-file" } });
    memory.load();
    expect(await told(memory)).toBe("kept-in-a-file");
  });

  test("without a bus there is no keyring, and a secret in a file is read all the same", async () => {
    await login(home.paths, { endpoint, how: { token: "x" }, store: "keyring" });
    await login(home.paths, { endpoint, how: { token: "of-the-lab" }, profile: "lab" });
    const { memory } = memoryOf({ env: { HOME: home.dir, DBUS_SESSION_BUS_ADDRESS: `unix:path=${home.dir}/none` } });
    expect(await told(memory)).toMatch(/there is no keyring here/);
    expect(await told(memory, "lab")).toBe("of-the-lab");
  });
});
