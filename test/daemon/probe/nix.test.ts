import type { RequestListener } from "node:http";
import { afterEach, describe, expect, it } from "vitest";
import type { ProbeContext } from "../../../daemon/probe/context.ts";
import { Prober } from "../../../daemon/probe/prober.ts";
import { byOperator, candidate, listenHttp, type Peer, proofContext } from "./peers.ts";

const cleanup: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const close of cleanup.splice(0).reverse()) await close();
});

const key = `main:${"A".repeat(43)}=`;
const otherKey = `main:${"B".repeat(43)}=`;
const configured: ProbeContext = { ...proofContext, nixKeys: [otherKey.replace("main", "old"), key] };
const info = "StoreDir: /nix/store\nWantMassQuery: 1\nPriority: 41\n";

type Page = readonly [status: number, body: string];

async function probe(pages: Readonly<Record<string, Page>>, context: ProbeContext, path = "/main") {
  const asked: string[] = [];
  const serve: RequestListener = (request, response) => {
    asked.push(request.url ?? "");
    const [status, body] = pages[request.url ?? ""] ?? [404, "not found"];
    response.writeHead(status).end(body);
  };
  const server: Peer = await listenHttp(serve);
  const prober = new Prober();
  cleanup.push(
    () => server.close(),
    () => prober.close(),
  );
  return { result: await prober.probe(candidate(`http://127.0.0.1:${server.port}${path}`, byOperator, "nix"), context), asked };
}

const attic = (served: unknown): Record<string, Page> => ({
  "/main/nix-cache-info": [200, info],
  "/_api/v1/cache-config/main": [200, JSON.stringify({ is_public: true, public_key: served })],
});

describe("a Nix cache", () => {
  it("passes where Attic serves a configured key, which is reported", async () => {
    const { result, asked } = await probe(attic(key), configured);
    expect(result).toMatchObject({ ok: true, facts: { storeDir: "/nix/store", priority: 41, servedKey: key } });
    expect(asked).toEqual(["/main/nix-cache-info", "/_api/v1/cache-config/main"]);
  });

  it("passes where a static server serves no key at all", async () => {
    const { result } = await probe({ "/nix-cache-info": [200, "StoreDir: /nix/store\n"] }, configured, "");
    expect(result).toMatchObject({ ok: true, facts: { storeDir: "/nix/store" } });
    expect(result.ok && result.facts.servedKey).toBeUndefined();
  });

  it.each([
    ["no JSON", "<html>"],
    ["an unsound key", JSON.stringify({ public_key: "main:$(id)" })],
  ])("does not believe %s for a key", async (_name, body) => {
    const { result } = await probe({ ...attic(key), "/_api/v1/cache-config/main": [200, body] }, configured);
    expect(result.ok && result.facts.servedKey).toBeUndefined();
    expect(result.ok).toBe(true);
  });

  it("fails where it serves another key than those configured", async () => {
    const { result } = await probe(attic(otherKey), configured);
    expect(result).toMatchObject({
      ok: false,
      rung: "authority",
      reason: expect.stringContaining(`serves the key ${otherKey}, which is none of those configured`),
    });
  });

  it("fails where no key is configured, and names the one that it serves", async () => {
    const { result } = await probe(attic(key), proofContext);
    expect(result).toMatchObject({ ok: false, rung: "authority", next: `compare with its operator, then: flywheel trust key ${key}` });
  });

  it("fails where no key is configured and none is served", async () => {
    const { result } = await probe({ "/main/nix-cache-info": [200, info] }, proofContext);
    expect(result).toMatchObject({ ok: false, rung: "authority", next: expect.stringContaining("flywheel trust key") });
  });

  const faults: readonly [string, Page, string, RegExp][] = [
    ["401", [401, ""], "authority", /private or missing, Attic does not tell which/],
    ["404", [404, ""], "capabilities", /no Nix cache at \/main/],
    ["503", [503, ""], "capabilities", /HTTP 503/],
    ["a page", [200, "<html>welcome</html>"], "capabilities", /something that is no nix-cache-info/],
    ["another store", [200, "StoreDir: /gnu/store\n"], "capabilities", /serves the store \/gnu\/store, not \/nix\/store/],
    ["an over-long answer", [200, "x".repeat(100_000)], "capabilities", /more than 64 KiB/],
  ];
  it.each(faults)("that answers nix-cache-info with %s fails", async (_name, page, rung, reason) => {
    const { result } = await probe({ "/main/nix-cache-info": page }, configured);
    expect(result).toMatchObject({ ok: false, rung, reason: expect.stringMatching(reason) });
  });
});
