/** What doctor says of logins, and what its archive holds of them. */
import { chmodSync, chownSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { execa } from "execa";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import type { Check, DoctorReport } from "../../cli/doctor/report.ts";
import type { CredentialIndex } from "../../contract/credential.ts";
import { required } from "../fixtures/peers.ts";
import { secretService, startSecretService } from "../fixtures/secret-service/secret-service.ts";
import { type Home, makeHome } from "./flywheel.ts";

let home: Home;
beforeEach(() => {
  home = makeHome();
});
afterEach(() => home.remove());

const url = "https://cache-of-acme.example";
const token = "planted-T0ken.for_the~doctor==";
const indexPath = () => join(home.state, "credentials.json");
const secrets = () => join(home.state, "credentials");
const index = (): CredentialIndex => JSON.parse(readFileSync(indexPath(), "utf8"));
const login = (args: readonly string[] = ["--store", "file"], env: Readonly<Record<string, string>> = {}) =>
  home.flywheel(["login", url, "--no-verify", ...args], { input: token, env });

/** The checks of logins that are not as they should be, and those named. */
async function checks(env: Readonly<Record<string, string>> = {}): Promise<readonly Check[]> {
  const ran = await home.flywheel(["doctor", "--json"], { env });
  expect(ran.stdout).not.toContain(token);
  return (JSON.parse(ran.stdout) as DoctorReport).checks.filter(({ group }) => group === "credentials");
}

const said = (found: readonly Check[]): readonly string[] => found.map(({ state, what }) => `${state}: ${what}`);

/** Writes the index again with the entries' end moved. */
/** @param aged days since the login */
function ends(inDays: number, aged = 0): void {
  const day = 86_400_000;
  const expires = new Date(Date.now() + inDays * day + 60_000).toISOString();
  const at = new Date(Date.now() - aged * day).toISOString();
  writeFileSync(indexPath(), JSON.stringify({ ...index(), entries: index().entries.map((entry) => ({ ...entry, at, expires })) }));
}

test("nothing is kept: one line", async () => {
  expect(said(await checks())).toEqual(["ok: nothing is kept; new secrets go in the system's keyring"]);
});

test("a login in a file, as it should be", async () => {
  await login();
  expect(said(await checks())).toEqual([
    "ok: 1 login is kept; new secrets go in files of yours, by your choice",
    `ok: bazel ${url} (bearer): when it expires is not known`,
  ]);
});

test("when it ends: told when the last tenth of its life begins, as status does, and a failure afterwards", async () => {
  await login();
  ends(30);
  expect(said(await checks())).toContain(`ok: bazel ${url} (bearer): expires in 30 d`);
  ends(3);
  expect(said(await checks())).toContain(`ok: bazel ${url} (bearer): expires in 3 d`);
  ends(3, 60);
  expect(said(await checks())).toContain(`warn: bazel ${url} (bearer): expires in 3 d`);
  ends(-3);
  expect((await checks()).at(-1)).toMatchObject({ state: "fail", reason: "it is not sent any more", next: `flywheel login ${url}` });
  expect(said(await checks({ GF_PROFILE: "gloriousflywheel" }))).toContain(`warn: bazel ${url} (bearer, profile default): expired 2 d ago`);
});

test("who else can read or write", async () => {
  await login();
  const file = join(secrets(), index().entries[0]?.generation ?? "");
  chmodSync(indexPath(), 0o666);
  expect(said(await checks())).toEqual([`fail: ${indexPath()} cannot be used: others may write it (mode 0666)`]);
  chmodSync(indexPath(), 0o600);
  chmodSync(file, 0o640);
  writeFileSync(join(secrets(), "left"), "");
  expect(said(await checks())).toEqual([
    "ok: 1 login is kept; new secrets go in files of yours, by your choice",
    `fail: ${file} is not used: others may read it (mode 0640)`,
    `warn: ${secrets()} holds 1 that no login needs`,
    `ok: bazel ${url} (bearer): when it expires is not known`,
  ]);
  chmodSync(secrets(), 0o755);
  expect(said(await checks())).toContain(`fail: ${secrets()} is open to other users (mode 0755)`);
});

test.runIf(process.geteuid?.() === 0)("a file of another user's is not ours to close", async () => {
  await login();
  const file = join(secrets(), index().entries[0]?.generation ?? "");
  chownSync(file, 65_534, 65_534);
  expect((await checks()).find(({ what }) => what.startsWith(file))?.next).toMatch(/^use a file of your own .*sudo chown/);
});

test("an index that cannot be read", async () => {
  home.write("state/credentials.json", "{", 0o600);
  expect(said(await checks())).toEqual([`fail: ${indexPath()} cannot be used: it is not JSON`]);
});

test("a certificate whose files are gone, and a key that others may read", async () => {
  const entry = { profile: "default", kind: "bazel", endpoint: url, generation: "a".repeat(32), at: "2026-01-01T00:00:00Z", expires: null };
  const how = { scheme: "mtls", certificate: join(home.dir, "me.pem"), key: home.write("me.key", "", 0o644) };
  home.write("state/credentials.json", JSON.stringify({ v: 1, store: null, entries: [{ ...entry, how, legacyHeader: false }] }), 0o600);
  const found = await checks();
  expect(said(found)).toContain(`fail: the certificate for ${url} cannot be read`);
  expect(found.at(-1)).toMatchObject({ state: "fail", reason: `${home.dir}/me.key: others may read it (mode 0644)` });
});

describe("secrets in a keyring", () => {
  test("are not asked for: a locked one opens no dialog, and one without a bus is said", async ({ skip }) => {
    required(secretService(), skip);
    await using service = await startSecretService();
    await login([], service.env);
    await service.lock();
    expect(said(await checks(service.env))).toContain(
      "ok: there is a session bus for the keyring; it was not asked, since that may open a dialog",
    );
    expect(await service.prompts()).toBe(0);
    const found = await checks();
    expect(found).toContainEqual(expect.objectContaining({ id: "keyring", state: "fail", next: expect.stringContaining("--store file") }));
  });
});

test("--gather lists what is kept, and never a secret, a user or the cache's name", async () => {
  await login(["--store", "file", "--basic", "--user", "ann-of-acme"]);
  const file = join(home.dir, "out.tar.gz");
  expect(await home.flywheel(["doctor", "--gather", "--yes", "--output", file])).toMatchObject({ exitCode: 0 });
  const unpacked = join(home.dir, "unpacked");
  await execa("mkdir", [unpacked]);
  await execa("tar", ["-xzf", file, "-C", unpacked]);
  const files = readdirSync(unpacked, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile());
  const text = (name: string): string => readFileSync(join(unpacked, "flywheel-doctor", name), "utf8");
  expect(JSON.parse(text("credentials.json"))).toMatchObject({
    store: "file",
    entries: [{ profile: "default", scheme: "basic", store: "file" }],
  });
  const all = files.map((entry) => readFileSync(join(entry.parentPath, entry.name), "latin1")).join("\n");
  for (const hidden of [token, "ann-of-acme", "cache-of-acme", index().entries[0]?.generation ?? ""]) expect(all).not.toContain(hidden);
});
