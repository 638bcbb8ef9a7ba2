/** What may be sent to daemon.sock: a 4xx or a closed connection, and a daemon that goes on as before. */
import { readFileSync } from "node:fs";
import { connect } from "node:net";
import fc from "fast-check";
import { afterAll, beforeAll, expect, it } from "vitest";
import { socketPath } from "../../contract/paths.ts";
import { type Home, makeHome } from "../daemon/home.ts";
import { fuzz, timeoutFor } from "./fuzz.ts";

const seconds = 6;

let home: Home;
let pid: number;
beforeAll(async () => {
  home = makeHome();
  pid = await home.started();
  await home.until((status) => !status.bazel.unsettled);
});
afterAll(() => home[Symbol.asyncDispose]());

const word = fc.oneof(
  fc.constantFrom(
    ...[
      "",
      " ",
      "/",
      "//",
      "/v1/hello",
      "/v1/status",
      "/v1/status?profile=",
      "/v1/status?profile=../x",
      "/v1/watch?profile=%00",
      "/v1/verify",
      "/v1/attach",
    ],
    ...[
      "/v1/detach",
      "/v1/up",
      "/v1/probe",
      "/v1/credential",
      "/v1/generation",
      "/v1/reload",
      "/v1/nothing",
      "/v1/../hello",
      "/v1/hello#x",
      "http://elsewhere/v1/hello",
      "*",
      "/%zz",
      `/${"a".repeat(5000)}`,
    ],
  ),
  fc.string({ unit: "binary", maxLength: 20 }),
);
const header = fc.oneof(
  fc.constantFrom(
    ...["host: daemon", "content-length: 5", "content-length: -1", "content-length: 99999999999", "content-length: 1\r\ncontent-length: 2"],
    ...[
      "transfer-encoding: chunked",
      "transfer-encoding: chunked, chunked",
      "expect: 100-continue",
      "expect: nothing",
      "upgrade: websocket\r\nconnection: upgrade",
    ],
    ...[
      "connection: keep-alive",
      "range: bytes=0-",
      "x: \u0000",
      "x",
      ": y",
      " folded",
      "authorization: Bearer x",
      `x: ${"y".repeat(20_000)}`,
    ],
  ),
  fc.string({ unit: "binary", maxLength: 20 }),
);
const field = fc.constantFrom("profile", "kind", "endpoint", "localProof", "nothing", "__proto__", "constructor");
// No endpoint that anybody could be reached by: this fuzzes the socket.
const fieldValue = fc.oneof(
  fc.constantFrom<unknown>(
    "default",
    "bazel",
    "nix",
    "grpc://127.0.0.1:1",
    "grpc://u:p@h:1",
    "grpc://$(id):1",
    "-",
    "\u001b[31m",
    "a".repeat(5000),
    true,
    false,
    null,
  ),
  fc.jsonValue(),
);
const body = fc.oneof(
  fc.constant(""),
  fc.dictionary(field, fieldValue).map((value) => JSON.stringify(value)),
  fc
    .record({
      profile: fc.constant("default"),
      kind: fc.constantFrom("bazel", "nix"),
      endpoint: fc.constantFrom("grpc://127.0.0.1:1", "x"),
      localProof: fc.boolean(),
    })
    .map((value) => JSON.stringify(value)),
  fc.jsonValue().map((value) => JSON.stringify(value)),
  fc.integer({ min: 1, max: 200_000 }).map((length) => "[".repeat(length)),
  fc.string({ unit: "binary", maxLength: 200 }),
);
/** Each character a byte. `flywheel down` is a request like any other: what would be one is left out. */
const asksToStop = (sent: string): boolean => sent.includes("/v1/stop");

const request = fc
  .record({
    method: fc.oneof(
      { weight: 8, arbitrary: fc.constantFrom("GET", "POST", "PUT", "HEAD", "OPTIONS", "CONNECT", "TRACE", "PRI") },
      fc.string({ maxLength: 8 }),
    ),
    target: word,
    version: fc.oneof(
      { weight: 8, arbitrary: fc.constantFrom("HTTP/1.1", "HTTP/1.0") },
      fc.constantFrom("HTTP/0.9", "HTTP/2.0", "HTTP/9.9", ""),
    ),
    headers: fc.array(header, { maxLength: 4 }),
    length: fc.boolean(),
    body,
  })
  .map(({ method, target, version, headers, length, body: text }) => {
    const sized = length ? ["host: daemon", ...headers, `content-length: ${Buffer.byteLength(text)}`] : headers;
    return Buffer.from([`${method} ${target} ${version}`, ...sized, "", text].join("\r\n")).toString("latin1");
  });
const sensible = fc
  .tuple(
    fc.constantFrom(
      "GET /v1/hello",
      "GET /v1/status",
      "GET /v1/watch",
      "GET /v1/status?profile=nobody",
      "GET /v1/nothing",
      "POST /v1/verify",
      "POST /v1/probe",
      "POST /v1/up",
    ),
    body,
  )
  .map(([line, text]) =>
    Buffer.from(`${line} HTTP/1.1\r\nhost: daemon\r\ncontent-length: ${Buffer.byteLength(text)}\r\n\r\n${text}`).toString("latin1"),
  );
const bytes = fc
  .oneof(
    { weight: 4, arbitrary: sensible },
    { weight: 6, arbitrary: request },
    { weight: 1, arbitrary: fc.array(request, { maxLength: 4 }).map((several) => several.join("")) },
    {
      weight: 1,
      arbitrary: fc
        .tuple(request, fc.nat(200), fc.uint8Array({ maxLength: 6 }))
        .map(([text, at, piece]) => text.slice(0, at) + Buffer.from(piece).toString("latin1") + text.slice(at + 1)),
    },
    { weight: 1, arbitrary: fc.uint8Array({ maxLength: 300 }).map((array) => Buffer.from(array).toString("latin1")) },
  )
  .filter((sent) => !asksToStop(sent));

/** Sends the bytes and gives what comes back until the daemon closes the connection. */
async function exchange(sent: string): Promise<string> {
  const socket = connect(socketPath(home.paths));
  // A daemon that has read enough may close before all is sent.
  socket.on("error", () => {});
  let text = "";
  socket.setEncoding("latin1").on("data", (chunk: string) => {
    text += chunk;
    // A watch has no end of its own.
    if (/^HTTP\/1\.1 200 .*application\/x-ndjson/s.test(text)) socket.destroy();
  });
  const closed = new Promise((resolve) => socket.on("close", resolve));
  socket.end(sent, "latin1");
  await closed;
  return text;
}

function residentMiB(): number {
  return Number(/^VmRSS:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1]) / 1024;
}

it("no bytes do anything but be refused, and cost no memory that stays", timeoutFor(seconds), async () => {
  const statuses = new Map<string, number>();
  const property = fc.asyncProperty(fc.array(bytes, { minLength: 1, maxLength: 8 }), async (several) => {
    for (const answer of await Promise.all(several.map(exchange))) {
      const status = /^HTTP\/1\.[01] (\d{3}) /.exec(answer)?.[1] ?? "closed";
      statuses.set(status, (statuses.get(status) ?? 0) + 1);
      expect(answer === "" || /^HTTP\/1\.[01] (?:100|200|4\d\d) /.test(answer), answer.slice(0, 300)).toBe(true);
      expect(answer).not.toMatch(/\n {4}at /);
    }
    expect((await home.client.hello()).pid).toBe(pid);
  });
  await fuzz(property, { seconds: seconds / 3, atLeast: 10 });
  const before = residentMiB();
  await fuzz(property, { seconds: (2 * seconds) / 3, atLeast: 10 });
  const grown = residentMiB() - before;
  expect(grown, `${before} MiB at first`).toBeLessThan(48);
  // The sample has to be understood and refused, or it proves little.
  for (const status of ["200", "400", "404"]) expect(statuses.get(status) ?? 0, JSON.stringify([...statuses])).toBeGreaterThan(2);
  expect((await home.client.status("default")).daemon?.faults).toEqual([]);
});

it("264 CONNECTs with a body that nobody reads leave no connection behind: found by the fuzz above", async () => {
  // More than the connections that there may be at once; the client closes its half and waits for the daemon's.
  const sent = `CONNECT x:1 HTTP/1.1\r\nhost: x\r\n\r\n${"[".repeat(77_000)}`;
  for (let index = 0; index < 264; index += 1) expect(await exchange(sent)).toMatch(/^(?:HTTP\/1\.1 405 |$)/);
  expect((await home.client.hello()).pid).toBe(pid);
});

it("twenty watches with a body that nobody reads leave no watcher behind: found by the fuzz above", async () => {
  // More than the watchers that there may be at once.
  const text = "[".repeat(131_000);
  const sent = `GET /v1/watch HTTP/1.1\r\nhost: x\r\ncontent-length: ${text.length}\r\n\r\n${text}`;
  for (let index = 0; index < 20; index += 1) expect(await exchange(sent)).toMatch(/^(?:HTTP\/1\.1 400 |$)/);
  await home.until((status) => status.daemon?.pid === pid);
});
