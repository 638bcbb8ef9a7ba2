/** What a login makes of the cache's own word, and that its secret is nowhere but where it belongs. */
import { existsSync, readdirSync, readFileSync } from "node:fs";
import type { RequestListener } from "node:http";
import { join } from "node:path";
import { execa } from "execa";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { healthyHttp, listenHttp, type Peer } from "../../daemon/probe/peers.ts";
import { programOnPath, required } from "../../fixtures/peers.ts";
import { freePort } from "../../fixtures/process.ts";
import { secretService, startSecretService } from "../../fixtures/secret-service/secret-service.ts";
import { type Home, makeHome, type Ran } from "../flywheel.ts";

let home: Home;
const closing: Peer[] = [];
beforeEach(() => {
  home = makeHome();
});
afterEach(async () => {
  for (const peer of closing.splice(0)) await peer.close();
  home.remove();
});

const token = "planted-T0ken.asked~for==";
const bearer = `Bearer ${token}`;
const basic = Buffer.from(`ann:${token}`).toString("base64");
const main = join(import.meta.dirname, "../../../cli/main.ts");
/** Loopback is taken as a local proof. */
const markers = { GF_BAZEL_LOCAL_PROOF: "port-forward", GF_BAZEL_ALLOW_LOCALHOST_PROOF: "true" } as const;
const indexPath = () => join(home.state, "credentials.json");

/** A cache over HTTP that wants exactly this header, and remembers which ones came. */
async function cache(wanted: string, no: 401 | 403 = 401): Promise<{ url: string; seen: (string | undefined)[] }> {
  const seen: (string | undefined)[] = [];
  const answer: RequestListener = (request, response) => {
    seen.push(request.headers.authorization);
    if (request.headers.authorization === wanted) healthyHttp(request, response);
    else response.writeHead(no).end();
  };
  const peer = await listenHttp(answer);
  closing.push(peer);
  return { url: `http://127.0.0.1:${peer.port}`, seen };
}

const login = (url: string, args: readonly string[] = [], input = token): Promise<Ran> =>
  home.flywheel(["login", url, "--store", "file", ...args], { input, env: markers });

describe("before it is kept", () => {
  test("the cache is asked with it, and what it takes is kept", async () => {
    const { url, seen } = await cache(bearer);
    const ran = await login(url);
    expect(ran).toMatchObject({ exitCode: 0, stderr: "" });
    expect(ran.stdout).toContain(`kept for ${url} (bearer, in a file that only you can read), and the cache answers with it`);
    expect(seen).toContain(bearer);
    expect(JSON.parse((await login(url, ["--json"])).stdout)).toMatchObject({ proved: true, reason: null });
  });

  test("a user and a password", async () => {
    const { url } = await cache(`Basic ${basic}`);
    expect((await login(url, ["--basic", "--user", "ann"])).stdout).toContain("and the cache answers with it");
    expect(await login(url, ["--basic", "--user", "bob"])).toMatchObject({ exitCode: 1 });
  });

  test.each([401, 403] as const)("what it refuses (%i) is not kept, and what was kept stays", async (no) => {
    const { url } = await cache(bearer, no);
    const refused = await login(url, [], "wrong");
    expect([refused.exitCode, refused.stderr.includes(`nothing was kept: ${url} does not take it: authority: `)]).toEqual([1, true]);
    expect(existsSync(home.state)).toBe(false);
    await login(url);
    const before = readFileSync(indexPath(), "utf8");
    expect(await login(url, ["--debug"], "wrong-again")).toMatchObject({ exitCode: 1 });
    expect(readFileSync(indexPath(), "utf8")).toBe(before);
    expect(refused.stderr).toContain("--no-verify");
    expect(await login(url, ["--no-verify"], "wrong")).toMatchObject({ exitCode: 0 });
  });

  test("what to type after a refusal is the same login again", async () => {
    const { url } = await cache(`Basic ${basic}`);
    const asToken = await login(url, [], "wrong");
    expect(asToken.stderr).toContain(
      `  next: flywheel login ${url}   (--basic --user NAME where it wants a password; --no-verify keeps it all the same)\n`,
    );
    const forOldBazels = await login(url, ["--allow-legacy-header"], "wrong");
    expect(forOldBazels.stderr).toContain(`  next: flywheel login ${url} --allow-legacy-header   (--basic`);
    const asPassword = await login(url, ["--basic", "--user", "ann"], "wrong");
    expect(asPassword.stderr).toContain(`  next: flywheel login ${url} --basic --user ann   (--no-verify keeps it all the same)\n`);
  });

  test("one that answers anybody proves nothing, and is not said to answer with it", async () => {
    const peer = await listenHttp(healthyHttp);
    closing.push(peer);
    const url = `http://127.0.0.1:${peer.port}`;
    const ran = await login(url, [], "wrong");
    expect([ran.exitCode, ran.stdout]).toEqual([0, `kept for ${url} (bearer, in a file that only you can read)\n`]);
    expect(ran.stderr).toContain(`whether ${url} takes it is not proved: it answers anybody, without a credential too`);
  });

  test("a cache that is not there is another matter: kept, with a notice", async () => {
    const url = `http://127.0.0.1:${await freePort()}`;
    const ran = await login(url);
    expect(ran.exitCode).toBe(0);
    expect(ran.stderr).toContain(`whether ${url} takes it is not proved: connect: nothing listens on`);
    expect(JSON.parse((await login(url, ["--json"])).stdout)).toMatchObject({
      proved: false,
      reason: expect.stringContaining("connect: "),
    });
  });
});

describe("a Nix cache", () => {
  /** It tells its kind to everybody, and asks who reads its paths: as Attic does behind a proxy, or nginx. */
  async function nixCache(): Promise<string> {
    const wanted = `Basic ${Buffer.from(`:${token}`).toString("base64")}`;
    const peer = await listenHttp((request, response) => {
      if (request.url === "/nix-cache-info") response.end("StoreDir: /nix/store\nWantMassQuery: 1\n");
      else response.writeHead(request.headers.authorization === wanted ? 404 : 401).end();
    });
    closing.push(peer);
    return `http://127.0.0.1:${peer.port}`;
  }

  test("that takes it is not proved while nobody trusts its key: that speaks not against the credential", async () => {
    const url = await nixCache();
    home.write("config/profiles/default.toml", "[tailnet]\n");
    const ran = await login(url, ["--kind", "nix"]);
    expect(ran.exitCode).toBe(0);
    expect(ran.stderr).toContain(`whether ${url} takes it is not proved: authority: no public key is configured for`);
    const refused = await login(url, ["--kind", "nix"], "wrong");
    expect([refused.exitCode, refused.stderr.includes(`${url} does not take it: authority: `)]).toEqual([1, true]);
  });
});

describe("the secret", () => {
  /** In every form in which it is sent or kept. */
  const forms = [token, Buffer.from(token).toString("base64"), Buffer.from(token).toString("hex"), basic];
  const found = (text: string): readonly string[] => forms.filter((form) => text.includes(form));

  /** Runs it under strace: argv and environment of every process that is started, as the kernel gets them. */
  async function traced(
    strace: string,
    args: readonly string[],
    env: Readonly<Record<string, string>> = {},
  ): Promise<{ trace: string; ran: Ran }> {
    const file = join(home.dir, "trace");
    const ran = await execa(
      strace,
      ["-f", "-v", "-s", "100000", "-e", "trace=execve,execveat", "-o", file, process.execPath, main, ...args],
      {
        ...{ cwd: home.dir, env: { ...home.env, ...markers, ...env }, extendEnv: false, input: token, reject: false, timeout: 60_000 },
      },
    );
    return { trace: readFileSync(file, "latin1"), ran: { exitCode: ran.exitCode ?? -1, stdout: ran.stdout, stderr: ran.stderr } };
  }

  test("is in no argument and no environment of any process, in a file or a keyring", async ({ skip }) => {
    const strace = required(programOnPath("strace"), skip);
    required(secretService(), skip);
    await using service = await startSecretService();
    const { url } = await cache(`Basic ${basic}`);
    const common = ["login", url, "--basic", "--user", "ann", "--debug"];
    for (const more of [[], ["--store", "file"]]) {
      const { trace, ran } = await traced(strace, [...common, ...more], service.env);
      expect(ran.exitCode).toBe(0);
      // The prober is a process of its own.
      expect(trace.match(/execve\(/g)?.length).toBeGreaterThan(1);
      expect(trace).toContain("--credential-stdin");
      expect(found(`${trace}${ran.stdout}${ran.stderr}`)).toEqual([]);
    }
  });

  test("is in no message, with --debug and where the writing crashes", async () => {
    const { url } = await cache(bearer);
    // The last step of every write of a file fails as nothing foresees.
    const crash = home.write("crash.cjs", 'require("node:fs").rename = () => { throw new TypeError("crashed on purpose"); };');
    const ran = await home.flywheel(["login", url, "--store", "file", "--debug"], {
      ...{ input: token, env: { ...markers, NODE_OPTIONS: `--require=${crash}` } },
    });
    expect(ran.exitCode).toBe(1);
    expect(ran.stderr).toContain("crashed on purpose");
    expect(found(`${ran.stdout}${ran.stderr}`)).toEqual([]);
    expect(readdirSync(home.state, { recursive: true })).toEqual(["credentials"]);
  });

  test("is in no file but its own", async () => {
    const { url } = await cache(bearer);
    await login(url);
    await login(`http://127.0.0.1:${await freePort()}`);
    await home.flywheel(["doctor"]);
    await home.flywheel(["status"]);
    const own = join(home.state, "credentials");
    const files = readdirSync(home.dir, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile());
    const holding = files.filter((entry) => found(readFileSync(join(entry.parentPath, entry.name), "latin1")).length > 0);
    expect(holding.map((entry) => entry.parentPath)).toEqual([own, own]);
  });
});
