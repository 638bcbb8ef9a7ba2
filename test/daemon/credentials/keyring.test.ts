/** The daemon and the session's keyring: it finds the way there from whoever started it, and never goes itself. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { execa } from "execa";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { bazelRemote, startBazelRemote } from "../../fixtures/bazel-remote/bazel-remote.ts";
import { secretService, startSecretService } from "../../fixtures/secret-service/secret-service.ts";
import { type Home, makeHome, nodeFlags } from "../home.ts";
import { login } from "./login.ts";

const [remote, service] = [await bazelRemote(), secretService()];
let home: Home;
beforeEach(() => {
  home = makeHome();
});
afterEach(async () => {
  vi.unstubAllEnvs();
  await home[Symbol.asyncDispose]();
});

describe.skipIf(!remote.available || !service.available)("bazel-remote with a password", () => {
  test("the secret comes from the keyring, whose native part is not in the daemon; locked, it is said", async () => {
    await using keyring = await startSecretService();
    await using cache = await startBazelRemote(remote.available ? remote.path : "", { users: { ann: "in-the-keyring" } });
    vi.stubEnv("DBUS_SESSION_BUS_ADDRESS", keyring.env.DBUS_SESSION_BUS_ADDRESS);
    const of = (file: string): string => JSON.stringify(join(import.meta.dirname, "../../..", file));
    /** By a process of its own: this one has no need of the native part either. */
    const keep = async (endpoint: string, password: string): Promise<void> => {
      const how = { user: "ann", password: "in-no-file-that-counts" };
      const { generation } = await login(home.paths, { endpoint, how, store: "keyring" });
      const text = `import { keyringVault } from ${of("daemon/api/client/credentials/keyring.ts")}; import { Secret } from ${of("contract/secret.ts")};
        await keyringVault().write(${JSON.stringify(generation)}, new Secret(${JSON.stringify(password)}));`;
      await execa(process.execPath, [...nodeFlags, "--input-type=module", "-e", text]);
    };
    await keep(cache.grpcUrl, "in-the-keyring");

    const pid = await home.started();
    const request = { profile: "default", kind: "bazel", endpoint: cache.grpcUrl, localProof: true } as const;
    expect(await home.client.attach(request)).toMatchObject({ ok: true });
    expect(readFileSync(`/proc/${pid}/maps`, "utf8")).not.toMatch(/keyring[^/]*\.node/);

    // Another login in the same keyring: the secret of the first one is known, and need not be asked for again.
    await keep(cache.httpUrl, "in-the-keyring");
    await keyring.lock();
    await home.client.reload();
    expect(await home.client.attach({ ...request, endpoint: cache.httpUrl })).toMatchObject({
      ok: false,
      rung: "authority",
      reason: expect.stringContaining("the password kept for it cannot be read: the system's keyring is locked"),
      next: expect.stringContaining("flywheel up"),
    });
    expect((await home.client.verify("default")).bazel).toMatchObject({ state: "attached", endpoint: cache.grpcUrl });
  });

  test("a keyring that is late holds nothing up, and what it says in the end is told without being asked", async () => {
    await using keyring = await startSecretService();
    await using cache = await startBazelRemote(remote.available ? remote.path : "", { users: { ann: "x" } });
    vi.stubEnv("DBUS_SESSION_BUS_ADDRESS", keyring.env.DBUS_SESSION_BUS_ADDRESS);
    await login(home.paths, { endpoint: cache.grpcUrl, how: { user: "ann", password: "x" }, store: "keyring" });
    keyring.freeze();
    await home.started();
    expect(await home.client.attach({ profile: "default", kind: "bazel", endpoint: cache.grpcUrl, localProof: true })).toMatchObject({
      rung: "authority",
      reason: expect.stringContaining("the keyring has not answered yet"),
    });
    await home.until(({ bazel }) => bazel.reason?.includes("the system's keyring cannot be used") === true);
  });
});
