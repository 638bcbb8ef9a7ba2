/** What the daemon hands to the tools, and to whom; and that no cache gets what is another's. */

import { once } from "node:events";
import { existsSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import { type AddressInfo, createServer as createTcp } from "node:net";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { attachmentPath, credentialsPath, logPath, secretPath } from "../../../contract/paths.ts";
import { DaemonClient } from "../../../daemon/api/client/connection.ts";
import { gone, type Home, makeHome } from "../home.ts";
import { type Login, login, logout } from "./login.ts";

let home: Home;
const servers: Server[] = [];
beforeEach(() => {
  home = makeHome();
});
afterEach(async () => {
  await home[Symbol.asyncDispose]();
  for (const server of servers.splice(0)) {
    server.closeAllConnections();
    server.close();
  }
});

interface Cache {
  readonly url: string;
  /** The Authorization header of each request so far. */
  readonly seen: (string | undefined)[];
  server: Server;
}

/** An HTTP cache that is empty, and journals what it is sent. @param answer what it does first; true: it has answered */
async function cacheOf(answer: (request: IncomingMessage, response: ServerResponse) => boolean = () => false): Promise<Cache> {
  const seen: (string | undefined)[] = [];
  const server = createServer((request, response) => {
    seen.push(request.headers.authorization);
    request.resume();
    if (!answer(request, response)) response.writeHead(404).end();
  }).listen(0, "127.0.0.1");
  servers.push(server);
  await once(server, "listening");
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, seen, server };
}

const asking =
  (wanted: string) =>
  (request: IncomingMessage, response: ServerResponse): boolean => {
    if (request.headers.authorization === wanted) return false;
    response.writeHead(401).end();
    return true;
  };

const attach = (endpoint: string) => home.client.attach({ profile: "default", kind: "bazel", endpoint, localProof: true });
const kept = (more: Login) => login(home.paths, more);

test("what is kept for one cache never reaches another: not beside it, not by a redirect, not at a failover", async () => {
  const [first, second] = [await cacheOf(asking("Bearer of-the-first")), await cacheOf(asking("Bearer of-the-second"))];
  const elsewhere = await cacheOf();
  const redirecting = await cacheOf((_request, response) => {
    response.writeHead(307, { location: `${elsewhere.url}/cas/x` }).end();
    return true;
  });
  const nobodys = await cacheOf(asking("Bearer of-nobody"));
  await kept({ endpoint: first.url, how: { token: "of-the-first" } });
  await kept({ endpoint: second.url, how: { token: "of-the-second" } });
  await kept({ endpoint: redirecting.url, how: { token: "of-the-third" } });
  // The same endpoint, in another profile.
  await kept({ endpoint: nobodys.url, how: { token: "of-the-lab" }, profile: "lab" });
  await home.started();
  for (const { url } of [second, redirecting, nobodys]) await attach(url);
  await attach(first.url);
  const { endpoint } = (await home.client.status("default")).bazel;
  expect([first.url, second.url]).toContain(endpoint);
  const [holder, other] = endpoint === first.url ? [first, second] : [second, first];
  holder.server.closeAllConnections();
  holder.server.close();
  await home.client.verify("default");
  expect((await home.client.status("default")).bazel).toMatchObject({ state: "attached", endpoint: other.url });
  await home.client.verify("default");

  // Asked once without it, whether it is needed; with anything else never.
  expect(new Set([undefined, ...first.seen])).toEqual(new Set([undefined, "Bearer of-the-first"]));
  expect(new Set([undefined, ...second.seen])).toEqual(new Set([undefined, "Bearer of-the-second"]));
  expect(other.seen.length).toBeGreaterThan(2);
  expect(new Set(redirecting.seen)).toEqual(new Set(["Bearer of-the-third"]));
  expect(elsewhere.seen).toEqual([]);
  expect(new Set(nobodys.seen)).toEqual(new Set([undefined]));
});

test("a cache that ignores what it is sent says nothing about it: not needed, and asked without it once only", async () => {
  const cache = await cacheOf();
  await kept({ endpoint: cache.url, how: { token: "nonsense" } });
  await home.started();
  await attach(cache.url);
  await home.until(({ bazel }) => bazel.credential?.needed === "no");
  const without = () => cache.seen.filter((header) => header === undefined).length;
  const before = without();
  for (let each = 0; each < 3; each += 1) await home.client.verify("default");
  expect(without()).toBe(before);
  expect(cache.seen.filter((header) => header === "Bearer nonsense").length).toBeGreaterThan(5);
});

test("of two caches on one host each gets its own, and where they cannot be told apart nobody guesses", async () => {
  for (const [endpoint, token] of [
    ["https://host.example/one", "of-one"],
    ["https://host.example/one/two", "of-two"],
    ["https://same.example", "by-http"],
    ["grpcs://same.example", "by-grpc"],
  ] as const)
    await kept({ endpoint, how: { token } });
  await home.started();
  const answered = async (uri: string): Promise<string | undefined> =>
    (await home.client.credential({ profile: "default", uri })).headers["Authorization"]?.[0];
  expect(await answered("https://host.example/one")).toBe("Bearer of-one");
  expect(await answered("https://host.example/one/ac/00")).toBe("Bearer of-one");
  expect(await answered("https://host.example/one/two/ac/00")).toBe("Bearer of-two");
  expect(await answered("https://host.example/other")).toBeUndefined();
  await expect(answered("https://same.example/")).rejects.toThrow(/different credentials for .*same\.example/);
});

test("a credential helper's question: answered for whose login it is, and for nobody else", async () => {
  const cache = await cacheOf(asking("Bearer t"));
  const expires = "2036-11-20T08:00:00.000Z";
  await kept({ endpoint: cache.url, how: { token: "t" }, expires });
  await kept({ endpoint: "grpcs://old.example", how: { token: "old" }, expires: new Date(Date.now() - 7_300_000).toISOString() });
  await kept({ endpoint: "grpcs://shared.example", how: { token: "a" } });
  await kept({ endpoint: "grpcs://shared.example", how: { token: "b" }, profile: "lab" });
  await kept({ endpoint: "grpcs://mtls.example", how: { certificate: "/x/cert.pem", key: "/x/key.pem" } });
  await home.started();
  const ask = (uri: string, profile = "default") => home.client.credential({ profile, uri });
  expect(await ask(`${cache.url}/cas/00`)).toEqual({ headers: { Authorization: ["Bearer t"] }, expires });
  expect(await ask("https://nobody.example/")).toEqual({ headers: {}, expires: null });
  expect(await ask(`${cache.url}/cas/00`, "lab")).toEqual({ headers: {}, expires: null });
  expect(await ask("https://mtls.example/")).toEqual({ headers: {}, expires: null });
  expect(await ask("https://shared.example/", "lab")).toMatchObject({ headers: { Authorization: ["Bearer b"] } });
  expect(await ask("https://shared.example/")).toMatchObject({ headers: { Authorization: ["Bearer a"] } });
  await expect(ask("https://old.example/")).rejects.toMatchObject({
    code: "credentials-unusable",
    message: "the credential of grpcs://old.example expired 2 h ago",
    next: "flywheel login grpcs://old.example",
  });
  await expect(ask("nonsense")).rejects.toMatchObject({ code: "usage" });
});

test("who logged out beside it, in a session with another runtime directory, is heeded at the next question", async () => {
  const endpoint = "grpcs://cache.example";
  const entry = await kept({ endpoint, how: { token: "t" }, legacyHeader: true });
  await home.started();
  const ask = () => home.client.credential({ profile: "default", uri: "https://cache.example/" });
  expect(await ask()).toMatchObject({ headers: { Authorization: ["Bearer t"] } });
  const { directory } = await home.client.generation({ profile: "default", kind: "bazel", endpoint });
  expect(existsSync(directory)).toBe(true);
  await logout(home.paths, entry);
  expect(await ask()).toEqual({ headers: {}, expires: null });
  expect(existsSync(directory)).toBe(false);
  await kept({ endpoint, how: { token: "next" } });
  expect(await ask()).toMatchObject({ headers: { Authorization: ["Bearer next"] } });
  // An index that nobody can read changes nothing, and is looked at again once it is another.
  writeFileSync(credentialsPath(home.paths), "{");
  expect(await ask()).toMatchObject({ headers: { Authorization: ["Bearer next"] } });
});

test.each(["", "t\n", "a\0b", 't"\nbuild --config=x'])(
  "a secret that was changed by another hand goes nowhere, and is said to be so: %j",
  async (text) => {
    const { generation } = await kept({ endpoint: "grpcs://cache.example", how: { token: "t" } });
    writeFileSync(secretPath(home.paths, generation), text);
    await home.started();
    await expect(home.client.credential({ profile: "default", uri: "https://cache.example/" })).rejects.toMatchObject({
      ...{ code: "credentials-unusable", next: "flywheel login grpcs://cache.example" },
      message: expect.stringContaining("it is not as flywheel login kept it"),
    });
  },
);

test("200 questions at once are all answered", async () => {
  await kept({ endpoint: "grpcs://cache.example", how: { token: "t" } });
  await home.started();
  const began = performance.now();
  const asked = Array.from({ length: 200 }, () =>
    new DaemonClient(home.paths).credential({ profile: "default", uri: "https://cache.example/" }),
  );
  const answers = await Promise.all(asked);
  expect(answers.filter(({ headers }) => headers["Authorization"]?.[0] === "Bearer t")).toHaveLength(200);
  // A helper has one second in all.
  expect(performance.now() - began).toBeLessThan(5_000);
});

test("files for a tool: only where they are allowed, of this login and this endpoint, and gone with the login", async () => {
  const [one, other] = ["grpc://127.0.0.1:9", "http://127.0.0.1:10"];
  const entry = await kept({ endpoint: one, how: { user: "ann", password: 'p"w' } });
  await home.started();
  const make = (endpoint: string, kind: "bazel" | "nix" = "bazel") => home.client.generation({ profile: "default", kind, endpoint });
  await expect(make(one)).rejects.toMatchObject({ code: "credentials-unusable", next: expect.stringContaining("--allow-legacy-header") });
  await expect(make("grpc://127.0.0.1:11")).rejects.toMatchObject({
    code: "credentials-unusable",
    next: "flywheel login grpc://127.0.0.1:11",
  });

  await logout(home.paths, entry);
  const allowed = await kept({ endpoint: one, how: { user: "ann", password: 'p"w' }, legacyHeader: true });
  await kept({ endpoint: other, how: { token: "t" }, legacyHeader: true });
  await kept({ endpoint: "https://nix.example/main", kind: "nix", how: { token: "n" } });
  await home.client.reload();
  const { directory } = await make(one);
  expect(directory).toContain(`${home.paths.runtime}/credentials/${allowed.generation}-`);
  expect(statSync(directory).mode & 0o777).toBe(0o700);
  expect(statSync(join(directory, "bazelrc")).mode & 0o777).toBe(0o600);
  expect(readFileSync(join(directory, "bazelrc"), "utf8")).toBe(
    `build --remote_cache=${one}\nbuild "--remote_cache_header=Authorization=Basic ${Buffer.from('ann:p"w').toString("base64")}"\n`,
  );
  expect((await make(one)).directory).toBe(directory);
  const http = (await make(other)).directory;
  expect(readFileSync(join(http, "bazelrc"), "utf8")).toBe(
    `build --remote_cache=${other}\nbuild "--remote_header=Authorization=Bearer t"\n`,
  );
  const nix = (await make("https://nix.example/main", "nix")).directory;
  expect(readFileSync(join(nix, "netrc"), "utf8")).toMatch(/^machine nix\.example\nlogin ""\npassword n\n/);

  await logout(home.paths, allowed);
  await home.client.reload();
  expect(existsSync(directory)).toBe(false);
  expect(existsSync(http)).toBe(true);
});

test("once a reload has answered, the fast path knows that there is a credential; and after a logout that there is none", async () => {
  const cache = await cacheOf();
  await home.started();
  await attach(cache.url);
  const slow = (): string | undefined => /^slow (.*)$/m.exec(read(attachmentPath(home.paths, "default", "bazel")))?.[1];
  expect(slow()).toBe("false");
  const entry = await kept({ endpoint: cache.url, how: { token: "t" } });
  await home.client.reload();
  expect(slow()).toBe("true");
  await logout(home.paths, entry);
  await home.client.reload();
  expect(slow()).toBe("false");
});

test("an index that is malformed is a fault that status shows, and keeps neither the daemon nor the old logins from working", async () => {
  const cache = await cacheOf(asking("Bearer t"));
  await kept({ endpoint: cache.url, how: { token: "t" } });
  const good = readFileSync(credentialsPath(home.paths));
  const pid = await home.started();
  expect(await attach(cache.url)).toMatchObject({ ok: true });
  writeFileSync(credentialsPath(home.paths), "{");
  await expect(home.client.reload()).rejects.toMatchObject({ code: "credentials-unusable" });
  expect((await home.client.verify("default")).bazel.state).toBe("attached");
  const faults = async () => (await home.client.status("default")).daemon?.faults ?? [];
  expect(await faults()).toEqual([expect.stringMatching(/credentials\.json cannot be used: it is not JSON/)]);
  // Nor from starting.
  const ended = gone(pid);
  await home.client.stop();
  await ended;
  await home.started();
  expect(await faults()).toHaveLength(1);
  writeFileSync(credentialsPath(home.paths), good);
  await home.client.reload();
  expect(await faults()).toEqual([]);
  await home.until(({ bazel }) => bazel.state === "attached");
});

test("no secret is in a log, a status, an argument or an environment", async () => {
  const cache = await cacheOf((_request, response) => {
    response.writeHead(401).end();
    return true;
  });
  const silent = createTcp(() => {}).listen(0, "127.0.0.1");
  await once(silent, "listening");
  const quiet = `http://127.0.0.1:${(silent.address() as AddressInfo).port}`;
  await kept({ endpoint: cache.url, how: { token: "planted-token-1" } });
  await kept({ endpoint: quiet, how: { user: "ann", password: "planted-token-2" } });
  const pid = await home.started();
  await attach(cache.url);
  await attach(quiet);
  const processes = readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name))
    .map((name) => ["cmdline", "environ"].map((file) => read(`/proc/${name}/${file}`)).join(""));
  expect(processes.some((text) => text.includes("daemon/main.ts\0run"))).toBe(true);
  silent.close();
  const encoded = Buffer.from("ann:planted-token-2").toString("base64");
  const told = [JSON.stringify(await home.client.status("default")), read(logPath(home.paths)), ...processes].join("\n");
  expect(told).toContain("refuses the bearer token");
  for (const secret of ["planted-token-1", "planted-token-2", encoded]) expect(told).not.toContain(secret);
  expect(pid).toBeGreaterThan(0);
});

function read(file: string): string {
  try {
    return readFileSync(file, "utf8");
  } catch {
    return "";
  }
}
