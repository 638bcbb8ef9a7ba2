/** `flywheel login` with a real Secret Service: gnome-keyring on a bus of its own. */
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { execa } from "execa";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import type { CredentialIndex } from "../../../contract/credential.ts";
import { required } from "../../fixtures/peers.ts";
import { type Keyring, type SecretService, secretService, startSecretService } from "../../fixtures/secret-service/secret-service.ts";
import { type Home, makeHome, type Ran } from "../flywheel.ts";

let home: Home;
beforeEach(() => {
  home = makeHome();
});
afterEach(() => home.remove());

const url = "https://127.0.0.1:1";
const token = "planted-T0ken.for_the~keyring==";
const root = join(import.meta.dirname, "../../..");
const indexPath = () => join(home.state, "credentials.json");
const entries = (): CredentialIndex["entries"] => (JSON.parse(readFileSync(indexPath(), "utf8")) as CredentialIndex).entries;
const generation = (): string => entries()[0]?.generation ?? "";

interface Session {
  readonly env: Readonly<Record<string, string>>;
}
const flywheel = (service: Session | undefined, args: readonly string[], input = token): Promise<Ran> =>
  home.flywheel(args, { input, env: { ...service?.env } });
const login = (service: Session | undefined, input = token): Promise<Ran> => flywheel(service, ["login", url, "--no-verify"], input);

/** Reads the secret of the only entry in a process of its own, as the daemon's child does. */
async function readBack({ env }: SecretService): Promise<string> {
  const script = `
    const { credentialOf } = await import(${JSON.stringify(join(root, "daemon/api/client/credentials/open.ts"))});
    const { readCredentials } = await import(${JSON.stringify(join(root, "daemon/api/client/credentials/index-file.ts"))});
    const paths = { config: "/none", state: process.env.GF_STATE_DIR, runtime: "/none" };
    const told = await credentialOf(paths, readCredentials(paths).entries[0]).then(
      (credential) => credential.token.reveal(),
      (error) => error.code + ": " + error.message,
    );
    process.stdout.write(told);`;
  const ran = await execa(process.execPath, ["--input-type=module", "--disable-warning=ExperimentalWarning", "-e", script], {
    ...{ cwd: root, env: { ...home.env, ...env }, extendEnv: false },
  });
  return ran.stdout;
}

/** The state directory, file by file. */
/** What lies in the state directory; the lock of those who write there is always empty. */
function kept(): readonly string[] {
  if (!existsSync(home.state)) return [];
  return readdirSync(home.state, { recursive: true, encoding: "utf8" })
    .filter((name) => name !== "credentials.lock")
    .toSorted();
}

test("kept, read back by another process, replaced, removed", async ({ skip }) => {
  required(secretService(), skip);
  await using service = await startSecretService();
  const first = await login(service);
  expect(first).toMatchObject({ exitCode: 0, stdout: `kept for ${url} (bearer, in the system's keyring)\n` });
  const before = generation();
  expect(await service.secrets([before])).toEqual({ [before]: token });
  expect(await readBack(service)).toBe(token);
  expect(kept()).toEqual(["credentials.json"]);
  expect(readFileSync(indexPath(), "utf8")).not.toContain(token);

  expect(await login(service, "another")).toMatchObject({ exitCode: 0 });
  const after = generation();
  expect(await service.secrets([before, after])).toEqual({ [after]: "another" });
  expect(await readBack(service)).toBe("another");

  expect(await flywheel(service, ["logout", url])).toMatchObject({ exitCode: 0, stderr: "" });
  expect(await service.secrets([before, after])).toEqual({});
  expect(entries()).toEqual([]);
});

test("the built package finds the native part beside its bundles", async ({ skip }) => {
  required(secretService(), skip);
  await using service = await startSecretService();
  const ran = await execa(join(root, "dist/bin/flywheel"), ["login", url, "--no-verify"], {
    ...{ cwd: home.dir, env: { ...home.env, ...service.env }, extendEnv: false, input: token, reject: false },
  });
  expect([ran.exitCode, ran.stderr.includes("is not proved")]).toEqual([0, true]);
  expect(await service.secrets([generation()])).toEqual({ [generation()]: token });
});

/** Each with what it takes for the bus to be so, and what is said. */
const faults: readonly (readonly [string, Keyring | "no bus" | "frozen" | "locked", string, string])[] = [
  ["locked", "locked", "the system's keyring is locked, and nobody unlocked it", `flywheel login ${url} --store file`],
  ["missing", "missing", "there is no keyring here", `flywheel login ${url} --store file`],
  ["without any bus", "no bus", "there is no keyring here", `flywheel login ${url} --store file`],
  ["denied", "denied", "the system's keyring does not let this program in", `flywheel login ${url} --store file`],
  ["without an answer", "frozen", "the system's keyring cannot be used: it does not answer", `flywheel login ${url} --store file`],
];

describe.each(faults)("%s", (_, state, words, next) => {
  async function start(): Promise<SecretService | undefined> {
    if (state === "no bus") return undefined;
    const service = await startSecretService(state === "missing" || state === "denied" ? state : "unlocked");
    if (state === "locked") await service.lock();
    if (state === "frozen") service.freeze();
    return service;
  }

  test("says so, and nothing is written anywhere", async ({ skip }) => {
    required(secretService(), skip);
    await using service = await start();
    const ran = await login(service);
    expect(ran.exitCode).toBe(1);
    expect(ran.stderr).toContain(`nothing was kept: ${words}`);
    expect(ran.stderr).toContain(next);
    expect(kept()).toEqual([]);
    const debug = await flywheel(service, ["login", url, "--no-verify", "--debug"]);
    expect(`${ran.stdout}${ran.stderr}${debug.stdout}${debug.stderr}`).not.toContain(token);
  });

  test("a file is taken by choice, which is remembered", async ({ skip }) => {
    required(secretService(), skip);
    await using service = await start();
    expect(await flywheel(service, ["login", url, "--no-verify", "--store", "file"])).toMatchObject({ exitCode: 0 });
    expect(await login(service)).toMatchObject({ exitCode: 0 });
    expect(kept()).toEqual(["credentials", `credentials/${generation()}`, "credentials.json"].toSorted());
  });
});

test("a keyring that is locked by now: the login is forgotten, and it says what is left where", async ({ skip }) => {
  required(secretService(), skip);
  await using service = await startSecretService();
  await login(service);
  const left = generation();
  await service.lock();
  expect(await readBack(service)).toBe("keyring-locked: the system's keyring is locked, and nobody unlocked it");
  expect(await service.prompts()).toBe(1);
  const ran = await flywheel(service, ["logout", url]);
  expect(ran).toMatchObject({ exitCode: 1, stdout: `logged out of ${url} (bazel)\n` });
  expect(ran.stderr).toContain(`the secret of ${url} is still in the keyring (service gloriousflywheel, user ${left})`);
  // As it can be pasted once the keyring is open again.
  expect(ran.stderr).toContain(`(next: where it is open: secret-tool clear service gloriousflywheel username ${left})`);
  expect(entries()).toEqual([]);
});

test("the old login stays whole where its keyring is locked by the next one", async ({ skip }) => {
  required(secretService(), skip);
  await using service = await startSecretService();
  await login(service);
  const before = readFileSync(indexPath(), "utf8");
  await service.lock();
  expect(await login(service, "another")).toMatchObject({ exitCode: 1 });
  expect(readFileSync(indexPath(), "utf8")).toBe(before);
});

test("from the keyring to a file: the old secret goes where it was", async ({ skip }) => {
  required(secretService(), skip);
  await using service = await startSecretService();
  await login(service);
  const before = generation();
  expect(await flywheel(service, ["login", url, "--no-verify", "--store", "file"])).toMatchObject({ exitCode: 0 });
  expect(await service.secrets([before])).toEqual({});
  expect(entries()).toMatchObject([{ how: { scheme: "bearer", store: "file" } }]);
});

test("only what needs the keyring loads its native part", async ({ skip }) => {
  required(secretService(), skip);
  await using service = await startSecretService();
  await login(service);
  const loaded = async (args: readonly string[]): Promise<boolean> => {
    const maps =
      'process.on("exit", () => { if (require("node:fs").readFileSync("/proc/self/maps", "utf8").includes("keyring.")) process._rawDebug("LOADED"); });';
    const script = home.write("maps.cjs", maps);
    const ran = await flywheel({ env: { ...service.env, NODE_OPTIONS: `--require=${script}` } }, args);
    return ran.stderr.includes("LOADED");
  };
  expect(await loaded(["login", url, "--no-verify"])).toBe(true);
  for (const args of [["login"], ["status"], ["doctor"], ["login", "--help"]]) expect([args, await loaded(args)]).toEqual([args, false]);
});
