/** The socket under bad input, with a real daemon behind it. */
import { once } from "node:events";
import { request } from "node:http";
import { connect, type Socket } from "node:net";
import fc from "fast-check";
import { afterAll, beforeAll, expect, test } from "vitest";
import { socketPath } from "../../../contract/paths.ts";
import { type Home, makeHome } from "../home.ts";

let home: Home;
let pid: number;
beforeAll(async () => {
  home = makeHome();
  pid = await home.started();
  await home.until((status) => !status.bazel.unsettled);
});
afterAll(() => home[Symbol.asyncDispose]());

interface Answer {
  readonly status: number;
  readonly body: unknown;
}

async function ask(method: string, path: string, body: string | Buffer = ""): Promise<Answer> {
  const sent = request({
    socketPath: socketPath(home.paths),
    method,
    path,
    agent: false,
    headers: { "content-length": Buffer.byteLength(body) },
  });
  // The server may answer and close before it has read a body that is too long.
  sent.on("error", () => {});
  sent.end(body);
  const [answer] = await once(sent, "response");
  const text = (await answer.setEncoding("utf8").toArray()).join("");
  return { status: answer.statusCode, body: JSON.parse(text) };
}

/** Sends raw bytes and waits for the end of what comes back. */
async function raw(bytes: string | Buffer): Promise<string> {
  const socket = connect(socketPath(home.paths));
  socket.on("error", () => {});
  socket.end(bytes);
  let text = "";
  socket.setEncoding("utf8").on("data", (chunk) => {
    text += chunk;
  });
  if (!socket.closed) await once(socket, "close");
  return text;
}

const stillThere = async (): Promise<void> => expect((await home.client.hello()).pid).toBe(pid);

test("what is malformed is a 4xx with an ApiFault", async () => {
  const cases: [string, string, string, number][] = [
    ["GET", "/", "", 404],
    ["PUT", "/v1/status", "", 404],
    ["POST", "/v1/hello", "", 404],
    ["GET", "/v1/status?profile=..%2fx", "", 400],
    ["GET", "/v1/status?profile=nobody", "", 404],
    ["GET", "/v1/watch?profile=nobody", "", 404],
    ["POST", "/v1/verify", "", 400],
    ["POST", "/v1/verify", "[]", 400],
    ["POST", "/v1/verify", '{"profile":"default","extra":1}', 400],
    ["POST", "/v1/verify", '{"profile":7}', 400],
    ["POST", "/v1/attach", '{"profile":"default","kind":"cargo","endpoint":"x","localProof":false}', 400],
    ["POST", "/v1/attach", '{"profile":"default","kind":"bazel","endpoint":"file:///etc/passwd","localProof":false}', 422],
    ["POST", "/v1/stop", '{"now":true}', 400],
    ["POST", "/v1/verify", " ".repeat(70_000), 413],
  ];
  for (const [method, path, body, status] of cases) {
    const answer = await ask(method, path, body);
    expect([method, path, answer.status]).toEqual([method, path, status]);
    expect(answer.body).toEqual({
      error: { code: expect.any(String), message: expect.stringMatching(/./), next: expect.toSatisfy(() => true) },
    });
  }
  await stillThere();
});

test("no body, whatever its bytes, does anything but be refused", async () => {
  const paths = fc.constantFrom("/v1/verify", "/v1/attach", "/v1/detach", "/v1/up", "/v1/probe");
  const body = fc.oneof(
    fc.string(),
    fc.json(),
    fc.uint8Array().map((bytes) => Buffer.from(bytes)),
  );
  await fc.assert(
    fc.asyncProperty(paths, body, async (path, bytes) => {
      const { status } = await ask("POST", path, bytes);
      expect(status).toBeGreaterThanOrEqual(400);
      expect(status).toBeLessThan(500);
    }),
    { numRuns: 150 },
  );
  await stillThere();
});

test("no bytes on the socket stop it", async () => {
  await raw("GET /v1/status HTTP/1.1\r\nHost: d\r\nX: ".padEnd(40_000, "x"));
  await raw("\u0000".repeat(1_000));
  expect(await raw("GET http://[/ HTTP/1.1\r\nHost: d\r\nConnection: close\r\n\r\n")).toMatch(/^HTTP\/1.1 4/);
  await fc.assert(
    fc.asyncProperty(fc.uint8Array({ maxLength: 300 }), async (bytes) => {
      await raw(Buffer.from(bytes));
    }),
    { numRuns: 50 },
  );
  await stillThere();
});

/** The status lines of all that came back. */
const statuses = async (bytes: string): Promise<readonly string[]> =>
  [...(await raw(bytes)).matchAll(/HTTP\/1\.1 (\d+)/g)].map((match) => match[1] ?? "");

test("what HTTP itself turns down is said with a status of HTTP's, and the API's version", async () => {
  const end = "Host: d\r\nConnection: close\r\n\r\n";
  const flood = Array.from({ length: 5_000 }, (_, index) => `X-${index}: 1\r\n`).join("");
  const cases: readonly (readonly [string, string, readonly string[]])[] = [
    ["a header that is too long", `GET /v1/hello HTTP/1.1\r\nX: ${"x".repeat(20_000)}\r\n${end}`, ["431"]],
    ["a flood of headers", `GET /v1/hello HTTP/1.1\r\n${flood}${end}`, ["431"]],
    ["a path that is too long", `GET /${"x".repeat(20_000)} HTTP/1.1\r\n${end}`, ["431"]],
    ["a path that is long", `GET /${"x".repeat(10_000)} HTTP/1.1\r\n${end}`, ["400"]],
    ["the target of a proxy", `GET http://elsewhere/v1/hello HTTP/1.1\r\n${end}`, ["400"]],
    ["an asterisk", `OPTIONS * HTTP/1.1\r\n${end}`, ["400"]],
    ["CONNECT", `CONNECT elsewhere:443 HTTP/1.1\r\n${end}`, ["405"]],
    [
      "a wish for another protocol, which is not granted",
      `GET /v1/hello HTTP/1.1\r\nUpgrade: h2c\r\nConnection: upgrade\r\nHost: d\r\n\r\n`,
      ["200"],
    ],
    ["an expectation that nobody has", `POST /v1/verify HTTP/1.1\r\nExpect: a-miracle\r\n${end}`, ["417"]],
    ["two lengths", `POST /v1/verify HTTP/1.1\r\nContent-Length: 2\r\nContent-Length: 3\r\n${end}{}`, ["400"]],
    ["a length and chunks", `POST /v1/verify HTTP/1.1\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n${end}0\r\n\r\n`, ["400"]],
    ["chunks that are none", `POST /v1/verify HTTP/1.1\r\nTransfer-Encoding: chunked\r\n${end}zz\r\n`, ["400"]],
    [
      "trailers behind chunks",
      `POST /v1/verify HTTP/1.1\r\nTransfer-Encoding: chunked\r\nTrailer: X\r\n${end}2\r\n{}\r\n0\r\nX: 1\r\n\r\n`,
      ["400"],
    ],
    ["no host", "GET /v1/hello HTTP/1.1\r\n\r\n", ["400"]],
    ["HTTP/2 with prior knowledge", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", ["400"]],
    ["TLS", "\u0016\u0003\u0001\u0002\u0000\u0001", ["400"]],
    ["a line that ends nowhere", "GET", ["400"]],
  ];
  for (const [what, bytes, status] of cases) expect([what, await statuses(bytes)]).toEqual([what, status]);
  expect(await raw(`GET /v1/hello HTTP/1.1\r\nX: ${"x".repeat(20_000)}\r\n${end}`)).toMatch(/\r\nflywheel-api: 1\r\n[\s\S]*\{"error":\{/);
  await stillThere();
});

test("one question a connection: what is sent behind it does nothing", async () => {
  const ask = (path: string): string => `POST ${path} HTTP/1.1\r\nHost: d\r\nContent-Length: 2\r\n\r\n{}`;
  const [first] = await statuses(`GET /v1/hello HTTP/1.1\r\nHost: d\r\n\r\n${ask("/v1/stop").repeat(500)}`);
  expect(first).toBe("200");
  await stillThere();
});

test("who sends half a question and waits is dropped", { timeout: 30_000 }, async () => {
  const socket = connect(socketPath(home.paths));
  const closed = once(socket, "close");
  socket.write("GET /v1/hello HTTP/1.1\r\nHost:");
  let answer = "";
  socket.setEncoding("utf8").on("data", (text) => {
    answer += text;
  });
  await closed;
  expect(answer).toMatch(/^HTTP\/1\.1 408 /);
  await stillThere();
});

test("stop is for the daemon that is meant: asked of another one, it does nothing", async () => {
  expect(await ask("POST", "/v1/stop", `{"pid":${pid + 1}}`)).toEqual({ status: 200, body: {} });
  expect((await ask("POST", "/v1/stop", '{"pid":"1"}')).status).toBe(400);
  await stillThere();
});

test("a body that never ends its sentence, and one that is cut off", async () => {
  const socket = connect(socketPath(home.paths));
  socket.write("POST /v1/verify HTTP/1.1\r\nHost: d\r\nContent-Length: 100\r\n\r\n{");
  await stillThere();
  socket.destroy();
  await stillThere();
});

test("at most 256 connections and 16 watches; whoever comes then is told or dropped, and served later", async () => {
  const watches = Array.from({ length: 16 }, () => home.client.watch("default"));
  for (const watching of watches) expect((await watching.next()).value?.profile).toBe("default");
  await expect(home.client.watch("default").next()).rejects.toThrow(/16 watch already/);
  const idle: Socket[] = [];
  for (let count = 0; count < 240; count += 1) {
    const socket = connect(socketPath(home.paths));
    idle.push(socket);
    await once(socket, "connect");
  }
  await expect(home.client.hello()).rejects.toMatchObject({ code: "daemon-unreachable" });
  for (const socket of idle) socket.destroy();
  for (const watching of watches) await watching.return();
  await stillThere();
});

test("a watch gives the status now and each change, and ends with its signal", async () => {
  const stop = new AbortController();
  const seen: boolean[] = [];
  for await (const status of home.client.watch("default", stop.signal)) {
    seen.push(status.detached);
    if (seen.length === 1) await home.client.detach("default");
    if (status.detached) await home.client.up("default");
    if (seen.includes(true) && !status.detached) stop.abort();
  }
  expect(seen[0]).toBe(false);
  expect(seen.at(-1)).toBe(false);
  expect(seen).toContain(true);
});

test("a watcher that does not read is dropped, and costs the others nothing", async () => {
  const lazy = connect(socketPath(home.paths));
  lazy.write("GET /v1/watch HTTP/1.1\r\nHost: d\r\n\r\n");
  lazy.pause();
  const closed = once(lazy, "close");
  lazy.on("error", () => {});
  // Each detach and up is news of about 2 KB for it: a megabyte and what the kernel holds are soon full.
  for (let round = 0; round < 700 && !lazy.closed; round += 1) {
    await home.client.detach("default");
    await home.client.up("default");
  }
  lazy.resume();
  await closed;
  await stillThere();
}, 60_000);

test("an answer of another version of the API is not guessed at", async () => {
  const answer = await new Promise<string | string[] | undefined>((resolve) => {
    request({ socketPath: socketPath(home.paths), path: "/v1/hello", agent: false }, (response) => {
      response.resume();
      resolve(response.headers["flywheel-api"]);
    }).end();
  });
  expect(answer).toBe("1");
});
