/** flywheel-credential-helper as Bazel calls it: the built program, and an HTTP server on the daemon's socket. */
import { spawn } from "node:child_process";
import { closeSync, mkdirSync, mkdtempSync, openSync, rmSync, writeFileSync } from "node:fs";
import { createServer, type Server } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { execa } from "execa";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { apiVersion, apiVersionHeader, type CredentialAnswer, type CredentialRequest } from "../../contract/api.ts";
import { type CredentialEntry, noCredentials } from "../../contract/credential.ts";
import { pathsFrom, secretPath, socketPath } from "../../contract/paths.ts";
import { changeCredentials } from "../../daemon/api/client/credentials/index-file.ts";
import { login } from "../daemon/credentials/login.ts";
import { logIn } from "../fixtures/credentials/login.ts";
import { makeStage } from "../fixtures/stage.ts";

const helper = join(import.meta.dirname, "../../dist/bin/flywheel-credential-helper");
const secret = "planted-token-0123456789";

let root: string;
let server: Server | undefined;
const asked: CredentialRequest[] = [];
const environment = (): Record<string, string> => ({
  PATH: process.env["PATH"] ?? "",
  HOME: root,
  GF_RUNTIME_DIR: join(root, "run"),
  GF_STATE_DIR: join(root, "state"),
  GF_CONFIG_DIR: join(root, "config"),
});
const paths = () => pathsFrom(environment(), root);

beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), "gf-ch-"));
  mkdirSync(join(root, "run"), { mode: 0o700 });
  mkdirSync(join(root, "config"));
  asked.length = 0;
});
afterEach(async () => {
  server?.closeAllConnections();
  await new Promise<void>((resolve) => (server === undefined ? resolve() : server.close(() => resolve())));
  server = undefined;
  rmSync(root, { recursive: true, force: true });
});

/** @param answer undefined: it never answers */
async function daemon(answer: (request: CredentialRequest) => CredentialAnswer | undefined): Promise<void> {
  server = createServer((request, response) => {
    let text = "";
    request.setEncoding("utf8").on("data", (chunk: string) => {
      text += chunk;
    });
    request.on("end", () => {
      const body = JSON.parse(text) as CredentialRequest;
      asked.push(body);
      const answered = request.url === "/v1/credential" ? answer(body) : undefined;
      if (answered !== undefined) response.writeHead(200, { [apiVersionHeader]: apiVersion }).end(JSON.stringify(answered));
    });
  });
  await new Promise<void>((resolve) => server?.listen(socketPath(paths()), resolve));
}

const call = (input: string | { uri: string }, env: Record<string, string> = {}, args: readonly string[] = ["get"], cwd = root) =>
  execa(helper, args, {
    cwd,
    input: typeof input === "string" ? input : JSON.stringify(input),
    env: { ...environment(), ...env },
    extendEnv: false,
    reject: false,
    timeout: 20_000,
  });

const owner = (request: CredentialRequest): CredentialAnswer =>
  new URL(request.uri).hostname === "cache.example"
    ? { headers: { Authorization: [`Bearer ${secret}`] }, expires: "2040-01-01T00:00:00.000Z" }
    : { headers: {}, expires: null };

describe("with a daemon", () => {
  test("answers for a host that the profile owns, and gives no headers for one that nobody owns", async () => {
    await daemon(owner);
    const uri = "https://cache.example:9092/build.bazel.remote.execution.v2.Capabilities";
    const own = await call({ uri });
    expect([own.exitCode, own.stderr]).toEqual([0, ""]);
    expect(JSON.parse(own.stdout)).toEqual({ headers: { Authorization: [`Bearer ${secret}`] }, expires: "2040-01-01T00:00:00.000Z" });
    const other = await call({ uri: "https://github.com/x" }, { GF_PROFILE: "lab" });
    expect([other.exitCode, other.stdout, other.stderr]).toEqual([0, '{"headers":{}}', ""]);
    expect(asked).toEqual([
      { profile: "default", uri },
      { profile: "lab", uri: "https://github.com/x" },
    ]);
  });

  test("asks for the profile that config.toml gives the repository, as the guard does", async () => {
    await daemon(owner);
    const workspace = join(root, "workspace");
    mkdirSync(join(workspace, ".git"), { recursive: true });
    writeFileSync(join(root, "config/config.toml"), `[[repositories]]\npath = "${workspace}"\nprofile = "lab"\n`);
    const uri = "https://cache.example:9092/x";
    await call({ uri }, {}, ["get"], workspace);
    await call({ uri }, { GF_PROFILE: "named" }, ["get"], workspace);
    await call({ uri }, {}, ["get"], root);
    expect(asked.map(({ profile }) => profile)).toEqual(["lab", "named", "default"]);
  });

  test("gives up within a second on one that hangs, says so in one line, and keeps the secret of nobody", async () => {
    await daemon(() => undefined);
    const started = performance.now();
    await changeCredentials(paths(), () => ({ ...noCredentials, entries: [entryAt("grpcs://cache.example:443")] }));
    const hung = await call({ uri: "https://cache.example/x" });
    expect(performance.now() - started).toBeLessThan(5000);
    expect(hung.exitCode).toBe(1);
    expect(hung.stdout).toBe("");
    expect(hung.stderr).toMatch(/^flywheel-credential-helper: [^\n]+$/);
  });

  test("gives up within a second where nobody closes standard input", async () => {
    const child = execa(helper, ["get"], { stdin: "pipe", env: environment(), extendEnv: false, reject: false });
    const result = await child;
    expect([result.exitCode, result.stdout]).toEqual([1, ""]);
    expect(result.stderr).toBe("flywheel-credential-helper: nobody answered within a second; next: flywheel status");
  });

  test.each([[[]], [["store"]], [["get", "x"]], [["--help"]]])("called with %j it is a mistake of usage", async (args) => {
    const result = await call("", {}, args);
    expect([result.exitCode, result.stdout]).toEqual([2, ""]);
    expect(result.stderr).toMatch(/^flywheel-credential-helper: [^\n]+$/);
  });

  test.each(["", "nonsense", '{"url":"https://x.example"}', "x".repeat(70_000)])(
    "a question that is none is an error: %#",
    async (text) => {
      await daemon(owner);
      const result = await call(text);
      expect([result.exitCode, result.stdout]).toEqual([1, ""]);
      expect(result.stderr).toMatch(/^flywheel-credential-helper: what came on standard input [^\n]+$/);
    },
  );
});

function entryAt(endpoint: string): CredentialEntry {
  const how = { scheme: "bearer", store: "keyring" } as const;
  return { profile: "default", kind: "bazel", endpoint, how, generation: "0".repeat(32), at: "", expires: null, legacyHeader: false };
}

describe("without a daemon", () => {
  test("gives no headers for a host that nobody owns, and an error for one that somebody is logged in to", async () => {
    await changeCredentials(paths(), () => ({ ...noCredentials, entries: [entryAt("grpcs://cache.example:9092")] }));
    expect((await call({ uri: "https://other.example/x" })).stdout).toBe('{"headers":{}}');
    // Another port of that host is another service.
    expect((await call({ uri: "https://cache.example/x" })).stdout).toBe('{"headers":{}}');
    const own = await call({ uri: "https://cache.example:9092/x" });
    expect([own.exitCode, own.stdout]).toEqual([1, ""]);
    expect(own.stderr).toMatch(/^flywheel-credential-helper: the daemon cannot be reached: it is not running; next: flywheel up$/);
  });

  test("reads a secret that is kept in a file itself, as on a runner; one that has expired is an error", async () => {
    const ours = "grpcs://cache.example:9092";
    const uri = "https://cache.example:9092/x";
    const { generation } = await login(paths(), { endpoint: ours, how: { token: secret } });
    expect(JSON.parse((await call({ uri })).stdout)).toEqual({ headers: { Authorization: [`Bearer ${secret}`] } });
    rmSync(secretPath(paths(), generation));
    expect(await call({ uri })).toMatchObject({ exitCode: 1, stdout: "", stderr: expect.stringContaining("no longer holds the secret") });
    await login(paths(), { endpoint: ours, how: { token: secret }, expires: "2020-01-01T00:00:00Z" });
    expect(await call({ uri })).toMatchObject({ exitCode: 1, stdout: "", stderr: expect.stringContaining("expired at 2020-") });
    await login(paths(), { endpoint: ours, how: { token: secret }, store: "keyring" });
    expect(await call({ uri })).toMatchObject({ exitCode: 1, stdout: "", stderr: expect.stringContaining("the daemon cannot be reached") });
  });

  test("leaves the user's own netrc to Bazel's other questions, as if nobody had named a helper", async () => {
    const basic = `Basic ${Buffer.from(`ann:${secret}`).toString("base64")}`;
    const netrc = `machine archives.example login ann password ${secret}\n`;
    writeFileSync(join(root, ".netrc"), netrc, { mode: 0o600 });
    expect(JSON.parse((await call({ uri: "https://archives.example/a.tgz" })).stdout)).toEqual({ headers: { Authorization: [basic] } });
    expect((await call({ uri: "https://other.example/a.tgz" })).stdout).toBe('{"headers":{}}');
    writeFileSync(join(root, "elsewhere"), netrc.replace("archives", "other"), { mode: 0o600 });
    const named = { NETRC: join(root, "elsewhere") };
    expect(JSON.parse((await call({ uri: "https://other.example/a.tgz" }, named)).stdout)).toEqual({ headers: { Authorization: [basic] } });
    // Of a login's own endpoint nothing but the login speaks.
    await daemon(owner);
    expect(JSON.parse((await call({ uri: "https://cache.example/x" })).stdout).headers).toEqual({ Authorization: [`Bearer ${secret}`] });
  });

  describe("honours the fleet's tokens", () => {
    const cell = { uri: "https://gf-reapi-cell.gf-rbe.svc:8980/x" };
    const jwt = (exp: number): string => `e30.${Buffer.from(JSON.stringify({ exp })).toString("base64url")}.${secret}`;
    const token = (text: string): { GF_REAPI_CREDENTIAL_HELPER_TOKEN_FILE: string } => {
      writeFileSync(join(root, "token"), text);
      return { GF_REAPI_CREDENTIAL_HELPER_TOKEN_FILE: join(root, "token") };
    };
    const soon = Math.floor(Date.now() / 1000) + 3600;

    test("by file and inline, for the profile's hosts and no others, ending a minute early", async () => {
      const answer = { headers: { Authorization: [`Bearer ${jwt(soon)}`] }, expires: new Date((soon - 60) * 1000).toISOString() };
      expect(JSON.parse((await call(cell, token(`${jwt(soon)}\n`))).stdout)).toEqual(answer);
      expect(JSON.parse((await call(cell, { GF_REAPI_CREDENTIAL_HELPER_TOKEN: jwt(soon) })).stdout)).toEqual(answer);
      for (const uri of ["https://github.com/x", "https://gf-reapi-cell.evil.example/x.tgz", "http://gf-reapi-cell.gf-rbe.svc:8980/x"]) {
        expect((await call({ uri }, token(jwt(soon)))).stdout).toBe('{"headers":{}}');
      }
      writeFileSync(join(root, "config/lab.toml"), "");
      mkdirSync(join(root, "config/profiles"));
      writeFileSync(join(root, "config/profiles/lab.toml"), '[bazel]\nreapi_hosts = ["*.lab.example"]\n');
      const lab = { ...token(jwt(soon)), GF_PROFILE: "lab" };
      expect((await call(cell, lab)).stdout).toBe('{"headers":{}}');
      expect(JSON.parse((await call({ uri: "https://a.lab.example:8980/x" }, lab)).stdout)).toEqual(answer);
    });

    test("also where the daemon knows of no credential", async () => {
      await daemon(owner);
      expect(JSON.parse((await call(cell, token("opaque"))).stdout)).toEqual({ headers: { Authorization: ["Bearer opaque"] } });
    });

    test.each([
      ["named twice", () => ({ ...token("x"), GF_REAPI_CREDENTIAL_HELPER_TOKEN: secret }), /given twice/],
      ["not there", () => ({ GF_REAPI_CREDENTIAL_HELPER_TOKEN_FILE: join(root, "none") }), /cannot be read: ENOENT/],
      ["a directory", () => ({ GF_REAPI_CREDENTIAL_HELPER_TOKEN_FILE: root }), /cannot be read/],
      ["over", () => token(jwt(1)), /ended, or ends within a minute \(1970-/],
      ["no token", () => token(`${secret} ${secret}`), /holds no bearer token/],
    ] as const)("that are %s are an error in one line, without the token", async (_, env, words) => {
      const result = await call(cell, env());
      expect([result.exitCode, result.stdout]).toEqual([1, ""]);
      expect(result.stderr).toMatch(words);
      expect(result.stderr).toMatch(/^flywheel-credential-helper: [^\n]+$/);
      expect(result.stderr).not.toContain(secret);
    });
  });
});

describe("200 at once", () => {
  const many = 200;

  /** Each as Bazel starts it, its question waiting already. */
  async function all(
    file: string,
    args: readonly string[],
    env: Readonly<Record<string, string>>,
  ): Promise<readonly { readonly code: number | null; readonly stdout: string }[]> {
    const question = join(root, "question");
    writeFileSync(question, '{"uri":"https://cache.example:9092/x"}');
    return Promise.all(
      Array.from({ length: many }, () => {
        const input = openSync(question, "r");
        const child = spawn(file, args, { env, stdio: [input, "pipe", "inherit"] });
        closeSync(input);
        let stdout = "";
        child.stdout?.setEncoding("utf8").on("data", (chunk: string) => {
          stdout += chunk;
        });
        return new Promise<{ code: number | null; stdout: string }>((resolve) => child.on("close", (code) => resolve({ code, stdout })));
      }),
    );
  }

  test("are all answered by a real daemon", { timeout: 120_000 }, async () => {
    await using stage = await makeStage([], { grpcPorts: [], httpPorts: [] });
    await stage.flywheel(["up"]);
    await logIn(stage, { endpoint: "grpcs://cache.example:9092", secret, legacyHeader: false });
    // The daemon reads a secret at the first need, and keeps it.
    expect((await call({ uri: "https://cache.example:9092/x" }, stage.env)).stdout).toContain(secret);
    const empty = join(root, "empty.js");
    writeFileSync(empty, "");
    const began = performance.now();
    await all(process.execPath, [empty], stage.env);
    const nodes = performance.now();
    const results = await all(helper, ["get"], stage.env);
    const took = performance.now() - nodes;
    expect(results.filter(({ code, stdout }) => code === 0 && stdout.includes(secret)).length).toBe(many);
    // For the record, not a bound: what the machine does besides is in it.
    process.stderr.write(`${many} helpers: ${Math.round(took)} ms; ${many} empty Node scripts: ${Math.round(nodes - began)} ms\n`);
  });
});
