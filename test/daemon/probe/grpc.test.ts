import type { Socket } from "node:net";
import { status } from "@grpc/grpc-js";
import { afterEach, describe, expect, it } from "vitest";
import { Prober } from "../../../daemon/probe/prober.ts";
import {
  answer,
  candidate,
  healthyGrpc,
  healthyHttp,
  impatient,
  listen,
  listenGrpc,
  listenHttp,
  type Peer,
  proofContext,
} from "./peers.ts";

const cleanup: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const close of cleanup.splice(0).reverse()) await close();
});

function prober(): Prober {
  const made = new Prober();
  cleanup.push(() => made.close());
  return made;
}

async function peer(starting: Promise<Peer>): Promise<Peer> {
  const started = await starting;
  cleanup.push(() => started.close());
  return started;
}

const capabilities = (reply: object) => ({ ...healthyGrpc, Capabilities: { getCapabilities: answer(reply) } });
const cache = (facts: object) => capabilities({ cacheCapabilities: facts });

describe("a Remote Execution API cache", () => {
  it("passes, and reports its digest functions and whether it takes updates", async () => {
    const server = await peer(listenGrpc(healthyGrpc));
    const result = await prober().probe(candidate(`grpc://127.0.0.1:${server.port}`), proofContext);
    expect(result).toMatchObject({ ok: true, facts: { digestFunctions: ["SHA1", "SHA256"], updateEnabled: false } });
  });

  it("passes where it does not say whether it takes updates", async () => {
    const server = await peer(listenGrpc(cache({ digestFunctions: ["SHA256"] })));
    const result = await prober().probe(candidate(`grpc://127.0.0.1:${server.port}`), proofContext);
    expect(result).toMatchObject({ ok: true, facts: { digestFunctions: ["SHA256"] } });
    expect(result.ok && "updateEnabled" in result.facts).toBe(false);
  });

  it("is asked about the profile's instance", async () => {
    const asked: unknown[] = [];
    const server = await peer(
      listenGrpc({
        Capabilities: {
          getCapabilities: (call, done) => {
            asked.push(call.request["instanceName"]);
            done(null, { cacheCapabilities: { digestFunctions: ["SHA256"] } });
          },
        },
        ActionCache: {
          getActionResult: (call, done) => {
            asked.push(call.request["instanceName"]);
            done({ code: status.NOT_FOUND });
          },
        },
      }),
    );
    const context = { ...proofContext, instanceName: "org-a" };
    expect(await prober().probe(candidate(`grpc://127.0.0.1:${server.port}`), context)).toMatchObject({ ok: true });
    expect(asked).toEqual(["org-a", "org-a"]);
  });

  const denied = answer({ code: status.PERMISSION_DENIED, details: "not \u001b[31myou" });
  const faults: readonly [string, Parameters<typeof listenGrpc>[0], string, RegExp][] = [
    [
      "UNAUTHENTICATED",
      capabilities({ code: status.UNAUTHENTICATED, details: "who?" }),
      "authority",
      /asks for a credential, and none is kept for it \(UNAUTHENTICATED: who\?\)/,
    ],
    [
      "PERMISSION_DENIED",
      { ...healthyGrpc, Capabilities: { getCapabilities: denied } },
      "authority",
      /refuses this machine \(PERMISSION_DENIED: not you\)/,
    ],
    ["PERMISSION_DENIED for reads only", { ...healthyGrpc, ActionCache: { getActionResult: denied } }, "authority", /refuses this machine/],
    ["UNIMPLEMENTED", {}, "capabilities", /answers gRPC but is no Remote Execution API cache/],
    [
      "an unknown instance",
      capabilities({ code: status.NOT_FOUND, details: "no instance" }),
      "capabilities",
      /does not serve the unnamed instance/,
    ],
    [
      "an internal error",
      capabilities({ code: status.INTERNAL, details: "oops" }),
      "capabilities",
      /answers with an error \(INTERNAL: oops\)/,
    ],
    [
      "execution only",
      capabilities({ executionCapabilities: { execEnabled: true } }),
      "capabilities",
      /offers remote execution and no cache/,
    ],
    ["nothing", capabilities({}), "capabilities", /offers no cache/],
    ["no SHA256", cache({ digestFunctions: ["SHA1", "BLAKE3"] }), "capabilities", /does not know SHA256.*SHA1, BLAKE3/],
    ["too much", cache({ digestFunctions: Array.from({ length: 100_000 }, () => "SHA256") }), "capabilities", /answers too much/],
    [
      "a result for any action",
      { ...healthyGrpc, ActionCache: { getActionResult: answer({ exitCode: 0 }) } },
      "capabilities",
      /cannot exist/,
    ],
    ["capabilities without an action cache", { Capabilities: healthyGrpc.Capabilities }, "capabilities", /no Remote Execution API cache/],
  ];
  it.each(faults)("that answers %s fails", async (_name, services, rung, reason) => {
    const server = await peer(listenGrpc(services));
    const result = await prober().probe(candidate(`grpc://127.0.0.1:${server.port}`), proofContext);
    expect(result).toMatchObject({ ok: false, rung, reason: expect.stringMatching(reason) });
  });

  it("that never answers fails in time", async () => {
    const server = await peer(listenGrpc({ ...healthyGrpc, Capabilities: { getCapabilities: () => {} } }));
    const result = await prober().probe(candidate(`grpc://127.0.0.1:${server.port}`), { ...impatient, timeoutMs: 1000 });
    expect(result).toMatchObject({ ok: false, rung: "capabilities", reason: expect.stringContaining("did not finish within 1 s") });
  });
});

describe("what is no gRPC cache", () => {
  it("an HTTP/1.1 server is named as one", async () => {
    const server = await peer(listenHttp(healthyHttp));
    expect(await prober().probe(candidate(`grpc://127.0.0.1:${server.port}`), proofContext)).toMatchObject({
      ok: false,
      rung: "handshake",
      reason: `127.0.0.1:${server.port} speaks HTTP/1.1, not gRPC`,
      next: `if it is an HTTP cache, name it http://127.0.0.1:${server.port}`,
    });
  });

  it("nothing listens", async () => {
    const gone = await listenGrpc(healthyGrpc);
    await gone.close();
    expect(await prober().probe(candidate(`grpc://127.0.0.1:${gone.port}`), proofContext)).toMatchObject({
      ok: false,
      rung: "connect",
      reason: `nothing listens on 127.0.0.1:${gone.port} (connection refused)`,
    });
  });

  const servers: readonly [string, (socket: Socket) => void, RegExp][] = [
    ["says nothing", () => {}, /did not answer within \d{3} ms/],
    ["answers garbage", (socket) => socket.write("220 mail.example ESMTP ready\r\n"), /something that is not gRPC/],
    ["hangs up", (socket) => socket.end(), /closed the connection/],
    ["trickles", (socket) => socket.write("x"), /did not answer within \d{3} ms/],
  ];
  it.each(servers)("one that %s fails at the handshake, and its connection is released", async (_name, serve, reason) => {
    const server = await peer(listen(serve));
    const connected = server.next();
    const probing = prober().probe(candidate(`grpc://127.0.0.1:${server.port}`), impatient);
    const socket = await connected;
    const closed = new Promise((resolve) => socket.once("close", resolve));
    expect(await probing).toMatchObject({ ok: false, rung: "handshake", reason: expect.stringMatching(reason) });
    socket.resume();
    await closed;
    expect(server.connections()).toBe(1);
  });
});
