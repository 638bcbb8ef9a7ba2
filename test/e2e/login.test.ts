/** A cache that asks who reads, and a daemon that runs: what login and logout change for it, with files and with a keyring. */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { execa } from "execa";
import { afterEach, beforeEach, expect, test } from "vitest";
import type { StatusReport } from "../../contract/api.ts";
import { DaemonClient } from "../../daemon/api/client/connection.ts";
import { type Home, makeHome } from "../cli/flywheel.ts";
import { healthyHttp, listenHttp, type Peer } from "../daemon/probe/peers.ts";
import { required } from "../fixtures/peers.ts";
import { secretService, startSecretService } from "../fixtures/secret-service/secret-service.ts";

const token = "planted-T0ken.of_a~session==";
const built = join(import.meta.dirname, "../../dist/bin/flywheel");

let home: Home;
let cache: Peer;
let seen: Set<string>;
beforeEach(async () => {
  seen = new Set();
  cache = await listenHttp((request, response) => {
    seen.add(request.headers.authorization ?? "none");
    if (request.headers.authorization === `Bearer ${token}`) healthyHttp(request, response);
    else response.writeHead(401).end();
  });
  home = makeHome();
  home.write("config/profiles/default.toml", "[tailnet]\n");
  home.write(
    "config/config.toml",
    `[endpoints]\nbazel = ["${url()}"]\n[local_proof]\nmode = "port-forward"\nallow_localhost = true\n[tailnet]\nsocket = "${home.dir}/none.sock"\n`,
  );
});
afterEach(async () => {
  await flywheel(["down"]);
  await cache.close();
  home.remove();
});

const url = (): string => `http://127.0.0.1:${cache.port}`;
const client = (): DaemonClient => new DaemonClient({ config: home.config, state: home.state, runtime: home.runtime });

async function flywheel(args: readonly string[], env: Readonly<Record<string, string>> = {}) {
  const ran = await execa(built, args, {
    ...{ cwd: home.dir, env: { ...home.env, ...env }, extendEnv: false, input: token, reject: false, timeout: 60_000 },
  });
  expect(`${ran.stdout}${ran.stderr}`).not.toContain(token);
  return ran;
}

/** The first status that fits, from the watch stream. */
async function until(fits: (bazel: StatusReport["bazel"]) => boolean): Promise<StatusReport["bazel"]> {
  for await (const { bazel } of client().watch("default", AbortSignal.timeout(20_000))) if (fits(bazel)) return bazel;
  throw new Error(`the status never came to that: ${JSON.stringify((await client().status("default")).bazel)}`);
}

/** Up, logged in, attached; logged out, not attached: the daemon is told, and has proved it when the login ends. */
async function session(env: Readonly<Record<string, string>>, store: readonly string[]): Promise<void> {
  await flywheel(["up"], env);
  expect(await until(({ rung }) => rung === "authority")).toMatchObject({
    state: "unattached",
    next: expect.stringContaining(`flywheel login ${url()}`),
  });
  expect(await flywheel(["login", url(), ...store], env)).toMatchObject({ exitCode: 0, stderr: "" });
  // At once: who asks right behind the login is not told to log in.
  expect((await client().status("default")).bazel.state).toBe("attached");
  expect(await until(({ state }) => state === "attached")).toMatchObject({ endpoint: url(), credential: { scheme: "bearer" } });
  expect(await flywheel(["logout", url()], env)).toMatchObject({ exitCode: 0 });
  expect(await until(({ state }) => state === "unattached")).toMatchObject({ rung: "authority" });
  expect([...seen].toSorted()).toEqual([`Bearer ${token}`, "none"]);
  const files = readdirSync(home.dir, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile());
  const holding = files.filter((entry) => readFileSync(join(entry.parentPath, entry.name), "latin1").includes(token));
  expect(holding.map((entry) => entry.name)).toEqual([]);
}

test("in a file", { timeout: 90_000 }, async () => {
  await session({}, ["--store", "file"]);
});

test("in the keyring, which the daemon's child asks on the bus of whoever started it", { timeout: 90_000 }, async ({ skip }) => {
  required(secretService(), skip);
  await using service = await startSecretService();
  await session(service.env, []);
});
