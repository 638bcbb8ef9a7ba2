/** `flywheeld probe`: with the credential that it is given, and only where none is given with the one that is kept. */
import { execFileSync } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { createServer } from "node:http";
import { createServer as createTlsServer } from "node:https";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { execa } from "execa";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { writeCredential } from "../../../contract/credential-wire.ts";
import { Secret } from "../../../contract/secret.ts";
import { probeOnce } from "../../../daemon/api/client/probe-once.ts";
import { startLocalApi, tailnetState } from "../../fixtures/localapi/state.ts";
import { entry, type Home, makeHome, nodeFlags } from "../home.ts";
import { login } from "./login.ts";

let home: Home;
const seen: (string | undefined)[] = [];
const server = createServer((request, response) => {
  seen.push(request.headers.authorization);
  response.writeHead(request.headers.authorization === "Bearer right" ? 404 : 401).end();
});
beforeEach(async () => {
  home = makeHome();
  seen.length = 0;
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  for (const [name, value] of Object.entries({ GF_CONFIG_DIR: home.paths.config, GF_STATE_DIR: home.paths.state })) vi.stubEnv(name, value);
  vi.stubEnv("GF_RUNTIME_DIR", home.paths.runtime);
});
afterEach(async () => {
  vi.unstubAllEnvs();
  server.closeAllConnections();
  server.close();
  await once(server, "close");
  await home[Symbol.asyncDispose]();
});

test("given, kept, none", async () => {
  const endpoint = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const request = { profile: "default", kind: "bazel", endpoint, localProof: true } as const;
  expect(await probeOnce(request)).toMatchObject({ rung: "authority", reason: expect.stringContaining("none is kept for it") });
  await login(home.paths, { endpoint, how: { token: "wrong" } });
  expect(await probeOnce(request)).toMatchObject({ reason: expect.stringContaining("refuses the bearer token kept since 2026-11-20") });
  expect(await probeOnce(request, { scheme: "bearer", token: new Secret("right") })).toMatchObject({ ok: true, needed: "yes" });
  expect(await probeOnce(request, { scheme: "basic", user: "ann", password: new Secret("x") })).toMatchObject({
    reason: expect.stringContaining("refuses the password given"),
    next: `flywheel login ${endpoint} --basic --user ann`,
  });
  await login(home.paths, { endpoint, how: { token: "right" } });
  expect(await probeOnce(request)).toMatchObject({ ok: true });
  expect(seen[0]).toBeUndefined();
  expect(new Set(seen)).toEqual(new Set([undefined, "Bearer wrong", "Bearer right", `Basic ${Buffer.from("ann:x").toString("base64")}`]));
});

describe("a server that only this environment would believe", () => {
  /** What it was sent. */
  const asked: (string | undefined)[] = [];
  let endpoint: string;
  let certificate: string;
  let tls: ReturnType<typeof createTlsServer>;
  beforeEach(async () => {
    asked.length = 0;
    certificate = join(home.dir, "own.pem");
    const key = join(home.dir, "own.key");
    const made = ["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2", "-subj", "/CN=own"];
    execFileSync("openssl", [...made, "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", key, "-out", certificate], { stdio: "pipe" });
    tls = createTlsServer({ cert: readFileSync(certificate), key: readFileSync(key) }, (request, response) => {
      asked.push(request.headers.authorization);
      response.writeHead(404).end();
    });
    tls.listen(0, "127.0.0.1");
    await once(tls, "listening");
    endpoint = `https://127.0.0.1:${(tls.address() as AddressInfo).port}`;
  });
  afterEach(() => void tls.close());
  const token = { scheme: "bearer", token: new Secret("right") } as const;

  test.each(["NODE_TLS_REJECT_UNAUTHORIZED", "NODE_EXTRA_CA_CERTS", "NODE_OPTIONS"])("is sent nothing, whatever %s says", async (name) => {
    const value = { NODE_TLS_REJECT_UNAUTHORIZED: "0", NODE_OPTIONS: "--use-openssl-ca" }[name] ?? certificate;
    vi.stubEnv(name, value);
    vi.stubEnv("SSL_CERT_FILE", certificate);
    const request = { profile: "default", kind: "bazel", endpoint, localProof: true } as const;
    expect(await probeOnce(request, token)).toMatchObject({ ok: false, rung: "handshake" });
    expect(asked).toEqual([]);
  });

  test("nor by a prober that was started with NODE_TLS_REJECT_UNAUTHORIZED", async () => {
    const args = [entry, "probe", "--kind", "bazel", "--endpoint", endpoint, "--local-proof", "--credential-stdin"];
    const run = await execa(process.execPath, [...nodeFlags, ...args], {
      ...{ input: writeCredential(token).reveal(), env: { NODE_TLS_REJECT_UNAUTHORIZED: "0" }, reject: false },
    });
    expect(JSON.parse(run.stdout)).toMatchObject({ ok: false, rung: "handshake" });
    expect(asked).toEqual([]);
  });
});

test("without TLS, only through a tailnet of which the Tailscale client tells", async () => {
  const client = await startLocalApi(home.dir, tailnetState({ backendState: "Stopped" }));
  try {
    vi.stubEnv("GF_TAILSCALED_SOCKET", client.socket);
    const request = { profile: "default", kind: "bazel", endpoint: "http://100.64.0.5:1", localProof: false } as const;
    const token = { scheme: "bearer", token: new Secret("right") } as const;
    expect(await probeOnce(request, token)).toMatchObject({
      ...{ ok: false, rung: "route" },
      reason: expect.stringContaining("no Tailscale client says that this machine is on a tailnet now"),
    });
    await client.set(tailnetState({ self: { name: "laptop", addresses: ["100.64.0.1"] } }));
    expect(await probeOnce(request, token)).toMatchObject({
      ...{ ok: false, rung: "route" },
      reason: expect.not.stringContaining("no Tailscale client"),
    });
  } finally {
    await client.stop();
  }
});

test("what is malformed on standard input is not repeated", async () => {
  const args = [entry, "probe", "--kind", "bazel", "--endpoint", "http://127.0.0.1:9", "--local-proof", "--credential-stdin"];
  for (const input of ['{"scheme":"bearer","token":"a secret with spaces"}', "a-secret", '{"scheme":"bearer"}']) {
    const run = await execa(process.execPath, [...nodeFlags, ...args], { input, reject: false });
    expect(run).toMatchObject({ exitCode: 2, stdout: "", stderr: "flywheeld: the credential on standard input is malformed" });
  }
});
