/** The rung `authority`: what real caches answer to a credential, to a wrong one and to none. */
import { execFileSync } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createServer } from "node:tls";
import { afterAll, afterEach, beforeAll, describe, expect, it, test } from "vitest";
import type { ProbeResult } from "../../../contract/candidate.ts";
import type { Credential } from "../../../contract/credential.ts";
import type { Login } from "../../../contract/login-command.ts";
import { Secret } from "../../../contract/secret.ts";
import type { KeptCredential } from "../../../daemon/credentials/kept.ts";
import { Prober } from "../../../daemon/probe/prober.ts";
import { bazelRemote, startBazelRemote } from "../../fixtures/bazel-remote/bazel-remote.ts";
import { nginx, startNginx } from "../../fixtures/nginx/nginx.ts";
import { startNixCache } from "../../fixtures/nix/cache.ts";
import { programOnPath } from "../../fixtures/peers.ts";
import { byOperator, candidate, listenHttp, proofContext } from "./peers.ts";

const cleanup: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const close of cleanup.splice(0).reverse()) await close();
});

function keptNow(credential: Credential, generation = "one"): KeptCredential {
  return { state: "ready", credential, since: "2026-11-20T08:00:00Z", generation };
}
const bearer = (token: string) => keptNow({ scheme: "bearer", token: new Secret(token) }, token);
const basic = (password: string) => keptNow({ scheme: "basic", user: "ann", password: new Secret(password) }, password);
const mtls = (name: string) => keptNow({ scheme: "mtls", certificate: join(pki, `${name}.pem`), key: join(pki, `${name}.key`) }, name);

function prober(): Prober {
  const made = new Prober({ authorities: [readFileSync(join(pki, "ca.pem"), "utf8")] });
  cleanup.push(() => made.close());
  return made;
}

/** A public key that the cache is believed by. */
const nixKeys = [`test-cache:${Buffer.alloc(32).toString("base64")}`];

function probe(url: string, kept?: KeptCredential, kind: "bazel" | "nix" = "bazel", with_ = prober()): Promise<ProbeResult> {
  return with_.probe(candidate(url, byOperator, kind), { ...proofContext, nixKeys, kept });
}

/** An authority with a server and a client; and a stranger of an authority of its own. */
let pki: string;
beforeAll(() => {
  pki = mkdtempSync(join(tmpdir(), "gf-pki-"));
  const openssl = (...args: string[]) => execFileSync("openssl", args, { cwd: pki, stdio: ["ignore", "ignore", "pipe"] });
  const ec = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"];
  for (const name of ["ca", "other-ca"]) {
    openssl("req", "-x509", ...ec, "-days", "2", "-subj", `/CN=${name}`, "-keyout", `${name}.key`, "-out", `${name}.pem`);
  }
  writeFileSync(join(pki, "extensions"), "subjectAltName=IP:127.0.0.1\n");
  for (const [name, authority] of [
    ["server", "ca"],
    ["client", "ca"],
    ["stranger", "other-ca"],
  ] as const) {
    openssl("req", ...ec, "-subj", `/CN=${name}`, "-keyout", `${name}.key`, "-out", `${name}.csr`);
    const by = ["-CA", `${authority}.pem`, "-CAkey", `${authority}.key`, "-CAcreateserial"];
    openssl("x509", "-req", "-in", `${name}.csr`, ...by, "-days", "2", "-extfile", "extensions", "-out", `${name}.pem`);
  }
});
afterAll(() => rmSync(pki, { recursive: true, force: true }));
const tls = () => ({ certificate: join(pki, "server.pem"), key: join(pki, "server.key"), clients: join(pki, "ca.pem") });

const login = (url: string) => `flywheel login ${url}`;
const asksForCertificate = (url: string) => ({
  ok: false,
  rung: "authority",
  reason: expect.stringMatching(/asks for a client certificate, and none is kept for it \(TLS alert: /),
  next: `${login(url)} --certificate FILE --key FILE`,
});
const refusesCertificate = {
  ok: false,
  rung: "authority",
  reason: expect.stringMatching(/refuses the client certificate kept since 2026-11-20/),
};

const remote = await bazelRemote();
describe.skipIf(!remote.available)("bazel-remote that asks for a client certificate", () => {
  test.each(["grpcUrl", "httpUrl"] as const)("none, another authority's, the right one: %s", async (which) => {
    const cache = await startBazelRemote(remote.available ? remote.path : "", { tls: tls() });
    cleanup.push(() => cache.stop());
    const url = cache[which];
    // It lets everybody finish the handshake, and asks afterwards.
    expect(await probe(url)).toMatchObject({
      rung: "authority",
      reason: expect.stringContaining("asks for a credential, and none is kept for it"),
      next: login(url),
    });
    expect(await probe(url, mtls("stranger"))).toMatchObject(refusesCertificate);
    const probing = prober();
    for (let each = 0; each < 2; each += 1) expect(await probe(url, mtls("client"), "bazel", probing)).toMatchObject({ ok: true });
    // The warm connection is of that login alone.
    expect(await probe(url, undefined, "bazel", probing)).toMatchObject({ rung: "authority" });
    await cache.stop();
    expect(await probe(url, mtls("client"), "bazel", probing)).toMatchObject({ ok: false, rung: "connect" });
  });
});

describe("a server that ends the handshake of whoever shows no certificate", () => {
  test.each([
    ["TLSv1.2", "https"],
    ["TLSv1.3", "https"],
    ["TLSv1.3", "grpcs"],
  ] as const)("by an alert, over %s for %s", async (version, scheme) => {
    const { certificate, key, clients } = tls();
    const server = createServer({
      ...{ cert: readFileSync(certificate), key: readFileSync(key), ca: readFileSync(clients) },
      ...{ requestCert: true, rejectUnauthorized: true, minVersion: version, maxVersion: version, ALPNProtocols: ["http/1.1", "h2"] },
    });
    server.on("tlsClientError", () => {}).listen(0, "127.0.0.1");
    await once(server, "listening");
    cleanup.push(async () => server.close());
    const url = `${scheme}://127.0.0.1:${(server.address() as AddressInfo).port}`;
    // Several times: whether the alert or the end of the connection is seen first is chance.
    for (let each = 0; each < 5; each += 1) {
      if (version === "TLSv1.2") {
        // There its alert may mean much else.
        const next = `if it asks for a client certificate: ${login(url)} --certificate FILE --key FILE`;
        expect(await probe(url)).toMatchObject({ ok: false, rung: "handshake", next });
        continue;
      }
      expect(await probe(url)).toMatchObject(asksForCertificate(url));
      expect(await probe(url, bearer("t"))).toMatchObject({
        rung: "authority",
        reason: expect.stringContaining("and what is kept for it is a bearer token"),
      });
    }
  });
});

const web = nginx();
const nginxPath = web.available ? web.path : "";
describe.skipIf(!web.available)("nginx", () => {
  test.each(["TLSv1.2", "TLSv1.3"] as const)("asks for a client certificate, over %s", async (tlsVersion) => {
    const cache = await startNginx(nginxPath, { tls: tls(), tlsVersion });
    cleanup.push(() => cache.stop());
    expect(await probe(cache.url)).toMatchObject({
      ok: false,
      rung: "authority",
      reason: expect.stringContaining("asks for a credential, and none is kept for it (HTTP 400: No required SSL certificate was sent)"),
      next: login(cache.url),
    });
    expect(await probe(cache.url, mtls("stranger"))).toMatchObject(refusesCertificate);
    expect(await probe(cache.url, mtls("client"))).toMatchObject({ ok: true });
  });

  test("a certificate that cannot be read or used is a fault of its own, and not of a cache that is down", async () => {
    const cache = await startNginx(nginxPath, { tls: tls() });
    const missing = { scheme: "mtls", certificate: join(pki, "client.pem"), key: join(pki, "none.key") } as const;
    expect(await probe(cache.url, keptNow(missing))).toMatchObject({
      ok: false,
      rung: "authority",
      reason: expect.stringMatching(/the client certificate's key kept for .*none\.key, cannot be read \(ENOENT\)/),
      next: `${login(cache.url)} --certificate FILE --key FILE`,
    });
    const mixed = { ...missing, key: join(pki, "stranger.key") };
    expect(await probe(cache.url, keptNow(mixed))).toMatchObject({ rung: "authority", reason: expect.stringContaining("cannot be used") });
    // Renewed in its place: the next connection has it.
    expect(await probe(cache.url, keptNow({ ...missing, key: join(pki, "client.key") }))).toMatchObject({ ok: true });
    await cache.stop();
    expect(await probe(cache.url, keptNow(missing))).toMatchObject({ rung: "connect" });
  });

  test("asks for a password: none, a wrong one, the right one", async () => {
    const cache = await startNginx(nginxPath, { users: { ann: "right" } });
    cleanup.push(() => cache.stop());
    expect(await probe(cache.url)).toMatchObject({ rung: "authority", reason: expect.stringContaining("none is kept for it (HTTP 401)") });
    expect(await probe(cache.url, basic("wrong"))).toMatchObject({
      rung: "authority",
      reason: expect.stringContaining("refuses the password kept since 2026-11-20 (HTTP 401)"),
      next: `${login(cache.url)} --basic --user ann`,
    });
    expect(await probe(cache.url, basic("right"))).toMatchObject({ ok: true });
  });

  test.skipIf(!programOnPath("nix-store").available)("a Nix cache that tells everybody what it is, and asks who reads", async () => {
    const cache = await startNixCache(nginxPath, { storeDir: "/nix/store", name: "main", credentials: { user: "ann", password: "right" } });
    cleanup.push(() => cache.dispose());
    // What is not kept here may be in a netrc of this machine's Nix.
    expect(await probe(cache.url, undefined, "nix")).toMatchObject({ ok: true });
    expect(await probe(cache.url, basic("wrong"), "nix")).toMatchObject({
      rung: "authority",
      reason: expect.stringContaining("refuses the password kept since 2026-11-20"),
      next: `flywheel login --kind nix ${cache.url} --basic --user ann`,
    });
    expect(await probe(cache.url, basic("right"), "nix")).toMatchObject({ ok: true });
    const anonymous = { ...proofContext, nixKeys, anonymously: true as const };
    expect(await prober().probe(candidate(cache.url, byOperator, "nix"), anonymous)).toMatchObject({ rung: "authority" });
  });
});

describe("what is kept, in a cache's answer", () => {
  async function cacheOf(status: number): Promise<{ url: string; seen: (string | undefined)[] }> {
    const seen: (string | undefined)[] = [];
    const peer = await listenHttp((request, response) => {
      seen.push(request.headers.authorization);
      response.writeHead(status).end();
    });
    cleanup.push(() => peer.close());
    return { url: `http://127.0.0.1:${peer.port}`, seen };
  }
  const since = "2026-11-20T08:00:00Z";
  /** As it was typed, by an alias of the endpoint that is probed. */
  const made: Login = { profile: "lab", kind: "bazel", endpoint: "https://alias.example", how: { scheme: "bearer" }, legacyHeader: true };
  const expires = new Date(Date.now() - 10_900_000).toISOString();
  const expired: KeptCredential = { state: "expired", scheme: "bearer", login: made, since, expires };
  const locked: KeptCredential = {
    ...{ state: "unreadable", scheme: "bearer", login: made, since },
    ...{ reason: "the keyring is locked", next: "unlock it" },
  };
  const again = /^flywheel login --profile lab https:\/\/alias\.example --allow-legacy-header$/;
  const paths = { certificate: "/own/client.pem", key: "/own/client.key" };
  const pastCertificate: KeptCredential = { ...expired, scheme: "mtls", login: { ...made, how: { scheme: "mtls", ...paths } } };

  it.each([
    [
      "403, with one",
      403,
      bearer("t"),
      /knows the bearer token kept since 2026-11-20, which may not read there \(HTTP 403\)/,
      /ask its operator/,
    ],
    [
      "403, with none",
      403,
      undefined,
      /refuses this machine \(HTTP 403\)/,
      /ask its operator for read access, or if you have a credential: flywheel login/,
    ],
    ["401, expired", 401, expired, /the bearer token kept for it expired 3 h ago \(HTTP 401\)/, again],
    ["401, refused", 401, { ...bearer("t"), login: made }, /refuses the bearer token kept since 2026-11-20 \(HTTP 401\)/, again],
    [
      "401, an expired certificate",
      401,
      pastCertificate,
      /the client certificate kept for it expired 3 h ago/,
      /https:\/\/alias\.example --certificate \/own\/client\.pem --key \/own\/client\.key --allow-legacy-header$/,
    ],
    ["401, unreadable", 401, locked, /the bearer token kept for it cannot be read: the keyring is locked \(HTTP 401\)/, /^unlock it$/],
  ])("%s", async (_name, status, kept, reason, next) => {
    const { url, seen } = await cacheOf(status);
    expect(await probe(url, kept)).toMatchObject({
      ok: false,
      rung: "authority",
      reason: expect.stringMatching(reason),
      next: expect.stringMatching(next),
    });
    // What has expired or cannot be read is not sent.
    expect(seen).toEqual([kept?.state === "ready" ? "Bearer t" : undefined]);
  });

  it("counts for nothing where the cache answers without it", async () => {
    const { url, seen } = await cacheOf(404);
    for (const kept of [expired, locked]) expect(await probe(url, kept)).toMatchObject({ ok: true });
    expect(new Set(seen)).toEqual(new Set([undefined]));
  });

  it("Attic, to which a token is a password without a user: its doubt stays, and what to type is there", async () => {
    const { url, seen } = await cacheOf(401);
    expect(await probe(`${url}/main`, undefined, "nix")).toMatchObject({
      rung: "authority",
      reason: expect.stringContaining("the cache is private or missing, Attic does not tell which"),
      next: `check the cache's name; with a token for it: flywheel login --kind nix ${url}/main`,
    });
    expect(await probe(`${url}/main`, bearer("t"), "nix")).toMatchObject({
      reason: expect.stringMatching(
        /refuses the bearer token kept since 2026-11-20 \(HTTP 401 for \/main\/nix-cache-info: .*private or missing/,
      ),
    });
    expect(seen).toEqual([undefined, `Basic ${Buffer.from(":t").toString("base64")}`]);
  });
});
